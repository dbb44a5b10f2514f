"""docs/mitigation.md lists the methods as their records have them."""

import re

from fairprof.config import MITIGATIONS
from fairprof.mitigation.methods import METHODS
from fairprof.reporting.names import VERDICT_NAMES
from fairprof.reporting.wording import NOTHING
from tests.places import ROOT

PAGE = (ROOT / "docs" / "mitigation.md").read_text(encoding="utf-8")


def rows_under(heading: str) -> list[list[str]]:
    section = re.split(r"^##+ ", PAGE.split(f"# {heading}\n")[1], flags=re.MULTILINE)[0]
    return [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]


def test_every_method_has_its_row_with_need_values_and_source():
    expected = [
        [
            f"`{name}`",
            method.title,
            method.what,
            str(method.needs),
            ", ".join(f"`{value}` {_shown(declared.default)}" for value, declared in MITIGATIONS[name].items())
            or NOTHING,
            method.source or NOTHING,
        ]
        for name, method in METHODS.items()
    ]
    assert rows_under("Methods") == expected


def _shown(default: float | str) -> str:
    return default if isinstance(default, str) else f"{default:g}"


def test_every_verdict_of_the_page_is_one_of_the_report():
    verdicts = [row[0] for row in rows_under("Verdicts")]
    assert len(verdicts) == 8 and set(verdicts) <= set(VERDICT_NAMES.values())
