"""What MLflow's pages show first."""

import json

from fairprof.commands.train.headline import HEADLINE, SHOWN
from fairprof.store.pages import SHORT_NAMES, experiment_tags, model_description, short_metrics, version_tags


def state_of(view: str) -> dict:
    return json.loads(json.loads(experiment_tags("7", 1234)[f"mlflow.sharedViewState.{view}"])["state"])


def test_columns_and_charts_show_metrics_of_a_run():
    assert set(SHORT_NAMES.values()) <= set(HEADLINE) and set(SHORT_NAMES) <= set(SHOWN)
    state = state_of("fairprof")
    columns = {column.split("`")[1] for column in state["selectedColumns"] if column.startswith("metrics.")}
    assert columns == set(SHORT_NAMES)
    bars = [chart["metricKey"] for chart in state["compareRunCharts"] if chart["type"] == "BAR"]
    assert bars == list(SHORT_NAMES)
    axes = [(chart["xaxis"]["key"], chart["yaxis"]["key"]) for chart in state["compareRunCharts"] if "xaxis" in chart]
    assert axes == [("macro_F1", "DP_race"), ("macro_F1", "EO_race")]


def test_the_saved_views_have_what_mlflow_s_page_reads():
    view = json.loads(experiment_tags("7", 1234)["mlflow.sharedViewState.fairprof"])
    del view["state"]
    assert view == {"name": "Runs: scores and gaps", "createdAt": 1234, "updatedAt": 1234}
    runs, reports = state_of("fairprof"), state_of("reports")
    assert runs["searchFilter"] == "tags.`fairprof.role` = 'run'"
    assert reports["searchFilter"].startswith("tags.`fairprof.role` != 'run' and ")
    assert reports["selectedColumns"][0] == "tags.`answer`"
    for state in (runs, reports):
        assert state["columnOrder"] == state["selectedColumns"] and set(state["columnWidths"]) == set(
            state["columnOrder"]
        )
    sections = {section["uuid"] for section in runs["compareRunSections"]}
    assert {chart["metricSectionId"] for chart in runs["compareRunCharts"]} <= sections
    assert all(len(text) <= 20_000 for text in experiment_tags("7", 1234).values())  # what MLflow takes


def test_the_columns_of_runs_fit_a_laptop_beside_names_times_and_durations():
    assert sum(state_of("fairprof")["columnWidths"].values()) + 413 + 80 <= 1334 - 222


def test_short_metrics_are_rounded_copies():
    assert short_metrics({"test/macro_f1": 0.51251, "test/accuracy": 0.9}) == {"macro_F1": 0.513}


def test_tags_of_a_version_are_its_scores_in_three_digits_and_nothing_is_made_up():
    metrics = {"test/macro_f1": 0.51239, "test/equal_opportunity_difference/race": 0.2, "test/accuracy": 0.9}
    assert version_tags(metrics) == {"macro_F1": "0.512", "EO_race": "0.200"}


def test_a_model_s_description_is_a_sentence_about_its_design():
    text = model_description("fairprof-C", "C", ("race", "profession"), ("cook", "nurse"))
    assert text.startswith("Classifies faces as cook, nurse, trained on **design C**: images balanced over race x prof")
    assert 'load_model("models:/fairprof-C@champion")' in text
