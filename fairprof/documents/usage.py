"""What a command says at `--help`: what it does, examples, and its settings in groups, the most used ones first."""

import shutil
import textwrap
from collections.abc import Iterable
from pathlib import Path

import yaml

from fairprof.config import CommandSettings, Identifies
from fairprof.documents.settings import ENTRY_POINTS, allowed_words

MLPROJECT = Path(__file__).resolve().parents[2] / "MLproject"  # which declares the settings that are used most
EXAMPLES = {
    "main": ("mlflow run . -P experiment=B", "mlflow run . -P experiment=B -P data=utkface:/data/utkface -P seed=1"),
    "study": (
        "mlflow run . -e study -P experiments=A,B -P seeds=6",
        "mlflow run . -e study -P data=manifest:faces.csv -P weights=backbone.pth -P finetune=head",
    ),
    "tune": ("mlflow run . -e tune -P trials=20", "mlflow run . -P experiment=B -P hparams=tuned"),
    "compare": ("mlflow run . -e compare", "mlflow run . -e compare -P runs=ID,ID"),
    "register": ("mlflow run . -e register -P run=ID",),
    "evaluate": (
        "mlflow run . -e evaluate -P model=B",
        "mlflow run . -e evaluate -P model=B -P data=fairface:/data/fairface -P partition=all",
    ),
    "explain": ("mlflow run . -e explain -P models=A,B", "mlflow run . -e explain -P models=study:RUN"),
    "prepare": ("mlflow run . -e prepare -P data=manifest:faces.csv",),
}
GROUPS = {
    "What is made": Identifies.RUN,
    "Data": Identifies.STUDY,
    "What is learned, the same for all designs": Identifies.SHARED,
    "What is done against unfairness": Identifies.METHOD,
    "How it is judged and told": Identifies.ANALYSIS,
    "Where and how it runs": Identifies.MACHINE,
}
NAME_WIDTH, WIDEST, NARROWEST = 30, 120, 60  # letters: of a setting's name, and of a line


def usage(settings: type[CommandSettings]) -> str:
    """The text of `--help` of the command with these settings, as wide as the terminal."""
    width = max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))
    entry_point = next(name for name, known in ENTRY_POINTS.items() if known is settings)
    module = "train" if entry_point == "main" else entry_point
    most_used = [name for name in _declared(entry_point) if name in settings.model_fields]
    groups = {"Used most": most_used} | {
        title: [name for name in settings.identifying(kind) if name not in most_used] for title, kind in GROUPS.items()
    }
    given = "mlflow run ." if entry_point == "main" else f"mlflow run . -e {entry_point}"
    parts = [
        textwrap.fill(str(settings.__doc__), width),
        f"Usage: {given} -P NAME=VALUE ...\n       python -m entrypoints.{module} --NAME VALUE ...",
        "Examples:\n" + "\n".join(f"  {example}" for example in EXAMPLES[entry_point]),
        *(f"{title}:\n{_lines(settings, names, width)}" for title, names in groups.items() if names),
        "All settings with what they identify: docs/settings.md",
    ]
    return "\n\n".join(parts)


def _declared(entry_point: str) -> tuple[str, ...]:
    """The settings that MLproject declares for an entry point; none where that file was not installed."""
    if not MLPROJECT.is_file():
        return ()
    described = yaml.safe_load(MLPROJECT.read_text(encoding="utf-8"))
    return tuple(described["entry_points"][entry_point]["parameters"])


def _lines(settings: type[CommandSettings], names: Iterable[str], width: int) -> str:
    """A paragraph for each setting: its name and default beside what it means and what it may be."""
    paragraphs = []
    for name in names:
        field = settings.model_fields[name]
        head = f"  {name}={field.default}"
        meaning = f"{field.description} [{allowed_words(field)}]"
        told = textwrap.wrap(meaning, width - NAME_WIDTH)
        first = [f"{head:<{NAME_WIDTH}}{told.pop(0)}"] if len(head) < NAME_WIDTH else [head]
        paragraphs += [*first, *(" " * NAME_WIDTH + line for line in told)]
    return "\n".join(paragraphs)
