"""Numbers and names as a reader sees them, in reports and documents alike."""

from collections.abc import Iterable, Sequence

import pandas as pd

UNDEFINED = "undefined"


def number(value: float, form: str = ",.3f") -> str:
    """Without the zero before its point, by default with three decimals: ".043", "−.021", "1.204"; "undefined" for
    NaN. form: how the absolute value is formatted."""
    if pd.isna(value):
        return UNDEFINED
    digits = format(abs(value), form)
    sign = "−" if value < 0 and float(digits.replace(",", "")) else ""
    return sign + (digits.removeprefix("0") if digits.startswith("0.") else digits)


def signed(value: float) -> str:
    """`number` with its sign: "+.043", "−.021", ".000"."""
    text = number(value)
    return f"+{text}" if value > 0 and text != ".000" else text


def p_value(value: float) -> str:
    """ "p = .003", "p < .001" or "p undefined"."""
    if pd.isna(value):
        return f"p {UNDEFINED}"
    return "p < .001" if value < 0.001 else f"p = {number(value)}"


def percent(value: float) -> str:
    """ "75.3 %", or "undefined"."""
    return UNDEFINED if pd.isna(value) else f"{100 * value:.1f} %"


def counted(count: int, noun: str) -> str:
    """ "1 seed", "6 seeds"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def enumerated(items: Iterable[str]) -> str:
    """ "A", "A and B", "A, B and C"."""
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last


def attribute_name(attribute: str) -> str:
    return attribute.replace("_x_", " x ")


def designs_named(designs: Sequence[str]) -> str:
    """ "design A", "designs A and B"."""
    return f"design{'' if len(designs) == 1 else 's'} {enumerated(designs)}"
