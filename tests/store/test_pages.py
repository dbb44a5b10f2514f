"""What MLflow's pages show first."""

import json

from fairprof.commands.train.headline import HEADLINE
from fairprof.store.pages import HEADLINE_COLUMNS, VERSION_TAGS, experiment_tags, model_description, version_tags


def test_the_columns_and_tags_are_metrics_of_a_run():
    columns = {column.split("`")[1] for column in HEADLINE_COLUMNS if column.startswith("metrics.")}
    assert columns == set(VERSION_TAGS.values()) | {"test/macro_f1_of_ceiling"}
    assert columns <= set(HEADLINE)


def test_the_saved_view_has_what_mlflow_s_page_reads():
    view = json.loads(experiment_tags("7", 1234)["mlflow.sharedViewState.fairprof"])
    state = json.loads(view.pop("state"))
    assert view == {"name": "Scores and gaps", "createdAt": 1234, "updatedAt": 1234}
    assert state["searchFilter"] == "tags.`fairprof.role` = 'run'"
    assert state["columnOrder"] == state["selectedColumns"] == list(HEADLINE_COLUMNS)
    assert set(state["columnWidths"]) == set(HEADLINE_COLUMNS)
    assert state["columnWidths"]["tags.`fairprof.seed`"] < state["columnWidths"]["metrics.`test/macro_f1_of_ceiling`"]


def test_tags_of_a_version_are_its_scores_in_four_digits_and_nothing_is_made_up():
    metrics = {"test/macro_f1": 0.51239, "test/equal_opportunity_difference/race": 0.2, "test/accuracy": 0.9}
    assert version_tags(metrics) == {"macro-F1": "0.5124", "EO by race": "0.2000"}


def test_a_model_s_description_is_a_sentence_about_its_design():
    text = model_description("fairprof-C", "C", ("race", "profession"), ("cook", "nurse"))
    assert text.startswith("Classifies faces as cook, nurse, trained on **design C**: images balanced over race x prof")
    assert 'load_model("models:/fairprof-C@champion")' in text
