"""The report of a comparison, as one HTML page that needs nothing else, and as Markdown."""

from collections.abc import Collection

import pandas as pd

from fairprof.commands.compare.protocol import Protocol
from fairprof.commands.compare.sections import sections
from fairprof.reporting.page import html_page, markdown_page
from fairprof.reporting.wording import counted


def report_html(
    tables: dict[str, pd.DataFrame], protocol: Protocol, pictures: dict[str, bytes], documents: dict[str, str]
) -> str:
    """The report as one HTML page: no script, nothing from outside, readable offline, on a phone and on paper.

    tables: those of a comparison; `performance`, `gaps` and `differences` must be there, others may be missing or
    empty. pictures: name to PNG; EVIDENCE knows the names, others come last. documents: name to text, shown as it is.

    Raises `ValueError` where a table is missing or a picture is no PNG.
    """
    return html_page(protocol.title, _subtitle(protocol), sections(tables, protocol, pictures), pictures, documents)


def report_markdown(
    tables: dict[str, pd.DataFrame], protocol: Protocol, picture_names: Collection[str], folder: str = ""
) -> str:
    """The same as GitHub-flavoured Markdown; a picture is its name and ".png", after `folder` ("" or "pictures/")."""
    return markdown_page(protocol.title, _subtitle(protocol), sections(tables, protocol, picture_names), folder)


def _subtitle(protocol: Protocol) -> str:
    return (
        f"Comparison of the designs {', '.join(protocol.designs)} over {counted(len(protocol.seeds), 'seed')}; "
        f"made {protocol.created}; study {protocol.study_key}"
    )
