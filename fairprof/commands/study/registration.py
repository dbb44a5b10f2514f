"""Which models of a study are registered: of each design the seed that a rule on validation data chooses."""

from collections.abc import Sequence

import pandas as pd

from fairprof.commands.study.plan import PlannedRun
from fairprof.commands.train.registration import register
from fairprof.errors import UserError
from fairprof.network.loaded import load_whole
from fairprof.runtime.progress import note
from fairprof.store import registry, tracking
from fairprof.store.champion import CHAMPION_METRIC, CHAMPION_RULE, DEGENERATE_TAG, best_of
from fairprof.store.models import run_reference
from fairprof.store.registry import RegisteredVersion
from fairprof.store.studies import seed_of
from fairprof.store.tracking import LoggedRun

REGISTERED = "study/registered.csv"


def register_chosen(main_arm: Sequence[PlannedRun]) -> None:
    """Registers for each design the best of its runs by the rule `val_macro_f1`; logs and says which, and why.

    main_arm: all runs of the confirmatory arm, which have ended. A design with a run that failed, which might be the
    best, is left out. Every worker may call it, and a study that was interrupted again: a run is registered once.
    """
    rows = []
    for design in sorted({run.settings.experiment for run in main_arm}):
        runs = [run for run in main_arm if run.settings.experiment == design]
        failed = [run.name for run in runs if not run.run_id]
        if failed:
            note(f"no model of design {design} is registered: {failed[0]}, which failed, might be the best")
            continue
        trained = sorted((tracking.get_run(run.run_id) for run in runs), key=seed_of)
        chosen = best_of(trained)
        why = chosen_told(chosen, trained)
        try:
            version = registry.version_of_run(chosen.run_id) or _registered(chosen, why)
        except UserError as error:  # its weights are gone since: the comparison needs none
            note(f"no model of design {design} is registered: {error}")
            continue
        note(f"{version.name} version {version.version}: {why}")
        rows.append(
            {
                "design": design,
                "seed": seed_of(chosen),
                CHAMPION_METRIC: chosen.metrics[CHAMPION_METRIC],
                "run_id": chosen.run_id,
                "model": f"{version.name}/{version.version}",
                "why": why,
            }
        )
    if rows:
        tracking.log_table(pd.DataFrame(rows), REGISTERED)


def _registered(run: LoggedRun, why: str) -> RegisteredVersion:
    return register(load_whole(run_reference(run.run_id)), why)


def chosen_told(chosen: LoggedRun, runs: Sequence[LoggedRun]) -> str:
    """Why a run of several is registered, as a sentence without its end; runs: all of them."""
    seed, score = seed_of(chosen), f"{chosen.metrics[CHAMPION_METRIC]:.4f} on validation data"
    if len(runs) == 1:
        return f"seed {seed}, the only one of the study, with macro-F1 {score}"
    told = f"seed {seed} of the study's {len(runs)} seeds, by rule {CHAMPION_RULE}: {score} is the most"
    degenerate = sum(DEGENERATE_TAG in run.tags for run in runs)
    if degenerate == len(runs):
        return f"{told}, of models which all answer one class for every test image"
    return f"{told}{' of those that tell images apart' if degenerate else ''}"
