"""What a search for the values of methods has found: the best trial of each, beside what chance does without one."""

import numpy as np
import optuna
import pandas as pd
from optuna.trial import TrialState

from fairprof.commands.tune.objectives import OBJECTIVES, Objectives
from fairprof.config import MITIGATIONS, NO_MITIGATION, TuneSettings
from fairprof.mitigation.methods import METHODS
from fairprof.plain_text import in_markdown
from fairprof.reporting.blocks import Answer, Cell, Column, Commands, Paragraph, Section, Table
from fairprof.reporting.findings import Findings
from fairprof.reporting.names import metric_name
from fairprof.reporting.wording import counted, designs_named, enumerated, number, short

STATE, SCORE = "state", "score"


def trials_of_method(study: optuna.Study, method: str) -> pd.DataFrame:
    """A row per trial of a method: method, trial, state, a column `score` (the first objective, NaN where the trial has
    not come to its end), further objectives as `score_2`, and a column `value/<name>` for each of its own values."""
    rows = []
    for trial in study.get_trials(deepcopy=False):
        scores = trial.values if trial.state == TrialState.COMPLETE else [np.nan] * len(study.directions)
        named = {SCORE if place == 1 else f"{SCORE}_{place}": score for place, score in enumerate(scores, start=1)}
        values = {f"value/{name}": value for name, value in trial.params.items()}
        rows.append({"method": method, "trial": trial.number, STATE: trial.state.name.lower()} | named | values)
    return pd.DataFrame(rows)


def winners(trials: pd.DataFrame, objectives: Objectives) -> pd.DataFrame:
    """The best trial of every method that has one, by the first objective: a row each, in the order of the trials, with
    published (the score of its first trial, which has the published values), mean and sd over its trials, and complete,
    how many of them came to an end."""
    best = []
    for _, of_method in trials.groupby("method", sort=False):
        complete = of_method.dropna(subset=SCORE)
        if complete.empty:
            continue
        place = complete[SCORE].idxmin() if objectives[0][1] == "minimize" else complete[SCORE].idxmax()
        first = of_method.loc[of_method["trial"].eq(0), SCORE]
        best.append(
            of_method.loc[place].to_dict()
            | {"published": first.iloc[0], "mean": complete[SCORE].mean(), "sd": complete[SCORE].std()}
            | {"complete": len(complete), "trials": len(of_method)}
        )
    return pd.DataFrame(best)


def values_of_methods(best: pd.DataFrame) -> dict[str, float | str]:
    """The winners' own values by method and name, `group_dro.eta`."""
    return {
        f"{row['method']}.{name}": row[f"value/{name}"]
        for row in best.to_dict("records")
        for name in MITIGATIONS[row["method"]]
    }


def method_findings(trials: pd.DataFrame, best: pd.DataFrame, settings: TuneSettings) -> Findings:
    """All of a search for the values of methods, as it is logged."""
    said = _answer(best, settings)
    return Findings(
        title=f"The values of {counted(len(settings.methods()), 'method')} between groups of {settings.mitigate}",
        subtitle=f"A search on {settings.data.partition(':')[0]}, judged on validation data alone",
        sections=(
            Section(
                "The answer",
                (
                    Answer(said),
                    _table(best, settings),
                    Paragraph(
                        "A study or a run on the same data takes the winners' values by mitigation_values=tuned:"
                    ),
                    Commands(
                        f"mlflow run . -e study -P mitigations={','.join(settings.methods())} "
                        f"-P mitigate={settings.mitigate} -P mitigation_values=tuned"
                    ),
                ),
            ),
        ),
        tables={"search/trials.csv": trials, "search/methods.csv": best},
        pictures={},
        description=f"{in_markdown(' '.join(said))} The whole report is the artifact `report.html`.",
        printed=said,
        values={f"best/{row.method}": row.score for row in best.itertuples()},
        shown=tuple(f"best/{method}" for method in best["method"]),
    )


def _answer(best: pd.DataFrame, settings: TuneSettings) -> tuple[str, ...]:
    score = metric_name(_objective(settings))
    sentences = [
        f"Every method had {counted(settings.trials, 'trial')} over {designs_named(settings.designs())}; the best by "
        f"{score}: {enumerated(f'{METHODS[row.method].title} {number(row.score)}' for row in best.itertuples())}."
    ]
    without = best[best["method"].eq(NO_MITIGATION) & best["complete"].gt(1)]
    sentences += [
        f"Without a method nothing was chosen, and yet the best of {counted(row.complete, 'seed')} is "
        f"{number(abs(row.score - row.mean))} better than their mean: what a method gains by less may be the luck of "
        "the best trial."
        for row in without.itertuples()
    ]
    return (
        *sentences,
        "These are scores of the validation images that chose the values: they flatter every method, and show nothing "
        "of differences between them.",
    )


def _table(best: pd.DataFrame, settings: TuneSettings) -> Table:
    columns = ("method", "needs the group in", "trials", "published values", "best", "mean", "best values")
    rows = tuple(
        (
            Cell(METHODS[row["method"]].title),
            Cell(str(METHODS[row["method"]].needs)),
            Cell(f"{row['complete']:,} of {row['trials']:,}"),
            Cell(number(row["published"])),
            Cell(number(row[SCORE])),
            Cell(number(row["mean"])),
            Cell(", ".join(f"{name} {_value(row[f'value/{name}'])}" for name in MITIGATIONS[row["method"]]) or "none"),
        )
        for row in best.to_dict("records")
    )
    titles = tuple(Column(title, title in ("published values", "best", "mean")) for title in columns)
    return Table(f"Methods by {metric_name(_objective(settings))} on validation data", titles, rows)


def _objective(settings: TuneSettings) -> str:
    return OBJECTIVES[settings.objective][0][0]


def _value(value: float | str) -> str:
    return short(value) if isinstance(value, float) else str(value)
