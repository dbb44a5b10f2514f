"""What a search has found: its winner, how much the hyperparameters matter, and what they do to the comparison."""

import matplotlib
import numpy as np
import optuna
import pandas as pd
from matplotlib import pyplot
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import rankdata

from fairprof.commands.tune.objectives import OBJECTIVES
from fairprof.commands.tune.pictures import optuna_figures, sensitivity_figure
from fairprof.commands.tune.remarks import without_remarks
from fairprof.config import TuneSettings
from fairprof.errors import UserError
from fairprof.reporting.names import metric_name
from fairprof.reporting.style import png_of

RULE_OF_ONE = "best_validation_score"
RULE_OF_FRONT = "nearest_to_ideal"


def winner_of(study: optuna.Study) -> FrozenTrial:
    """The trial whose hyperparameters win.

    With one objective the best (rule `best_validation_score`). With several, of the Pareto front the trial nearest to
    the ideal point (rule `nearest_to_ideal`): the Euclidean distance after each objective is scaled to [0, 1] over the
    front; the earlier trial of equals. Raises `UserError` where no trial has come to its end.
    """
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        raise UserError(
            "no trial of the search has come to its end: the errors are in the runs of the trials; start again with "
            "more trials, or another search= "
        )
    if len(study.directions) == 1:
        return study.best_trial
    front = sorted(study.best_trials, key=lambda trial: trial.number)
    signs = np.array([1 if direction == optuna.study.StudyDirection.MINIMIZE else -1 for direction in study.directions])
    costs = np.array([trial.values for trial in front]) * signs
    spread = np.ptp(costs, axis=0)
    scaled = (costs - costs.min(axis=0)) / np.where(spread > 0, spread, 1)
    return front[int(np.linalg.norm(scaled, axis=1).argmin())]


def rule_of(study: optuna.Study) -> str:
    """The name of the rule by which `winner_of` chooses."""
    return RULE_OF_ONE if len(study.directions) == 1 else RULE_OF_FRONT


def sensitivity_table(scores: pd.DataFrame, winner: int, direction: str) -> pd.DataFrame:
    """How much the comparison between designs depends on the shared hyperparameters.

    scores: a row per complete trial (index: its number), a column per design, the validation score of the first
    objective. winner: the number of the trial whose values all designs share. direction: of the objective, maximize or
    minimize. A row per design: mean_rank over the trials (1 is best; ties share), rank_sd, share_first (of trials in
    which it is the best), shared_score (with the winner's values), own_best_score and own_best_trial, and regret: how
    much better its own best is than the shared score, >= 0, what the design gives up because all share one set.
    """
    costs = scores if direction == "minimize" else -scores
    own_best = costs.idxmin()
    ranks = pd.DataFrame(rankdata(costs, axis=1), index=scores.index, columns=scores.columns)
    return pd.DataFrame(
        {
            "design": scores.columns,
            "trials": len(scores),
            "mean_rank": ranks.mean().to_numpy(),
            "rank_sd": ranks.std(ddof=0).to_numpy(),
            "share_first": ranks.eq(ranks.min(axis=1), axis=0).mean().to_numpy(),
            "shared_score": scores.loc[winner].to_numpy(),
            "own_best_score": [scores.loc[trial, design] for design, trial in own_best.items()],
            "own_best_trial": own_best.to_numpy(),
            "regret": (costs.loc[winner] - costs.min()).to_numpy(),
        }
    )


def scores_by_design(study: optuna.Study, settings: TuneSettings) -> pd.DataFrame:
    """The first objective of every complete trial, (trials, designs)."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    rows = {trial.number: {design: trial.user_attrs[design][0] for design in settings.designs()} for trial in complete}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("trial")


def pictures_of(
    study: optuna.Study, settings: TuneSettings, scores: pd.DataFrame, sensitivity: pd.DataFrame
) -> dict[str, bytes]:
    """PNG by name: Optuna's plots, and the sensitivity check."""
    pictures = {}
    with without_remarks(), matplotlib.rc_context():  # Optuna sets a style of its own for the whole process
        for name, figure in optuna_figures(study, settings).items():
            pictures[name] = png_of(figure)
            pyplot.close(figure)
    objective, direction = OBJECTIVES[settings.objective][0]
    figure = sensitivity_figure(scores, sensitivity, winner_of(study).number, metric_name(objective), direction)
    return pictures | {"sensitivity": png_of(figure)}


def numbers_of(
    study: optuna.Study, settings: TuneSettings, winner: FrozenTrial, sensitivity: pd.DataFrame
) -> dict[str, float]:
    """Metrics by name."""
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    numbers = {
        f"trials/{state.name.lower()}": states.count(state)
        for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    }
    for (metric, _), value in zip(OBJECTIVES[settings.objective], winner.values, strict=True):
        numbers[f"winner/{metric}"] = value
    defaults = study.get_trials(deepcopy=False)[0]
    if defaults.state == TrialState.COMPLETE:
        for (metric, _), value in zip(OBJECTIVES[settings.objective], defaults.values, strict=True):
            numbers[f"defaults/{metric}"] = value
    return numbers | {f"regret/{row.design}": row.regret for row in sensitivity.itertuples()}
