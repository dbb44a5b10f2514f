"""What is measured on one table of predictions: refused where it would not fit into memory, and the same in the record,
the metrics and the files."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fairprof.config import Settings
from fairprof.measurement.measures import Measurements, log_measurements, measure, pictures_of
from fairprof.store import tracking

SETTINGS = Settings(permutations=99, replicates=100, min_support=2)


def predictions() -> pd.DataFrame:
    """Ten images of every gender and race; of the women all are called cooks, of the men half; race NA is a group."""
    rows = [
        (gender, race, ("cook", "nurse")[number % 2], "cook" if gender == "Female" or number < 5 else "nurse")
        for gender in ("Female", "Male")
        for race in ("NA", "other")
        for number in range(10)
    ]
    table = pd.DataFrame(rows, columns=["gender", "race", "y_true", "y_pred"])
    cook = np.where(table["y_pred"].eq("cook"), 0.75, 0.25)
    return table.assign(
        image=[f"{number}.png" for number in range(len(table))],
        partition="test",
        probability_cook=cook,
        probability_nurse=1 - cook,
        gender=table["gender"].astype("category"),
        race=table["race"].astype("category"),
    )


@pytest.fixture(scope="module")
def measurements() -> Measurements:
    return measure(predictions(), SETTINGS, seed=0)


def test_values_are_those_of_the_tables(measurements):
    assert measurements.values["test/demographic_parity_difference/gender"] == 0.5
    assert measurements.values["test/demographic_parity_difference/race"] == 0.0
    gaps = measurements.natural("gaps").set_index(["attribute", "metric", "class"])
    largest = gaps.loc[("gender", "demographic_parity_difference", "max_over_classes")]
    assert largest["value"] == 0.5 and (largest["highest_group"], largest["lowest_group"]) == ("Female", "Male")
    assert measurements.values["test/demographic_parity_difference_null_q95/gender"] == largest["null_q95"]
    assert measurements.values["test/demographic_parity_difference_p_value/gender"] == largest["p_value"]
    scores = measurements.table("scores").set_index("metric")["value"]
    assert scores["accuracy"] == measurements.values["test/accuracy"]


def test_a_view_has_every_rate_once_and_a_group_may_be_called_na(measurements):
    rates = measurements.natural("by_group")
    assert "view" not in rates and not rates.duplicated(["attribute", "group", "class", "rate"]).any()
    assert set(rates.loc[rates["attribute"].eq("race"), "group"]) == {"NA", "other"}
    assert len(measurements.table("by_group")) == 2 * len(rates)


def test_intervals_of_rates_count_persons_and_not_their_images(measurements):
    person = np.arange(40) // 4
    several = measure(predictions().assign(person=person), SETTINGS, seed=0).natural("by_group")
    alone = measurements.natural("by_group")
    pd.testing.assert_series_equal(several["value"], alone["value"])
    wider = (several["upper"] - several["lower"]) > (alone["upper"] - alone["lower"])
    assert wider[several["rate"].eq("selection_rate") & several["group"].eq("Female")].all()


def test_every_cell_is_one_value_and_comes_back_from_its_file(measurements):
    for path, table in measurements.tables.items():
        assert not any(isinstance(value, np.ndarray) for column in table for value in table[column]), path
        back = pd.read_csv(io.StringIO(table.to_csv()), keep_default_na=False, na_values=[""], index_col=0)
        pd.testing.assert_frame_equal(back, table, check_names=False, check_index_type=False, check_column_type=False)


def test_tables_and_pictures_lie_in_metrics(measurements, store):
    with tracking.started_run("measured", {}) as run_id:
        log_measurements(measurements, arm="natural", design="B")
    assert tracking.load_text(run_id, "metrics/per_class.csv").startswith("class,precision,recall,f1,support\ncook,")
    assert len(tracking.load_table(run_id, "metrics/gaps.csv")) == len(measurements.table("gaps"))
    assert set(pictures_of(measurements, "natural", "B")) == {
        f"metrics/{name}" for name in ("rates_by_group", "confusion_matrix", "reliability", "gaps")
    }


def test_one_class_for_every_image_leaves_no_picture_of_gaps(measurements):
    tables = measurements.tables
    confusion = tables["metrics/confusion_matrix.csv"]
    assert not measurements.one_class
    first_alone = confusion * [1, *[0] * (len(confusion) - 1)]
    one = replace(measurements, tables=tables | {"metrics/confusion_matrix.csv": first_alone})
    assert one.one_class
    assert set(pictures_of(one, "natural", "B")) == {"metrics/confusion_matrix", "metrics/reliability"}
