"""The report of a search: which trial wins, with which values, and what it costs a design that all share them."""

from collections.abc import Iterable

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from fairprof.commands.tune.objectives import OBJECTIVES
from fairprof.commands.tune.results import rule_of
from fairprof.config import TuneSettings
from fairprof.plain_text import in_markdown
from fairprof.reporting.blocks import Answer, Block, Cell, Column, Commands, Paragraph, Picture, Section, Table
from fairprof.reporting.findings import Findings
from fairprof.reporting.names import metric_name
from fairprof.reporting.tables import table_of
from fairprof.reporting.wording import counted, designs_named, enumerated, number, short

SENSITIVITY = "sensitivity"
CAPTIONS = {  # by how the names of pictures begin
    SENSITIVITY: (
        "What the hyperparameters do to the comparison",
        "Left: every trial's score by design; where lines cross, the designs' order depends on the hyperparameters. "
        "Right: what each design has with the shared values, and its own best.",
    ),
    "history": (
        "The trials one by one",
        "The line is the best so far: where it stays level, more trials bring little.",
    ),
    "parallel_coordinate": ("Values and scores", "A line is a trial, through the values that it had."),
    "importance": (
        "Which hyperparameters matter",
        "Shares of what makes scores differ between these trials; of few trials they are rough.",
    ),
    "pareto_front": ("The front", "Trials that no other beats in both objectives."),
}


def findings(
    study: optuna.Study,
    settings: TuneSettings,
    winner: FrozenTrial,
    scores: pd.DataFrame,
    sensitivity: pd.DataFrame,
    pictures: dict[str, bytes],
) -> Findings:
    """All of a search, as it is logged; scores, sensitivity: of `scores_by_design` and `sensitivity_table`. pictures:
    name to PNG."""
    said = answer(study, settings, winner, sensitivity)
    values = "\n".join(f"| {name} | {in_markdown(value)} |" for name, value in winner.params.items())
    return Findings(
        title=f"Shared hyperparameters for {designs_named(settings.designs())}",
        subtitle=f"A search on {settings.data.partition(':')[0]}, judged on validation data alone",
        sections=(
            Section("The answer", tuple(_answer(said, settings, winner))),
            Section("What it costs to share them", tuple(_shared(sensitivity, pictures))),
            Section("The search", tuple(_search(pictures))),
        ),
        tables={
            "search/trials.csv": study.trials_dataframe(),
            "search/scores_by_design.csv": scores,
            "search/sensitivity.csv": sensitivity,
        },
        pictures=pictures,
        folder="search/",
        description=f"{in_markdown(' '.join(said))} Use it by `-P hparams=tuned`; the whole report is the artifact "
        f"`report.html`.\n\n| hyperparameter | value |\n|---|---|\n{values}",
        printed=said,
    )


def answer(
    study: optuna.Study, settings: TuneSettings, winner: FrozenTrial, sensitivity: pd.DataFrame
) -> tuple[str, ...]:
    """Which trial wins, what sharing its values costs, and what this does not show: a sentence each."""
    trials = study.get_trials(deepcopy=False)
    states = [trial.state for trial in trials]
    ended = {"pruned": states.count(TrialState.PRUNED), "failed": states.count(TrialState.FAIL)}
    others = [f"{many:,} {'was' if many == 1 else 'were'} {how}" for how, many in ended.items() if many]
    defaults = f"; the defaults have {_reached(trials[0], settings)}" if states[0] == TrialState.COMPLETE else ""
    first = sensitivity.loc[sensitivity["mean_rank"].idxmin(), "design"]
    return (
        f"Of {counted(states.count(TrialState.COMPLETE), 'trial')} that came to an end{_in_brackets(others)}, trial "
        f"{winner.number} wins by the rule {rule_of(study)}, with {_reached(winner, settings)}, mean over "
        f"{designs_named(settings.designs())}{defaults}.",
        f"Sharing one set costs a design at most {number(sensitivity['regret'].max())} against its own best; design "
        f"{first} ranks best on average over the trials.",
        "These are scores of the validation images that chose the winner, of one seed: they flatter it, and show "
        "nothing of differences between designs.",
    )


def _in_brackets(parts: list[str]) -> str:
    return f" ({enumerated(parts)})" if parts else ""


def _reached(trial: FrozenTrial, settings: TuneSettings) -> str:
    objectives = zip(OBJECTIVES[settings.objective], trial.values, strict=True)
    return enumerated(f"{metric_name(metric)} {number(value)}" for (metric, _), value in objectives)


def _answer(said: tuple[str, ...], settings: TuneSettings, winner: FrozenTrial) -> Iterable[Block]:
    yield Answer(said)
    rows = tuple(
        (Cell(name), Cell(_value(value)), Cell(_value(getattr(settings, name))))
        for name, value in winner.params.items()
    )
    columns = (Column("hyperparameter"), Column("winner", True), Column("as it was set", True))
    yield Table("What was searched", columns, rows)
    yield Paragraph("A study or a run on the same data takes the winner's values by hparams=tuned:")
    yield Commands("mlflow run . -e study -P hparams=tuned")


def _value(value: object) -> str:
    return short(value) if isinstance(value, float) else str(value)


def _shared(sensitivity: pd.DataFrame, pictures: dict[str, bytes]) -> Iterable[Block]:
    yield table_of("Every design with the shared values, and with its own best", sensitivity)
    yield from _shown(name for name in pictures if name == SENSITIVITY)


def _search(pictures: dict[str, bytes]) -> Iterable[Block]:
    yield from _shown(name for name in pictures if name != SENSITIVITY)


def _shown(names: Iterable[str]) -> Iterable[Block]:
    for name in names:
        kind = next(kind for kind in CAPTIONS if name.startswith(kind))
        title, caption = CAPTIONS[kind]
        objective = name.removeprefix(kind).replace("_", " ")
        yield Picture(name, f"{title}:{objective}" if objective else title, caption)
