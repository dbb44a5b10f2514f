"""Rates by group and their gaps: against numbers worked by hand, and against fairlearn and scikit-learn."""

import fairlearn.metrics
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, recall_score

from fairprof.metrics.fairness import (
    ATTRIBUTES,
    GAP_METRICS,
    balanced_weights,
    count_codes,
    count_table,
    empty_cells,
    gaps,
    group_labels,
    intersection,
    performance_by_group,
    rates,
    rates_by_group,
    summary,
    worst_group,
)
from fairprof.metrics.performance import confusion_table, performance

NAN = np.nan
RATES = ["selection_rate", "true_positive_rate", "false_positive_rate"]


def predictions_table(rows: list[tuple[str, str, str, str]], classes: list[str]) -> pd.DataFrame:
    """A predictions table of (gender, race, y_true, y_pred), sure of what it predicts."""
    table = pd.DataFrame(rows, columns=["gender", "race", "y_true", "y_pred"])
    for name in classes:
        table[f"probability_{name}"] = (table["y_pred"] == name).astype(float)
    return table


@pytest.fixture
def hand() -> pd.DataFrame:
    """Two genders of one race, ten rows each; rows of a block are true x, y, z, columns predicted x, y, z.

    Female  3 1 0    Male  1 3 1
            1 1 0          0 4 1
            1 0 3          0 0 0    (nobody who is truly z)
    """
    counts = {"Female": [[3, 1, 0], [1, 1, 0], [1, 0, 3]], "Male": [[1, 3, 1], [0, 4, 1], [0, 0, 0]]}
    rows = [
        (gender, "Green", true, predicted)
        for gender, block in counts.items()
        for true, line in zip("xyz", block, strict=True)
        for predicted, count in zip("xyz", line, strict=True)
        for _ in range(count)
    ]
    return predictions_table(rows, list("xyz"))


def random_predictions(classes: list[str], rows: int = 600, seed: int = 0) -> pd.DataFrame:
    """Predictions that are right more often in some groups than in others."""
    generator = np.random.default_rng(seed)
    gender = generator.choice(["Female", "Male"], rows)
    race = generator.choice(["Green", "Blue", "Red"], rows)
    true = generator.choice(classes, rows)
    right = generator.random(rows) < 0.4 + 0.2 * (gender == "Male") + 0.2 * (race == "Red")
    predicted = np.where(right, true, generator.choice(classes, rows))
    return predictions_table(list(zip(gender, race, true, predicted, strict=True)), classes)


def values_of(by_group: pd.DataFrame, attribute: str, rate: str, column: str = "value") -> list[list[float]]:
    """Groups x classes of one rate, in the order of the table."""
    table = by_group[(by_group["attribute"] == attribute) & (by_group["rate"] == rate)]
    return [list(rows[column]) for _, rows in table.groupby("group", sort=False)]


def gap_of(table: pd.DataFrame, attribute: str, metric: str, of: str) -> pd.Series:
    found = table[(table["attribute"] == attribute) & (table["metric"] == metric) & (table["class"] == of)]
    assert len(found) == 1
    return found.iloc[0]


# Groups and counts.


def test_groups_are_sorted_by_name_unless_categories_have_an_order():
    rows = [("Male", "Blue", "x", "x"), ("Female", "Red", "x", "x"), ("Female", "Blue", "x", "x")]
    table = predictions_table(rows, ["x", "y"])
    assert group_labels(table, "gender").cat.categories.tolist() == ["Female", "Male"]
    # Male x Red does not occur, and is no group.
    intersection = group_labels(table, "gender_x_race")
    assert intersection.cat.categories.tolist() == ["Female x Blue", "Female x Red", "Male x Blue"]
    assert intersection.tolist() == ["Male x Blue", "Female x Red", "Female x Blue"]
    assert intersection.name == "gender_x_race"

    table["gender"] = pd.Categorical(table["gender"], ["Other", "Male", "Female"])
    table["race"] = pd.Categorical(table["race"], ["Red", "Green", "Blue"])
    assert group_labels(table, "gender").cat.categories.tolist() == ["Male", "Female"]
    assert group_labels(table, "gender_x_race").cat.categories.tolist() == [
        "Male x Blue",
        "Female x Red",
        "Female x Blue",
    ]


def test_many_races_do_not_overflow_the_codes_of_the_intersection():
    rows = [(gender, f"race {i:03}", "x", "x") for gender in "abc" for i in range(100)]
    table = predictions_table(rows, ["x", "y"])
    assert group_labels(table, "gender_x_race").tolist() == [f"{gender} x {race}" for gender, race, *_ in rows]


def test_any_column_can_be_an_attribute(hand):
    by_group = rates_by_group(hand.assign(age=[9, 10] * 10), attributes=["age"])
    assert by_group["group"].unique().tolist() == ["9", "10"]
    assert by_group["attribute"].unique().tolist() == ["age"]


def test_count_table_by_hand(hand):
    counts, groups = count_table(hand, "gender")
    assert groups == ["Female", "Male"]
    assert counts.tolist() == [[[3, 1, 0], [1, 1, 0], [1, 0, 3]], [[1, 3, 1], [0, 4, 1], [0, 0, 0]]]
    weighted, _ = count_table(hand, "gender", weights=np.where(hand["y_true"] == "y", 0.5, 2))
    assert weighted[0].tolist() == [[6, 2, 0], [0.5, 0.5, 0], [2, 0, 6]]


def test_groups_add_up_to_the_confusion_table():
    table = random_predictions(list("cab"))
    for attribute in ATTRIBUTES:
        counts, _ = count_table(table, attribute)
        np.testing.assert_array_equal(counts.sum(axis=0), confusion_table(table))


def test_counts_and_rates_over_a_leading_axis():
    generator = np.random.default_rng(0)
    true, predicted = generator.integers(3, size=(2, 50))
    groups = np.stack([generator.integers(4, size=50) for _ in range(6)]).reshape(2, 3, 50)
    weights = generator.uniform(size=50)
    together = count_codes(groups, true, predicted, 4, 3, weights)
    assert together.shape == (2, 3, 4, 3, 3)
    for i, j in np.ndindex(2, 3):
        alone = count_codes(groups[i, j], true, predicted, 4, 3, weights)
        np.testing.assert_array_equal(together[i, j], alone)
        for rate in RATES:
            np.testing.assert_array_equal(rates(together)[rate][i, j], rates(alone)[rate])
        for name, metric in GAP_METRICS.items():
            batch = metric.of_rates(rates(together))
            assert batch.shape == (2, 3, 3), name
            np.testing.assert_array_equal(batch[i, j], metric.of_rates(rates(alone)))


def test_resampled_weights_count_each_on_its_own():
    group, true, predicted = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 0]])
    counts = count_codes(group, true, predicted, 2, 2, np.array([[1, 1, 1], [0, 3, 0]]))
    assert counts.tolist() == [[[[0, 1], [0, 1]], [[0, 0], [1, 0]]], [[[0, 0], [0, 3]], [[0, 0], [0, 0]]]]


# Rates by hand.


def test_rates_by_group_by_hand(hand):
    by_group = rates_by_group(hand, min_support=5)
    assert list(by_group) == [
        "attribute", "group", "class", "rate", "value", "numerator", "denominator", "support", "evidence",
    ]  # fmt: skip
    # Predicted x, y, z of ten.
    assert values_of(by_group, "gender", "selection_rate") == [[0.5, 0.2, 0.3], [0.1, 0.7, 0.2]]
    # The diagonal by the row sums 4, 2, 4 and 5, 5, 0.
    tpr = values_of(by_group, "gender", "true_positive_rate")
    np.testing.assert_array_equal(tpr, [[3 / 4, 1 / 2, 3 / 4], [1 / 5, 4 / 5, NAN]])
    # The column off the diagonal by the other rows: 2/6, 1/8, 0/6 and 0/5, 3/5, 2/10.
    fpr = values_of(by_group, "gender", "false_positive_rate")
    assert fpr == [[2 / 6, 1 / 8, 0], [0, 3 / 5, 2 / 10]]
    assert values_of(by_group, "gender", "true_positive_rate", "numerator") == [[3, 1, 3], [1, 4, 0]]
    assert values_of(by_group, "gender", "true_positive_rate", "denominator") == [[4, 2, 4], [5, 5, 0]]
    assert values_of(by_group, "gender", "false_positive_rate", "numerator") == [[2, 1, 0], [0, 3, 2]]
    assert values_of(by_group, "gender", "false_positive_rate", "support") == [[6, 8, 6], [5, 5, 10]]
    # The support of a true positive rate is the number of positives, not of rows.
    assert values_of(by_group, "gender", "true_positive_rate", "evidence") == [
        ["insufficient_evidence"] * 3,
        ["sufficient", "sufficient", "undefined"],
    ]
    assert values_of(by_group, "gender", "selection_rate", "evidence") == [["sufficient"] * 3] * 2


def test_support_counts_rows_whatever_the_weights(hand):
    weights = np.where(hand["y_pred"] == "x", 100, 1)
    by_group = rates_by_group(hand, min_support=30, weights=weights)
    # Females predicted x: 5 rows of weight 100; the other 5 rows weigh 1.
    assert values_of(by_group, "gender", "selection_rate", "numerator")[0] == [500, 2, 3]
    assert values_of(by_group, "gender", "selection_rate", "denominator")[0] == [505, 505, 505]
    assert values_of(by_group, "gender", "selection_rate")[0][0] == 500 / 505
    assert values_of(by_group, "gender", "selection_rate", "support")[0] == [10, 10, 10]
    assert values_of(by_group, "gender", "selection_rate", "evidence")[0] == ["insufficient_evidence"] * 3


def test_a_cell_without_weight_is_undefined(hand):
    by_group = rates_by_group(hand, min_support=1, weights=(hand["gender"] == "Male").astype(float))
    assert np.isnan(values_of(by_group, "gender", "selection_rate")[0]).all()
    assert values_of(by_group, "gender", "selection_rate", "support")[0] == [10, 10, 10]
    assert values_of(by_group, "gender", "selection_rate", "evidence")[0] == ["undefined"] * 3


def test_default_support_is_thirty():
    rows = [("Female", "Green", "x", "x")] * 29 + [("Male", "Green", "x", "x")] * 30
    by_group = rates_by_group(predictions_table(rows, ["x", "y"]), attributes=["gender"])
    evidence = values_of(by_group, "gender", "true_positive_rate", "evidence")
    assert evidence == [["insufficient_evidence", "undefined"], ["sufficient", "undefined"]]


# Gaps by hand: from the rates above.


@pytest.mark.parametrize(
    ("metric", "values", "worst", "mean"),
    [
        # |.5 - .1|, |.2 - .7|, |.3 - .2|
        ("demographic_parity_difference", [0.4, 0.5, 0.1], 0.5, 1 / 3),
        # .1/.5, .2/.7, .2/.3
        ("demographic_parity_ratio", [1 / 5, 2 / 7, 2 / 3], 1 / 5, 121 / 315),
        # |.75 - .2|, |.5 - .8|, nothing to compare .75 with
        ("equal_opportunity_difference", [0.55, 0.3, NAN], 0.55, 0.425),
        # .2/.75, .5/.8
        ("equal_opportunity_ratio", [4 / 15, 5 / 8, NAN], 4 / 15, 107 / 240),
        # FPR: 1/3 - 0, .6 - .125, .2 - 0. The larger of both; unknown where one is unknown.
        ("equalized_odds_difference", [0.55, 0.475, NAN], 0.55, 0.5125),
        # FPR: 0/(1/3), .125/.6, 0/.2. The smaller of both.
        ("equalized_odds_ratio", [0, 5 / 24, NAN], 0, 5 / 48),
    ],
)
def test_gaps_by_hand(hand, metric, values, worst, mean):
    table = gaps(rates_by_group(hand))
    worst_name = "max_over_classes" if metric.endswith("_difference") else "min_over_classes"
    found = table[(table["attribute"] == "gender") & (table["metric"] == metric)]
    assert found["class"].tolist() == ["x", "y", "z", worst_name, "mean_over_classes"]
    assert found["value"].tolist() == pytest.approx([*values, worst, mean], nan_ok=True)


@pytest.mark.parametrize(
    ("metric", "of", "highest", "lowest"),
    [
        ("demographic_parity_difference", "x", "Female", "Male"),
        ("demographic_parity_difference", "y", "Male", "Female"),
        ("demographic_parity_difference", "max_over_classes", "Male", "Female"),
        ("demographic_parity_ratio", "min_over_classes", "Female", "Male"),
        ("equal_opportunity_difference", "max_over_classes", "Female", "Male"),
        # The true positive rate decides for x, the false positive rate for y.
        ("equalized_odds_difference", "x", "Female", "Male"),
        ("equalized_odds_difference", "y", "Male", "Female"),
        ("equalized_odds_ratio", "min_over_classes", "Female", "Male"),
    ],
)
def test_groups_of_a_gap_by_hand(hand, metric, of, highest, lowest):
    found = gap_of(gaps(rates_by_group(hand)), "gender", metric, of)
    assert (found["highest_group"], found["lowest_group"]) == (highest, lowest)


def test_a_mean_and_an_undefined_gap_have_no_groups(hand):
    table = gaps(rates_by_group(hand))
    none = table["highest_group"].isna()
    pd.testing.assert_series_equal(none, table["lowest_group"].isna(), check_names=False)
    pd.testing.assert_series_equal(
        none, table["value"].isna() | (table["class"] == "mean_over_classes"), check_names=False
    )


def test_cells_of_a_gap_by_hand(hand):
    # Under 5: the positives of all three classes among females. Undefined: the positives of z among males.
    table = gaps(rates_by_group(hand, min_support=5))
    expected = {
        ("demographic_parity_difference", "z"): (0, 0),
        ("equal_opportunity_difference", "x"): (0, 1),
        ("equal_opportunity_difference", "z"): (1, 1),
        ("equal_opportunity_difference", "max_over_classes"): (1, 3),
        ("equal_opportunity_ratio", "mean_over_classes"): (1, 3),
        ("equalized_odds_difference", "z"): (1, 1),
        ("equalized_odds_ratio", "min_over_classes"): (1, 3),
    }
    for (metric, of), cells in expected.items():
        found = gap_of(table, "gender", metric, of)
        assert (found["undefined_cells"], found["insufficient_cells"]) == cells, (metric, of)
    # Under 9, all but the false positive rate of z among males: 3 + 2 positives and 3 + 2 negatives.
    table = gaps(rates_by_group(hand, min_support=9))
    assert gap_of(table, "gender", "equalized_odds_difference", "max_over_classes")["insufficient_cells"] == 10


def test_gaps_are_derived_from_the_table_alone(hand, tmp_path):
    by_group = rates_by_group(hand)
    by_group.to_csv(tmp_path / "by_group.csv", index=False)
    reread = pd.read_csv(tmp_path / "by_group.csv")
    pd.testing.assert_frame_equal(gaps(reread), gaps(by_group))
    shuffled = gaps(by_group.sample(frac=1, random_state=0))
    order = ["attribute", "metric", "class"]
    pd.testing.assert_series_equal(
        shuffled.set_index(order)["value"].sort_index(), gaps(by_group).set_index(order)["value"].sort_index()
    )


# What is undefined stays undefined.


def test_a_group_without_positives_is_left_out_and_counted():
    rows = (
        [("Female", "Blue", "x", "x"), ("Female", "Blue", "x", "y")]
        + [("Female", "Red", "x", "x")] * 4
        + [("Female", "Green", "y", "x")] * 3
    )
    table = predictions_table(rows, ["x", "y"])
    by_group = rates_by_group(table)
    np.testing.assert_array_equal(values_of(by_group, "race", "true_positive_rate"), [[0.5, NAN], [NAN, 0], [1, NAN]])
    found = gap_of(gaps(by_group), "race", "equal_opportunity_difference", "x")
    # Blue .5 and Red 1; a 0 for Green, who are never x, would make it 1.
    assert (found["value"], found["undefined_cells"]) == (0.5, 1)
    assert (found["highest_group"], found["lowest_group"]) == ("Red", "Blue")
    # Of y only Green has positives: no pair to compare.
    assert np.isnan(gap_of(gaps(by_group), "race", "equal_opportunity_difference", "y")["value"])


def test_a_single_group_has_no_gap(hand):
    table = gaps(rates_by_group(hand, attributes=["race"]))
    assert len(table) == 6 * 5
    assert table["value"].isna().all()
    assert table["highest_group"].isna().all()


def test_a_class_that_is_never_predicted_has_no_ratio():
    rows = [(gender, "Green", true, "x") for gender in ("Female", "Male") for true in "xy"]
    table = gaps(rates_by_group(predictions_table(rows, ["x", "y"])))
    for criterion in ("demographic_parity", "equal_opportunity", "equalized_odds"):
        assert gap_of(table, "gender", f"{criterion}_difference", "y")["value"] == 0
        assert np.isnan(gap_of(table, "gender", f"{criterion}_ratio", "y")["value"])
        assert gap_of(table, "gender", f"{criterion}_ratio", "x")["value"] == 1
        # 1 for x, and y is left out.
        assert gap_of(table, "gender", f"{criterion}_ratio", "mean_over_classes")["value"] == 1


def test_a_class_that_never_occurs_is_undefined_everywhere():
    rows = [(gender, "Green", "x", predicted) for gender in ("Female", "Male") for predicted in "xy"]
    by_group = rates_by_group(predictions_table(rows, ["x", "y", "z"]), attributes=["gender"])
    np.testing.assert_array_equal(
        values_of(by_group, "gender", "true_positive_rate"), [[0.5, NAN, NAN], [0.5, NAN, NAN]]
    )
    np.testing.assert_array_equal(values_of(by_group, "gender", "false_positive_rate"), [[NAN, 0.5, 0], [NAN, 0.5, 0]])


# Against fairlearn, which is binary: one class at a time.


@pytest.mark.parametrize("classes", [["no", "yes"], ["d", "b", "a", "c"]])
@pytest.mark.parametrize("attribute", ATTRIBUTES)
@pytest.mark.parametrize("weighted", [False, True])
def test_rates_and_gaps_against_fairlearn(classes, attribute, weighted):
    table = random_predictions(classes)
    weights = np.random.default_rng(1).uniform(0.1, 3, len(table)) if weighted else None
    groups = group_labels(table, attribute).astype(str)
    by_group = rates_by_group(table, weights=weights)
    gap = gaps(by_group)
    assert not by_group["value"].isna().any()
    for name in classes:
        true, predicted = (table["y_true"] == name).astype(int), (table["y_pred"] == name).astype(int)
        frame = fairlearn.metrics.MetricFrame(
            metrics={rate: getattr(fairlearn.metrics, rate) for rate in RATES},
            y_true=true,
            y_pred=predicted,
            sensitive_features=groups,
            sample_params={rate: {"sample_weight": weights} for rate in RATES} if weighted else None,
        )
        ours = by_group[(by_group["attribute"] == attribute) & (by_group["class"] == name)]
        ours = ours.pivot(index="group", columns="rate", values="value")
        np.testing.assert_allclose(ours[RATES], frame.by_group.loc[ours.index, RATES].astype(float), rtol=1e-12)
        for metric in GAP_METRICS:
            expected = getattr(fairlearn.metrics, metric)(
                true, predicted, sensitive_features=groups, sample_weight=weights
            )
            assert gap_of(gap, attribute, metric, name)["value"] == pytest.approx(expected, rel=1e-12), metric


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_aggregates_over_classes_against_fairlearn(attribute):
    classes = list("wxyz")
    table = random_predictions(classes, seed=7)
    groups = group_labels(table, attribute).astype(str)
    gap = gaps(rates_by_group(table))
    for metric in GAP_METRICS:
        values = [
            getattr(fairlearn.metrics, metric)(
                table["y_true"] == name, table["y_pred"] == name, sensitive_features=groups
            )
            for name in classes
        ]
        worst_name, worst = (
            ("max_over_classes", max(values)) if metric.endswith("_difference") else ("min_over_classes", min(values))
        )
        assert gap_of(gap, attribute, metric, worst_name)["value"] == pytest.approx(worst)
        assert gap_of(gap, attribute, metric, "mean_over_classes")["value"] == pytest.approx(np.mean(values))


def test_recalls_of_groups_are_the_true_positive_rates():
    table = random_predictions(list("cab"))
    by_group = rates_by_group(table)
    for gender, row in zip(["Female", "Male"], values_of(by_group, "gender", "true_positive_rate"), strict=True):
        rows = table[table["gender"] == gender]
        recalls = recall_score(rows["y_true"], rows["y_pred"], labels=list("cab"), average=None)
        np.testing.assert_allclose(row, recalls)


# Sums.


def test_rates_add_up():
    by_group = rates_by_group(random_predictions(list("abcd")))
    cells = by_group.pivot(index=["attribute", "group", "class"], columns="rate")
    numerator, denominator = cells["numerator"], cells["denominator"]
    # Whoever is predicted c is so rightly or wrongly; whoever is there is truly c or not.
    np.testing.assert_array_equal(
        numerator["selection_rate"], numerator["true_positive_rate"] + numerator["false_positive_rate"]
    )
    np.testing.assert_array_equal(
        denominator["selection_rate"], denominator["true_positive_rate"] + denominator["false_positive_rate"]
    )
    # Everybody is predicted exactly one class.
    selection = cells["value"]["selection_rate"].groupby(["attribute", "group"]).sum()
    np.testing.assert_allclose(selection, 1)
    by_attribute = numerator["selection_rate"].groupby("attribute").sum()
    assert by_attribute.tolist() == [600, 600, 600]


# Invariances.


def test_order_of_rows_changes_nothing():
    table = random_predictions(list("abc"))
    shuffled = table.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(rates_by_group(shuffled), rates_by_group(table))
    assert summary(shuffled) == pytest.approx(summary(table))


def test_an_index_that_repeats_changes_nothing():
    table = random_predictions(list("abc"))
    halves = pd.concat([table[:300], table[300:].set_axis(range(300))])
    assert summary(halves) == summary(table)


def test_names_of_groups_change_nothing_but_names():
    table = random_predictions(list("abc"))
    names = {"Female": "z", "Male": "a", "Green": "Ü", "Blue": "m", "Red": "0"}
    renamed = table.replace({"gender": names, "race": names})
    assert summary(renamed) == pytest.approx(summary(table))
    before, after = gaps(rates_by_group(table)), gaps(rates_by_group(renamed))
    for column in ("highest_group", "lowest_group"):
        expected = before[column].map(lambda group: " x ".join(names[part] for part in group.split(" x ")),
                                      na_action="ignore")  # fmt: skip
        assert expected.fillna("").tolist() == after[column].fillna("").tolist()


def test_names_and_order_of_classes_change_nothing():
    table = random_predictions(list("abc"))
    names = {"a": "third class", "b": "Ärzte", "c": "1"}
    renamed = table.replace({"y_true": names, "y_pred": names})
    renamed = renamed.rename(columns={f"probability_{old}": f"probability_{new}" for old, new in names.items()})
    assert summary(renamed) == summary(table)
    assert summary(table[table.columns[::-1]]) == pytest.approx(summary(table))


def test_categorical_attributes_and_the_table_itself_stay_as_they_are():
    table = random_predictions(list("abc"))
    categorical = table.astype({"gender": "category", "race": "category"})
    before = categorical.copy()
    assert summary(categorical) == summary(table)
    pd.testing.assert_frame_equal(categorical, before)


def test_weights_count_as_repeated_rows():
    table = random_predictions(list("abc"))
    times = np.random.default_rng(5).integers(1, 4, len(table))
    weighted = gaps(rates_by_group(table, min_support=0, weights=times))
    repeated = gaps(rates_by_group(table.loc[table.index.repeat(times)], min_support=0))
    pd.testing.assert_frame_equal(weighted, repeated)


# The balanced view.


def test_balanced_weights_by_hand():
    rows = [("Female", "Blue", "x", "x")] * 3 + [("Male", "Blue", "x", "x")] + [("Male", "Red", "y", "y")] * 2
    table = predictions_table(rows, ["x", "y"])
    # Six rows in three cells: each cell weighs two.
    assert balanced_weights(table).tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2, 1, 1])
    # Of 2 x 2 x 2 cells.
    assert empty_cells(table) == 5


def test_every_occurring_cell_weighs_the_same():
    table = random_predictions(list("abcd"), rows=100)
    cells = balanced_weights(table).groupby([table["gender"], table["race"], table["y_true"]]).sum()
    np.testing.assert_allclose(cells, 100 / len(cells))
    assert empty_cells(table) == 2 * 3 * 4 - len(cells)


def test_balanced_accuracy_is_the_mean_over_cells(hand):
    # Five cells, right in 3/4, 1/2, 3/4, 1/5, 4/5.
    assert performance(hand, balanced_weights(hand))["accuracy"] == pytest.approx(0.6)


def test_balancing_leaves_the_true_positive_rates_of_the_intersection():
    table = random_predictions(list("abc"))
    natural = rates_by_group(table)
    balanced = rates_by_group(table, weights=balanced_weights(table))
    for rate, same in (("true_positive_rate", True), ("selection_rate", False)):
        before, after = (values_of(rows, "gender_x_race", rate) for rows in (natural, balanced))
        assert np.allclose(before, after, rtol=1e-12) == same


def test_balancing_removes_the_class_mix_from_demographic_parity():
    # Always right: whatever gap there is comes from who is what.
    rows = [("Female", "Green", "x", "x")] * 30 + [("Female", "Green", "y", "y")] * 10
    rows += [("Male", "Green", "x", "x")] * 10 + [("Male", "Green", "y", "y")] * 10
    result = summary(predictions_table(rows, ["x", "y"]))
    # 30/40 - 10/20
    assert result["demographic_parity_difference/gender"] == pytest.approx(0.25)
    assert result["balanced_view/demographic_parity_difference/gender"] == pytest.approx(0)


# The worst group.


def test_performance_by_group_by_hand(hand):
    expected = pd.DataFrame(
        {
            "attribute": "gender",
            "group": ["Female", "Male"],
            "support": [10, 10],
            "accuracy": [7 / 10, 5 / 10],
            # Males are never z: z is left out.
            "balanced_accuracy": [(3 / 4 + 1 / 2 + 3 / 4) / 3, (1 / 5 + 4 / 5) / 2],
            # F1 6/9, 2/4, 6/7 and 2/6, 8/12, 0/2: males are called z, so z counts.
            "macro_f1": [(2 / 3 + 1 / 2 + 6 / 7) / 3, (1 / 3 + 2 / 3 + 0) / 3],
            "evidence": "insufficient_evidence",
        }
    )
    pd.testing.assert_frame_equal(performance_by_group(hand, attributes=["gender"]), expected)
    assert (performance_by_group(hand, min_support=10, attributes=["gender"])["evidence"] == "sufficient").all()


def test_performance_by_group_against_scikit_learn():
    table = random_predictions(list("dbac"))
    result = performance_by_group(table)
    assert result.groupby("attribute", sort=False)["support"].sum().to_dict() == dict.fromkeys(ATTRIBUTES, 600)
    assert len(result) == 2 + 3 + 6
    for row in result.itertuples():
        rows = table[group_labels(table, row.attribute) == row.group]
        true, predicted = rows["y_true"], rows["y_pred"]
        assert row.support == len(rows)
        assert row.accuracy == pytest.approx(accuracy_score(true, predicted))
        assert row.balanced_accuracy == pytest.approx(balanced_accuracy_score(true, predicted))
        assert row.macro_f1 == pytest.approx(f1_score(true, predicted, average="macro"))


def test_worst_group_by_hand():
    # Blue: 3 of 4 right, but never y: recalls 1 and 0. Red: 2 of 3 right, recalls 1/2 and 1.
    rows = [("Female", "Blue", "x", "x")] * 3 + [("Female", "Blue", "y", "x")]
    rows += [("Female", "Red", "x", "x"), ("Female", "Red", "x", "y"), ("Female", "Red", "y", "y")]
    expected = pd.DataFrame(
        {
            "metric": ["worst_group_accuracy", "worst_group_balanced_accuracy", "worst_group_macro_f1"],
            # F1 of Blue 6/7 and 0, of Red 2/3 and 2/3.
            "value": [2 / 3, 1 / 2, 3 / 7],
            "group": ["Red", "Blue", "Blue"],
            "support": [3, 4, 4],
            "evidence": ["insufficient_evidence", "sufficient", "sufficient"],
        }
    )
    table = predictions_table(rows, ["x", "y"])
    pd.testing.assert_frame_equal(worst_group(table, "race", min_support=4), expected)


# The numbers to log.


def test_summary_by_hand(hand):
    result = summary(hand, min_support=5)
    gender = {name: value for name, value in result.items() if name.endswith("/gender")}
    # The gaps and cells above; 3 cells of the true positive rate are under 5, one is undefined.
    # Balanced, every occurring gender x profession cell weighs the same, so a selection rate is the mean
    # of the rows of its block: Female .5, .25, .25 and Male .1, .7, .2.
    # False positive rates: Female x (1/2 + 1/4)/2 = .375, y (1/4 + 0)/2 = .125; Male x 0, y 3/5.
    assert gender == pytest.approx(
        {
            "demographic_parity_difference/gender": 0.5,
            "demographic_parity_difference_mean/gender": 1 / 3,
            "equal_opportunity_difference/gender": 0.55,
            "equal_opportunity_difference_mean/gender": 0.425,
            "equalized_odds_difference/gender": 0.55,
            "equalized_odds_difference_mean/gender": 0.5125,
            "demographic_parity_ratio/gender": 1 / 5,
            "equal_opportunity_ratio/gender": 4 / 15,
            "equalized_odds_ratio/gender": 0,
            "worst_group_accuracy/gender": 0.5,
            "worst_group_balanced_accuracy/gender": 0.5,
            "worst_group_macro_f1/gender": 1 / 3,
            "undefined_cells/gender": 1,
            "insufficient_cells/gender": 3,
            "balanced_view/demographic_parity_difference/gender": 0.45,
            "balanced_view/equal_opportunity_difference/gender": 0.55,
            "balanced_view/equalized_odds_difference/gender": 0.55,
        }
    )
    assert result["balanced_view/accuracy"] == pytest.approx(0.6)
    # In cells of weight 4: TP 3.8, 5.2, 3; true 8, 8, 4; predicted 6.8, 8.6, 4.6.
    assert result["balanced_view/macro_f1"] == pytest.approx((7.6 / 14.8 + 10.4 / 16.6 + 6 / 8.6) / 3)
    # No males who are truly z.
    assert result["balanced_view/empty_cells"] == 1
    # One race: nothing to compare, but a worst group there is.
    assert np.isnan(result["demographic_parity_difference/race"])
    assert np.isnan(result["balanced_view/equalized_odds_difference/race"])
    assert result["worst_group_accuracy/race"] == 0.6


def test_names_of_the_summary_and_their_order(hand):
    of_attribute = [
        "demographic_parity_difference",
        "demographic_parity_difference_mean",
        "equal_opportunity_difference",
        "equal_opportunity_difference_mean",
        "equalized_odds_difference",
        "equalized_odds_difference_mean",
        "demographic_parity_ratio",
        "equal_opportunity_ratio",
        "equalized_odds_ratio",
        "worst_group_accuracy",
        "worst_group_balanced_accuracy",
        "worst_group_macro_f1",
        "undefined_cells",
        "insufficient_cells",
    ]
    balanced = ["demographic_parity_difference", "equal_opportunity_difference", "equalized_odds_difference"]
    attributes = ["gender", "race", "gender_x_race"]
    result = summary(hand)
    assert list(result) == [
        *(f"{name}/{attribute}" for attribute in attributes for name in of_attribute),
        "balanced_view/accuracy",
        "balanced_view/macro_f1",
        *(f"balanced_view/{name}/{attribute}" for attribute in attributes for name in balanced),
        "balanced_view/empty_cells",
    ]
    assert {type(value) for value in result.values()} == {float}


def test_summary_agrees_with_the_tables():
    table = random_predictions(list("abcd"), rows=150)
    result = summary(table, min_support=8)
    by_group = rates_by_group(table, min_support=8)
    weighted = performance(table, balanced_weights(table))
    for attribute in ATTRIBUTES:
        evidence = by_group.loc[by_group["attribute"] == attribute, "evidence"].value_counts()
        assert result[f"insufficient_cells/{attribute}"] == evidence.get("insufficient_evidence", 0)
        worst = worst_group(table, attribute)
        for metric, value in zip(worst["metric"], worst["value"], strict=True):
            assert result[f"{metric}/{attribute}"] == value
    assert result["insufficient_cells/gender_x_race"] > 0
    assert result["balanced_view/accuracy"] == pytest.approx(weighted["accuracy"])
    assert result["balanced_view/macro_f1"] == pytest.approx(weighted["macro_f1"])


def test_summary_knows_a_planted_gap():
    # Females are recognised with probability .9, males with .5; the wrong ones are spread evenly.
    generator = np.random.default_rng(11)
    gender = generator.choice(["Female", "Male"], 60_000)
    true = generator.integers(3, size=60_000)
    right = generator.random(60_000) < np.where(gender == "Female", 0.9, 0.5)
    predicted = np.where(right, true, (true + generator.integers(1, 3, 60_000)) % 3)
    names = np.array(list("xyz"))
    rows = list(zip(gender, ["Green"] * 60_000, names[true], names[predicted], strict=True))
    result = summary(predictions_table(rows, list("xyz")))
    # TPR .9 - .5; FPR .25 - .05; SR 1/3 for both. Tolerances of more than four standard errors.
    assert result["equal_opportunity_difference_mean/gender"] == pytest.approx(0.4, abs=0.02)
    assert result["equalized_odds_difference_mean/gender"] == pytest.approx(0.4, abs=0.02)
    assert result["demographic_parity_difference/gender"] < 0.02
    assert result["worst_group_accuracy/gender"] == pytest.approx(0.5, abs=0.02)


# Tables that cannot be judged.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="race"), "no column 'race'"),
        (lambda t: t.drop(columns="y_true"), "no column 'y_true'"),
        (lambda t: t.assign(gender=["Female", None] * 10), "'gender' has no value in row 1"),
        (lambda t: t.assign(y_true="w"), "'y_true' is 'w' in row 0"),
        (lambda t: t.iloc[:0], "no rows"),
    ],
)
@pytest.mark.parametrize("function", [summary, rates_by_group, performance_by_group, balanced_weights])
def test_an_unusable_table_is_one_line_that_names_the_place(hand, function, change, message):
    with pytest.raises(ValueError) as error:
        function(change(hand))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_intersection_has_the_combinations_that_occur_in_the_order_of_their_groups():
    first = pd.Series(pd.Categorical(["b", "a", "b", "c"], ["c", "b", "a"]), name="letter")
    second = pd.Series(pd.Categorical(["y", "x", "x", "y"]), name="sign")
    third = pd.Series(pd.Categorical(["1", "1", "2", "1"]), name="number")
    found = intersection([first, second, third])
    assert found.tolist() == ["b x y x 1", "a x x x 1", "b x x x 2", "c x y x 1"]
    assert list(found.cat.categories) == ["c x y x 1", "b x x x 2", "b x y x 1", "a x x x 1"]
    assert found.name == "letter_x_sign_x_number"


def test_without_probabilities_the_classes_are_the_categories_of_the_true_class(hand):
    classes = ["z", "x", "y"]
    bare = hand[["gender", "race"]].assign(
        y_true=pd.Categorical(hand["y_true"], classes), y_pred=pd.Categorical(hand["y_pred"], classes)
    )
    key = ["attribute", "rate", "group", "class"]
    found, expected = (rates_by_group(table).set_index(key)["value"] for table in (bare, hand))
    pd.testing.assert_series_equal(found.reindex(expected.index), expected)
    assert list(confusion_table(bare).index) == classes
