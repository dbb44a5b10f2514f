"""From templates and tables to Markdown that also reads well as plain text."""

import re
from collections.abc import Iterable
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fairprof.plain_text import in_markdown
from fairprof.reporting.names import name_of
from fairprof.reporting.wording import UNDEFINED, counted, is_figure, number, short

PROVIDER_INPUT = "PROVIDER INPUT REQUIRED"


class Markdown(str):
    """Text that is Markdown already, so that it is not escaped again."""


def text(value: Any) -> str:
    """A value as it stands in a document: counts with thousands, other numbers as `number`, NaN and None as
    "undefined", text escaped; `Markdown` is left as it is."""
    if isinstance(value, Markdown):
        return value
    if isinstance(value, str):
        return Markdown(in_markdown(value))
    if pd.isna(value):
        return UNDEFINED
    if isinstance(value, Integral):
        return f"{value:,}"
    return number(float(value)) if isinstance(value, Real) else Markdown(in_markdown(value))


def of(noun: str, many: int) -> Markdown:
    """A number of things: "1 run", "6 runs"."""
    return Markdown(counted(many, noun))


def listed(values: Iterable) -> Markdown:
    """Values one after the other, in a sentence; "none" if there are none."""
    return Markdown(", ".join(text(value) for value in values) or "none")


def table(frame: pd.DataFrame, otherwise: str = "") -> Markdown:
    """A data frame as a Markdown table with aligned columns, numbers to the right; the columns' names are its head.

    Without rows it is the sentence `otherwise`. Raises ValueError where there is neither.
    """
    if frame.empty:
        if not otherwise:
            raise ValueError(f"no rows for a table of {', '.join(map(str, frame.columns))}: say so in words")
        return Markdown(otherwise)
    columns = [_column(str(name), values) for name, values in frame.items()]
    return Markdown("\n".join(f"| {' | '.join(row)} |" for row in zip(*columns, strict=True)))


def index_first(frame: pd.DataFrame) -> pd.DataFrame:
    """A data frame whose index comes first, as columns; others may have the names of these."""
    return pd.concat([frame.index.to_frame(index=False), frame.reset_index(drop=True)], axis=1)


def _column(name: str, values: pd.Series) -> list[str]:
    """Head, rule and cells, equally wide."""
    head, *cells = map(text, (name, *values))
    width = max(3, *map(len, (head, *cells)))
    if all(is_figure(cell) for cell in cells):
        return [head.rjust(width), "-" * (width - 1) + ":", *(cell.rjust(width) for cell in cells)]
    return [head.ljust(width), "-" * width, *(cell.ljust(width) for cell in cells)]


ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates", encoding="utf-8"),
    undefined=StrictUndefined,
    finalize=text,
    line_statement_prefix="%%",
    autoescape=False,  # it is HTML's; `finalize` escapes for Markdown
)
ENVIRONMENT.filters |= {"table": table, "listed": listed, "of": of, "name": name_of, "short": short}


def render(template: str, **values: Any) -> str:
    """A template of this package filled with values, which are escaped unless they are `Markdown`.

    Raises `jinja2.UndefinedError` for a name that the template uses and nobody gave.
    """
    filled = ENVIRONMENT.get_template(template).render(values)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r" +$", "", filled, flags=re.MULTILINE)).strip() + "\n"
