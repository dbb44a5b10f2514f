"""What a comparison of methods has found, as it is logged and told."""

import pandas as pd

from fairprof.commands.compare.mitigation.answer import banners, quotable
from fairprof.commands.compare.mitigation.protocol import MitigationStudy
from fairprof.commands.compare.mitigation.sections import sections
from fairprof.commands.compare.protocol import COMPARISON
from fairprof.inference.cells import SCORE
from fairprof.inference.mitigation import targets
from fairprof.plain_text import in_markdown
from fairprof.reporting.findings import Findings, in_both_forms
from fairprof.reporting.names import name_of
from fairprof.reporting.wording import counted

FOLDER = "mitigation/"


def findings(
    tables: dict[str, pd.DataFrame],
    study: MitigationStudy,
    pictures: dict[str, bytes],
) -> Findings:
    """All of a comparison of methods, as it is logged.

    tables: those of `mitigation_tables`. pictures: name to PNG, of `figures_of`.
    """
    protocol = study.protocol
    said, above = quotable(tables, study), banners(tables, study)
    methods = counted(len(study.methods) - 1, "method")
    return Findings(
        title="Does mitigation add to composition?",
        subtitle=(
            f"{methods} against gaps by {name_of(study.mitigate)}, and none, with the designs "
            f"{', '.join(protocol.designs)} over {counted(len(protocol.seeds), 'seed')}; made {protocol.created}; "
            f"study {protocol.study_key}; the designs without a method: {COMPARISON}"
        ),
        sections=sections(tables, study, pictures),
        tables=in_both_forms(tables, FOLDER),
        pictures=pictures,
        folder=FOLDER,
        description="\n\n".join(map(in_markdown, (*above, *said)))
        + f"\n\nThe whole report is the artifact `report.html`; the comparison of the designs without a method is "
        f"`{COMPARISON}`; tables and pictures are in `{FOLDER}`.",
        printed=(*said, *above),
        banners=above,
        values=_values(tables, study),
        in_markdown=True,
    )


def _values(tables: dict[str, pd.DataFrame], study: MitigationStudy) -> dict[str, float]:
    """Macro-F1 and the gaps that the methods are to bring down, less floors, of every cell."""
    cells = tables["cells"].set_index(["design", "method"])
    names = {SCORE: SCORE} | {name: f"corrected/{name}" for name in targets(study.mitigate)}
    return {
        f"{design}/{method}/{name}": float(cells.loc[(design, method), column])
        for design, method in cells.index
        for name, column in names.items()
    }
