"""A draft of the technical documentation of Annex IV to Regulation (EU) 2024/1689, from the tables of a comparison."""

from functools import partial

import pandas as pd

from fairprof.commands.compare.documents import results
from fairprof.commands.compare.documents.fitting import fitting_of, setting
from fairprof.commands.compare.documents.results import Tables
from fairprof.commands.compare.protocol import Protocol
from fairprof.config import NO_MITIGATION
from fairprof.data.designs import DESIGNS
from fairprof.documents.provenance import provenance_of
from fairprof.documents.rendering import render
from fairprof.inference.levels import ALPHA, CONFIDENCE
from fairprof.metrics.fairness import PARITY_DIFFERENCES
from fairprof.mitigation.methods import METHODS
from fairprof.reporting.wording import percent, short
from fairprof.serving import FORMATS, MAX_BYTES, MAX_PIXELS


def annex_iv(tables: Tables, protocol: Protocol, methods: Tables | None = None, mitigate: str = "") -> str:
    """The draft as Markdown: points 1 to 9 of Annex IV with their sub-points, filled with what the runs of a
    comparison know, and with PROVIDER INPUT REQUIRED where only a provider knows.

    tables: those of `fairprof.compare`, of which performance, gaps, group_changes, confusion, contrasts, composition
    and runs are read. methods: those of a comparison of methods, which mitigate between groups of the attribute
    `mitigate`; None where there is none.
    """
    return render(
        "annex_iv.md.j2",
        protocol=protocol,
        versions=pd.DataFrame(protocol.versions.items(), columns=["software", "version"]),
        designs=[DESIGNS[name] for name in protocol.designs],
        provenance=provenance_of(protocol.data),
        setting=partial(setting, protocol),
        fitting=fitting_of(protocol),
        runs=tables["runs"],
        training_images={name: results.training_images(tables, protocol, name) for name in protocol.designs},
        training_classes={name: results.class_counts(tables, name, "train") for name in protocol.designs},
        test_classes=results.class_counts(tables, protocol.reference, "test"),
        performance=results.performance_by_design(tables, protocol),
        gaps=results.gaps_by_design(tables, protocol, PARITY_DIFFERENCES),
        groups=results.accuracy_by_group_and_design(tables, protocol),
        established={name: results.established(tables, protocol, name) for name in protocol.designs},
        little_evidence=results.little_evidence(tables, protocol, protocol.reference),
        mitigate=mitigate,
        with_methods=None if methods is None else results.with_methods(methods, mitigate, protocol.designs),
        cautions=[] if methods is None else results.cautions(methods, protocol.designs),
        used=METHODS.get(protocol.settings.get("mitigation", NO_MITIGATION), METHODS[NO_MITIGATION]),
        formats=FORMATS,
        max_mebibytes=MAX_BYTES // 2**20,
        max_pixels=MAX_PIXELS,
        alpha=short(ALPHA),
        confidence=percent(CONFIDENCE, "g"),
    )
