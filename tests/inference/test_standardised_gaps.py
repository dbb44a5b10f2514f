"""Gaps split by age, with intervals: values, what is left out, persons, and a truth that was planted."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.simulations.ceilings import SIMULATIONS, people, true_split
from benchmarks.simulations.simulation import LEAST_COVERED, contradicts, simulated
from fairprof.data.professions import LabelBias
from fairprof.inference.standardised_gaps import COLUMNS, standardised_gaps
from fairprof.metrics.fairness import count_table, rates

BIASED = LabelBias("gender", 0.25)


def split_of(*runs: pd.DataFrame, attribute: str = "gender", seed: int = 0) -> pd.DataFrame:
    return standardised_gaps(runs, 300, np.random.default_rng(seed), attributes=[attribute])


@pytest.fixture(scope="module")
def biased() -> pd.DataFrame:
    return people(3000, BIASED, np.random.default_rng(0)).assign(y_true="student")


def test_parts_sum_to_the_difference_of_selection_rates(biased):
    found = split_of(biased)
    women, men = rates(count_table(biased, "gender")[0])["selection_rate"]
    assert found["difference"].to_numpy() == pytest.approx(np.concatenate((women - men, men - women)))
    assert (found["composition"] + found["remaining"]).to_numpy() == pytest.approx(found["difference"].to_numpy())
    assert list(found.columns) == list(COLUMNS)


def test_planted_bias_is_what_remains(biased):
    found, truth = split_of(biased), true_split(BIASED)
    women = found[found["group"].eq("Female")]
    assert women["remaining"].to_numpy() == pytest.approx(truth.remaining[0], abs=0.05)
    white_collar = women[women["class"].eq("white_collar")].iloc[0]
    assert white_collar["remaining_upper"] < 0 < white_collar["images"]


def test_the_mean_over_runs_is_split(biased):
    other = biased.assign(y_pred=biased["y_pred"].sample(frac=1, random_state=0).to_numpy())
    both = split_of(biased, other)
    for part in ("difference", "composition", "remaining"):
        expected = (split_of(biased)[part] + split_of(other)[part]) / 2
        assert both[part].to_numpy() == pytest.approx(expected.to_numpy())


def test_images_without_age_are_left_out_and_counted(biased):
    holes = biased.assign(age=biased["age"].where(np.arange(len(biased)) % 10 > 0))
    found = split_of(holes)
    assert (found["without_age"] == 300).all()
    assert found[found["attribute"].eq("gender")].drop_duplicates("group")["images"].sum() == 2700
    assert split_of(biased.assign(age=None)).empty
    assert split_of(biased.drop(columns="age")).empty


def test_ages_of_one_group_alone_are_counted_and_leave_the_parts_undefined(biased):
    alone = biased[biased["gender"].eq("Female") | biased["age"].ne("70+")]
    found = split_of(alone)
    assert (found["empty_strata"] == 1).all()
    assert found[["composition", "remaining", "remaining_lower"]].isna().all(axis=None)
    assert found["difference"].notna().all()


def test_order_of_rows_and_names_of_groups_change_no_number(biased):
    numbers = [name for name in COLUMNS if name not in ("attribute", "class", "group")]
    found = split_of(biased)
    shuffled = split_of(biased.sample(frac=1, random_state=1))
    renamed = split_of(biased.assign(gender=biased["gender"].map({"Female": "z", "Male": "a"}).astype(str)))
    pd.testing.assert_frame_equal(found, shuffled)
    exchanged = pd.concat((renamed[renamed["group"].eq("z")], renamed[renamed["group"].eq("a")]), ignore_index=True)
    pd.testing.assert_frame_equal(found[numbers], exchanged[numbers])


def test_images_of_one_person_are_resampled_together(biased):
    few = biased.head(300)
    repeated = pd.concat([few.assign(person=few["image"])] * 5, ignore_index=True)
    wide, narrow = (
        (table["remaining_upper"] - table["remaining_lower"]).mean()
        for table in (split_of(repeated), split_of(repeated.drop(columns="person")))
    )
    assert wide / narrow == pytest.approx(np.sqrt(5), rel=0.15)
    nobody = repeated.assign(person="")
    assert split_of(nobody)["remaining_upper"].to_numpy() == pytest.approx(
        split_of(repeated.drop(columns="person"))["remaining_upper"].to_numpy(), abs=0.02
    )


@pytest.mark.parametrize("simulation", [each for each in SIMULATIONS if each.at_least], ids=lambda each: each.name)
def test_intervals_cover_the_truth(simulation):
    for _, row in simulated(simulation, quick=True).iterrows():
        assert not contradicts(row, at_least=LEAST_COVERED), row["asked"]


def test_half_of_all_draws_of_the_labels_give_the_best_rule_more_and_shuffled_predictions_nothing():
    shares = simulated(SIMULATIONS[0], quick=True).set_index("asked")["share"]
    for asked in (
        "one draw of labels gives the best rule more than the ceiling",
        "shuffled predictions have a share above chance over 0",
    ):
        assert 0.3 < shares[asked] < 0.7
