"""What a comparison has found, as it is logged and told."""

import pandas as pd

from fairprof.commands.compare.claims import claims
from fairprof.commands.compare.protocol import Protocol
from fairprof.commands.compare.sections import sections
from fairprof.metrics.fairness import PARITY_DIFFERENCES, SCORES
from fairprof.plain_text import in_markdown
from fairprof.reporting.blocks import Block
from fairprof.reporting.findings import Findings, in_both_forms
from fairprof.reporting.verdicts import confirmatory
from fairprof.reporting.wording import counted

FOLDER = "comparison/"
SHOWN = (*SCORES, *(f"{gap}/{attribute}" for gap in PARITY_DIFFERENCES for attribute in ("gender", "race")))


def findings(
    tables: dict[str, pd.DataFrame],
    protocol: Protocol,
    pictures: dict[str, bytes],
    documents: dict[str, str],
    explored: tuple[Block, ...] = (),
) -> Findings:
    """All of a comparison, as it is logged.

    tables: those of a comparison; `performance`, `gaps` and `differences` must be there, others may be missing or
    empty. pictures: name to PNG; EVIDENCE knows the names, others come last. documents: name to text, shown as it is.
    explored: of the section in which readers choose what they see, if there is one.

    Raises `ValueError` where a table is missing.
    """
    said = claims(tables, protocol)
    return Findings(
        title=protocol.title,
        subtitle=(
            f"Comparison of the designs {', '.join(protocol.designs)} over {counted(len(protocol.seeds), 'seed')}; "
            f"made {protocol.created}; study {protocol.study_key}"
        ),
        sections=sections(tables, protocol, said, pictures, explored),
        tables=in_both_forms(tables, FOLDER),
        pictures=pictures,
        folder=FOLDER,
        documents=documents,
        description="\n\n".join(map(in_markdown, (*said.banners, *said.answer)))
        + "\n\nThe whole report is the artifact `report.html`; tables and pictures are in `comparison/`.",
        printed=(*said.answer, *said.banners),
        banners=said.banners,
        values=_values(tables, protocol),
        shown=tuple(f"{design}/{name}" for design in protocol.designs for name in SHOWN),
        in_markdown=True,
    )


def _values(tables: dict[str, pd.DataFrame], protocol: Protocol) -> dict[str, float]:
    """The scores of every design in the main arm, and the confirmatory gaps."""
    performance, gaps = tables["performance"], tables["gaps"]
    scores = performance[performance["arm"].eq(protocol.main_arm)]
    return {f"{row.design}/{row.metric}": row.value for row in scores.itertuples()} | {
        f"{row.design}/{row.metric}/{row.attribute}": row.value for row in confirmatory(gaps).itertuples()
    }
