"""How even predictions are between groups: rates by group, and the gaps derived from them.

The table comes first: for each group g and class c, taken one-vs-rest (c against all other classes), a
rate with its numerator and denominator. Every gap is a number derived from that table. A rate whose
denominator is 0 is undefined: it is NaN, never 0 and never 1; it is left out of a gap and counted.
Gaps are biased upward in small groups, so cells with little evidence are kept and marked.

The definitions, for class c and group g, each row counted with its weight:

    selection rate       SR(g, c)  = P(Yhat = c | G = g)
    true positive rate   TPR(g, c) = P(Yhat = c | Y = c, G = g)
    false positive rate  FPR(g, c) = P(Yhat = c | Y != c, G = g)

    demographic parity   compares SR over the groups
    equal opportunity    compares TPR over the groups
    equalized odds       compares TPR and FPR over the groups, and takes the worse of the two

    ..._difference of c  = max_g rate - min_g rate;  range [0, 1], ideal 0, lower is better
    ..._ratio of c       = min_g rate / max_g rate;  range [0, 1], ideal 1, higher is better

The names are those of fairlearn.metrics, which is binary; the one-vs-rest layer is ours. References:
Hardt, Price, Srebro 2016, arXiv:1610.02413 (equal opportunity, equalized odds); Agarwal, Beygelzimer,
Dudik, Langford, Wallach 2018, arXiv:1803.02453 (demographic parity and equalized odds as gaps over
groups); fairlearn's user guide, "Common fairness metrics", on multi-class labels taken one-vs-rest.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairprof.metrics.performance import (
    checked_column,
    class_names,
    divide,
    label_codes,
    mean_of_defined,
    row_weights,
    scores_from_counts,
)

ATTRIBUTES = ("gender", "race", "gender_x_race")
MIN_SUPPORT = 30
SEVERAL = re.compile(r'^"|(^|\s)x\s|\sx$')  # groups in one name, or what is quoted
SCORES = ("accuracy", "balanced_accuracy", "macro_f1")
# in place of a class, which cannot be called so
MAX_OVER_CLASSES, MIN_OVER_CLASSES, MEAN_OVER_CLASSES = "max_over_classes", "min_over_classes", "mean_over_classes"
OVER_CLASSES = (MAX_OVER_CLASSES, MIN_OVER_CLASSES, MEAN_OVER_CLASSES)

SUFFICIENT = "sufficient"
INSUFFICIENT = "insufficient_evidence"
UNDEFINED = "undefined"


# Groups and counts.


def group_labels(predictions: pd.DataFrame, attribute: str) -> pd.Series:
    """The group of each row: a categorical whose categories are the groups that occur, in their order.

    The order is that of the column's categories where it is categorical, otherwise sorted. The groups of
    `gender_x_race` are named "Female x Black" and ordered by gender, then race, unless there is a column of that name.
    """
    if attribute == "gender_x_race" and attribute not in predictions:
        return intersection([group_labels(predictions, name) for name in ("gender", "race")])
    labels = checked_column(predictions, attribute).astype("category")
    occurs = np.bincount(labels.cat.codes, minlength=len(labels.cat.categories)) > 0
    if occurs.all() and labels.cat.categories.dtype == "str":
        return labels
    return labels.cat.remove_unused_categories().cat.rename_categories(str)


def in_categories(predictions: pd.DataFrame) -> pd.DataFrame:
    """The same table with labels and groups, `gender_x_race` too, as categories: coded once for all that follows."""
    classes = class_names(predictions)
    labels = {
        column: pd.Categorical.from_codes(label_codes(predictions, column), classes) for column in ("y_true", "y_pred")
    }
    return predictions.assign(**labels, **{name: group_labels(predictions, name) for name in ATTRIBUTES})


def intersection(labels: Sequence[pd.Series]) -> pd.Series:
    """The intersection of attributes: a categorical of the combinations that occur, named and ordered as in
    `group_labels`. labels: categorical columns of the same rows, at least one."""
    categories = [list(column.cat.categories) for column in labels]
    names = [joint_name(groups) for groups in itertools.product(*categories)]
    codes = np.ravel_multi_index([column.cat.codes for column in labels], [len(groups) for groups in categories])
    combined = pd.Series(pd.Categorical.from_codes(codes, names), labels[0].index)
    return combined.rename("_x_".join(str(column.name) for column in labels)).cat.remove_unused_categories()


def joint_name(groups: Iterable[str]) -> str:
    """The name of an intersection: "Female x Black". No two have the same: what could be taken for several groups is
    quoted, as in '"Black x White" x Female'."""
    return " x ".join(
        json.dumps(name, ensure_ascii=False) if SEVERAL.search(name) else name for name in map(str, groups)
    )


def count_codes(
    group: np.ndarray,
    true: np.ndarray,
    predicted: np.ndarray,
    group_count: int,
    class_count: int,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """(..., G, K, K) float: summed weights by group, true class and predicted class.

    The codes and weights are (..., N) and broadcast against each other, so that one call counts many
    permutations or resamples of the same rows: permuted `group` (B, N) with `true` (N,) gives (B, G, K, K).
    """
    cells = (np.asarray(group, dtype=np.int64) * class_count + true) * class_count + predicted
    weights = np.ones(()) if weights is None else weights
    shape = np.broadcast_shapes(cells.shape, weights.shape)
    table_size = group_count * class_count**2
    cells = np.broadcast_to(cells, shape).reshape(-1, shape[-1])
    weights = np.broadcast_to(weights, shape).reshape(cells.shape)
    # Each leading index counts into a range of its own, so that one bincount serves all.
    offsets = np.arange(len(cells))[:, None] * table_size
    counts = np.bincount((cells + offsets).ravel(), weights.ravel(), minlength=len(cells) * table_size)
    return counts.reshape(*shape[:-1], group_count, class_count, class_count)


def count_table(
    predictions: pd.DataFrame, attribute: str, weights: ArrayLike | None = None
) -> tuple[np.ndarray, list[str]]:
    """(G, K, K) float summed weights of rows by group, true and predicted class, and the group names."""
    labels = group_labels(predictions, attribute)
    groups = list(labels.cat.categories)
    counts = count_codes(
        labels.cat.codes.to_numpy(),
        label_codes(predictions, "y_true"),
        label_codes(predictions, "y_pred"),
        len(groups),
        len(class_names(predictions)),
        row_weights(predictions, weights),
    )
    return counts, groups


# Rates by group.


def fractions(counts: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Numerator and denominator, each (..., G, K), of every one-vs-rest rate of (..., G, K, K) counts.

    | rate | numerator: rows of g that are ... | denominator: rows of g that are ... |
    |---|---|---|
    | selection_rate | predicted c | any |
    | true_positive_rate | truly c and predicted c | truly c |
    | false_positive_rate | not truly c and predicted c | not truly c |
    """
    true, predicted = counts.sum(axis=-1), counts.sum(axis=-2)
    true_positives = np.diagonal(counts, axis1=-2, axis2=-1)
    # Sums over the other classes, not differences: with weights, a difference can be 1e-17 instead of 0.
    other = ~np.eye(counts.shape[-1], dtype=bool)
    rows = np.broadcast_to(true.sum(axis=-1, keepdims=True), true.shape)
    return {
        "selection_rate": (predicted, rows),
        "true_positive_rate": (true_positives, true),
        "false_positive_rate": ((counts * other).sum(axis=-2), true @ other),
    }


def rates(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Selection, true positive and false positive rate (..., G, K) of counts (..., G, K, K).

    SR = P(Yhat = c | g), TPR = P(Yhat = c | Y = c, g), FPR = P(Yhat = c | Y != c, g), each class against
    the rest. Range [0, 1]; the ideal is that they are equal over groups; NaN where the denominator is 0.
    Hardt, Price, Srebro 2016, arXiv:1610.02413.
    """
    return {rate: divide(*fraction) for rate, fraction in fractions(counts).items()}


def rates_by_group(
    predictions: pd.DataFrame,
    min_support: int = MIN_SUPPORT,
    weights: ArrayLike | None = None,
    attributes: Iterable[str] = ATTRIBUTES,
) -> pd.DataFrame:
    """Every rate of `rates`, a row per attribute, rate, group and class, with what it rests on.

    Columns: attribute, group, class, rate, value, numerator and denominator (summed weights), support
    (the denominator in rows, whatever the weights) and evidence: "undefined" where the denominator is 0,
    "insufficient_evidence" where the support is under `min_support`, otherwise "sufficient".
    """
    classes = class_names(predictions)
    columns: dict[str, list[np.ndarray]] = {}
    for attribute in attributes:
        rows, groups = count_table(predictions, attribute)
        counts = rows if weights is None else count_table(predictions, attribute, weights)[0]
        supports = fractions(rows)
        for rate, (numerator, denominator) in fractions(counts).items():
            value, support = divide(numerator, denominator), supports[rate][1].astype(int)
            of_rate = {
                "attribute": np.repeat(attribute, value.size),
                "group": np.repeat(groups, len(classes)),
                "class": np.tile(classes, len(groups)),
                "rate": np.repeat(rate, value.size),
                "value": value.ravel(),
                "numerator": numerator.ravel(),
                "denominator": denominator.ravel(),
                "support": support.ravel(),
                "evidence": _evidence(value, support, min_support).ravel(),
            }
            for name, column in of_rate.items():
                columns.setdefault(name, []).append(column)
    return pd.DataFrame({name: np.concatenate(parts) for name, parts in columns.items()})


def _evidence(value: np.ndarray, support: np.ndarray, min_support: int) -> np.ndarray:
    return np.where(np.isnan(value), UNDEFINED, np.where(support < min_support, INSUFFICIENT, SUFFICIENT))


# Gaps between groups.


def extremes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest defined value (..., K) over the groups of (..., G, K).

    NaN cells are left out; both are NaN where fewer than two groups are defined: nothing to compare.
    """
    groups_first = np.ascontiguousarray(np.moveaxis(values, -2, 0))  # along a short inner axis NumPy takes far longer
    comparable = (~np.isnan(groups_first)).sum(axis=0) >= 2
    lowest, highest = np.fmin.reduce(groups_first), np.fmax.reduce(groups_first)
    return np.where(comparable, lowest, np.nan), np.where(comparable, highest, np.nan)


def difference(values: np.ndarray) -> np.ndarray:
    """max_g - min_g of rates (..., G, K), giving (..., K). Range [0, 1], ideal 0."""
    lowest, highest = extremes(values)
    return highest - lowest


def ratio(values: np.ndarray) -> np.ndarray:
    """min_g / max_g of rates (..., G, K), giving (..., K). Range [0, 1], ideal 1; 0/0 is NaN."""
    return divide(*extremes(values))


def demographic_parity_difference(rates: dict[str, np.ndarray]) -> np.ndarray:
    """max_g P(Yhat = c | g) - min_g P(Yhat = c | g), for each class c against the rest.

    Takes the (..., G, K) arrays of `rates`, gives (..., K); `gaps` adds the maximum and the mean over
    classes. Range [0, 1], ideal 0, lower is better; NaN with fewer than two defined groups. It depends
    on the class mix of each group: see `balanced_weights`. Agarwal et al. 2018, arXiv:1803.02453.
    """
    return difference(rates["selection_rate"])


def demographic_parity_ratio(rates: dict[str, np.ndarray]) -> np.ndarray:
    """min_g P(Yhat = c | g) / max_g P(Yhat = c | g), for each class c against the rest.

    Takes the (..., G, K) arrays of `rates`, gives (..., K); `gaps` adds the minimum and the mean over
    classes. Range [0, 1], ideal 1, higher is better; NaN with fewer than two defined groups and for a
    class that is never predicted (0/0). Agarwal et al. 2018, arXiv:1803.02453; fairlearn's user guide.
    """
    return ratio(rates["selection_rate"])


def equal_opportunity_difference(rates: dict[str, np.ndarray]) -> np.ndarray:
    """max_g P(Yhat = c | Y = c, g) - min_g P(Yhat = c | Y = c, g), for each class c against the rest.

    Takes the (..., G, K) arrays of `rates`, gives (..., K); `gaps` adds the maximum and the mean over
    classes. Range [0, 1], ideal 0, lower is better; groups without positives of c are left out, NaN with
    fewer than two others. Hardt, Price, Srebro 2016, arXiv:1610.02413.
    """
    return difference(rates["true_positive_rate"])


def equal_opportunity_ratio(rates: dict[str, np.ndarray]) -> np.ndarray:
    """min_g P(Yhat = c | Y = c, g) / max_g P(Yhat = c | Y = c, g), for each class c against the rest.

    Takes the (..., G, K) arrays of `rates`, gives (..., K); `gaps` adds the minimum and the mean over
    classes. Range [0, 1], ideal 1, higher is better; groups without positives of c are left out, NaN
    with fewer than two others and for a class that is never predicted rightly (0/0). Hardt, Price, Srebro
    2016, arXiv:1610.02413; fairlearn's user guide.
    """
    return ratio(rates["true_positive_rate"])


def equalized_odds_difference(rates: dict[str, np.ndarray]) -> np.ndarray:
    """The larger of the differences of TPR and FPR over groups, for each class c against the rest.

    TPR = P(Yhat = c | Y = c, g), FPR = P(Yhat = c | Y != c, g). Takes the (..., G, K) arrays of `rates`,
    gives (..., K); `gaps` adds the maximum and the mean over classes. Range [0, 1], ideal 0, lower is
    better; NaN where either difference is NaN, because the worse of two is unknown when one is unknown.
    Hardt, Price, Srebro 2016, arXiv:1610.02413; the worse of the two as in fairlearn and Agarwal et al.
    2018, arXiv:1803.02453.
    """
    return np.maximum(difference(rates["true_positive_rate"]), difference(rates["false_positive_rate"]))


def equalized_odds_ratio(rates: dict[str, np.ndarray]) -> np.ndarray:
    """The smaller of the ratios of TPR and FPR over groups, for each class c against the rest.

    TPR = P(Yhat = c | Y = c, g), FPR = P(Yhat = c | Y != c, g). Takes the (..., G, K) arrays of `rates`,
    gives (..., K); `gaps` adds the minimum and the mean over classes. Range [0, 1], ideal 1, higher is
    better; NaN where either ratio is NaN (fewer than two defined groups, or 0/0). Hardt, Price, Srebro
    2016, arXiv:1610.02413; the worse of the two as in fairlearn.
    """
    return np.minimum(ratio(rates["true_positive_rate"]), ratio(rates["false_positive_rate"]))


class GapMetric(NamedTuple):
    """A gap between groups: its function, the kind of gap it is, and the rates it compares."""

    of_rates: Callable[[dict[str, np.ndarray]], np.ndarray]
    kind: Callable[[np.ndarray], np.ndarray]  # difference or ratio
    compared: tuple[str, ...]

    @property
    def worst_over_classes(self) -> str:
        return MAX_OVER_CLASSES if self.kind is difference else MIN_OVER_CLASSES


GAP_METRICS = {
    metric.of_rates.__name__: metric
    for metric in (
        GapMetric(demographic_parity_difference, difference, ("selection_rate",)),
        GapMetric(demographic_parity_ratio, ratio, ("selection_rate",)),
        GapMetric(equal_opportunity_difference, difference, ("true_positive_rate",)),
        GapMetric(equal_opportunity_ratio, ratio, ("true_positive_rate",)),
        GapMetric(equalized_odds_difference, difference, ("true_positive_rate", "false_positive_rate")),
        GapMetric(equalized_odds_ratio, ratio, ("true_positive_rate", "false_positive_rate")),
    )
}
PARITY_DIFFERENCES = ("demographic_parity_difference", "equal_opportunity_difference")  # the main ones of these
DIFFERENCES = tuple(name for name, metric in GAP_METRICS.items() if metric.kind is difference)
RATIOS = tuple(name for name, metric in GAP_METRICS.items() if metric.kind is ratio)


def gaps(by_group: pd.DataFrame) -> pd.DataFrame:
    """Every gap of `GAP_METRICS`, for each attribute, derived from the table of `rates_by_group`.

    A row per attribute, metric and class, then two over the classes whose gap is defined: the worst
    ("max_over_classes" of a difference, "min_over_classes" of a ratio) and "mean_over_classes".

    Columns: attribute, metric, class, value, highest_group and lowest_group (the groups between which the
    gap lies, the first of equals; for equalized odds those of the rate that decides; of the worst class
    for the worst; missing for a mean and where the value is NaN), undefined_cells and insufficient_cells
    (group x class x rate cells of that row: left out, and kept in spite of little support).
    """
    records = []
    for attribute, table in by_group.groupby("attribute", sort=False):
        cells = _cells(table)
        for name, metric in GAP_METRICS.items():
            rows = _gaps_of_classes(metric, cells)
            for row in [*rows, _worst_over_classes(metric, rows), _mean_over_classes(rows)]:
                records.append({"attribute": attribute, "metric": name, **row})
    return pd.DataFrame(records).astype({"highest_group": "str", "lowest_group": "str"})


class _Cells(NamedTuple):
    """The by-group table of one attribute as one (G, K) array for each rate."""

    groups: pd.Index
    classes: pd.Index
    values: dict[str, np.ndarray]
    insufficient: dict[str, np.ndarray]


def _cells(table: pd.DataFrame) -> _Cells:
    group_of_row, groups = pd.factorize(table["group"])
    class_of_row, classes = pd.factorize(table["class"])
    rate_of_row, names = pd.factorize(table["rate"])
    values = np.full((len(names), len(groups), len(classes)), np.nan)
    values[rate_of_row, group_of_row, class_of_row] = table["value"]
    insufficient = np.zeros(values.shape, dtype=bool)
    insufficient[rate_of_row, group_of_row, class_of_row] = table["evidence"] == INSUFFICIENT
    return _Cells(groups, classes, dict(zip(names, values, strict=True)), dict(zip(names, insufficient, strict=True)))


def _gaps_of_classes(metric: GapMetric, cells: _Cells) -> list[dict]:
    gap = metric.of_rates(cells.values)
    gap_of_rate = {rate: metric.kind(cells.values[rate]) for rate in metric.compared}
    rows = []
    for c, name in enumerate(cells.classes):
        values = {rate: cells.values[rate][:, c] for rate in metric.compared}
        # The rate that decides; none does where the gap is NaN, which equals nothing.
        deciding = [values[rate] for rate in metric.compared if gap_of_rate[rate][c] == gap[c]]
        rows.append(
            {
                "class": name,
                "value": gap[c],
                "highest_group": cells.groups[np.nanargmax(deciding[0])] if deciding else None,
                "lowest_group": cells.groups[np.nanargmin(deciding[0])] if deciding else None,
                "undefined_cells": sum(int(np.isnan(value).sum()) for value in values.values()),
                "insufficient_cells": sum(int(cells.insufficient[rate][:, c].sum()) for rate in values),
            }
        )
    return rows


def _mean_over_classes(rows: list[dict]) -> dict:
    return {
        "class": MEAN_OVER_CLASSES,
        "value": float(mean_of_defined(np.array([row["value"] for row in rows]))),
        "highest_group": None,
        "lowest_group": None,
        "undefined_cells": sum(row["undefined_cells"] for row in rows),
        "insufficient_cells": sum(row["insufficient_cells"] for row in rows),
    }


def _worst_over_classes(metric: GapMetric, rows: list[dict]) -> dict:
    """As the mean, which is NaN too where no class has a gap, but with the value and groups of the worst."""
    worst = _mean_over_classes(rows) | {"class": metric.worst_over_classes}
    defined = [row for row in rows if not np.isnan(row["value"])]
    if not defined:
        return worst
    choose = max if metric.kind is difference else min
    found = choose(defined, key=lambda row: row["value"])
    return worst | {name: found[name] for name in ("value", "highest_group", "lowest_group")}


# The balanced view of the same rows.


def _balance_cells(predictions: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The gender x race x y_true cell of each row, and the number of rows of every cell."""
    gender, race = group_labels(predictions, "gender"), group_labels(predictions, "race")
    shape = (len(gender.cat.categories), len(race.cat.categories), len(class_names(predictions)))
    cell = np.ravel_multi_index((gender.cat.codes, race.cat.codes, label_codes(predictions, "y_true")), shape)
    return cell, np.bincount(cell, minlength=np.prod(shape))


def balanced_weights(predictions: pd.DataFrame) -> pd.Series:
    """Weights under which every gender x race x y_true cell that occurs weighs the same.

    w_i = N / (number of cells that occur x rows in the cell of row i), so they sum to the N rows. A cell
    without rows cannot be weighted: `empty_cells` counts those, and with any the view is balanced only
    over the others.
    """
    cell, sizes = _balance_cells(predictions)
    weights = len(predictions) / (np.count_nonzero(sizes) * sizes[cell])
    return pd.Series(weights, index=predictions.index, name="balanced_weight")


def empty_cells(predictions: pd.DataFrame) -> int:
    """The number of cells without rows among all occurring genders x occurring races x classes."""
    return int((_balance_cells(predictions)[1] == 0).sum())


# The worst group.


def performance_by_group(
    predictions: pd.DataFrame, min_support: int = MIN_SUPPORT, attributes: Iterable[str] = ATTRIBUTES
) -> pd.DataFrame:
    """Accuracy, balanced accuracy and macro-F1 of each group's own rows, as in `scores_from_counts`.

    Columns: attribute, group, support (rows), the three scores, and evidence: "insufficient_evidence"
    where the support is under `min_support`. A class that a group lacks is left out of that group's
    means, so the scores of two groups may be means over different classes.
    """
    tables = []
    for attribute in attributes:
        counts, groups = count_table(predictions, attribute)
        scores = scores_from_counts(counts)
        support = counts.sum(axis=(-2, -1)).astype(int)
        evidence = _evidence(scores["accuracy"], support, min_support)
        table = {"attribute": attribute, "group": groups, "support": support, **scores, "evidence": evidence}
        tables.append(pd.DataFrame(table))
    return pd.concat(tables, ignore_index=True)


def worst_group(predictions: pd.DataFrame, attribute: str, min_support: int = MIN_SUPPORT) -> pd.DataFrame:
    """min over g of accuracy, balanced accuracy and macro-F1: range [0, 1], higher is better.

    A row per score: metric ("worst_group_accuracy", ...), value, group (the first of equals), support and
    evidence. A group under `min_support` may be the worst one, and is marked then. It is the worst-group
    criterion of Sagawa, Koh, Hashimoto, Liang 2020, arXiv:1911.08731.
    """
    return _worst_groups(performance_by_group(predictions, min_support, [attribute]))


def _worst_groups(by_group: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for score in SCORES:
        worst = by_group.loc[by_group[score].idxmin()]
        rows.append(
            {
                "metric": f"worst_group_{score}",
                "value": worst[score],
                "group": worst["group"],
                "support": worst["support"],
                "evidence": worst["evidence"],
            }
        )
    return pd.DataFrame(rows)


# The numbers to log.


def summary(predictions: pd.DataFrame, min_support: int = MIN_SUPPORT) -> dict[str, float]:
    """The headline numbers by the name they are logged under, always in the same order.

    For each attribute a of `ATTRIBUTES`:

    - `demographic_parity_difference/{a}`, `equal_opportunity_difference/{a}` and
      `equalized_odds_difference/{a}`: the maximum over classes; `..._difference_mean/{a}`: the mean.
    - `demographic_parity_ratio/{a}`, `equal_opportunity_ratio/{a}`, `equalized_odds_ratio/{a}`: the
      minimum over classes.
    - `worst_group_accuracy/{a}`, `worst_group_balanced_accuracy/{a}`, `worst_group_macro_f1/{a}`.
    - `undefined_cells/{a}`, `insufficient_cells/{a}`: of the by-group table of a, over all three rates.

    Then `balanced_view/...`, the same predictions under `balanced_weights`: accuracy, macro_f1, the three
    differences by attribute (maximum over classes) and the number of `empty_cells` (gender x race x
    y_true without rows, which no weight can balance). What is undefined is NaN.
    """
    weights = balanced_weights(predictions)
    natural, balanced = (
        {name: count_table(predictions, name, weight)[0] for name in ATTRIBUTES} for weight in (None, weights)
    )
    return summary_of_counts(natural, balanced, empty_cells(predictions), min_support)


def summary_of_counts(
    natural: dict[str, np.ndarray], balanced: dict[str, np.ndarray], empty_cells: int, min_support: int
) -> dict[str, float]:
    """The numbers of `summary` from counts (G, K, K) of every attribute, of rows and under `balanced_weights`."""
    numbers: dict[str, float] = {}
    for a in ATTRIBUTES:
        of_groups = fractions(natural[a])
        found = {rate: divide(*fraction) for rate, fraction in of_groups.items()}
        for name in DIFFERENCES:
            numbers[f"{name}/{a}"], numbers[f"{name}_mean/{a}"] = _over_classes(GAP_METRICS[name], found)
        for name in RATIOS:
            numbers[f"{name}/{a}"] = _over_classes(GAP_METRICS[name], found)[0]
        for score, values in scores_from_counts(natural[a]).items():
            numbers[f"worst_group_{score}/{a}"] = np.fmin.reduce(values)
        supports = np.stack([support for _, support in of_groups.values()])
        evidence = _evidence(np.stack(list(found.values())), supports, min_support)
        numbers[f"undefined_cells/{a}"] = (evidence == UNDEFINED).sum()
        numbers[f"insufficient_cells/{a}"] = (evidence == INSUFFICIENT).sum()
    # The sum over the groups of an attribute is the confusion table of all rows.
    scores = scores_from_counts(balanced["gender"].sum(axis=0))
    numbers |= {f"balanced_view/{name}": float(scores[name]) for name in ("accuracy", "macro_f1")}
    for a in ATTRIBUTES:
        found = rates(balanced[a])
        numbers |= {f"balanced_view/{name}/{a}": _over_classes(GAP_METRICS[name], found)[0] for name in DIFFERENCES}
    return {name: float(value) for name, value in numbers.items()} | {"balanced_view/empty_cells": float(empty_cells)}


def _over_classes(metric: GapMetric, rates: dict[str, np.ndarray]) -> tuple[float, float]:
    """The worst and the mean gap of rates (G, K), over the classes that have one; NaN where none has."""
    gap = metric.of_rates(rates)
    worst = np.fmax if metric.kind is difference else np.fmin
    return float(worst.reduce(gap)), float(mean_of_defined(gap))
