"""Scores and calibration: against numbers worked by hand, and against scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from fairprof.metrics.performance import (
    calibration_error,
    chance_scores,
    class_names,
    classification_table,
    confusion_table,
    performance,
    predicts_one_class,
    reliability_table,
    scores_from_counts,
)

SCORES = ["accuracy", "balanced_accuracy", "macro_f1"]


@pytest.fixture
def hand() -> pd.DataFrame:
    """Five rows; the class order (cat, ant, bee) is not alphabetical, and bee is never predicted."""
    return pd.DataFrame(
        {
            "image": ["0.png", "1.png", "2.png", "3.png", "4.png"],
            "y_true": ["cat", "cat", "ant", "bee", "cat"],
            "y_pred": ["cat", "ant", "ant", "cat", "cat"],
            "probability_cat": [0.80, 0.30, 0.20, 0.50, 0.90],
            "probability_ant": [0.10, 0.60, 0.50, 0.25, 0.05],
            "probability_bee": [0.10, 0.10, 0.30, 0.25, 0.05],
        }
    )


def with_renamed_classes(table: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    columns = {f"probability_{old}": f"probability_{new}" for old, new in names.items()}
    return table.replace({"y_true": names, "y_pred": names}).rename(columns=columns)


def random_predictions(classes: list[str], rows: int = 400, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(len(classes)), rows)
    table = pd.DataFrame(probabilities, columns=[f"probability_{name}" for name in classes])
    table["y_true"] = generator.choice(classes, rows)
    table["y_pred"] = np.array(classes)[probabilities.argmax(axis=1)]
    return table


# By hand.


def test_a_table_with_one_predicted_class_is_recognised_whatever_the_truth_is(hand):
    assert not predicts_one_class(hand)
    assert predicts_one_class(hand.assign(y_pred="bee"))
    assert not predicts_one_class(hand.assign(y_true="cat"))
    categories = pd.Categorical(["cat"] * 5, ["ant", "bee", "cat"])
    assert predicts_one_class(hand.assign(y_pred=categories))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda table: table.drop(columns="y_pred"), "no column 'y_pred'"),
        (lambda table: table.iloc[:0], "no rows"),
        (lambda table: table.assign(y_pred=["cat", None, "cat", "cat", "cat"]), "no value in row 1"),
    ],
    ids=["absent", "empty", "missing"],
)
def test_one_predicted_class_is_not_claimed_of_a_table_without_predictions(hand, change, complaint):
    with pytest.raises(ValueError, match=complaint):
        predicts_one_class(change(hand))


def test_class_names_are_in_column_order(hand):
    assert class_names(hand) == ["cat", "ant", "bee"]


def test_performance_by_hand(hand):
    result = performance(hand)
    assert list(result) == [*SCORES, "log_loss", "brier_score", "calibration_error"]
    assert result == pytest.approx(
        {
            # 3 of 5 right.
            "accuracy": 0.6,
            # Recall of cat 2/3, ant 1/1, bee 0/1.
            "balanced_accuracy": 5 / 9,
            # F1 of cat 2*2/(3+3), ant 2*1/(1+2), bee 2*0/(1+0).
            "macro_f1": 4 / 9,
            # -ln(.8 * .3 * .5 * .25 * .9) / 5 = -ln(.027) / 5.
            "log_loss": 0.7223836899,
            # Rows: .06, .86, .38, .875, .015.
            "brier_score": 0.438,
            # Five bins, but the two confidences of .5 share one: gaps 0 (2 rows), .6, .2, .1.
            "calibration_error": 0.18,
        }
    )


def test_performance_with_weights_by_hand(hand):
    # Row weights 1, 1, 4, 2, 2: N = 10, T = cat 4, ant 4, bee 2, P = cat 5, ant 5, TP = cat 3, ant 4.
    result = performance(hand, weights=[1, 1, 4, 2, 2])
    assert result["accuracy"] == pytest.approx(0.7)
    assert result["balanced_accuracy"] == pytest.approx((3 / 4 + 1 + 0) / 3)
    assert result["macro_f1"] == pytest.approx((6 / 9 + 8 / 9 + 0) / 3)
    # (.2231436 + 1.2039728 + 4 * .6931472 + 2 * 1.3862944 + 2 * .1053605) / 10
    assert result["log_loss"] == pytest.approx(0.7183015, abs=1e-6)
    # (.06 + .86 + 4 * .38 + 2 * .875 + 2 * .015) / 10
    assert result["brier_score"] == pytest.approx(0.422)
    # Confidences .5 (weight 6, accuracy 4/6), .6 (1, wrong), .8 (1, right), .9 (2, right); the middles of
    # their masses 3, 6.5, 7.5, 9 of 10 fall in bins 1, 3, 3, 4 of 5. Bin 3: confidence .7, accuracy .5.
    # .6 * |.6667 - .5| + .2 * |.5 - .7| + .2 * |1 - .9|
    assert result["calibration_error"] == pytest.approx(0.16)


def test_confusion_table_by_hand(hand):
    table = confusion_table(hand)
    assert table.index.tolist() == table.columns.tolist() == ["cat", "ant", "bee"]
    assert table.to_numpy().tolist() == [[2, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_classification_table_by_hand(hand):
    nan = np.nan
    expected = pd.DataFrame(
        {
            # Undefined for bee, which is never predicted: left out of both averages.
            "precision": [2 / 3, 1 / 2, nan, 7 / 12, (3 * 2 / 3 + 1 / 2) / 4],
            "recall": [2 / 3, 1, 0, 5 / 9, 0.6],
            "f1": [2 / 3, 2 / 3, 0, 4 / 9, (3 * 2 / 3 + 2 / 3) / 5],
            "support": [3, 1, 1, 5, 5],
        },
        index=pd.Index(["cat", "ant", "bee", "macro_average", "weighted_average"], name="class"),
    )
    pd.testing.assert_frame_equal(classification_table(hand), expected)


def test_classification_table_of_a_class_named_like_an_average(hand):
    names = {"cat": "accuracy", "ant": "macro avg", "bee": "weighted avg"}
    renamed = with_renamed_classes(hand, names)
    np.testing.assert_array_equal(classification_table(renamed), classification_table(hand))
    assert classification_table(renamed).index[:3].tolist() == list(names.values())


def test_reliability_table_by_hand(hand):
    # Confidences .5 .5 | .6 .8 .9: the middle of the tied mass is 1 of 5, that of .6 is 2.5, the boundary.
    expected = pd.DataFrame(
        {
            "bin": [0, 1],
            "count": [2, 3],
            "share": [0.4, 0.6],
            "mean_confidence": [0.5, 2.3 / 3],
            "accuracy": [0.5, 2 / 3],
        }
    )
    pd.testing.assert_frame_equal(reliability_table(hand, bins=2), expected)
    # .6 * (.7667 - .6667)
    assert calibration_error(hand, bins=2) == pytest.approx(0.06)


def test_one_bin_compares_the_means(hand):
    # Mean confidence 3.3 / 5, accuracy 3 / 5.
    assert calibration_error(hand, bins=1) == pytest.approx(0.06)


# Against scikit-learn.


@pytest.mark.parametrize("classes", [["no", "yes"], ["d", "b", "a", "c"]])
@pytest.mark.parametrize("weighted", [False, True])
def test_performance_against_scikit_learn(classes, weighted):
    table = random_predictions(classes)
    weights = np.random.default_rng(1).uniform(0.1, 3, len(table)) if weighted else None
    true, predicted = table["y_true"], table["y_pred"]
    # scikit-learn reads probability columns in alphabetical order.
    ordered = sorted(classes)
    probabilities = table[[f"probability_{name}" for name in ordered]]
    result = performance(table, weights)
    del result["calibration_error"]
    assert result == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(true, predicted, sample_weight=weights),
            "balanced_accuracy": metrics.balanced_accuracy_score(true, predicted, sample_weight=weights),
            "macro_f1": metrics.f1_score(true, predicted, average="macro", sample_weight=weights),
            "log_loss": metrics.log_loss(true, probabilities, labels=ordered, sample_weight=weights),
            "brier_score": metrics.brier_score_loss(
                true, probabilities, labels=ordered, sample_weight=weights, scale_by_half=False
            ),
        }
    )


@pytest.mark.parametrize("seed", range(5))
def test_scores_with_absent_classes_against_scikit_learn(seed):
    # Six rows of five classes: some classes are never true, some never predicted, some neither.
    table = random_predictions(list("abcde"), rows=6, seed=seed)
    true, predicted = table["y_true"], table["y_pred"]
    present = sorted(set(true))
    result = performance(table)
    assert len(present) < 5
    assert result["macro_f1"] == pytest.approx(
        metrics.f1_score(true, predicted, labels=list("abcde"), average="macro", zero_division=np.nan)
    )
    assert result["balanced_accuracy"] == pytest.approx(
        metrics.recall_score(true, predicted, labels=present, average="macro")
    )


def test_scores_over_leading_axes():
    counts = np.random.default_rng(0).integers(0, 4, (2, 5, 3, 3))
    result = scores_from_counts(counts)
    for i, j in np.ndindex(2, 5):
        single = scores_from_counts(counts[i, j])
        assert [result[name][i, j] for name in SCORES] == [single[name] for name in SCORES]


def test_scores_of_no_rows_are_undefined():
    assert all(np.isnan(value) for value in scores_from_counts(np.zeros((3, 3))).values())


# Calibration.


def test_equal_mass_bins_and_their_error_without_ties():
    table = random_predictions(["x", "y", "z"], rows=450)
    confidence = table.filter(like="probability_").max(axis=1).to_numpy()
    correct = (table["y_true"] == table["y_pred"]).to_numpy(dtype=float)
    thirtieths = np.argsort(confidence).reshape(15, 30)
    gaps = np.abs(correct[thirtieths].mean(axis=1) - confidence[thirtieths].mean(axis=1))
    assert reliability_table(table)["count"].tolist() == [30] * 15
    assert calibration_error(table) == pytest.approx(gaps.mean())


def test_no_more_bins_than_rows():
    assert reliability_table(random_predictions(["x", "y"], rows=7))["count"].tolist() == [1] * 7


def test_reliability_sums_to_the_whole():
    table = random_predictions(["x", "y", "z"], rows=401)
    weights = np.random.default_rng(2).uniform(0, 2, 401)
    bins = reliability_table(table, weights=weights)
    result = performance(table, weights)
    assert bins["count"].sum() == 401
    assert bins["share"].sum() == pytest.approx(1)
    assert (bins["share"] * bins["accuracy"]).sum() == pytest.approx(result["accuracy"])
    assert bins["mean_confidence"].is_monotonic_increasing


def test_calibrated_and_overconfident_predictions():
    generator = np.random.default_rng(3)
    confidence = generator.uniform(0.5, 1, 20_000)
    right = generator.random(20_000) < confidence
    calibrated = pd.DataFrame(
        {
            "probability_x": confidence,
            "probability_y": 1 - confidence,
            "y_pred": "x",
            "y_true": np.where(right, "x", "y"),
        }
    )
    assert calibration_error(calibrated) < 0.02
    # Sure of everything, right in about three of four.
    overconfident = calibrated.assign(probability_x=1.0, probability_y=0.0)
    assert calibration_error(overconfident) == pytest.approx(1 - right.mean())


def test_tied_confidences_make_one_bin_in_any_order():
    table = pd.DataFrame({"probability_x": 0.7, "probability_y": 0.3, "y_pred": "x", "y_true": ["x"] * 20 + ["y"] * 20})
    for order in (table, table[::-1]):
        assert reliability_table(order)["count"].tolist() == [40]
        assert calibration_error(order) == pytest.approx(0.2)


# Invariances.


def test_order_of_rows_changes_nothing():
    # Rounded, so that confidences tie; weighted, so that ties differ.
    table = random_predictions(["x", "y", "z"]).round({"probability_x": 1, "probability_y": 1})
    table["probability_z"] = (1 - table["probability_x"] - table["probability_y"]).clip(0)
    table = table[table.filter(like="probability_").sum(axis=1).between(0.999, 1.001)]
    weights = pd.Series(np.random.default_rng(4).uniform(0.1, 2, len(table)), table.index)
    shuffled = table.sample(frac=1, random_state=0)
    assert performance(shuffled, weights[shuffled.index]) == pytest.approx(performance(table, weights))
    pd.testing.assert_frame_equal(
        reliability_table(shuffled, weights=weights[shuffled.index]),
        reliability_table(table, weights=weights),
        check_exact=True,
    )


def test_names_and_order_of_classes_change_nothing():
    table = random_predictions(["x", "y", "z"])
    renamed = with_renamed_classes(table, {"x": "third class", "y": "Ärzte", "z": "1"})
    assert performance(renamed) == performance(table)
    assert performance(table[table.columns[::-1]]) == pytest.approx(performance(table))


def test_weights_count_as_repeated_rows():
    table = random_predictions(["x", "y", "z"], rows=100)
    times = np.random.default_rng(5).integers(0, 4, 100)
    repeated = table.loc[table.index.repeat(times)]
    assert performance(table, times) == pytest.approx(performance(repeated))


def test_rows_without_weight_are_left_out(hand):
    # As many bins as rows with weight, and no bin of rows without: 0/0.
    more = pd.concat([hand, hand, random_predictions(["cat", "ant", "bee"], rows=20)], ignore_index=True)
    weights = [0] * 5 + [1] * 5 + [0] * 20
    assert performance(more, weights) == pytest.approx(performance(hand))
    pd.testing.assert_frame_equal(reliability_table(more, weights=weights), reliability_table(hand))


def test_categorical_labels_and_extra_columns_change_nothing(hand):
    categorical = hand.astype({"y_true": "category", "y_pred": "category"}).assign(extra=np.nan)
    assert performance(categorical) == performance(hand)


def test_nearly_normalised_probabilities_are_accepted(hand):
    columns = ["probability_cat", "probability_ant", "probability_bee"]
    scaled = hand.assign(**{name: hand[name] * 1.0005 for name in columns})
    single = scaled.astype(dict.fromkeys(columns, "float32"))
    assert performance(scaled) == pytest.approx(performance(hand))
    assert performance(single) == pytest.approx(performance(hand), rel=1e-5)


def test_the_table_is_left_as_it_was(hand):
    before = hand.copy()
    performance(hand, weights=[1, 2, 3, 4, 5])
    pd.testing.assert_frame_equal(hand, before)


# Tables that cannot be scored.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="y_true"), "no column 'y_true'"),
        (lambda t: t.drop(columns="y_pred"), "no column 'y_pred'"),
        (lambda t: t[["y_true", "y_pred"]], "0 probability_<class> columns"),
        (lambda t: t.drop(columns=["probability_cat", "probability_bee"]), "1 probability_<class> columns"),
        (lambda t: pd.concat([t, t["probability_bee"]], axis=1), "probability_bee occurs twice"),
        (lambda t: t.iloc[:0], "no rows"),
        (lambda t: t.assign(y_true=["cat", "dog", "ant", "bee", "cat"]), "'y_true' is 'dog' in row 1"),
        (lambda t: t.assign(y_pred=["cat", "cat", "ant", "bee", "cow"]), "'y_pred' is 'cow' in row 4"),
        (lambda t: t.assign(y_true=["cat", None, "ant", "bee", "cat"]), "'y_true' has no value in row 1"),
        (lambda t: t.assign(probability_ant=[0, 0, np.nan, 0, 0]), "'probability_ant' has no value in row 2"),
        (lambda t: t.assign(probability_ant=[0.1, 0.6, -0.1, 0.2, 0]), "'probability_ant' is -0.1 in row 2"),
        (lambda t: t.assign(probability_cat=[1.5, 0, 0, 0, 0]), "'probability_cat' is 1.5 in row 0"),
        (lambda t: t.assign(probability_cat="much"), "'probability_cat' has type"),
        (lambda t: t.assign(probability_bee=[0.1, 0.1, 0.3, 0.252, 0.05]), "sum to 1.002 in row 3"),
    ],
)
def test_an_unusable_table_is_one_line_that_names_the_place(hand, change, message):
    with pytest.raises(ValueError) as error:
        performance(change(hand))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 1], "weights has shape (2,)"),
        ([1, 1, -1, 1, 1], "weights is -1.0 in row 2"),
        ([1, 1, 1, np.nan, 1], "weights is nan in row 3"),
        ([0, 0, 0, 0, 0], "weights are all 0"),
    ],
)
def test_unusable_weights_are_refused(hand, weights, message):
    with pytest.raises(ValueError) as error:
        performance(hand, weights)
    assert message in str(error.value)


def test_no_bins_are_refused(hand):
    with pytest.raises(ValueError, match="bins is 0"):
        reliability_table(hand, bins=0)


def test_chance_is_what_shuffled_predictions_have_on_average():
    generator = np.random.default_rng(0)
    true, predicted = generator.integers(0, 3, 60), generator.choice(3, 60, p=[0.6, 0.3, 0.1])
    counts = metrics.confusion_matrix(true, predicted)
    shuffled = [metrics.confusion_matrix(true, generator.permutation(predicted)) for _ in range(1000)]
    drawn = scores_from_counts(np.array(shuffled))
    for name, value in chance_scores(counts).items():
        error = drawn[name].std() / np.sqrt(len(shuffled))
        assert drawn[name].mean() == pytest.approx(value, abs=4 * error)


def test_chance_of_one_class_for_every_row_is_its_score():
    counts = np.array([[5, 0, 0], [3, 0, 0], [2, 0, 0]])
    for name, value in scores_from_counts(counts).items():
        assert chance_scores(counts)[name] == pytest.approx(value)
