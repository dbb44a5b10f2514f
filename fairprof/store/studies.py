"""The runs of a study: which have ended well, in which arm each counts, and which arm confirms."""

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from fairprof.config import NO_MITIGATION
from fairprof.errors import UserError
from fairprof.runtime.files import without_folders
from fairprof.store import tracking
from fairprof.store.tracking import LoggedRun

STUDY_RUNS = "study/runs.csv"
# states of a study's runs that have ended well; one that is shared is another run of the study, and in its arm as well
FINISHED, REUSED, SHARED = "finished", "reused", "shared"


def design_of(run: LoggedRun) -> str:
    return run.tags["fairprof.design"]


def seed_of(run: LoggedRun) -> int:
    return int(run.tags["fairprof.seed"])


def method_of(run: LoggedRun) -> str:
    """What was done against unfairness, `none` where nothing was."""
    return run.params.get("mitigation", NO_MITIGATION)


def backbone_of(run: LoggedRun) -> str:
    """The network of a run and the weights that it started from, ARCHITECTURE@WEIGHTS."""
    return backbone_name(run.params["architecture"], run.tags["fairprof.weights"])


def backbone_name(architecture: str, weights: str) -> str:
    """A backbone as others may read it: without the folders that lead to a file of weights."""
    return f"{architecture}@{without_folders(weights)}"


def is_study(run: LoggedRun) -> bool:
    return run.tags.get("fairprof.role") == "study"


def main_arm_first(train_sizes: Iterable[str]) -> list[str]:
    """The different values of `train_size`, that of the confirmatory arm first: matched where natural is there too, in
    which size changes together with composition; otherwise the first."""
    sizes = list(dict.fromkeys(train_sizes))
    return sorted(sizes, key=lambda size: size != "matched") if "natural" in sizes else sizes


def counted_in(run: LoggedRun, train_size: str, fraction: float) -> LoggedRun:
    """The run as one of an arm whose rows are the ones that it was trained on."""
    return replace(run, params=run.params | {"train_size": train_size, "fraction": str(fraction)})


def newest_study_runs(planned_alone: bool = False) -> list[LoggedRun]:
    """The runs of the newest study that has any, as `runs_of_study`; none where there is no study."""
    studies = tracking.find_runs({"fairprof.role": "study"}, finished=False)
    return next((runs for study in studies if (runs := runs_of_study(study, planned_alone))), [])


def runs_of_study(study: LoggedRun, planned_alone: bool = False) -> list[LoggedRun]:
    """The study's runs that have finished, or those of them whose seeds were planned beforehand, those of its reference
    among the backbones first; none for a study that was killed before its first had."""
    if "fairprof.runs" not in study.tags:
        return []
    listed = tracking.load_table(study.run_id, STUDY_RUNS)
    if "backbone" in listed:
        order = list(listed["backbone"].unique())
        listed = listed.sort_values("backbone", key=lambda names: names.map(order.index), kind="stable")
    ended = ended_runs(listed)
    if planned_alone and "planned" in ended:
        ended = ended[ended["planned"].astype(bool)]
    return [
        counted_in(tracking.get_run(row.run_id), str(row.train_size), float(row.fraction)) for row in ended.itertuples()
    ]


def ended_runs(listed: pd.DataFrame) -> pd.DataFrame:
    """The rows of a study's table of runs that have left what can be compared."""
    return listed[listed["status"].isin([FINISHED, REUSED, SHARED])]


def confirmatory_arm(runs: Iterable[LoggedRun]) -> list[LoggedRun]:
    """Of a study's runs those of its main arm, at its largest fraction, with the backbone of the first run, without a
    method or, where the study has one alone, with it."""
    runs = list(runs)
    if not runs:
        return []
    runs = [run for run in runs if backbone_of(run) == backbone_of(runs[0])]
    size = main_arm_first(run.params["train_size"] for run in runs)[0]
    of_size = [run for run in runs if run.params["train_size"] == size]
    largest = max(float(run.params["fraction"]) for run in of_size)
    of_arm = [run for run in of_size if float(run.params["fraction"]) == largest]
    method = reference_method(map(method_of, of_arm))
    return [run for run in of_arm if method_of(run) == method]


def reference_method(methods: Iterable[str]) -> str:
    """The method whose runs show what the designs do: none, or the only one; raises `UserError` where there are several
    and none is not among them."""
    names = sorted(set(methods))
    if NO_MITIGATION in names or len(names) == 1:
        return NO_MITIGATION if NO_MITIGATION in names else names[0]
    raise UserError(
        f"runs of the methods {', '.join(names)} and none without a method, with which they would be compared: add "
        "runs with mitigation=none, or name those of one method"
    )
