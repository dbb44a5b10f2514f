"""What a report is made of. The `kind` of a block tells the templates how to lay it out."""

from dataclasses import dataclass
from typing import ClassVar

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


Block = Heading | Answer | Paragraph | Sentences | Table | Picture | Commands | Terms | Fold | Beside


@dataclass(frozen=True)
class Section:
    title: str
    blocks: tuple[Block, ...]

    @property
    def headings(self) -> tuple[str, ...]:
        return tuple(block.title for block in self.blocks if isinstance(block, Heading))
