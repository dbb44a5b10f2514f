"""What a command has found, in one record, and the one way in which it is logged and told."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from fairprof.reporting.blocks import Section
from fairprof.reporting.page import html_page, markdown_page
from fairprof.runtime.progress import conclude
from fairprof.store import tracking

REPORT = "report.html"


@dataclass(frozen=True)
class Findings:
    """What a command has found, as it is logged, shown and printed.

    title, subtitle, sections: of the report; banners: what has to be known before it is read. tables: by artifact path,
    as `log_tables` takes them. pictures: name to PNG; folder: what stands before a picture's name among the artifacts
    ("" or "pictures/"). documents: name to text, shown at the end of the report. description: Markdown, of the run.
    printed: lines, the answer first. values: by name; shown: the names of those that are metrics; curves: step to
    metrics by name; what is not finite is left out of the metrics. in_markdown: whether the report is logged as
    Markdown too. page: the report's artifact path, which ends in .html.
    """

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    tables: dict[str, pd.DataFrame]
    pictures: dict[str, bytes]
    description: str
    printed: tuple[str, ...]
    folder: str = ""
    documents: dict[str, str] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    shown: tuple[str, ...] = ()
    curves: dict[int, dict[str, float]] = field(default_factory=dict)
    in_markdown: bool = False
    banners: tuple[str, ...] = ()
    page: str = REPORT

    def html(self) -> str:
        """The report as one HTML page; raises `ValueError` where a picture is no PNG."""
        return html_page(self.title, self.subtitle, self.sections, self.pictures, self.documents, self.banners)

    def markdown(self) -> str:
        """The same as GitHub-flavoured Markdown, which shows the pictures among the artifacts."""
        return markdown_page(self.title, self.subtitle, self.sections, self.folder, self.banners)


def in_both_forms(tables: dict[str, pd.DataFrame], folder: str) -> dict[str, pd.DataFrame]:
    """Tables by name as tables by artifact path in a folder, which ends in a slash: as CSV, and as the UI shows
    them."""
    return {f"{folder}{name}.csv": table for name, table in tables.items()} | {
        f"{folder}tables/{name}.json": table for name, table in tables.items()
    }


def log_findings(findings: Findings) -> None:
    """Logs all of it to the active run, and prints the answer once it can be looked up."""
    log_beside(findings)
    tracking.set_description(findings.description)
    tracking.set_answer(findings.printed[0])
    conclude((*findings.printed, *tracking.places(findings.page)))


def log_beside(findings: Findings) -> None:
    """Logs what stands beside a run's own findings: page, tables, pictures, documents and metrics. The run's answer and
    description stay."""
    log_tables(findings.tables)
    log_pictures({f"{findings.folder}{name}": picture for name, picture in findings.pictures.items()})
    for name, text in findings.documents.items():
        tracking.log_text(text, f"documents/{name}")
    tracking.log_text(findings.html(), findings.page)
    if findings.in_markdown:
        tracking.log_text(findings.markdown(), f"{findings.page.removesuffix('.html')}.md")
    for step, metrics in findings.curves.items():
        tracking.log_metrics(finite(metrics), step=step)
    tracking.log_values(findings.values, findings.shown)


def log_tables(tables: dict[str, pd.DataFrame]) -> None:
    """Tables by artifact path: CSV, or one that the UI shows where the path ends in .json. A CSV file has the index
    where that has a name."""
    for path, table in tables.items():
        if path.endswith(".json"):
            tracking.log_browsable_table(table, path)
        else:
            tracking.log_table(table, path, index=table.index.name is not None)


def log_pictures(pictures: dict[str, bytes]) -> None:
    """PNG files by artifact path without its ending."""
    for path, picture in pictures.items():
        tracking.log_bytes(picture, f"{path}.png")


def finite(metrics: dict[str, float]) -> dict[str, float]:
    """Those that are numbers: MLflow plots no others."""
    return {name: value for name, value in metrics.items() if np.isfinite(value)}
