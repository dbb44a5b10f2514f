"""The report of an audit, section by section; how it is laid out is no matter here."""

from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd

from fairprof.commands.prepare.answer import answer, banners, judged_table, quotable, to_mend
from fairprof.commands.prepare.audit import FOLDER, LARGEST, PERFECT, SHOWN, SMALLEST, Audit, tables_of, values_of
from fairprof.commands.prepare.counts import ENOUGH
from fairprof.commands.prepare.noise_floors import FIRST_STEP
from fairprof.commands.prepare.seen import seen
from fairprof.config import EVERYBODY
from fairprof.data.designs import DESIGNS
from fairprof.data.drawable import Change, as_typed
from fairprof.data.pool import Pool
from fairprof.data.sources.kinds import to_be_named
from fairprof.inference.planning import POWER
from fairprof.inference.verdicts import CONFIRMATORY_GAPS
from fairprof.measurement.detectable import ASSUMED, SEEDS_TOLD, AssumedClassifier, detectable_told
from fairprof.metrics.fairness import MAX_OVER_CLASSES, PARITY_DIFFERENCES
from fairprof.metrics.gap_ranges import NEAR_BEST
from fairprof.plain_text import in_markdown
from fairprof.reporting.blocks import (
    Answer,
    Block,
    Cell,
    Column,
    Commands,
    Paragraph,
    Picture,
    Section,
    Sentences,
    Table,
)
from fairprof.reporting.findings import Findings
from fairprof.reporting.glossary import terms
from fairprof.reporting.groups import groups_told
from fairprof.reporting.names import short_gap_name
from fairprof.reporting.tables import properties, table_of
from fairprof.reporting.wording import (
    NOTHING,
    bare_p_value,
    count,
    counted,
    interval,
    number,
    p_value,
    percent,
    short,
    span,
)
from fairprof.runtime.files import without_folders

NEARLY_BEST = "nearly the best rules"
FIRST_LINES = 12  # of the quarantine and of near-duplicates, in the report; the whole tables are artifacts

PICTURES = {
    "composition": (
        "Who is in the data",
        "Usable images by race, gender and profession. A bar's length is what there is, not what a design takes.",
    ),
    "two_way": (
        "Every two attributes",
        "The darker, the larger the share within its row. Whether rows differ by more than chance is tested below.",
    ),
    "associations": (
        "What goes together",
        "Corrected for its bias upward (Bergsma 2013), with the 95 % interval over resampled images. The orange mark "
        "is the V, uncorrected, that would be there if profession and attribute had nothing in common but the age.",
    ),
    "sizes": (
        "How large the designs would be",
        "Blue: all that the data allow. Dashed: once the limiting cell has as many images as the next one needs. "
        "Black: when all designs are as large as the smallest.",
    ),
    "noise_floors": (
        "Which gaps could be seen",
        "Grey: the gaps that a classifier shows by chance alone, up to their 95 % quantile, which the smallest groups "
        "decide. The test does not rest on it: a difference between large groups may be found within the grey.",
    ),
    "quarantine": (
        "Whose images are lost",
        "Share of unusable rows by group. Rows whose group is unknown are left out.",
    ),
}


def findings(audit: Audit, cache: tuple[str, ...], pictures: dict[str, bytes]) -> Findings:
    """All of an audit, as it is logged. cache: sentences about what lies in it. pictures: name to PNG."""
    said, mend, above, first = answer(audit), to_mend(audit), banners(audit), quotable(audit)
    pool = f"; pool {audit.pool.fingerprint}" if audit.pool else ""
    todo = "\n\n**What to mend first**\n\n" + "\n".join(f"- {in_markdown(item)}" for item in mend) if mend else ""
    return Findings(
        title=f"Audit of {audit.data_kind}",
        subtitle=f"{without_folders(audit.settings.data)}: before anything is trained{pool}",
        sections=sections(audit, cache, pictures),
        tables=tables_of(audit),
        pictures=pictures,
        folder=FOLDER,
        description="\n\n".join(map(in_markdown, (*above, *first)))
        + "\n\n"
        + "\n".join(f"- {in_markdown(sentence)}" for sentence in said)
        + todo
        + "\n\nThe whole report is the artifact `report.html`; tables and pictures are in `data/`, images of every "
        "cell in `sheets/`.",
        printed=(*first, *above, *(f"to mend: {item}" for item in mend)),
        banners=above,
        values=values_of(audit),
        shown=SHOWN,
    )


def sections(audit: Audit, cache: tuple[str, ...], pictures: Collection[str]) -> tuple[Section, ...]:
    """What the page shows, in order. cache: sentences about what lies in it. pictures: names of those there are."""
    shown = [
        Section("The answer", tuple(_answer(audit))),
    ]
    if audit.pool is not None:
        shown.append(Section("Sizes of the designs", tuple(_sizes(audit, pictures))))
    if audit.classifier is not None:
        shown.append(Section("Which gaps could be seen", tuple(_floors(audit, audit.classifier, pictures))))
    if audit.pool is not None:
        shown.append(Section("Who is in the data", tuple(_counts(audit, pictures))))
        shown.append(Section("What goes together", tuple(_associations(audit, audit.pool, pictures))))
    shown.append(Section("What cannot be used", tuple(_quarantine(audit, pictures))))
    shown.append(Section("Near-duplicates and persons", tuple(_duplicates(audit))))
    shown.append(Section("How this was made", tuple(_protocol(audit, cache))))
    shown.append(Section("Terms", (terms(*TERMS),)))
    return tuple(shown)


def _answer(audit: Audit) -> Iterable[Block]:
    yield Answer(quotable(audit))
    if "noise_floors" in audit.tables:
        yield judged_table(audit)
    yield Sentences("What to mend first", to_mend(audit) or ("Nothing stands out.",))
    yield Sentences("In full", answer(audit))


def _picture(name: str, audit: Audit, pictures: Collection[str]) -> Iterable[Block]:
    if name in pictures:
        heading, caption = PICTURES[name]
        yield Picture(name, heading, caption, seen(name, audit))


# Sizes.


def _sizes(audit: Audit, pictures: Collection[str]) -> Iterable[Block]:
    yield from _picture("sizes", audit, pictures)
    sizes = audit.tables["sizes"]
    numeric = ("images", "matched", "if filled up", "missing images")
    titles = ("design", "partition", *numeric[:2], "limited by", "next", *numeric[2:], "cells")
    rows = []
    for row in sizes.itertuples():
        wanted = "" if row.imbalance == "natural" else f"imbalance {row.imbalance}"
        others = f", and {row.limiting_cells - 1:,} more as small" if row.limiting_cells > 1 else ""
        rows.append(
            (
                Cell(row.design, wanted),
                Cell(row.partition),
                Cell(f"{row.images:,}" if row.possible else "impossible"),
                Cell(_count(row.matched)),
                Cell(row.limiting_cell, f"{row.limiting_count:,} images{others}"),
                Cell(row.next_cell or NOTHING),
                Cell(_count(row.images_if_filled)),
                Cell(_count(row.missing_images), _in_the_data(row)),
                Cell(row.axes),
            )
        )
    yield Table("Sizes by design and partition", tuple(Column(name, name in numeric) for name in titles), tuple(rows))
    yield Paragraph(
        f"The {audit.test_images:,} test images are the same for every design. Missing images are those that the "
        "limiting cells lack, in that partition, to allow as much as the next cell does. Below it stands how many "
        "that is in the whole data set, of which a share goes to each partition. Cells: the axes that form them."
    )


def _count(value: float) -> str:
    return count(value) if np.isfinite(value) else NOTHING


def _in_the_data(row) -> str:
    return f"about {count(row.missing_in_the_data)} in all" if np.isfinite(row.missing_in_the_data) else ""


# Gaps.


def _floors(audit: Audit, classifier: AssumedClassifier, pictures: Collection[str]) -> Iterable[Block]:
    yield from _picture("noise_floors", audit, pictures)
    floors = audit.tables["noise_floors"]
    shown = floors[floors["class"].eq(MAX_OVER_CLASSES) & floors["metric"].isin(PARITY_DIFFERENCES)]
    titles = ("gap", "chance alone", "found, largest groups", "found, smallest groups", NEARLY_BEST, PERFECT, "judged")
    in_the_data = audit.tables["gaps_in_the_data"]
    rows = tuple(_floor_row(row, in_the_data, audit.settings.min_support) for row in shown.itertuples())
    columns = tuple(Column(name, name not in ("gap", "judged")) for name in titles)
    yield Table("Gaps between groups, the largest over the classes", columns, rows)
    yield Paragraph(
        f"{audit.settings.replicates:,} classifiers were simulated that know nothing of the groups: for DP their "
        "predictions are independent of the group, for EO independent of it given the true class. Groups and classes "
        f"are those of the test images. {classifier.description} Chance alone: mean and "
        "95 % quantile. Found: the smallest true difference between two groups, in whatever class it lies, all else "
        f"being alike, that the test of a gap finds with a probability of {percent(POWER, 'g')}, in simulated tables. "
        f"Its level is {number(FIRST_STEP, '.4f')}, the first of Holm's steps over the {len(CONFIRMATORY_GAPS)} "
        "confirmatory gaps of one model; a comparison of several designs tests more, and needs larger differences. "
        "Images count as each of another person: with several of one it takes more. A trained classifier that is "
        "better or worse, or that prefers some classes, moves these numbers.",
        lead="Assumptions.",
    )
    yield Paragraph(
        "A perfect prediction is what the labels say. Nearly the best rules choose by what the labels' probabilities "
        "depend on, the age (and, under label bias, whose labels are biased), and are expected to come within "
        f"{short(NEAR_BEST)} of the best macro-F1: shown are the smallest and the largest gap of such rules, in "
        "expectation over the labels; nobody can know them where professions were read. These gaps come from who is in "
        "the data, and those of a trained model are to be read against them.",
        lead="What lies in the data.",
    )
    detectable = audit.tables["detectable_differences"]
    wide = detectable.assign(gap=list(map(short_gap_name, detectable["metric"], detectable["attribute"])))
    wide = wide.pivot(index="gap", columns="seeds", values="detectable").rename(columns="{} seeds".format)
    yield table_of("Smallest true differences between two designs that a study can show", wide.reset_index())
    told = detectable_told(detectable, len(DESIGNS), audit.test_images)
    yield Paragraph(f"{told} {ASSUMED} {SEEDS_TOLD}", lead="Between designs.")
    doubtful = audit.tables["supports"]
    doubtful = doubtful[doubtful["rate"].ne("false_positive_rate") & doubtful["evidence"].ne("sufficient")]
    if len(doubtful):
        told = doubtful[["attribute", "group", "class", "rate", "support", "evidence"]]
        told = told.assign(**{"class": told["class"].where(told["rate"].ne("selection_rate"), "")}).drop_duplicates()
        yield table_of(
            f"Rates that rest on fewer than {audit.settings.min_support} test images", told.reset_index(drop=True)
        )


def _floor_row(row, in_the_data: pd.DataFrame, min_support: int) -> tuple[Cell, ...]:
    same = in_the_data[in_the_data["metric"].eq(row.metric) & in_the_data["attribute"].eq(row.attribute)]
    found = same.set_index("prediction")["value"]
    weak = [f"{row.undefined:,} rates without images"] if row.undefined else []
    weak += [f"{row.insufficient:,} on fewer than {min_support}"] if row.insufficient else []
    return (
        Cell(short_gap_name(row.metric, row.attribute)),
        Cell(number(row.null_mean), f"up to {number(row.null_q95)}"),
        Cell(_detectable(row.detectable_largest)),
        Cell(_detectable(row.detectable_smallest)),
        Cell(span(found[[SMALLEST, LARGEST]]) if SMALLEST in found else NOTHING),
        Cell(number(found[PERFECT]) if PERFECT in found else NOTHING),
        Cell(row.judged, "; ".join(weak)),
    )


def _detectable(value: float) -> str:
    return number(value) if np.isfinite(value) else "never"


# Counts.


def _counts(audit: Audit, pictures: Collection[str]) -> Iterable[Block]:
    yield from _picture("composition", audit, pictures)
    marginals = audit.tables["marginals"]
    for attribute, table in marginals.groupby("attribute", sort=False):
        shown = table.drop(columns="attribute").rename(columns={"category": attribute, "count": "images"})
        shown["share"] = [percent(share) for share in shown["share"]]
        yield table_of(f"Images by {attribute}", shown)
    yield from _picture("two_way", audit, pictures)
    cells = audit.tables["cells"]
    small = cells[cells["test_evidence"].ne(ENOUGH)].rename(columns={"count": "images", "test_evidence": "test set"})
    if len(small):
        yield table_of(
            f"Cells of gender x race x profession with fewer than {audit.settings.min_support} test images", small
        )
    yield Paragraph(
        "The artifacts in data/ hold every cell (cells.csv), every two attributes (two_way.csv) and the counts by "
        "partition, gender, race, age and profession together (counts.csv)."
    )


# Associations.


def _associations(audit: Audit, pool: Pool, pictures: Collection[str]) -> Iterable[Block]:
    yield from _picture("associations", audit, pictures)
    titles = ("pair", "Cramér's V [95 % interval]", "images", "chi-square (df)", "adjusted p", "through the age")
    rows = tuple(map(_association_row, audit.tables["associations"].itertuples()))
    columns = tuple(Column(name, name != "pair") for name in titles)
    yield Table("Associations, all usable images", columns, rows)
    pseudo = (
        " Professions are drawn from the age here, so that what they have to do with gender or race comes through it"
        + (", and through the label bias." if audit.settings.label_bias != "none" else ", and what is left is chance.")
        if pool.label_probabilities is not None
        else ""
    )
    yield Paragraph(
        "An association is established where the adjusted p is at most .05; V alone shows none. V is 0 where the two "
        "are independent and 1 where one determines the other; undefined where a column has a "
        "single category. p: chi-square test of independence, adjusted over the pairs (Holm); with expected counts "
        "under 5 it is rough. Through the age: the uncorrected V that would be there if the two were independent "
        "given the age, beside the uncorrected V that is there, and the adjusted p of that independence, by "
        f"permutation within each age: a small one says that something is left.{pseudo}"
    )


def _association_row(row) -> tuple[Cell, ...]:
    rough = f"smallest expected count {number(row.smallest_expected, ',.1f')}" if row.smallest_expected < 5 else ""
    through = (
        Cell(f"{number(row.through_age)} of {number(row.cramers_v_uncorrected)}", p_value(row.p_given_age))
        if np.isfinite(row.through_age)
        else Cell(NOTHING)
    )
    return (
        Cell(f"{row.first} – {row.second}"),
        Cell(number(row.cramers_v), interval(row.lower, row.upper) if np.isfinite(row.cramers_v) else ""),
        Cell(f"{row.images:,}"),
        Cell(f"{number(row.chi_square, ',.1f')} ({row.degrees_of_freedom:,})"),
        Cell(bare_p_value(row.p_holm), rough),
        through,
    )


# Quarantine.


def _quarantine(audit: Audit, pictures: Collection[str]) -> Iterable[Block]:
    repaired = audit.pool.mangled_ages if audit.pool else 0
    if repaired:
        yield Paragraph(f"{counted(repaired, 'age')} that a spreadsheet had turned into dates were repaired.")
    if not audit.quarantined:
        yield Paragraph("Every row can be used.")
        return
    yield from _picture("quarantine", audit, pictures)
    by_reason = audit.tables["quarantine_by_reason"].rename(columns={"count": "rows"})
    yield table_of("Unusable rows by reason and group", by_reason)
    by_group = audit.tables["quarantine_by_group"]
    shown = by_group.assign(
        share=[percent(share) for share in by_group["share"]],
        interval=[interval(*ends, percent) for ends in zip(by_group["lower"], by_group["upper"], strict=True)],
    )[["attribute", "group", "rows", "quarantined", "share", "interval", "p_value", "p_holm"]]
    yield table_of("Unusable rows by group", shown)
    yield Paragraph(
        "p: whether the share depends on the group, by permutation, adjusted over the attributes (Holm). Rows whose "
        "group is unknown are not tested."
    )
    first = audit.tables["quarantine"].head(FIRST_LINES).fillna("")
    yield table_of(
        f"The first {len(first):,} of {counted(audit.quarantined, 'unusable row')}", first.astype({"line": int})
    )


# Near-duplicates.


def _duplicates(audit: Audit) -> Iterable[Block]:
    if not audit.images_read:
        yield Paragraph("No image was read, so that pictures were not compared.")
    for name, found, what in (
        ("near_duplicates", audit.near_duplicates, "nearly the same picture"),
        ("persons", audit.persons, "the same person"),
    ):
        if not found["groups"]:
            if name == "near_duplicates" and audit.images_read:
                yield Paragraph("No two images are nearly the same picture.")
            continue
        yield Paragraph(
            f"{found['images']:,} images in {counted(found['groups'], 'group')} show {what}, at most "
            f"{found['largest']:,} in a group. Labels disagree in gender in {found['conflicts_gender']:,} groups, in "
            f"race in {found['conflicts_race']:,}, in age in {found['conflicts_age']:,}. {_kept_together(found)}"
        )
        groups = audit.tables[name].drop_duplicates("group").head(FIRST_LINES)
        shown = groups[["group", "size", "image", "gender", "race", "age", "conflicts"]].rename(
            columns={"size": "images", "image": "first image", "conflicts": "labels that disagree"}
        )
        yield table_of(f"The largest of {counted(found['groups'], 'group')}", shown.fillna(""))
    if audit.images_read:
        yield Paragraph(
            "Pictures are compared by their perceptual hash: copies that were scaled or encoded again are found, "
            "other pictures of the same person are not. Identical files are in quarantine, all but the first."
        )


def _kept_together(found: dict[str, int]) -> str:
    aside = (
        f" {counted(found['put_aside'], 'image')} were put aside, since the rest of their group is in a partition "
        "that must stay unseen."
        if found["put_aside"]
        else ""
    )
    together = "Every group lies in one partition" if not found["split"] else f"{found['split']:,} groups are split"
    return f"{together}.{aside}"


# Protocol.


def _protocol(audit: Audit, cache: tuple[str, ...]) -> Iterable[Block]:
    settings = audit.settings
    bias = f"{settings.label_bias}, strength {short(settings.label_bias_strength)}, seed {settings.label_seed}"
    fainter = f"{short(settings.cue_gap)}: age was drawn more faintly on dark skin on purpose"
    facts = {
        "data": without_folders(settings.data),
        "pool": audit.pool.fingerprint if audit.pool else NOTHING,
        "professions": ", ".join(audit.pool.professions) if audit.pool else NOTHING,
        "groups merged or left out": groups_told(settings.merge, settings.exclude, audit.left_out) or NOTHING,
        "label bias": bias,
        **({"cue gap": fainter} if settings.cue_gap else {}),
        "image size": f"{settings.image_size} px",
        "seed": str(settings.seed),
        "bootstrap replicates and simulated classifiers": f"{settings.replicates:,}",
        "permutations": f"{settings.permutations:,}",
        "enough images for a rate (min_support)": str(settings.min_support),
    }
    yield properties("What was audited", facts.items())
    yield Sentences("What lies in the cache now", cache)
    if settings.sheet_images and audit.pool is not None and audit.images_read:
        yield Paragraph(
            "Images of every cell are artifacts of the run, in sheets/, and not on this page: a page is passed on, "
            "and faces should not be. Look at them: labels that are wrong all over show there."
        )
    if not audit.refusal:
        yield Sentences("What comes next", ("Train one design, or all of them:",))
        given: Change = {"data": to_be_named(settings.data), "image_size": settings.image_size}
        groups = {"merge": settings.merge, "exclude": settings.exclude}
        given |= {name: value for name, value in groups.items() if value != EVERYBODY} | audit.remedy
        study = as_typed(given)
        run = as_typed({name: value for name, value in given.items() if name != "experiments"})
        design = str(audit.remedy.get("experiments", "A")).split(",")[0]
        yield Commands(f"mlflow run . -P experiment={design} {run}\nmlflow run . -e study {study}")


TERMS = (
    *("quarantine", "cell", "limiting cell", "demographic parity difference, DP", "equal opportunity difference, EO"),
    *("noise floor", "insufficient evidence"),
)
