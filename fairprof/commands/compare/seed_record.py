"""The record of the seeds that were planned: what earlier starts and comparisons of the same study have left."""

from collections.abc import Iterable, Sequence

from fairprof.errors import UserError
from fairprof.inference.planning import Look, SeedPlan, seed_plan
from fairprof.reporting.wording import seeds_named
from fairprof.store import tracking
from fairprof.store.studies import STUDY_RUNS, ended_runs, is_study
from fairprof.store.tracking import LoggedRun

RECORD, SEEDS = "fairprof.seed_record", "fairprof.seeds"


def record_name(study_key: str, imbalances: Iterable[str]) -> str:
    """By which the looks at one study find each other, whatever its designs and arms. imbalances: those of its runs."""
    # a design that leaves no axis natural has none
    return "-".join([study_key, *sorted(set(imbalances) - {"natural"})])


def record_of_runs(runs: Sequence[LoggedRun]) -> str:
    """The record's name of runs that may be compared."""
    return record_name(runs[0].tags["fairprof.study_key"], (run.params["imbalance"] for run in runs))


def log_seeds(records: Sequence[str], seeds: Iterable[int]) -> None:
    """Marks the active run as a look at these seeds; a study's, before its first run. records: those of its backbones,
    the reference first."""
    every = {_tag_of(record): "true" for record in records}
    tracking.set_tags({RECORD: records[0], SEEDS: ",".join(map(str, sorted(set(seeds))))} | every)


def recorded_plan(record: str, seeds: Iterable[int]) -> SeedPlan:
    """What the record says of seeds that are to be compared.

    Raises `UserError` where none of them was planned.
    """
    looks = [_look(run) for run in _looks_at(record)]
    found = seed_plan(looks, set(seeds))
    if not found.tested:
        raise UserError(
            f"{seeds_named(found.compared)}: none of them was planned for this study, whose tests rest on "
            f"{seeds_named(found.planned)}: compare those as well, or use another MLflow experiment (--experiment-name)"
        )
    return found


def _tag_of(record: str) -> str:
    return f"{RECORD}/{record}"


def _looks_at(record: str) -> list[LoggedRun]:
    """The runs that are marked as looks, the earliest first: those of before there were several backbones have no tag
    of the record's own."""
    with_backbones = tracking.find_runs({_tag_of(record): "true"}, finished=False)
    found = {run.run_id for run in with_backbones}
    earlier = [run for run in tracking.find_runs({RECORD: record}, finished=False) if run.run_id not in found]
    return [*reversed(earlier), *reversed(with_backbones)]


def _look(run: LoggedRun) -> Look:
    seeds = tuple(map(int, run.tags[SEEDS].split(",")))
    return Look(seeds, _seen_in_study(run) if is_study(run) else frozenset(seeds))


def _seen_in_study(study: LoggedRun) -> frozenset[int]:
    if "fairprof.runs" not in study.tags:  # it was killed before it knew its runs
        return frozenset()
    return frozenset(ended_runs(tracking.load_table(study.run_id, STUDY_RUNS))["seed"].astype(int))
