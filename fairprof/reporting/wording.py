"""Numbers and lists as a reader sees them: their one writer, for reports, pictures, documents and printed lines."""

import re
from collections.abc import Callable, Iterable, Sequence

import pandas as pd

UNDEFINED = "undefined"
NOTHING = "–"  # where a table's column does not apply
SMALLEST_P = 0.001  # below it a p-value is not written as a number
FIGURE = re.compile(rf"(< )?[−+]?[\d,]*\.?\d+( %)?|{UNDEFINED}|{NOTHING}")


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


def short(value: float) -> str:
    """A number that was chosen, such as a setting or a level, without trailing zeros: ".05", "4", ".0625"."""
    return number(value, ".4g")


def count(value: float) -> str:
    """A count, or a mean of counts: "1,204", "163.5", "undefined" for NaN."""
    return number(value, ",.0f" if float(value).is_integer() else ",.1f")


def counted(many: int, noun: str) -> str:
    """ "1 seed", "6 seeds"."""
    return f"{many:,} {noun}{'' if many == 1 else 's'}"


def percent(share: float, form: str = ".1f") -> str:
    """ "75.3 %", "−1.2 %", or "undefined". form: of the number, for example ".0f" where there is little room."""
    return UNDEFINED if pd.isna(share) else f"{100 * share:z{form}} %".replace("-", "−")


def of_ceiling(share: float, above_chance: float) -> str:
    """ "75.3 % of the ceiling, 56.0 % above chance"; empty where there is no ceiling, which is NaN."""
    return "" if pd.isna(share) else f"{percent(share)} of the ceiling, {percent(above_chance)} above chance"


def p_value(value: float) -> str:
    """ "p = .003", "p < .001" or "p undefined"."""
    return f"p {'= ' if value >= SMALLEST_P else ''}{bare_p_value(value)}"


def bare_p_value(value: float) -> str:
    """A p-value whose place says that it is one: ".003", "< .001" or "undefined"."""
    return "< .001" if value < SMALLEST_P else number(value)


def interval(lower: float, upper: float, writing: Callable[[float], str] = number) -> str:
    """ "[.012, .054]", or "undefined" where an end is. writing: of the ends."""
    return UNDEFINED if pd.isna(lower) or pd.isna(upper) else f"[{writing(lower)}, {writing(upper)}]"


def estimate(value: float, lower: float, upper: float, writing: Callable[[float], str] = number) -> str:
    """A value with its interval: ".043 [.012, .054]", ".043 (interval undefined)", "undefined"."""
    if pd.isna(value):
        return UNDEFINED
    ends = interval(lower, upper, writing)
    return f"{writing(value)} {'(interval undefined)' if ends == UNDEFINED else ends}"


def span(values: Iterable[float], writing: Callable[[float], str] = number) -> str:
    """The value that all share, or the smallest to the largest: ".5 to .6"."""
    lowest, highest = writing(min(values)), writing(max(values))
    return lowest if lowest == highest else f"{lowest} to {highest}"


def is_figure(text: str) -> bool:
    """Whether a text is a number as it is written here, and stands right in a column."""
    return FIGURE.fullmatch(text) is not None


def capitalised(text: str) -> str:
    """A sentence with a capital letter at its beginning; the rest stays, unlike with `str.capitalize`."""
    return text[:1].upper() + text[1:]


def enumerated(items: Iterable[str]) -> str:
    """ "A", "A and B", "A, B and C"."""
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last


def seeds_named(seeds: Sequence[int]) -> str:
    """ "seed 3", "seeds 0 to 5", "seeds 0, 3 and 7"."""
    if len(seeds) > 2 and tuple(seeds) == tuple(range(seeds[0], seeds[-1] + 1)):
        return f"seeds {seeds[0]} to {seeds[-1]}"
    return f"seed{'' if len(seeds) == 1 else 's'} {enumerated(map(str, seeds))}"


def designs_named(designs: Sequence[str]) -> str:
    """ "design A", "designs A and B"."""
    return f"design{'' if len(designs) == 1 else 's'} {enumerated(designs)}"
