"""What an audit says: a sentence for each gap of the confirmatory family, by its verdict, and what it rests on."""

from collections.abc import Mapping

import pandas as pd

from fairprof.inference.levels import ALPHA
from fairprof.inference.multiplicity import CONFIRMATORY, EXPLORATORY
from fairprof.inference.verdicts import EQUIVALENT, ESTABLISHED, NOT_ESTABLISHED
from fairprof.metrics.calibration import ALL, ERROR
from fairprof.metrics.fairness import GAP_METRICS, MAX_OVER_CLASSES, MEAN_OVER_CLASSES, PARITY_DIFFERENCES, UNDEFINED
from fairprof.metrics.performance import predicts_one_class
from fairprof.reporting.differences import rows_of
from fairprof.reporting.names import SCORE_NAMES, VERDICT_NAMES, gap_name, name_of
from fairprof.reporting.who import who_differs
from fairprof.reporting.wording import counted, enumerated, estimate, number, p_value, short

ORDER = (ESTABLISHED, NOT_ESTABLISHED, EQUIVALENT, UNDEFINED)


def answer(found: Mapping[str, pd.DataFrame], table: pd.DataFrame, min_support: int) -> tuple[str, ...]:
    """The sentences of an audit's tables, the answer first; table: the predictions behind them."""
    confirmatory = found["gaps"][found["gaps"]["family"].eq(CONFIRMATORY)]
    scores = _scores(found["scores"], len(table))
    if predicts_one_class(table):
        return _degenerate(table), scores
    judged = [
        _gap(row, found, len(table))
        for verdict in ORDER
        for row in rows_of(confirmatory[confirmatory["verdict"].eq(verdict)])
    ]
    return tuple(
        sentence
        for sentence in (
            _in_short(confirmatory, len(table)),
            *judged,
            _exploratory(found["gaps"]),
            scores,
            _calibration(found["calibration"], found["calibration_gaps"]),
            _weak_rates(confirmatory, min_support),
            "What is not established is not shown to be fair.",
        )
        if sentence
    )


def _degenerate(table: pd.DataFrame) -> str:
    return (
        f"Every one of {counted(len(table), 'row')} is predicted {table['y_pred'].iloc[0]}: the model does not look at "
        "what it is shown. Its gaps are 0 whatever the data are, which says nothing of fairness: there are no verdicts."
    )


def _in_short(confirmatory: pd.DataFrame, rows: int) -> str:
    established = confirmatory[confirmatory["verdict"].eq(ESTABLISHED)]
    tests = counted(len(confirmatory), "confirmatory gap")
    if established.empty:
        return f"Of {tests} between groups, none is established (n = {rows:,})."
    named = enumerated(gap_name(row.metric, row.attribute) for row in rows_of(established))
    verb = "is" if len(established) == 1 else "are"
    return f"Of {tests} between groups, {len(established)} {verb} established (n = {rows:,}): {named}."


# A sentence for each gap.


def _gap(row, found: Mapping[str, pd.DataFrame], rows: int) -> str:
    name, adjusted = gap_name(row.metric, row.attribute), f"adjusted {p_value(row.p_adjusted)} (Holm)"
    scope = f"n = {rows:,}; scope: {row.scope}, on new images of the same kind"
    if row.verdict == UNDEFINED:
        return f"Undefined: the {name}, as no two groups can be compared; {scope}."
    if row.verdict == EQUIVALENT:
        return (
            f"Equivalent: the {name} is surely below {short(row.delta)} (value {number(row.value)}, upper end "
            f"{number(row.upper)}); {adjusted}; {scope}."
        )
    chance = f"chance alone makes {number(row.null_mean)}, and 95 % of the time at most {number(row.null_q95)}"
    value = f"{number(row.value)}, {_ends(row, found)}, where {chance}"
    if row.verdict == NOT_ESTABLISHED:
        return (
            f"Not established: the {name} is {value}; {adjusted}; it is not shown to be small either (upper end "
            f"{number(row.upper)}); {scope}."
        )
    who = who_differs(found["contrasts"], row.metric, row.attribute)
    below = f" Yet the difference is surely below {short(row.delta)} (upper end {number(row.upper)})."
    return (
        f"Established: {_rate_of(row)}s differ between groups by {name_of(row.attribute)}, {adjusted}"
        f"{f' ({who})' if who else ''}; {scope}. The {name} is {value}.{below if row.below_delta else ''}"
    )


def _ends(row, found: Mapping[str, pd.DataFrame]) -> str:
    """Between which groups the largest difference lies, in which class, on how many rows."""
    gaps, rates = found["gaps"], found["rates"]
    of_gap = gaps[gaps["attribute"].eq(row.attribute) & gaps["metric"].eq(row.metric)]
    of_classes = of_gap[~of_gap["class"].isin([MAX_OVER_CLASSES, MEAN_OVER_CLASSES])]
    largest = of_classes.loc[of_classes["value"].idxmax(), "class"]
    of_class = rates[
        rates["attribute"].eq(row.attribute) & rates["rate"].eq(_compared_rate(row)) & rates["class"].eq(largest)
    ].set_index("group")
    ends = [
        f"{group} {number(of_class.loc[group, 'value'])} (n = {of_class.loc[group, 'support']:,})"
        for group in (row.highest_group, row.lowest_group)
    ]
    return f"in class {largest} between {' and '.join(ends)}"


def _compared_rate(row) -> str:
    (rate,) = GAP_METRICS[row.metric].compared
    return rate


def _rate_of(row) -> str:
    return name_of(_compared_rate(row))


# What else is said.


def _exploratory(gaps: pd.DataFrame) -> str:
    """Of other attributes and metrics, the largest over the classes."""
    rows = gaps[gaps["family"].eq(EXPLORATORY) & gaps["class"].eq(MAX_OVER_CLASSES)]
    rows = rows[rows["metric"].isin(PARITY_DIFFERENCES) & rows["verdict"].eq(ESTABLISHED)]
    named = [
        f"{gap_name(row.metric, row.attribute)} {number(row.value)} (adjusted {p_value(row.p_adjusted)}, "
        "Benjamini-Hochberg)"
        for row in rows_of(rows)
    ]
    return f"Exploratory, to be confirmed on further images: {enumerated(named)}." if named else ""


def _scores(scores: pd.DataFrame, rows: int) -> str:
    named = [f"{SCORE_NAMES[row.metric]} {estimate(row.value, row.lower, row.upper)}" for row in scores.itertuples()]
    return f"Performance on {counted(rows, 'row')}, with 95 % intervals: {enumerated(named)}."


def _calibration(calibration: pd.DataFrame, gaps: pd.DataFrame) -> str:
    if calibration.empty:
        return ""
    (error,) = rows_of(calibration[calibration["attribute"].eq(ALL) & calibration["metric"].eq(ERROR)])
    verdict = VERDICT_NAMES[ESTABLISHED if error.p_value <= ALPHA else NOT_ESTABLISHED]
    between = [_difference_of_calibration(row) for row in rows_of(gaps)]
    return (
        f"Calibration: the expected calibration error is {estimate(error.value, error.lower, error.upper)} (n = "
        f"{error.support:,}), where a calibrated model would show up to {number(error.null_q95)}; miscalibration is "
        f"{verdict} ({p_value(error.p_value)}). That confidence exceeds accuracy by more in one group than in another "
        f"is {enumerated(between)}."
    )


def _difference_of_calibration(row) -> str:
    if row.verdict == UNDEFINED:
        return f"undefined by {name_of(row.attribute)}, where too few groups have enough rows"
    adjusted = f"adjusted {p_value(row.p_adjusted)}{'' if row.family == CONFIRMATORY else ', exploratory'}"
    who = f": {row.differs} from the rest" if row.verdict == ESTABLISHED else ""
    return f"{VERDICT_NAMES[row.verdict]} by {name_of(row.attribute)} ({adjusted}{who})"


def _weak_rates(confirmatory: pd.DataFrame, min_support: int) -> str:
    undefined, few = (int(confirmatory[name].sum()) for name in ("undefined_cells", "insufficient_cells"))
    if not undefined + few:
        return ""
    return (
        f"Of the rates behind the confirmatory gaps, {undefined:,} are undefined and {few:,} rest on fewer than "
        f"{counted(min_support, 'row')}: they are marked in the tables."
    )
