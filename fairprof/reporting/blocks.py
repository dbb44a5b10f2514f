"""What a report is made of. The `kind` of a block tells the templates how to lay it out."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar

LONG = 16  # rows: a longer table is folded
WIDE, SHORT = 3, 8  # columns, rows: of a wider and shorter table, a narrow screen shows the rows below each other


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    kind: ClassVar[str] = "heading"
    title: str


@dataclass(frozen=True)
class Answer:
    """What a page says first, to be quoted: a few sentences."""

    kind: ClassVar[str] = "answer"
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Paragraph:
    kind: ClassVar[str] = "paragraph"
    text: str
    lead: str = ""


@dataclass(frozen=True)
class Sentences:
    """folded: shown on demand; for many sentences that claim nothing."""

    kind: ClassVar[str] = "sentences"
    title: str
    items: tuple[str, ...]
    folded: bool = False


@dataclass(frozen=True)
class Cell:
    """text; note: smaller, below it; verdict: a key of VERDICTS, below both; page: the page of MLflow to which the text
    leads, `runs/ID`, `runs/ID/artifacts/PATH` or `models/NAME/versions/NUMBER`."""

    text: str
    note: str = ""
    verdict: str = ""
    page: str = ""


@dataclass(frozen=True)
class Column:
    title: str
    numeric: bool = False


@dataclass(frozen=True)
class Table:
    """rows: one cell a column; the first heads its row."""

    kind: ClassVar[str] = "table"
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def folded(self) -> bool:
        return len(self.rows) > LONG

    @property
    def cards(self) -> bool:
        return len(self.columns) > WIDE and len(self.rows) <= SHORT


@dataclass(frozen=True)
class Picture:
    """name: its key; caption: how to read it; finding: what is to be seen, for those who do not see it; photographic:
    whether it shows photographs or maps, whose colours stay as they are on a dark page."""

    kind: ClassVar[str] = "picture"
    name: str
    title: str
    caption: str
    finding: str = ""
    photographic: bool = False

    @property
    def alternative(self) -> str:
        return f"{self.title}: {self.finding}" if self.finding else self.title


@dataclass(frozen=True)
class Commands:
    kind: ClassVar[str] = "commands"
    text: str


@dataclass(frozen=True)
class Terms:
    kind: ClassVar[str] = "terms"
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Fold:
    """Blocks that are shown on demand, and not on paper."""

    kind: ClassVar[str] = "fold"
    title: str
    blocks: "tuple[Block, ...]"


@dataclass(frozen=True)
class Beside:
    """Blocks beside others, where there is room; on a phone and in Markdown below them."""

    kind: ClassVar[str] = "beside"
    left: "tuple[Block, ...]"
    right: "tuple[Block, ...]"


@dataclass(frozen=True)
class Embedded:
    """Data within a page, for its scripts: of plain types, as JSON holds them. Nothing of it is shown."""

    kind: ClassVar[str] = "embedded"
    name: str
    data: Any

    @property
    def json(self) -> str:
        """ASCII, in which nothing ends an element of HTML; raises `ValueError` for a number that is not finite."""
        text = json.dumps(self.data, separators=(",", ":"), allow_nan=False)
        return text.replace("<", "\\u003c")


@dataclass(frozen=True)
class Interactive:
    """A part that readers change, of a template and a script with this name; on paper and without scripts a line stands
    for it."""

    kind: ClassVar[str] = "interactive"
    name: str


Block = (
    Heading
    | Answer
    | Paragraph
    | Sentences
    | Table
    | Picture
    | Commands
    | Terms
    | Fold
    | Beside
    | Embedded
    | Interactive
)


@dataclass(frozen=True)
class Section:
    title: str
    blocks: tuple[Block, ...]

    @property
    def headings(self) -> tuple[str, ...]:
        return tuple(block.title for block in self.blocks if isinstance(block, Heading))
