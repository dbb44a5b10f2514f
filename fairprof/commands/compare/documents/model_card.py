"""The model card of a design, after Mitchell et al. 2019, "Model Cards for Model Reporting", FAT*, arXiv:1810.03993."""

from functools import partial

from fairprof.commands.compare.documents import results
from fairprof.commands.compare.documents.fitting import fitting_of, setting
from fairprof.commands.compare.documents.results import Tables
from fairprof.commands.compare.protocol import Protocol
from fairprof.config import NO_MITIGATION
from fairprof.data.designs import DESIGNS
from fairprof.documents.provenance import provenance_of
from fairprof.documents.rendering import render
from fairprof.inference.levels import ALPHA, CONFIDENCE
from fairprof.inference.planning import LEAST_SEEDS
from fairprof.mitigation.methods import METHODS
from fairprof.reporting.groups import groups_told
from fairprof.reporting.wording import percent, short

SHOWN_CONTRASTS = 10

UNITARY, INTERSECTIONAL = ("gender", "race"), ("gender_x_race",)


def model_card(
    tables: Tables, protocol: Protocol, design: str, methods: Tables | None = None, mitigate: str = ""
) -> str:
    """The model card of `fairprof-<design>` as Markdown, from the tables of a comparison: its main arm, test set.

    tables: those of `fairprof.compare`, of which performance, gaps, contrasts, group_changes, confusion, composition
    and runs are read. methods: those of a comparison of methods, which mitigate between groups of the attribute
    `mitigate`; None where there is none. Raises ValueError where the comparison has no such design.
    """
    if design not in protocol.designs:
        raise ValueError(f"the comparison has no design {design}: choose one of {', '.join(protocol.designs)}")
    runs = results.main_arm(tables, "runs", protocol, design=design)
    contrasts = results.differing_groups(tables, protocol, design)
    return render(
        "model_card.md.j2",
        protocol=protocol,
        design=DESIGNS[design],
        provenance=provenance_of(protocol.data),
        groups_told=groups_told(protocol.merge, protocol.exclude),
        setting=partial(setting, protocol),
        fitting=fitting_of(protocol),
        seeds=[str(seed) for seed in sorted(runs["seed"])],
        training_images=results.training_images(tables, protocol, design),
        training_composition=results.training_composition(tables, design),
        test_classes=results.class_counts(tables, design, "test"),
        performance=results.performance(tables, protocol, design),
        unitary_gaps=results.gaps(tables, protocol, design, UNITARY),
        intersectional_gaps=results.gaps(tables, protocol, design, INTERSECTIONAL).drop(columns="attribute"),
        established=results.established(tables, protocol, design),
        unitary_groups=results.groups(tables, protocol, design, UNITARY),
        intersectional_groups=results.groups(tables, protocol, design, INTERSECTIONAL).drop(columns="attribute"),
        contrasts=contrasts.head(SHOWN_CONTRASTS),
        contrasts_in_all=len(contrasts),
        mitigate=mitigate,
        with_methods=None
        if methods is None
        else results.with_methods(methods, mitigate, (design,)).drop(columns="design"),
        cautions=[] if methods is None else results.cautions(methods, (design,)),
        used=METHODS.get(protocol.settings.get("mitigation", NO_MITIGATION), METHODS[NO_MITIGATION]),
        little_evidence=results.little_evidence(tables, protocol, design),
        least_seeds=LEAST_SEEDS,
        alpha=short(ALPHA),
        confidence=percent(CONFIDENCE, "g"),
    )
