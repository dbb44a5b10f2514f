"""Which runs a study has, which of them are one, and what has become of each."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from fairprof.commands.train.identity import run_name
from fairprof.config import (
    MITIGATIONS,
    NO_MITIGATION,
    PUBLISHED,
    Identifies,
    Settings,
    StudySettings,
    TrainingSettings,
    method_values_text,
)
from fairprof.data.designs import DESIGNS
from fairprof.inference.planning import SeedPlan
from fairprof.mitigation.methods import METHODS
from fairprof.reporting.wording import counted, enumerated
from fairprof.store.studies import FINISHED, REUSED, SHARED, backbone_name, main_arm_first

WAITING, FAILED = "waiting", "failed"


@dataclass(frozen=True)
class PlannedRun:
    """A run of a study: its settings, what has become of it, its id, and why.

    status: waiting, finished, reused, shared or failed. key: its `run_key`; runs of several arms that have the same
    one are one run. Empty where nothing can be drawn. images: how many it has to go through, about proportional to the
    time that it takes. backbone: title of its backbone, where the study has several.
    """

    settings: Settings
    key: str = ""
    status: str = WAITING
    run_id: str = ""
    reason: str = ""
    images: int = 0
    backbone: str = ""

    @property
    def name(self) -> str:
        return run_name(self.settings, self.backbone)


def plan(settings: StudySettings) -> list[Settings]:
    """The settings of every run, in the order in which they are trained.

    Arms come one after another, the main arm first; within an arm all designs of a seed with one backbone after the
    other, the reference first, then the next seed, so that a study that is stopped early holds whole pairs. Of a design
    and seed, the methods that refit what is trained without a method come right after it, and take over that training.
    `imbalance` is for the designs that leave an axis natural.
    """
    shared = {name: getattr(settings, name) for name in TrainingSettings.model_fields}
    if len(settings.methods()) > 1:  # whether verdicts depend on the rule is said of methods that are compared
        shared["scored_selections"] = "all"
    methods = sorted(settings.methods(), key=lambda name: (name != NO_MITIGATION, not METHODS[name].refits))
    arms = product(main_arm_first(settings.listed("train_size")), sorted(settings.listed("fractions"), reverse=True))
    return [
        Settings(
            **shared
            | {"imbalance": DESIGNS[design].imbalance(settings.imbalance)}
            | {"mitigation": method, "mitigation_values": _own_values(settings, method)}
            | {"architecture": backbone.architecture, "weights": backbone.weights},
            experiment=design,
            seed=seed,
            train_size=size,
            fraction=fraction,
        )
        for size, fraction in arms
        for seed in settings.listed("seeds")
        for backbone in settings.listed_backbones()
        for design in settings.listed("experiments")
        for method in methods
    ]


def _own_values(settings: StudySettings, method: str) -> str:
    """The setting `mitigation_values` for the runs of a method: its values of the study's."""
    values = settings.model_copy(update={"mitigation": method}).method_values()
    published = {name: value.default for name, value in MITIGATIONS[method].items()}
    return PUBLISHED if values == published else method_values_text(method, values)


def plan_key(runs: Sequence[PlannedRun], settings: StudySettings) -> str:
    """Equal for studies of the same runs in the same arms, judged alike: what they find is the same."""
    judged = [str(getattr(settings, name)) for name in settings.identifying(Identifies.ANALYSIS)]
    counted_as = [f"{run.key} {run.settings.train_size} {run.settings.fraction}" for run in runs]
    return hashlib.sha256("\x1f".join(judged + counted_as).encode()).hexdigest()[:16]


def distinct_runs(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """The runs that can be drawn; of those that are one run, the first."""
    first: dict[str, PlannedRun] = {}
    for run in runs:
        if run.key:
            first.setdefault(run.key, run)
    return list(first.values())


def main_arm(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """The runs of the confirmatory arm, which comes first, with the reference among the backbones, without a method or,
    where the study has one alone, with it."""

    def place(settings: Settings) -> tuple:
        network = settings.architecture, settings.weights
        return settings.train_size, settings.fraction, settings.mitigation, *network

    return [run for run in runs if place(run.settings) == place(runs[0].settings)]


def after(runs: Sequence[PlannedRun], ended: PlannedRun) -> list[PlannedRun]:
    """The runs once it is known what has become of one: in the other arms in which it counts, it is shared."""
    status = SHARED if ended.status in (FINISHED, REUSED) else ended.status
    return [
        run
        if run.key != ended.key
        else ended
        if run.settings == ended.settings
        else replace(run, status=status, run_id=ended.run_id, reason=ended.reason)
        for run in runs
    ]


def told_beforehand(runs: Sequence[PlannedRun]) -> Iterator[str]:
    """How many runs a study has, and how many of them it has to train, a sentence each."""
    distinct = distinct_runs(runs)
    shared = sum(bool(run.key) for run in runs) - len(distinct)
    arms = dict.fromkeys(run.settings.train_size for run in runs)
    backbones = dict.fromkeys(run.backbone for run in runs)
    if len(backbones) > 1:
        yield (
            f"{counted(len(backbones), 'backbone')}, each with every design and seed: {enumerated(backbones)}; designs "
            f"are compared with {next(iter(backbones))}"
        )
    if shared:
        yield (
            f"{counted(len(runs), 'run')} in the arms {enumerated(map(str, arms))}: {shared:,} of them would draw the "
            f"same images in a second arm and {'is' if shared == 1 else 'are'} trained once"
        )
    found = sum(run.status == REUSED for run in distinct)
    if found:
        yield f"{found:,} of {counted(len(distinct), 'run')} have been trained before and are not repeated"
    yield f"{counted(len(distinct) - found, 'run')} to train"


def table_rows(runs: Sequence[PlannedRun], seeds: SeedPlan) -> Iterator[dict]:
    """The study's table of runs, a row each."""
    for run in runs:
        settings = run.settings
        yield {
            "name": run.name,
            "design": settings.experiment,
            "seed": settings.seed,
            "backbone": backbone_name(settings.architecture, settings.weights),
            "mitigation": settings.mitigation,
            "planned": settings.seed in seeds.planned,
            "train_size": settings.train_size,
            "fraction": settings.fraction,
            "status": run.status,
            "run_id": run.run_id,
            "reason": run.reason,
        }
