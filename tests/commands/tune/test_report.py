"""The report of a search, of trials worked by hand."""

import io

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial
from PIL import Image

from fairprof.commands.tune.report import answer, findings
from fairprof.commands.tune.results import pictures_of, scores_by_design, sensitivity_table, winner_of
from fairprof.config import TuneSettings
from tests.reporting.pages import needs_nothing_else, plain_text, rows_of

SETTINGS = TuneSettings(
    experiments="A,B", trials=6, search="learning_rate,label_smoothing", data="utkface:/home/me/faces"
)
SCORES = [(0.3, 0.4), None, (0.5, 0.42), (0.4, 0.44), (0.2, 0.1), (0.35, 0.3)]  # by trial: of A and B


@pytest.fixture(scope="module")
def study():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["maximize"])
    laws = {"learning_rate": FloatDistribution(1e-4, 1e-2, log=True), "label_smoothing": FloatDistribution(0, 0.3)}
    for number, scores in enumerate(SCORES):
        ended = {"state": TrialState.PRUNED} if scores is None else {"value": sum(scores) / 2}
        values = {"learning_rate": 0.001 * (number + 1), "label_smoothing": 0.05 * number}
        of_designs = {} if scores is None else {"A": [scores[0]], "B": [scores[1]]}
        study.add_trial(create_trial(params=values, distributions=laws, user_attrs=of_designs, **ended))
    return study


@pytest.fixture(scope="module")
def found(study):
    winner, scores = winner_of(study), scores_by_design(study, SETTINGS)
    sensitivity = sensitivity_table(scores, winner.number, "maximize")
    return findings(study, SETTINGS, winner, scores, sensitivity, pictures_of(study, SETTINGS, scores, sensitivity))


def test_the_answer_names_the_winner_what_it_costs_and_what_it_does_not_show(study):
    winner, scores = winner_of(study), scores_by_design(study, SETTINGS)
    first, second, third = answer(study, SETTINGS, winner, sensitivity_table(scores, winner.number, "maximize"))
    assert first == (
        "Of 5 trials that came to an end (1 was pruned), trial 2 wins by the rule best_validation_score, with "
        "validation macro-F1 .460, mean over designs A and B; the defaults have validation macro-F1 .350."
    )
    # of the trials with an end, A is the better design in three of five; B's own best is trial 3
    assert second == (
        "Sharing one set costs a design at most .020 against its own best; design A ranks best on average over the "
        "trials."
    )
    assert "nothing of differences between designs" in third


def test_the_report_shows_values_tables_and_every_picture(found):
    page = found.html()
    assert needs_nothing_else(page)
    assert rows_of(page, "What was searched") == [
        ["hyperparameter", "winner", "as it was set"],
        ["learning_rate", ".003", ".003"],
        ["label_smoothing", ".1", ".1"],
    ]
    assert [row[0] for row in rows_of(page, "Every design")[1:]] == ["A", "B"]
    assert page.count("<figure>") == len(found.pictures) >= 4
    assert "-P hparams=tuned" in plain_text(page) and "/home/me" not in page
    for picture in found.pictures.values():
        with Image.open(io.BytesIO(picture)) as drawn:
            assert drawn.width > 300


def test_what_is_logged_and_told_is_what_the_page_says(found):
    assert list(found.tables) == [f"search/{name}.csv" for name in ("trials", "scores_by_design", "sensitivity")]
    assert found.tables["search/scores_by_design.csv"].index.name == "trial"
    assert all(sentence in plain_text(found.html()) for sentence in found.printed)
    assert found.description.startswith("Of 5 trials that came to an end")
