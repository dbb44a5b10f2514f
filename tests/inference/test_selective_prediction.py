"""Selective prediction: worked by hand, against plain loops, and on classifiers whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fairprof.inference.intervals import design_effects, wilson_interval
from fairprof.inference.selective_prediction import (
    COVERAGES,
    RateUnits,
    kept_against_refused,
    rate_gap,
    rate_units,
    risk_coverage,
    selective_by_group,
    selective_gaps,
    selective_scores,
)
from fairprof.inference.units import person_codes
from fairprof.metrics.fairness import summary
from fairprof.metrics.selective import accepted, confidence_of


@pytest.fixture
def hand() -> pd.DataFrame:
    """Ten rows of two classes; the confidences .9 .9 .8 .8 .8 .7 .6 .6 .55 .5; rows 2, 5 and 8 are wrong."""
    confidence = np.array([0.9, 0.9, 0.8, 0.8, 0.8, 0.7, 0.6, 0.6, 0.55, 0.5])
    true = np.array(["a"] * 10)
    true[[2, 5, 8]] = "b"
    return pd.DataFrame(
        {
            "image": [f"{row}.png" for row in range(10)],
            "y_true": true,
            "y_pred": "a",
            "probability_a": confidence,
            "probability_b": 1 - confidence,
            "gender": ["Female", "Male"] * 5,
            "race": ["one"] * 5 + ["two"] * 5,
        }
    )


def random_table(rows: int = 600, seed: int = 0, shy: float = 0.0) -> pd.DataFrame:
    """Three classes; women's confidences are lower by `shy`."""
    generator = np.random.default_rng(seed)
    classes = np.array(["a", "b", "c"])
    gender = generator.choice(["Female", "Male"], rows)
    top = generator.uniform(0.5 + shy, 1, rows) - shy * (gender == "Female")
    predicted = generator.integers(3, size=rows)
    probabilities = np.repeat((1 - top)[:, None] / 2, 3, axis=1)
    probabilities[np.arange(rows), predicted] = top
    true = np.where(generator.random(rows) < top, predicted, generator.integers(3, size=rows))
    table = pd.DataFrame(probabilities, columns=[f"probability_{name}" for name in classes])
    return table.assign(
        image=[f"{row}.png" for row in range(rows)],
        y_true=classes[true],
        y_pred=classes[predicted],
        gender=gender,
        race=generator.choice(["one", "two"], rows),
    )


# By hand.


@pytest.mark.parametrize(
    ("coverage", "kept"), [(1.0, 10), (0.9, 9), (0.7, 8), (0.6, 6), (0.5, 5), (0.4, 5), (0.3, 5), (0.2, 2), (0.1, 2)]
)
def test_rows_of_equal_confidence_are_kept_or_refused_together(hand, coverage, kept):
    assert accepted(confidence_of(hand), coverage).sum() == kept


@pytest.mark.parametrize("coverage", [0, -0.1, 1.1])
def test_a_coverage_is_a_share(hand, coverage):
    with pytest.raises(ValueError, match="coverage is"):
        accepted(confidence_of(hand), coverage)


def test_accuracy_against_coverage_by_hand(hand):
    found = selective_scores(hand, (1.0, 0.6, 0.2)).set_index("coverage")
    assert found["accuracy"].tolist() == pytest.approx([0.7, 4 / 6, 1.0])
    assert found["covered"].tolist() == pytest.approx([1.0, 0.6, 0.2])
    assert found["threshold"].tolist() == pytest.approx([0.5, 0.7, 0.9])


def test_a_group_of_which_nothing_is_kept_stays_visible_and_has_no_accuracy(hand):
    found = selective_by_group(hand, (0.2,), min_support=1, attributes=["race"]).set_index("group")
    assert found["images"].to_dict() == {"one": 2, "two": 0}
    assert found.loc["two", "evidence"] == "undefined" and np.isnan(found.loc["two", "accuracy"])
    assert found["group_coverage"].to_dict() == {"one": 0.4, "two": 0.0}
    gaps = selective_gaps(hand, 19, np.random.default_rng(0), (0.2,), 1, ["race"]).set_index("metric")
    assert np.isnan(gaps.loc["accuracy_difference", "value"])
    assert gaps.loc["accuracy_difference", "undefined_cells"] == 1
    assert gaps.loc["coverage_difference", "value"] == pytest.approx(0.4)


def test_the_area_under_the_risk_coverage_curve_by_hand(hand):
    # mean errors within ties: 0 0 | 1/3 1/3 1/3 | 1 | 0 0 | 1 | 0
    errors = np.array([0, 0, 1 / 3, 1 / 3, 1 / 3, 1, 0, 0, 1, 0])
    area = (errors.cumsum() / np.arange(1, 11)).mean()
    best = (np.array([0] * 7 + [1, 2, 3]) / np.arange(1, 11)).mean()
    found = risk_coverage(hand, 50, np.random.default_rng(0), attributes=()).iloc[0]
    assert found["area"] == pytest.approx(area)
    assert found["best"] == pytest.approx(best)
    assert found["excess"] == pytest.approx(area - best)
    assert found["error_rate"] == pytest.approx(0.3)


# Against loops, and where the truth is known.


def test_the_area_of_all_errors_last_is_the_best_and_of_equal_confidences_the_error_rate():
    table = random_table(200)
    wrong = (table["y_true"] != table["y_pred"]).to_numpy()
    ordered = table.assign(probability_a=np.where(wrong, 0.5, 0.9), y_pred="a", y_true=np.where(wrong, "b", "a"))
    rest = (1 - ordered["probability_a"]) / 2
    ordered = ordered.assign(probability_b=rest, probability_c=rest)
    found = risk_coverage(ordered, 20, np.random.default_rng(0), attributes=()).iloc[0]
    assert found["area"] == pytest.approx(found["best"])
    level = ordered.assign(probability_a=0.5, probability_b=0.25, probability_c=0.25)
    found = risk_coverage(level, 20, np.random.default_rng(0), attributes=()).iloc[0]
    assert found["area"] == pytest.approx(found["error_rate"])


def test_more_images_make_shorter_intervals_of_the_area():
    few, many = (
        risk_coverage(random_table(rows), 300, np.random.default_rng(0), attributes=()).iloc[0] for rows in (200, 3200)
    )
    assert few["lower"] <= few["area"] <= few["upper"]
    assert 2.5 < (few["upper"] - few["lower"]) / (many["upper"] - many["lower"]) < 6  # 4 is expected


def test_at_full_coverage_the_gaps_are_those_of_the_whole_table():
    table = random_table()
    found = selective_gaps(table, 99, np.random.default_rng(0), (1.0,)).set_index(["metric", "attribute"])["value"]
    whole = summary(table)
    for metric in ("demographic_parity_difference", "equal_opportunity_difference"):
        for attribute in ("gender", "race"):
            assert found[metric, attribute] == pytest.approx(whole[f"{metric}/{attribute}"])
    assert found["coverage_difference", "gender"] == 0


def test_every_gap_has_a_row_at_every_coverage_and_its_own_floor():
    found = selective_gaps(random_table(), 99, np.random.default_rng(0))
    assert len(found) == len(COVERAGES) * 2 * 4
    floors = found[found["metric"].eq("demographic_parity_difference") & found["attribute"].eq("gender")]
    defined = floors["null_q95"].dropna()
    assert 5 < len(defined) < len(floors)
    assert defined.iloc[-1] > defined.iloc[0]  # fewer images, larger gaps by chance


def test_a_gap_ends_for_good_where_a_rate_behind_it_has_too_few_images():
    found = selective_gaps(random_table(), 99, np.random.default_rng(0))
    gaps = found[~found["metric"].eq("coverage_difference") & found["coverage"].lt(1)]
    assert (gaps["value"].isna() | gaps["insufficient_cells"].eq(0)).all()
    assert gaps[gaps["insufficient_cells"].gt(0)]["value"].isna().all()
    for _, line in gaps.groupby(["attribute", "metric"]):
        ended = line.sort_values("coverage", ascending=False)["value"].isna()
        assert ended.is_monotonic_increasing
    assert found[found["metric"].eq("coverage_difference")]["value"].notna().all()
    assert found[found["value"].isna()]["verdict"].eq("undefined").all()


def test_at_full_coverage_a_gap_is_kept_and_marked_and_ends_after():
    found = selective_gaps(random_table(100), 99, np.random.default_rng(0), (1.0, 0.9))
    equal = found[found["metric"].eq("equal_opportunity_difference")].set_index(["attribute", "coverage"])
    assert equal.loc[("race", 1.0), "insufficient_cells"] > 0 and equal.loc[("race", 1.0), "value"] >= 0
    assert np.isnan(equal.loc[("race", 0.9), "value"])


def rejected(successes: np.ndarray, totals: np.ndarray, generator: np.random.Generator) -> bool:
    units = RateUnits(np.stack([successes, totals - successes], axis=1), np.eye(2, dtype=int), False)
    return rate_gap(units, 99, generator)["p_value"] <= 0.05


def test_a_group_of_three_does_not_hide_that_large_groups_differ():
    generator, totals = np.random.default_rng(0), np.array([300, 300, 300, 300, 3])
    rates = np.array([0.7, 0.7, 0.7, 0.5, 0.7])
    found = [rejected(generator.binomial(totals, rates), totals, generator) for _ in range(40)]
    assert np.mean(found) > 0.95


def test_a_group_that_is_refused_more_often_is_found():
    alike = selective_gaps(random_table(shy=0.0), 199, np.random.default_rng(0), (0.5,)).set_index(
        ["metric", "attribute"]
    )
    shy = selective_gaps(random_table(shy=0.15), 199, np.random.default_rng(0), (0.5,)).set_index(
        ["metric", "attribute"]
    )
    assert alike.loc[("coverage_difference", "gender"), "p_value"] > 0.05
    assert shy.loc[("coverage_difference", "gender"), "p_value"] == 1 / 200
    assert shy.loc[("coverage_difference", "race"), "p_value"] > 0.05


def test_the_test_of_a_rate_gap_keeps_its_level():
    generator = np.random.default_rng(0)
    totals = np.array([60, 90, 30])
    found = [rejected(generator.binomial(totals, 0.4), totals, generator) for _ in range(300)]
    assert np.mean(found) <= 0.09


def test_renaming_groups_and_moving_rows_changes_no_number():
    table = random_table()
    other = table.replace({"Female": "Zoe", "one": "three"}).sample(frac=1, random_state=0)
    first, second = (
        selective_gaps(rows, 99, np.random.default_rng(0), (0.5,)).drop(columns="attribute") for rows in (table, other)
    )
    pd.testing.assert_frame_equal(first, second)
    areas = [risk_coverage(rows, 50, np.random.default_rng(0)) for rows in (table, other)]
    assert areas[0]["area"].tolist()[0] == pytest.approx(areas[1]["area"].tolist()[0])
    assert sorted(areas[0]["upper"]) == pytest.approx(sorted(areas[1]["upper"]))


# Several images of a person.


def test_units_are_a_persons_images_in_a_group_by_hand():
    hit = np.array([True, True, False, True, False, False, True])
    group, person = np.array([0, 0, 0, 1, 1, 1, 1]), np.array([7, 7, 8, 8, 9, 9, 7])
    units = rate_units(hit, group, 2, person)
    made_of = {
        tuple(table): members for table, members in zip(units.tables.astype(int).tolist(), units.members.T, strict=True)
    }
    assert {table: members.tolist() for table, members in made_of.items()} == {
        (2, 0): [1, 0],  # person 7 in the first group
        (0, 1): [1, 0],
        (1, 0): [0, 2],  # persons 7 and 8 in the second
        (0, 2): [0, 1],
    }
    found = rate_gap(units, 99, np.random.default_rng(0))
    assert found["value"] == pytest.approx(2 / 3 - 1 / 2)


def test_a_person_for_every_image_is_no_persons():
    generator = np.random.default_rng(0)
    hit, group = generator.random(60) < 0.7, generator.integers(3, size=60)
    first, second = (
        rate_gap(rate_units(hit, group, 3, person), 99, np.random.default_rng(1)) for person in (None, np.arange(60))
    )
    assert first == second
    table = random_table()
    each = table.assign(person=table["image"])
    pd.testing.assert_frame_equal(selective_scores(table), selective_scores(each))
    pd.testing.assert_frame_equal(selective_by_group(table), selective_by_group(each))
    for function in (selective_gaps, risk_coverage):
        found = [function(rows, 99, np.random.default_rng(0)) for rows in (table, each)]
        pd.testing.assert_frame_equal(*found)


def of_persons(rows: int = 600, seed: int = 0) -> pd.DataFrame:
    """Five images of every person, who has a gender and is always right or never; some images name nobody."""
    table = random_table(rows // 5, seed)
    table = table.loc[table.index.repeat(5)].assign(person=lambda rows: "p" + rows.index.astype(str))
    table["person"] = table["person"].where(np.arange(rows) % 50 > 0, "")
    return table.assign(image=[f"{row:04}.png" for row in range(rows)]).reset_index(drop=True)


def test_neither_the_names_of_persons_nor_the_order_of_rows_changes_a_number():
    table = of_persons()
    other = table.assign(person=table["person"].map(lambda name: name and f"q{hash(name)}"))
    other = other.sample(frac=1, random_state=0)
    for function in (selective_scores, selective_by_group):
        pd.testing.assert_frame_equal(function(table), function(other))
    for function in (selective_gaps, risk_coverage):
        first, second = (function(rows, 99, np.random.default_rng(0)) for rows in (table, other))
        pd.testing.assert_frame_equal(first, second)


def test_intervals_of_groups_are_wilsons_with_their_own_design_effects():
    table = of_persons()
    found = selective_by_group(table, (0.5,), attributes=["gender"])
    right, kept = (table["y_pred"] == table["y_true"]).to_numpy(), accepted(confidence_of(table), 0.5)
    group = table["gender"].eq("Male").to_numpy().astype(int)
    effects = design_effects(right[:, None], kept[:, None], group, 2, person_codes(table))[:, 0]
    assert (effects > 3).all()
    hits = [(right & kept & (group == code)).sum() for code in (0, 1)]
    lower, upper = wilson_interval(hits, found["images"], design_effect=effects)
    np.testing.assert_allclose(found[["lower", "upper"]], np.column_stack([lower, upper]))
    alone = selective_by_group(table.drop(columns="person"), (0.5,), attributes=["gender"])
    for ends in (("lower", "upper"), ("coverage_lower", "coverage_upper")):
        width, of_images = (rows[ends[1]] - rows[ends[0]] for rows in (found, alone))
        assert (width > 1.5 * of_images).all()


def test_the_area_of_persons_has_a_wider_interval():
    table = of_persons()
    several, alone = (
        risk_coverage(rows, 400, np.random.default_rng(0), attributes=()).iloc[0]
        for rows in (table, table.drop(columns="person"))
    )
    assert several["area"] == alone["area"]
    assert 1.6 < (several["upper"] - several["lower"]) / (alone["upper"] - alone["lower"]) < 2.8  # sqrt(5)


def test_kept_against_refused_by_hand():
    right = np.array([True, True, False, True, False, False, True, False])
    kept = np.array([True, True, False, False, True, False, True, False])
    assert kept_against_refused(right, kept, None) == pytest.approx(stats.fisher_exact([[3, 1], [1, 3]]).pvalue)
    # all means are a half: u of the persons 1/2, 0, 0 and 1/2
    found = kept_against_refused(right, kept, np.repeat([3, 1, 2, 0], 2))
    statistic = 1 / np.sqrt(4 / 3 * 0.5)
    assert found == pytest.approx(2 * stats.t.sf(statistic, 3))
    assert np.isnan(kept_against_refused(right, np.ones(8, dtype=bool), np.arange(8)))
    assert kept_against_refused(right, kept, np.zeros(8)) == 1  # one person shows nothing of others
    assert kept_against_refused(np.ones(8, dtype=bool), kept, np.repeat(range(4), 2)) == 1


def test_that_what_is_kept_is_right_more_often_is_found_of_persons_too():
    generator = np.random.default_rng(0)
    person = np.repeat(np.arange(120), 5)
    confidence = generator.random(600)
    right = generator.random(600) < 0.5 + 0.3 * (confidence > 0.5)
    assert kept_against_refused(right, confidence > 0.5, person) < 0.001
