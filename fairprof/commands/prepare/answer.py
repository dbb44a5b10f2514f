"""What an audit says first: can the designs be trained, how large, what limits them, which gaps could be seen."""

import itertools
from collections.abc import Iterator

import numpy as np
import pandas as pd

from fairprof.commands.prepare.audit import LARGEST, PERFECT, SMALLEST, Audit
from fairprof.commands.prepare.counts import EMPTY, SMALL
from fairprof.commands.prepare.noise_floors import FIRST_STEP, JUDGED, NOT_JUDGED
from fairprof.commands.prepare.sizes import imbalance_name
from fairprof.data.designs import DESIGNS
from fairprof.data.drawable import as_typed
from fairprof.inference.levels import ALPHA
from fairprof.inference.planning import POWER
from fairprof.inference.verdicts import CONFIRMATORY_GAPS
from fairprof.measurement.detectable import SEEDS_TOLD, detectable_told
from fairprof.metrics.fairness import ATTRIBUTES, MAX_OVER_CLASSES, PARITY_DIFFERENCES
from fairprof.metrics.gap_ranges import NEAR_BEST
from fairprof.reporting.blocks import Cell, Column, Table
from fairprof.reporting.groups import groups_told
from fairprof.reporting.names import GAP_ABBREVIATIONS, KNOWN_TO_RULES, gap_name, name_of, short_gap_name
from fairprof.reporting.verdicts import GAP, IMAGES
from fairprof.reporting.wording import (
    capitalised,
    count,
    counted,
    designs_named,
    enumerated,
    number,
    p_value,
    percent,
    short,
    span,
)

FEW_IMAGES = 500  # training images, below which fine-tuning rests on little


def quotable(audit: Audit) -> tuple[str, ...]:
    """The answer in two or three sentences: what can be trained, and which gaps the test set could show."""
    if audit.refusal or audit.pool is None:
        return answer(audit)[:2]
    sentences = list(itertools.islice(designs(audit), 1))
    if "noise_floors" in audit.tables:
        sentences.append(_could_be_seen(audit))
    return tuple(sentences)


def banners(audit: Audit) -> tuple[str, ...]:
    """What has to be known before the answer is read: designs that cannot be trained, few images, what is lost."""
    if audit.pool is None:
        return ()
    sizes = audit.tables["sizes"]
    asked = sizes[sizes["imbalance"].eq(imbalance_name(audit.settings.imbalance))]
    missing = list(dict.fromkeys(asked.loc[~asked["possible"], "design"]))
    train = asked[asked["partition"].eq("train") & asked["possible"]]
    few = train[train["images"].lt(FEW_IMAGES)]
    sentences = []
    if missing and audit.test_images:
        sentences.append(f"{capitalised(designs_named(missing))} cannot be trained on these data.")
    if len(few):
        named = enumerated(f"{row.images:,} in design {row.design}" for row in few.itertuples())
        sentences.append(f"Few training images: {named}.")
    if not audit.images_read:
        sentences.append("No image was read: only the labels are known.")
    return tuple(sentences)


def _could_be_seen(audit: Audit) -> str:
    """From which size on the test set would show gaps between its largest groups."""
    largest = _largest(audit)
    parts = [
        f"{short_gap_name(metric, attribute)} {_from(largest.loc[(metric, attribute), 'detectable_largest'])} "
        f"(chance up to {number(largest.loc[(metric, attribute), 'null_q95'])})"
        for metric, attribute in CONFIRMATORY_GAPS
    ]
    return (
        f"On its {counted(audit.test_images, 'test image')}, the test of one model finds differences between the two "
        f"largest groups with a probability of {percent(POWER, 'g')}: {enumerated(parts)}."
    )


def _largest(audit: Audit) -> pd.DataFrame:
    """The noise floors of the gaps that are the largest over the classes, by metric and attribute."""
    floors = audit.tables["noise_floors"]
    return floors[floors["class"].eq(MAX_OVER_CLASSES)].set_index(["metric", "attribute"])


def judged_table(audit: Audit) -> Table:
    """What could be judged: a row for each confirmatory gap, with the images behind it."""
    largest = _largest(audit)
    rows = []
    for metric, attribute in CONFIRMATORY_GAPS:
        row = largest.loc[(metric, attribute)]
        rows.append(
            (
                Cell(gap_name(metric, attribute)),
                Cell(f"{audit.test_images:,}"),
                Cell(number(row["null_mean"]), f"95 % {number(row['null_q95'])}"),
                Cell(_from(row["detectable_largest"])),
                Cell(row["judged"]),
            )
        )
    titles = (GAP, IMAGES, "chance alone", "a difference is found", f"on {audit.settings.min_support} images or more")
    return Table("What could be judged", tuple(map(Column, titles)), tuple(rows))


def answer(audit: Audit) -> tuple[str, ...]:
    """The answer in sentences, the most important first."""
    return tuple(_answer(audit))


def to_mend(audit: Audit) -> tuple[str, ...]:
    """What should be mended in the data, the most urgent first; empty where nothing stands out."""
    return tuple(_to_mend(audit))


def _answer(audit: Audit) -> Iterator[str]:
    if audit.refusal:
        yield f"As it is, nothing can be trained on this data set: {audit.refusal}."
    if audit.pool is None:
        yield f"{audit.usable:,} of {counted(audit.rows, 'row')} are usable."
        return
    partitions = audit.pool.table["partition"].value_counts()
    split = enumerated(f"{partitions.get(name, 0):,} {name}" for name in ("train", "val", "test"))
    what = "are usable" if audit.images_read else "have usable labels"
    yield f"{audit.usable:,} of {counted(audit.rows, 'row')} {what}: {split} images."
    told = groups_told(audit.settings.merge, audit.settings.exclude, audit.left_out)
    if told:
        yield told
    yield from designs(audit)
    if "noise_floors" in audit.tables:
        yield from _gaps(audit)
        yield detectable_told(audit.tables["detectable_differences"], len(DESIGNS), audit.test_images)
        yield SEEDS_TOLD


def designs(audit: Audit) -> Iterator[str]:
    """Which designs can be trained, and what limits each."""
    sizes = audit.tables["sizes"]
    asked = sizes[sizes["imbalance"].eq(imbalance_name(audit.settings.imbalance))]
    train = asked[asked["partition"].eq("train")].set_index("design")
    possible = asked.groupby("design")["possible"].all() & (audit.test_images > 0)
    names = [name for name in train.index if possible[name]]
    if audit.test_images == 0:
        yield "No design can be trained: there is no test image."
    elif names:
        each = enumerated(f"{name} with {train.loc[name, 'images']:,}" for name in names)
        condition = "If that were mended, " if audit.refusal else ""
        wanted = f" at imbalance {short(audit.settings.imbalance)}" if audit.settings.imbalance != "natural" else ""
        every = "all four designs" if len(names) == len(train) else enumerated(names)
        yield capitalised(f"{condition}{every} can be trained{wanted}: {each} training images.")
        matched = train.loc[names, "matched"].dropna()
        if len(matched) == len(names):
            yield f"At equal size (train_size=matched) each has {span(matched, count)} training images."
    for name in train.index:
        if not possible[name] and audit.test_images:
            impossible = asked[asked["design"].eq(name) & ~asked["possible"]].iloc[0]
            yield f"Design {name} cannot be trained: {impossible.reason}. {_help(impossible)}"
    if audit.remedy:
        yield f"With {as_typed(audit.remedy)} a study of all that is then asked for can be drawn."
    for name in names:
        yield _limited(train.loc[name], name)


def _help(row: pd.Series) -> str:
    if not np.isfinite(row.missing_images):
        return "All its cells are empty."
    if not row.empty_cells:
        return "A lower imbalance or such images help."
    return (
        f"{counted(int(row.missing_images), f'{row.partition} image')} more in {counted(row.limiting_cells, 'cell')} "
        f"would make it {count(row.images_if_filled)} {row.partition} images."
    )


def _limited(row: pd.Series, design: str) -> str:
    others = f" and {counted(row.limiting_cells - 1, 'other cell')} as small" if row.limiting_cells > 1 else ""
    sentence = f"{design} is limited by {row.limiting_cell} ({counted(row.limiting_count, 'training image')}){others}"
    if not np.isfinite(row.images_if_filled):
        return f"{sentence}."
    return (
        f"{sentence}: {counted(int(row.missing_images), 'image')} more there would make it "
        f"{count(row.images_if_filled)} instead of {row['images']:,}; then {row.next_cell} limits."
    )


def _gaps(audit: Audit) -> Iterator[str]:
    largest = _largest(audit)
    for metric in PARITY_DIFFERENCES:
        name = GAP_ABBREVIATIONS[metric]
        rows = {name_of(attribute): largest.loc[(metric, attribute)] for attribute in ATTRIBUTES}
        found = enumerated(f"{_from(row['detectable_largest'])} by {attribute}" for attribute, row in rows.items())
        chance = enumerated(number(row["null_q95"]) for row in rows.values())
        yield (
            f"True {name} differences between the two largest groups that the test of one model on the "
            f"{counted(audit.test_images, 'test image')} finds with a probability of {percent(POWER, 'g')}, at the "
            f"level {number(FIRST_STEP, '.4f')} of the first of Holm's steps: {found}. Chance alone makes gaps whose "
            f"95 % quantile is {chance}."
        )
    cannot = [
        short_gap_name(metric, attribute)
        for metric in PARITY_DIFFERENCES
        for attribute in ATTRIBUTES
        if largest.loc[(metric, attribute), "judged"] == NOT_JUDGED
    ]
    if cannot:
        yield (
            f"Too few test images to judge {enumerated(cannot)}: in no class do two groups have "
            f"{audit.settings.min_support} images."
        )
    gaps = audit.tables["gaps_in_the_data"].set_index(["prediction", "metric", "attribute"])["value"]
    known = KNOWN_TO_RULES[audit.settings.label_bias]
    for predictions, told in (
        (
            (SMALLEST, LARGEST),
            f"Rules that know {known} and are expected to come within {short(NEAR_BEST)} of the best macro-F1 have, in "
            "expectation over the labels, a DP difference of",
        ),
        ((PERFECT,), "A perfect prediction would have a DP difference of"),
    ):
        values = [
            f"{span([gaps[prediction, PARITY_DIFFERENCES[0], attribute] for prediction in predictions])} by {attribute}"
            for attribute in ("gender", "race")
            if (predictions[0], PARITY_DIFFERENCES[0], attribute) in gaps
        ]
        if values:
            yield f"{told} {enumerated(values)}: as much lies in the data."


def _from(value: float) -> str:
    return f"from {number(value)} on" if np.isfinite(value) else "none, however large,"


def _to_mend(audit: Audit) -> Iterator[str]:
    tables = audit.tables
    if not audit.images_read and audit.usable:
        yield "Put the images where the labels say they are."
    if audit.quarantined:
        reasons = tables["quarantine_by_reason"].groupby("reason")["count"].sum().sort_values(ascending=False)
        told = enumerated(f"{reason} ({rows:,})" for reason, rows in reasons.head(3).items())
        more = f", and {counted(len(reasons) - 3, 'other reason')}" if len(reasons) > 3 else ""
        yield (
            f"{counted(audit.quarantined, 'row')} ({percent(audit.quarantined / audit.rows)}) cannot be used: "
            f"{told}{more}."
        )
    yield from _unequal_losses(tables["quarantine_by_group"])
    yield from _conflicts(audit)
    if audit.pool is None:
        return
    sizes = tables["sizes"]
    natural = sizes[sizes["imbalance"].eq("natural") & sizes["partition"].eq("train")]
    worst = natural.loc[natural["images"].idxmin()]
    impossible = sizes[~sizes["possible"]]
    if len(impossible):
        first = impossible.iloc[0]
        yield f"Make design {first.design} possible: {first.reason}. {_help(first)}"
    elif worst["images"] < FEW_IMAGES:
        yield (
            f"Design {worst['design']} has {worst['images']:,} training images only, to which all are cut when sizes "
            f"are matched; it is limited by images of {worst['limiting_cell']}."
        )
    yield from _small_cells(audit)
    if audit.pool.mangled_ages:
        yield (
            f"{counted(audit.pool.mangled_ages, 'age')} had been turned into dates by a spreadsheet (9-Mar for 3-9). "
            "They are read as what they were; mend the file all the same."
        )


def _unequal_losses(by_group: pd.DataFrame) -> Iterator[str]:
    for attribute, table in by_group.groupby("attribute", sort=False):
        if table["p_holm"].iloc[0] <= ALPHA:
            known = table[table["group"].ne("unknown")]
            high, low = known.loc[known["share"].idxmax()], known.loc[known["share"].idxmin()]
            yield (
                f"How many rows are lost depends on {name_of(attribute)}: {_lost(high)}, {_lost(low)} (adjusted "
                f"{p_value(table['p_holm'].iloc[0])})."
            )


def _lost(row: pd.Series) -> str:
    return f"{percent(row['share'])} of {row['group']} ({row['quarantined']:,} of {row['rows']:,})"


def _conflicts(audit: Audit) -> Iterator[str]:
    for found, what in (
        (audit.near_duplicates, "groups of nearly identical pictures"),
        (audit.persons, "persons with several images"),
    ):
        labels = {name: found[f"conflicts_{name}"] for name in ("gender", "race", "age")}
        wrong = [f"{groups:,} in {name}" for name, groups in labels.items() if groups]
        if wrong:
            yield (
                f"Of {found['groups']:,} {what}, labels disagree within {enumerated(wrong)}: look at them "
                "and correct one or the other."
            )


def _small_cells(audit: Audit) -> Iterator[str]:
    evidence = audit.tables["cells"]["test_evidence"].value_counts()
    empty, small = evidence.get(EMPTY, 0), evidence.get(SMALL, 0)
    if not empty and not small:
        return
    floors = audit.tables.get("noise_floors", pd.DataFrame({"class": [], "judged": []}))
    doubtful = floors[floors["class"].eq(MAX_OVER_CLASSES) & floors["judged"].ne(JUDGED)]
    gaps = [
        short_gap_name(row.metric, row.attribute) for row in doubtful.itertuples() if row.metric in PARITY_DIFFERENCES
    ]
    which = f", so that too few images of some groups are behind {enumerated(gaps)}" if gaps else ""
    yield (
        f"Of {len(audit.tables['cells']):,} cells of gender x race x profession, {empty:,} have no test image and "
        f"{small:,} fewer than {audit.settings.min_support}{which}."
    )
