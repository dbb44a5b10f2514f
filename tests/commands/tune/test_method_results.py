"""What a search for the values of methods says, of trials worked by hand."""

import optuna
import pandas as pd
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from fairprof.commands.tune.method_results import method_findings, trials_of_method, values_of_methods, winners
from fairprof.commands.tune.objectives import OBJECTIVES
from fairprof.config import Settings, TuneSettings
from tests.reporting.pages import needs_nothing_else, rows_of

SCORES = {"none": (0.40, 0.44, 0.42), "group_dro": (0.41, None, 0.43)}  # by method and trial
SETTINGS = TuneSettings(experiments="A,B", trials=3, mitigations="none,group_dro")


@pytest.fixture(scope="module")
def trials():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna_trials("maximize")


def optuna_trials(direction: str):
    tables = []
    for method, scores in SCORES.items():
        study = optuna.create_study(directions=[direction])
        laws = {"eta": FloatDistribution(1e-3, 1, log=True)} if method == "group_dro" else {}
        for number, score in enumerate(scores):
            ended = {"state": TrialState.PRUNED} if score is None else {"value": score}
            values = {name: 0.01 * (number + 1) for name in laws}
            study.add_trial(create_trial(params=values, distributions=laws, **ended))
        tables.append(trials_of_method(study, method))
    return pd.concat(tables, ignore_index=True)


def test_the_best_trial_of_every_method_wins(trials):
    best = winners(trials, OBJECTIVES["macro_f1"]).set_index("method")
    assert best["trial"].to_dict() == {"none": 1, "group_dro": 2}
    assert best["published"].to_dict() == {"none": 0.40, "group_dro": 0.41}
    assert best["mean"].to_dict() == pytest.approx({"none": 0.42, "group_dro": 0.42})
    assert best["complete"].to_dict() == {"none": 3, "group_dro": 2}
    smallest = winners(trials, (("val/distance_to_ideal", "minimize"),)).set_index("method")
    assert smallest["trial"].to_dict() == {"none": 0, "group_dro": 0}


def test_the_winners_values_are_read_as_a_setting(trials):
    values = values_of_methods(winners(trials, OBJECTIVES["macro_f1"]))
    assert values == {"group_dro.eta": 0.03}
    text = ",".join(f"{name}={value}" for name, value in values.items())
    assert Settings(mitigation="group_dro", mitigation_values=text).method_values() == {"eta": 0.03}


def test_the_report_says_what_luck_alone_does(trials):
    found = method_findings(trials, winners(trials, OBJECTIVES["macro_f1"]), SETTINGS)
    first, luck, last = found.printed
    assert first == (
        "Every method had 3 trials over designs A and B; the best by validation macro-F1: none .440 and group DRO .430."
    )
    assert luck == (
        "Without a method nothing was chosen, and yet the best of 3 seeds is .020 better than their mean: what a "
        "method gains by less may be the luck of the best trial."
    )
    assert "they flatter every method" in last
    page = found.html()
    assert needs_nothing_else(page)
    assert rows_of(page, "Methods by validation macro-F1")[1:] == [
        ["none", "nowhere", "3 of 3", ".400", ".440", ".420", "none"],
        ["group DRO", "training", "2 of 3", ".410", ".430", ".420", "eta .03"],
    ]
