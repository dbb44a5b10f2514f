"""docs/settings.md, made from the settings: ``python -m fairprof.documents.settings > docs/settings.md``."""

from collections.abc import Iterable
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from fairprof.config import (
    Choice,
    CommandSettings,
    CompareSettings,
    EvaluateSettings,
    ExplainSettings,
    Identifies,
    LogUniform,
    PrepareSettings,
    RegisterSettings,
    SearchLaw,
    Settings,
    StudySettings,
    TuneSettings,
    marks,
    search_laws,
)

# settings by entry point of MLproject
ENTRY_POINTS: dict[str, type[CommandSettings]] = {
    "main": Settings,
    "study": StudySettings,
    "tune": TuneSettings,
    "compare": CompareSettings,
    "register": RegisterSettings,
    "evaluate": EvaluateSettings,
    "explain": ExplainSettings,
    "prepare": PrepareSettings,
}
HEAD = """# Settings

<!-- made from fairprof/config.py by python -m fairprof.documents.settings -->

Every setting is given as `-P NAME=VALUE`, whether or not `MLproject` declares it; an unknown or malformed one is
answered in a line. The defaults suit the embedded data on a laptop; [the first run](first_run.md) has those of the
study that fairprof repeats. With another value of a setting, what it *identifies* is another one:
"""
SEARCHED = """## What `tune` searches

With `search=all`, or a list of some of these:
"""
KINDS = {int: "whole number", float: "number", str: "text", bool: "`true` or `false`"}
BOUNDS = {Ge: ("ge", "from"), Gt: ("gt", "over"), Le: ("le", "to"), Lt: ("lt", "under")}


def settings_page() -> str:
    """The page as Markdown: what settings identify, and a table of its settings for every entry point."""
    identified = _table(("identifies", "which is"), ((kind.name.lower(), kind.value) for kind in Identifies))
    sections = [_section(name, settings) for name, settings in ENTRY_POINTS.items()]
    laws = _table(("setting", "law"), ((f"`{name}`", _law(law)) for name, law in search_laws().items()))
    return "\n".join([HEAD, identified, *sections, SEARCHED, laws])


def _section(entry_point: str, settings: type[CommandSettings]) -> str:
    """An entry point's settings: those of its own first; those that mean the same to main are named."""
    is_main = entry_point == "main"
    command = "mlflow run ." if is_main else f"mlflow run . -e {entry_point}"
    known = {} if is_main else {name: _row(name, field) for name, field in Settings.model_fields.items()}
    rows = {name: _row(name, settings.model_fields[name]) for name in _most_special_first(settings)}
    own = [row for name, row in rows.items() if row != known.get(name)]
    others = [f"`{name}`" for name, row in rows.items() if row == known.get(name)]
    table = _table(("setting", "default", "allowed", "meaning", "identifies"), own)
    also = [f"And, as for `main`: {', '.join(others)}.\n"] if others else []
    return "\n".join([f"## `{command}`\n", f"{settings.__doc__}\n", table, *also])


def _most_special_first(settings: type[CommandSettings]) -> list[str]:
    """Names of the settings, those of a class before those that it inherits."""
    own = [name for base in settings.__mro__ for name in base.__dict__.get("__annotations__", {})]
    return [name for name in dict.fromkeys(own) if name in settings.model_fields]


def _row(name: str, field: FieldInfo) -> tuple[str, ...]:
    identifies, allowed = marks(field)["identifies"].name.lower(), _allowed(field.annotation, field.metadata)
    return f"`{name}`", f"`{field.default}`", allowed, str(field.description), identifies


def allowed_words(field: FieldInfo) -> str:
    """What a setting may be, as plain text: words, or a kind of thing and its bounds."""
    return _allowed(field.annotation, field.metadata).replace("`", "")


def _allowed(annotation: Any, bounds: Iterable) -> str:
    """What a value may be: words, or a kind of thing and its bounds."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in parts)
    if origin in (Union, UnionType):
        return " or ".join(_allowed(part, ()) for part in parts)
    if origin is Annotated:
        return _allowed(parts[0], parts[1].metadata)
    ends = [f"{word} {getattr(bound, end):,}" for bound in bounds for end, word in [BOUNDS[type(bound)]]]
    return " ".join([KINDS[annotation], *ends])


def _law(law: SearchLaw) -> str:
    if isinstance(law, Choice):
        return f"one of {', '.join(map(str, law.options))}"
    return f"{law.low:g} to {law.high:g}, uniform{' in the logarithm' if isinstance(law, LogUniform) else ''}"


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    print(settings_page(), end="")
