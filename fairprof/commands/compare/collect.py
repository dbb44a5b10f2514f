"""Which runs are compared, whether they may be, and what they have left: tables alone, nothing is trained."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from fairprof.config import NO_MITIGATION, CompareSettings, shared_settings
from fairprof.errors import UserError
from fairprof.metrics.fairness import in_categories
from fairprof.reporting.wording import enumerated
from fairprof.store import tracking
from fairprof.store.studies import (
    backbone_of,
    counted_in,
    design_of,
    is_study,
    main_arm_first,
    method_of,
    newest_study_runs,
    runs_of_study,
    seed_of,
)
from fairprof.store.tracking import LoggedRun

# what a study key is made of, beside the shared hyperparameters: name in a message, where it is logged
DATA = {"data": "pool_fingerprint", "test set": "test_fingerprint"}
WEIGHTS = "fairprof.weights_sha256"
LATER_SEEDS = ", later seeds too"  # of the name of an arm, beside that of the seeds that are tested


@dataclass(frozen=True)
class RunResults:
    """A finished run in one of its arms, and what a comparison reads of it.

    test: its test predictions, `in_categories`. history: validation metrics by epoch. composition: counts of its draw.
    values: all that was measured, by name.
    with_later_seeds: it stands in the arm that holds the seeds, too, which were added to those that were planned.
    """

    run: LoggedRun
    test: pd.DataFrame
    history: pd.DataFrame
    composition: pd.DataFrame
    values: dict[str, float]
    with_later_seeds: bool = False

    @property
    def design(self) -> str:
        return design_of(self.run)

    @property
    def seed(self) -> int:
        return seed_of(self.run)

    @property
    def method(self) -> str:
        return method_of(self.run)

    @property
    def backbone(self) -> str:
        return backbone_of(self.run)

    @property
    def train_size(self) -> str:
        return self.run.params["train_size"]

    @property
    def fraction(self) -> float:
        return float(self.run.params["fraction"])

    @cached_property
    def arm(self) -> str:
        share = "" if self.fraction == 1 else f", fraction {self.fraction:g}"
        return f"{self.train_size}{share}{LATER_SEEDS if self.with_later_seeds else ''}"


def chosen_runs(settings: CompareSettings) -> list[LoggedRun]:
    """The runs that `settings.runs` names, each once in every arm in which it counts.

    Raises `UserError` where there are none, or where one of them is named twice.
    """
    if settings.runs == "auto":
        return newest_study_runs() or _newest_runs() or _nothing_to_compare()
    if settings.runs == "newest_study":
        return newest_study_runs() or _nothing_to_compare()
    if settings.runs == "newest_runs":
        return _newest_runs() or _nothing_to_compare()
    named = [tracking.get_run(run_id.strip()) for run_id in settings.runs.split(",") if run_id.strip()]
    runs = [run for chosen in named for run in (runs_of_study(chosen) if is_study(chosen) else [chosen])]
    _refuse_what_is_no_finished_run(runs)
    return _in_every_arm(runs)


def _newest_runs() -> list[LoggedRun]:
    """The newest finished run of every design, seed, method and training size; whole natural draws first."""
    newest: dict[tuple, LoggedRun] = {}
    for run in tracking.find_runs({"fairprof.role": "run"}):
        size, fraction = run.params["train_size"], float(run.params["fraction"])
        newest.setdefault((size != "natural", size, -fraction, seed_of(run), design_of(run), method_of(run)), run)
    return _in_every_arm([newest[key] for key in sorted(newest)])


def _in_every_arm(runs: Sequence[LoggedRun]) -> list[LoggedRun]:
    """The runs, and each once more in every arm of the others for which the same rows would have been drawn, unless
    that arm has a run of this design and seed."""
    places = {_place_of(run) for run in runs}
    arms = {(size, fraction) for *_, size, fraction in places}
    more: dict[tuple, LoggedRun] = {}
    for run in runs:
        for size in run.tags.get("fairprof.train_sizes", "").split(","):
            counted = counted_in(run, size, float(run.params["fraction"]))
            place = _place_of(counted)
            if place[-2:] in arms and place not in places:
                more.setdefault(place, counted)
    return [*runs, *more.values()]


def _place_of(run: LoggedRun) -> tuple[str, int, str, str, str, str, float]:
    """Design, seed, method, network, weights, and the arm: train_size and fraction."""
    arm = run.params["train_size"], float(run.params["fraction"])
    return design_of(run), seed_of(run), method_of(run), *_network_of(run), *arm


def _network_of(run: LoggedRun) -> tuple[str, str]:
    """What makes backbones different ones: architecture, and SHA-256 of the weights."""
    return run.params.get("architecture", "not logged"), run.tags[WEIGHTS]


def _cross_backbones(runs: Sequence[LoggedRun]) -> bool:
    """Whether the runs are meant to differ in their backbones: a design and seed was trained with several."""
    cells = [(design, seed, method, *arm) for design, seed, method, _, _, *arm in map(_place_of, runs)]
    return len(set(cells)) < len(cells)


def by_backbone(runs: Iterable[LoggedRun]) -> dict[str, list[LoggedRun]]:
    """Runs that may be compared, by the name of their backbone, that of the first first, which is the reference."""
    of_networks: dict[tuple[str, str], list[LoggedRun]] = {}
    for run in runs:
        of_networks.setdefault(_network_of(run), []).append(run)
    return {backbone_of(own[0]): own for own in of_networks.values()}


def at_places_of(runs: Iterable[LoggedRun], main_arm: Sequence[RunResults]) -> list[LoggedRun]:
    """The runs in an arm, with the seeds, of these results."""
    places = {(run.train_size, run.fraction, run.seed) for run in main_arm}
    return [run for run in runs if (run.params["train_size"], float(run.params["fraction"]), seed_of(run)) in places]


def _nothing_to_compare() -> list[LoggedRun]:
    raise UserError(
        "there is no finished run to compare in this experiment: start `mlflow run . -e study` first, or name run ids "
        "by -P runs=ID,ID"
    )


def _refuse_what_is_no_finished_run(runs: Sequence[LoggedRun]) -> None:
    for run in runs:
        if run.tags.get("fairprof.role") != "run" or run.status != "FINISHED":
            role = run.tags.get("fairprof.role", "no run of fairprof")
            raise UserError(
                f"runs: {run.name} ({run.run_id}) cannot be compared: its role is {role} and its status {run.status}; "
                "name finished runs, or a study"
            )
    if not runs:
        _nothing_to_compare()


def require_comparable(runs: Sequence[LoggedRun]) -> None:
    """Raises `UserError` where the runs' study keys differ, which says what differs, or two runs are of one pair.

    Backbones may differ where they are what is compared: where runs of one design and seed have several.
    """
    places: dict[tuple, LoggedRun] = {}
    for run in runs:
        place = _place_of(run)
        if place in places:
            raise UserError(
                f"{run.name} is there twice, as {places[place].run_id} and {run.run_id}: name one of them by -P runs="
            )
        places[place] = run
    if _cross_backbones(runs):
        _require_backbones(runs)
    differences = list(_differences(runs))
    if differences:
        raise UserError(
            f"these runs cannot be compared, because they were not trained alike: {'; '.join(differences)}. "
            "Name runs that agree by -P runs=ID,ID, or train them again"
        )


def _require_backbones(runs: Sequence[LoggedRun]) -> None:
    networks: dict[str, tuple[str, str]] = {}
    for run in runs:
        name, network = backbone_of(run), _network_of(run)
        if networks.setdefault(name, network) != network:
            raise UserError(
                f"two backbones are called {name}: their weights are {networks[name][1][:12]} and {network[1][:12]}; "
                "train one of them again from a file of another name"
            )
    methods = sorted(set(map(method_of, runs)))
    if len(methods) > 1:
        raise UserError(
            f"these runs have the backbones {enumerated(networks)} and the methods {enumerated(methods)}: name runs of "
            "one backbone or of one method by -P runs=ID,ID"
        )


def _differences(runs: Sequence[LoggedRun]) -> Iterable[str]:
    """What differs between the first run and any other, a text each."""
    of_backbones = ("architecture",) if _cross_backbones(runs) else ()
    for name in (name for name in shared_settings() if name not in of_backbones):
        yield from _difference(runs, name, {run.run_id: run.params.get(name, "not logged") for run in runs})
    data = [
        text
        for what, name in DATA.items()
        for text in _difference(runs, what, {run.run_id: run.params[name] for run in runs})
    ]
    yield from data
    if data:
        for name in ("data", "label_bias", "label_bias_strength", "label_seed", "cue_gap", "merge", "exclude"):
            yield from _difference(runs, name, {run.run_id: run.params.get(name, "not logged") for run in runs})
    if not of_backbones:
        yield from _difference(runs, "weights", {run.run_id: run.tags[WEIGHTS][:12] for run in runs})
    mitigated = [run for run in runs if method_of(run) != NO_MITIGATION]
    yield from _difference(mitigated, "mitigate", {run.run_id: run.params["mitigate"] for run in mitigated})
    for method in dict.fromkeys(map(method_of, mitigated)):
        alike = [run for run in mitigated if method_of(run) == method]
        yield from _difference(
            alike, "mitigation_values", {run.run_id: run.params["mitigation_values"] for run in alike}
        )


def _difference(runs: Sequence[LoggedRun], what: str, values: dict[str, str]) -> Iterable[str]:
    for first, run in ((runs[0], run) for run in runs[1:]):
        if values[run.run_id] != values[first.run_id]:
            yield (
                f"{what} is {values[first.run_id]} in {first.name} ({first.run_id[:8]}) and {values[run.run_id]} in "
                f"{run.name} ({run.run_id[:8]})"
            )
            return


def selections_of(results: Iterable[RunResults]) -> dict[str, pd.DataFrame]:
    """By run id, what the test images were predicted to be in the epoch that every selection rule chooses: image,
    selection, y_pred; of the runs that have recorded it."""
    return {
        each.run.run_id: tracking.load_table(each.run.run_id, "predictions/test_by_selection.parquet")
        for each in results
        if each.run.params.get("scored_selections") == "all"
    }


def collect(runs: Sequence[LoggedRun]) -> list[RunResults]:
    """What the runs have left, those of the main arm first; raises `UserError` where a run lacks a table."""
    order = main_arm_first(run.params["train_size"] for run in runs)
    left = {
        run_id: (
            in_categories(tracking.load_table(run_id, "predictions/test.parquet")),
            tracking.load_table(run_id, "training/history.csv"),
            tracking.load_table(run_id, "data/composition.csv"),
            tracking.load_values(run_id),
        )
        for run_id in dict.fromkeys(run.run_id for run in runs)
    }
    return [
        RunResults(run, *left[run.run_id])
        for run in sorted(runs, key=lambda run: order.index(run.params["train_size"]))
    ]
