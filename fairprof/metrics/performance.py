"""How good predictions are: scores, calibration and the tables behind them.

Everything is a function of a predictions table: a row per image with `y_true` and `y_pred` (class
names) and one `probability_<class>` column per class. The order of those columns is the class order. Where a table has
none, it is the order of the categories of `y_true`, and what needs probabilities is not defined.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

PROBABILITY_PREFIX = "probability_"
PROBABILITY_TOLERANCE = 1e-3
CALIBRATION_BINS = 15
CONFIDENCE_DECIMALS = 6  # float32 is no finer: confidences equal to this many are ties


# The predictions table, checked and encoded.


def class_names(predictions: pd.DataFrame) -> list[str]:
    """The classes, in the order of their probability columns; without any, the categories of `y_true`."""
    names = [
        column.removeprefix(PROBABILITY_PREFIX)
        for column in predictions.columns
        if isinstance(column, str) and column.startswith(PROBABILITY_PREFIX)
    ]
    if not names and isinstance(predictions.get("y_true", pd.Series()).dtype, pd.CategoricalDtype):
        names = list(predictions["y_true"].cat.categories)
    if len(names) < 2:
        raise ValueError(
            f"predictions has {len(names)} {PROBABILITY_PREFIX}<class> columns; add one for each class (at least two)"
        )
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise ValueError(f"column {PROBABILITY_PREFIX}{repeated[0]} occurs twice in predictions; keep one")
    return names


def checked_column(predictions: pd.DataFrame, name: str) -> pd.Series:
    """One column of a table that has rows, without missing values."""
    if name not in predictions.columns:
        raise ValueError(f"predictions has no column {name!r} but {list(predictions.columns)}; add it")
    if len(predictions) == 0:
        raise ValueError("predictions has no rows; evaluate at least one image")
    column = predictions[name]
    missing = column.isna().to_numpy()
    if missing.any():
        row = _first_row(predictions, missing)
        raise ValueError(f"column {name!r} has no value in {row}; fill it or drop the row")
    return column


def label_codes(predictions: pd.DataFrame, column: str) -> np.ndarray:
    """(N,) int: the position of each label of `y_true` or `y_pred` in the class order."""
    classes = class_names(predictions)
    labels = checked_column(predictions, column)
    if isinstance(labels.dtype, pd.CategoricalDtype) and list(labels.cat.categories) == classes:
        return labels.cat.codes.to_numpy(dtype=int)
    code, found = pd.factorize(labels)
    codes = pd.Index(classes).get_indexer(pd.Index(found).astype(object))[code]
    unknown = codes < 0
    if unknown.any():
        raise ValueError(
            f"column {column!r} is {labels.iloc[unknown.argmax()]!r} in {_first_row(predictions, unknown)},"
            f" which is not one of the classes {classes}; correct it or add its probability column"
        )
    return codes


def class_probabilities(predictions: pd.DataFrame) -> np.ndarray:
    """(N, K) float64 in [0, 1]: rows that sum to 1 within the tolerance, made to sum to 1 exactly."""
    columns = [PROBABILITY_PREFIX + name for name in class_names(predictions)]
    for column in columns:
        values = checked_column(predictions, column)
        if not pd.api.types.is_numeric_dtype(values):
            raise ValueError(f"column {column!r} has type {values.dtype}, not a number; convert it to float")
        outside = ~values.between(0, 1).to_numpy()
        if outside.any():
            raise ValueError(
                f"column {column!r} is {values.iloc[outside.argmax()]} in {_first_row(predictions, outside)};"
                " a probability lies between 0 and 1, so apply the softmax first"
            )
    probabilities = predictions[columns].to_numpy(dtype=float)
    totals = probabilities.sum(axis=1)
    wrong = np.abs(totals - 1) > PROBABILITY_TOLERANCE
    if wrong.any():
        raise ValueError(
            f"the {PROBABILITY_PREFIX}<class> columns sum to {totals[wrong.argmax()]:.6g} in"
            f" {_first_row(predictions, wrong)}, not to 1; apply the softmax over all classes"
        )
    return probabilities / totals[:, None]


def row_weights(predictions: pd.DataFrame, weights: ArrayLike | None) -> np.ndarray:
    """(N,) float: the weight of each row, by position; 1 for every row when there are none."""
    if weights is None:
        return np.ones(len(predictions))
    values = np.asarray(weights, dtype=float)
    if values.shape != (len(predictions),):
        raise ValueError(f"weights has shape {values.shape}; give one for each of {len(predictions)} rows")
    wrong = ~(np.isfinite(values) & (values >= 0))
    if wrong.any():
        row = _first_row(predictions, wrong)
        raise ValueError(f"weights is {values[wrong.argmax()]} in {row}; give finite numbers >= 0")
    if not values.any():
        raise ValueError("weights are all 0; give at least one row a positive weight")
    return values


def _first_row(predictions: pd.DataFrame, marked: np.ndarray) -> str:
    return f"row {predictions.index[marked.argmax()]}"


# Scores.


def divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """The quotient, and NaN (undefined: neither 0 nor 1) where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator != 0)


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """The mean over the last axis without its NaN; NaN where nothing is defined."""
    return divide(np.nansum(values, axis=-1), (~np.isnan(values)).sum(axis=-1))


def scores_from_counts(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Accuracy, balanced accuracy and macro-F1 of confusion tables, over any leading axes.

    `counts` is (..., K, K): (summed weights of) rows by true class, then predicted class.
    With TP_c, T_c (true c) and P_c (predicted c):

    - accuracy: sum_c TP_c / N.
    - balanced_accuracy: the mean over c of the recall TP_c / T_c. A class without true rows is left out.
    - macro_f1: the mean over c of F1_c = 2 TP_c / (T_c + P_c). A class with neither true nor predicted
      rows is left out; one that is predicted but never true, or true but never predicted, counts as 0.

    Range [0, 1], ideal 1; NaN for a table without rows. The same as scikit-learn's `accuracy_score`,
    `balanced_accuracy_score` and `f1_score(average="macro", zero_division=nan)`, but for many tables
    (groups, resamples) at once and without their warnings about absent classes.
    """
    correct = np.diagonal(counts, axis1=-2, axis2=-1)
    true, predicted = counts.sum(axis=-1), counts.sum(axis=-2)
    return {
        "accuracy": divide(correct.sum(axis=-1), true.sum(axis=-1)),
        "balanced_accuracy": mean_of_defined(divide(correct, true)),
        "macro_f1": mean_of_defined(divide(2 * correct, true + predicted)),
    }


def chance_scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """The scores of `scores_from_counts` that are expected of the same predictions in random order.

    counts (..., K, K). Shuffled predictions keep how often each class is predicted; every image is equally likely to
    get each, so the expected counts are true_k predicted_l / rows. The denominators of all scores stay what they are,
    so that scores of expected counts are expected scores, exactly. They are what Cohen's kappa (1960) calls chance.
    """
    true, predicted = counts.sum(axis=-1, keepdims=True), counts.sum(axis=-2, keepdims=True)
    return scores_from_counts(divide(true * predicted, true.sum(axis=-2, keepdims=True)))


def performance(predictions: pd.DataFrame, weights: ArrayLike | None = None) -> dict[str, float]:
    """The performance of a predictions table, each row counted with its weight (default 1).

    - accuracy, balanced_accuracy, macro_f1: see `scores_from_counts`. Higher is better.
    - log_loss: the mean of -ln p(true class), natural logarithm, p clipped at machine precision.
      Range [0, 36.04], ideal 0.
    - brier_score: the mean of sum_c (1[y = c] - p_c)^2, for two classes too (Brier 1950, not the halved
      binary form). Range [0, 2], ideal 0.
    - calibration_error: see `calibration_error`. Range [0, 1], ideal 0.
    """
    return performance_of_codes(
        label_codes(predictions, "y_true"),
        label_codes(predictions, "y_pred"),
        class_probabilities(predictions),
        row_weights(predictions, weights),
    )


def performance_of_codes(
    true: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray, weights: np.ndarray
) -> dict[str, float]:
    """As `performance`, of N rows in codes: true, predicted (N,) int; probabilities (N, K) float, whose rows sum to 1;
    weights (N,) float."""
    from sklearn.metrics import brier_score_loss, log_loss  # which is slow to load

    classes = np.arange(probabilities.shape[1])
    scores = scores_from_counts(_confusion(true, predicted, len(classes), weights))
    bins = _reliability(true, predicted, probabilities, weights, CALIBRATION_BINS)
    return {
        **{name: float(value) for name, value in scores.items()},
        "log_loss": float(log_loss(true, probabilities, sample_weight=weights, labels=classes)),
        "brier_score": float(
            brier_score_loss(true, probabilities, sample_weight=weights, labels=classes, scale_by_half=False)
        ),
        "calibration_error": _expected_error(bins),
    }


def predicts_one_class(predictions: pd.DataFrame) -> bool:
    """Whether every row has the same `y_pred`: the model is degenerate, and does not look at what it is shown.

    Demographic parity and equal opportunity differences of such a table are 0 whatever the data are: they say nothing
    of fairness. True for a table of one row. Raises ValueError without a column `y_pred`, without rows, and where a
    row has no prediction.
    """
    return checked_column(predictions, "y_pred").nunique() == 1


# Tables.


def confusion_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """K x K numbers of rows: true class (index) by predicted class (columns), in class order."""
    classes = class_names(predictions)
    true, predicted = (label_codes(predictions, column) for column in ("y_true", "y_pred"))
    return pd.DataFrame(
        _confusion(true, predicted, len(classes)),
        index=pd.Index(classes, name="y_true"),
        columns=pd.Index(classes, name="y_pred"),
    )


def classification_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Precision TP/P, recall TP/T, F1 = 2TP/(T+P) and support T of each class (one-vs-rest).

    The rows `macro_average` (plain mean) and `weighted_average` (weighted by support) follow the classes
    and leave undefined values (NaN: a denominator of 0) out. Range [0, 1], ideal 1. It is scikit-learn's
    `classification_report` with `zero_division=nan`.
    """
    from sklearn.metrics import classification_report

    classes = class_names(predictions)
    # Numbered names: a class may itself be called "accuracy" or "macro avg".
    numbers = [str(number) for number in range(len(classes))]
    report = classification_report(
        label_codes(predictions, "y_true"),
        label_codes(predictions, "y_pred"),
        labels=range(len(classes)),
        target_names=numbers,
        output_dict=True,
        zero_division=np.nan,
    )
    table = pd.DataFrame.from_dict(
        {name: report[name] for name in [*numbers, "macro avg", "weighted avg"]}, orient="index"
    )
    table.index = pd.Index([*classes, "macro_average", "weighted_average"], name="class")
    return table.rename(columns={"f1-score": "f1"}).astype({"support": int})


def reliability_table(
    predictions: pd.DataFrame, bins: int = CALIBRATION_BINS, weights: ArrayLike | None = None
) -> pd.DataFrame:
    """Confidence against accuracy in equal-mass bins: the numbers of a reliability diagram.

    The confidence of a row is the probability of its predicted class (`y_pred`, the top label). Rows are
    sorted by confidence and cut into at most `bins` bins of equal mass (never more bins than rows). Rows
    of equal confidence (to six decimals) share the bin in which the middle of their mass lies, so the
    order of the rows never matters, and many ties leave fewer bins.

    Columns: bin (from 0, by rising confidence), count (rows), share (of the mass; they sum to 1),
    mean_confidence and accuracy (both weighted). Rows of weight 0 are left out.
    """
    if bins < 1:
        raise ValueError(f"bins is {bins}; give at least 1")
    weights = row_weights(predictions, weights)
    true, predicted = (label_codes(predictions, column) for column in ("y_true", "y_pred"))
    return pd.DataFrame(_reliability(true, predicted, class_probabilities(predictions), weights, bins))


def _reliability(
    true: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray, weights: np.ndarray, bins: int
) -> dict[str, np.ndarray]:
    """The columns of `reliability_table` by name."""
    correct = predicted == true
    confidence = np.take_along_axis(probabilities, predicted[:, None], axis=1)[:, 0]

    # A full sort, so that every sum below is taken in an order that the order of the rows cannot change.
    order = np.lexsort((correct, weights, confidence))
    order = order[weights[order] > 0]
    weights, correct, confidence = weights[order], correct[order], confidence[order]

    _, tie = np.unique(confidence.round(CONFIDENCE_DECIMALS), return_inverse=True)
    mass = np.bincount(tie, weights)
    middle = mass.cumsum() - mass / 2
    position = middle * min(bins, len(order)) / mass.sum()
    _, bin_of_row = np.unique(np.floor(position)[tie], return_inverse=True)
    bin_mass = np.bincount(bin_of_row, weights)
    return {
        "bin": np.arange(len(bin_mass)),
        "count": np.bincount(bin_of_row),
        "share": bin_mass / bin_mass.sum(),
        "mean_confidence": np.bincount(bin_of_row, weights * confidence) / bin_mass,
        "accuracy": np.bincount(bin_of_row, weights * correct) / bin_mass,
    }


def calibration_error(
    predictions: pd.DataFrame, bins: int = CALIBRATION_BINS, weights: ArrayLike | None = None
) -> float:
    """Top-label expected calibration error in equal-mass bins.

    ECE = sum_b share_b |accuracy_b - mean_confidence_b| over the bins b of `reliability_table`.
    Range [0, 1], ideal 0. It is biased upward in small samples (each bin is noisy), so compare it only
    between tables of the same size. Naeini, Cooper, Hauskrecht 2015 (the error); Nguyen, O'Connor 2015,
    arXiv:1508.05154 (bins of equal mass).
    """
    table = reliability_table(predictions, bins, weights)
    return _expected_error({name: column.to_numpy() for name, column in table.items()})


def _expected_error(bins: dict[str, np.ndarray]) -> float:
    return float((bins["share"] * np.abs(bins["accuracy"] - bins["mean_confidence"])).sum())


def _confusion(true: np.ndarray, predicted: np.ndarray, classes: int, weights: np.ndarray | None = None) -> np.ndarray:
    """(K, K) numbers of rows, or their summed weights, by true and predicted class."""
    return np.bincount(true * classes + predicted, weights, minlength=classes**2).reshape(classes, classes)
