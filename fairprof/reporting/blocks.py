"""What a report is made of. The `kind` of a block tells the templates how to lay it out."""

from dataclasses import dataclass
from typing import ClassVar

LONG = 16  # rows: a longer table is folded


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    kind: ClassVar[str] = "heading"
    title: str


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
    """text; note: smaller, below it; verdict: a key of VERDICTS, below both."""

    text: str
    note: str = ""
    verdict: str = ""


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


@dataclass(frozen=True)
class Picture:
    """name: its key; caption: how to read it."""

    kind: ClassVar[str] = "picture"
    name: str
    title: str
    caption: str


@dataclass(frozen=True)
class Commands:
    kind: ClassVar[str] = "commands"
    text: str


@dataclass(frozen=True)
class Terms:
    kind: ClassVar[str] = "terms"
    pairs: tuple[tuple[str, str], ...]


Block = Heading | Paragraph | Sentences | Table | Picture | Commands | Terms


@dataclass(frozen=True)
class Section:
    title: str
    blocks: tuple[Block, ...]
