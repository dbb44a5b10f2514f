"""The winner and the sensitivity check, worked by hand."""

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from fairprof.commands.tune.pictures import sensitivity_figure
from fairprof.commands.tune.results import sensitivity_table, winner_of


def study_with(values: list[tuple[float, ...] | None], directions: list[str]) -> optuna.Study:
    """A study whose trials have these values; None is a pruned trial."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=directions)
    for value in values:
        state = TrialState.PRUNED if value is None else TrialState.COMPLETE
        x = {"params": {"x": 0.5}, "distributions": {"x": FloatDistribution(0, 1)}}
        study.add_trial(create_trial(state=state, values=value, **x))
    return study


def test_with_one_objective_the_best_trial_wins():
    assert winner_of(study_with([(0.3,), None, (0.5,), (0.4,)], ["maximize"])).number == 2


def test_of_a_front_the_trial_nearest_to_the_ideal_wins():
    # scaled over the front (trials 0 to 2): (1, 0), (.25, .25), (0, 1); trial 3 is dominated
    study = study_with([(0.4, 0.1), (0.7, 0.2), (0.8, 0.5), (0.6, 0.4)], ["maximize", "minimize"])
    assert winner_of(study).number == 1


def test_a_front_of_one_trial_has_its_winner():
    assert winner_of(study_with([(0.4, 0.3), (0.5, 0.2)], ["maximize", "minimize"])).number == 1


def test_without_a_finished_trial_there_is_no_winner(refused):
    with refused("no trial of the search has come to its end"):
        winner_of(study_with([None, None], ["maximize"]))


@pytest.fixture
def scores():
    table = {"A": {0: 0.50, 3: 0.40, 4: 0.60}, "B": {0: 0.45, 3: 0.55, 4: 0.60}, "C": {0: 0.20, 3: 0.30, 4: 0.25}}
    return pd.DataFrame(table).rename_axis("trial")


def test_sensitivity_is_as_worked_by_hand(scores):
    table = sensitivity_table(scores, 4, "maximize").set_index("design")
    # ranks of A: 1, 2, 1.5; of B: 2, 1, 1.5; of C: always 3
    assert table["mean_rank"].to_dict() == {"A": 1.5, "B": 1.5, "C": 3.0}
    assert table["rank_sd"].to_dict() == pytest.approx({"A": np.sqrt(1 / 6), "B": np.sqrt(1 / 6), "C": 0})
    assert table["share_first"].to_dict() == pytest.approx({"A": 2 / 3, "B": 2 / 3, "C": 0})
    assert table["own_best_trial"].to_dict() == {"A": 4, "B": 4, "C": 3}
    assert table["regret"].to_dict() == pytest.approx({"A": 0, "B": 0, "C": 0.05})


def test_sensitivity_of_an_objective_that_is_minimised(scores):
    table = sensitivity_table(scores, 4, "minimize").set_index("design")
    # ranks of A: 3, 2, 2.5; of B: 2, 3, 2.5; of C: always 1
    assert table["mean_rank"].to_dict() == {"A": 2.5, "B": 2.5, "C": 1.0}
    assert table["share_first"].to_dict() == {"A": 0, "B": 0, "C": 1}
    assert table["own_best_trial"].to_dict() == {"A": 3, "B": 0, "C": 0}
    assert table["own_best_score"].to_dict() == {"A": 0.40, "B": 0.45, "C": 0.20}
    assert table["shared_score"].to_dict() == {"A": 0.60, "B": 0.60, "C": 0.25}
    assert table["regret"].to_dict() == pytest.approx({"A": 0.20, "B": 0.15, "C": 0.05})


def test_the_picture_of_an_objective_that_is_minimised_goes_from_the_largest_to_the_smallest(scores):
    table = sensitivity_table(scores, 4, "minimize")
    lines, _ = sensitivity_figure(scores, table, 4, "a gap", "minimize").axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in lines.lines}
    assert drawn["design C"] == [0.25, 0.30, 0.20]  # by falling mean: trials 4, 3, 0
    assert lines.get_ylabel() == "a gap (down is better)"


def test_the_picture_shows_every_trial_of_every_design(scores):
    figure = sensitivity_figure(scores, sensitivity_table(scores, 4, "maximize"), 4, "macro-F1", "maximize")
    lines, bars = figure.axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in lines.lines if line.get_label().startswith("design")}
    assert drawn["design A"] == [0.5, 0.4, 0.6]  # by rising mean: trials 0, 3, 4
    assert [bar.get_height() for bar in bars.patches] == [0.6, 0.6, 0.25, 0.6, 0.6, 0.3]
