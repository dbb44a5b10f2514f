"""What a comparison of backbones has found, as it is logged and told."""

import pandas as pd

from fairprof.commands.compare.backbones.answer import banners, quotable, titles
from fairprof.commands.compare.backbones.protocol import BackboneStudy
from fairprof.commands.compare.backbones.sections import sections
from fairprof.commands.compare.protocol import COMPARISON
from fairprof.inference.cells import CONFIRMATORY_EFFECTS, SCORE
from fairprof.plain_text import in_markdown
from fairprof.reporting.findings import Findings, in_both_forms
from fairprof.reporting.wording import counted, enumerated

FOLDER = "backbones/"


def findings(
    tables: dict[str, pd.DataFrame],
    study: BackboneStudy,
    pictures: dict[str, bytes],
) -> Findings:
    """All of a comparison of backbones, as it is logged.

    tables: those of `backbone_tables`. pictures: name to PNG, of `figures_of`.
    """
    protocol = study.protocol
    said, above = quotable(tables, study), banners(tables, study)
    return Findings(
        title="Does the backbone or the composition move more?",
        subtitle=(
            f"The backbones {enumerated(titles(study))} with the designs {', '.join(protocol.designs)} over "
            f"{counted(len(protocol.seeds), 'seed')}; made {protocol.created}; study {protocol.study_key}; the designs "
            f"with {study.titles[study.reference]} alone: {COMPARISON}"
        ),
        sections=sections(tables, study, pictures),
        tables=in_both_forms(tables, FOLDER),
        pictures=pictures,
        folder=FOLDER,
        description="\n\n".join(map(in_markdown, (*above, *said)))
        + f"\n\nThe whole report is the artifact `report.html`; the comparison of the designs with the reference is "
        f"`{COMPARISON}`; tables and pictures are in `{FOLDER}`.",
        printed=(*said, *above),
        banners=above,
        values=_values(tables, study),
        in_markdown=True,
    )


def _values(tables: dict[str, pd.DataFrame], study: BackboneStudy) -> dict[str, float]:
    """Macro-F1 and the confirmatory gaps, less floors, of every cell."""
    cells = tables["cells"].set_index(["design", "backbone"])
    names = {name: name if name == SCORE else f"corrected/{name}" for name in CONFIRMATORY_EFFECTS}
    return {
        f"{design}/{study.titles[backbone]}/{name}": float(cells.loc[(design, backbone), column])
        for design, backbone in cells.index
        for name, column in names.items()
    }
