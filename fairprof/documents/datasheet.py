"""The datasheet of one draw, after Gebru et al. 2021, "Datasheets for Datasets", CACM 64(12), arXiv:1803.09010."""

from dataclasses import dataclass

import pandas as pd

from fairprof.config import Settings
from fairprof.data.attributes import AGE_BINS, BIASED_RACES
from fairprof.data.designs import Draw, composition
from fairprof.data.duplicates import NEAR_DISTANCE
from fairprof.data.partitions import TEST_SHARE, VALIDATION_SHARE, VALIDATION_SHARE_OF_TRAINING
from fairprof.data.pixels import HASH_SIDE
from fairprof.data.pool import Pool
from fairprof.data.professions import PROFESSION_GIVEN_AGE, PROFESSIONS
from fairprof.documents.provenance import provenance_of
from fairprof.documents.rendering import index_first, render
from fairprof.reporting.groups import groups_told
from fairprof.reporting.wording import count, number, percent
from fairprof.runtime.files import without_folders

PARTITIONS = ("train", "val", "test")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class DatasheetFacts:
    """What is known of a draw and of the pool that it is from.

    data: the data set as it was given, and source its kind. composition: as `fairprof.data.designs.composition`.
    ages: age, partition, count; empty where ages are not known. groups: gender, race, usable, quarantined (rows of
    the pool and of the quarantine). quarantine: reason (without what differs from file to file), count.
    pool_images: usable images; repaired_ages: those that a spreadsheet had turned into dates. label_probabilities:
    the labels are pseudo-professions. images_read: files were decoded and compared with each other. left_out: images
    of groups that `exclude` names. biased_races: as labelled, whom a label bias by race is against. matched_to: the
    design to whose size the draw was cut, empty where sizes are not matched. The rest are settings and fingerprints of
    the draw.
    """

    data: str
    source: str
    design: str
    balanced: tuple[str, ...]
    natural: str | None
    seed: int
    train_size: str
    fraction: float
    imbalance: str
    image_size: int
    classes: tuple[str, ...]
    composition: pd.DataFrame
    ages: pd.DataFrame
    groups: pd.DataFrame
    quarantine: pd.DataFrame
    pool_images: int
    repaired_ages: int
    max_quarantined_share: float
    images_read: bool
    pseudo_professions: bool
    label_bias: str
    label_bias_strength: float
    label_seed: int
    cue_gap: float
    merge: str
    exclude: str
    left_out: int
    biased_races: tuple[str, ...]
    matched_to: str
    pool_fingerprint: str
    draw_fingerprint: str
    test_fingerprint: str

    @property
    def data_shown(self) -> str:
        """The data set as others may read it: without the folders that lead to it."""
        return without_folders(self.data)


def datasheet_facts(pool: Pool, drawn: Draw, settings: Settings) -> DatasheetFacts:
    """The facts of a draw from a pool under the settings by which both were made."""
    return DatasheetFacts(
        data=settings.data,
        source=pool.name,
        design=drawn.design.name,
        balanced=drawn.design.balanced,
        natural=drawn.design.natural,
        seed=settings.seed,
        train_size=str(settings.train_size),
        fraction=settings.fraction,
        imbalance=str(settings.imbalance),
        image_size=settings.image_size,
        classes=pool.professions,
        composition=composition(pool, drawn),
        ages=_ages(pool, drawn),
        groups=_groups(pool),
        quarantine=_reasons(pool.quarantine),
        pool_images=len(pool.table),
        repaired_ages=pool.mangled_ages,
        max_quarantined_share=settings.max_quarantined_share,
        images_read=pool.pixels is not None,
        pseudo_professions=pool.label_probabilities is not None,
        label_bias=settings.label_bias,
        label_bias_strength=settings.label_bias_strength,
        label_seed=settings.label_seed,
        cue_gap=settings.cue_gap,
        merge=settings.merge,
        exclude=settings.exclude,
        left_out=int(pool.left_out["count"].sum()),
        biased_races=_biased_races(pool, settings),
        matched_to=drawn.matched_to,
        pool_fingerprint=pool.fingerprint,
        draw_fingerprint=drawn.fingerprint,
        test_fingerprint=drawn.test_fingerprint,
    )


def _ages(pool: Pool, drawn: Draw) -> pd.DataFrame:
    drawn_rows = [pool.table.iloc[drawn.rows(name)].assign(partition=name) for name in PARTITIONS]
    ages = pd.concat(drawn_rows).dropna(subset=["age"])
    return ages.groupby(["age", "partition"], observed=True).size().reset_index(name="count")


def _groups(pool: Pool) -> pd.DataFrame:
    axes = ["gender", "race"]
    usable = pool.table.groupby(axes, observed=True).size().rename("usable")
    labels = pool.quarantine[axes].astype(object)
    quarantined = labels.where(labels.notna() & labels.ne(""), UNKNOWN).groupby(axes).size().rename("quarantined")
    counts = pd.concat([usable.reset_index(), quarantined.reset_index()]).groupby(axes, sort=False)
    return counts.sum().astype(int).reset_index()


def _reasons(quarantine: pd.DataFrame) -> pd.DataFrame:
    """Reasons by their kind: what follows a colon or stands in parentheses differs from file to file."""
    kinds = quarantine["reason"].astype(str).str.split(r":| \(", regex=True).str[0]
    return kinds.value_counts().rename_axis("reason").reset_index(name="count")


def datasheet(facts: DatasheetFacts) -> str:
    """The datasheet as Markdown: the questions of Gebru et al. in their seven sections, answered by the facts and,
    where only the provider of the data knows, by PROVIDER INPUT REQUIRED and the question."""
    return render(
        "datasheet.md.j2",
        facts=facts,
        provenance=provenance_of(facts.data),
        sizes=facts.composition.groupby("partition", observed=False)["count"].sum().astype(int),
        composition=composition_table(facts.composition),
        ages=_age_table(facts.ages),
        groups=facts.groups,
        quarantined=int(facts.quarantine["count"].sum()),
        professions_given_age=_professions_given_age(),
        partition_rule=_partition_rule(facts.source),
        affected=_affected(facts),
        groups_told=groups_told(facts.merge, facts.exclude, facts.left_out),
        hash_bits=HASH_SIDE**2,
        near_distance=NEAR_DISTANCE,
    )


def composition_table(counts: pd.DataFrame) -> pd.DataFrame:
    """A row per gender x race and a column per profession; cells are counts, "train / val / test"."""
    cells = counts.pivot_table(
        index=["gender", "race", "profession"], columns="partition", values="count", observed=False, fill_value=0
    )
    texts = cells.apply(lambda row: " / ".join(count(row[name]) for name in PARTITIONS), axis=1)
    return index_first(texts.unstack("profession"))


def _age_table(ages: pd.DataFrame) -> pd.DataFrame:
    if ages.empty:
        return ages
    counts = ages.pivot_table(index="age", columns="partition", values="count", observed=True, fill_value=0)
    return counts.reindex(columns=list(PARTITIONS), fill_value=0).astype(int).rename_axis(columns=None).reset_index()


def _professions_given_age() -> pd.DataFrame:
    table = pd.DataFrame(PROFESSION_GIVEN_AGE, columns=list(PROFESSIONS)).map(lambda share: number(share, ".2f"))
    table.insert(0, "age", AGE_BINS)
    return table


def _biased_races(pool: Pool, settings: Settings) -> tuple[str, ...]:
    """The races as labelled whose professions a bias by race changes, those of merged groups too."""
    merged = {merge.name: merge.groups for merge in settings.merges() if merge.attribute == "race"}
    labelled = [race for group in pool.table["race"].cat.categories for race in merged.get(group, (group,))]
    return tuple(race for race in labelled if race in BIASED_RACES)


def _affected(facts: DatasheetFacts) -> str:
    """Whose labels are biased."""
    races = facts.biased_races
    who = {"none": "nobody", "gender": "women", "race": "people", "intersectional": "women"}[facts.label_bias]
    return f"{who} labelled {' or '.join(races)}" if facts.label_bias in ("race", "intersectional") else who


def _partition_rule(source: str) -> str:
    test, validation, of_training = (
        percent(share, "g") for share in (TEST_SHARE, VALIDATION_SHARE, VALIDATION_SHARE_OF_TRAINING)
    )
    own = (
        f"Where the data set names a test partition, it is kept, and {of_training} of its training images become "
        "validation images unless it names those as well."
    )
    split = (
        f"{test} of the usable images are test images and {validation} validation images, stratified by gender x race "
        "x profession and chosen by a hash of the images' names; a cell of three images or more is in all three, and "
        "one of two in training and validation."
    )
    if source == "fairface":
        return (
            f"FairFace's validation file is the test set here; of its training file, {of_training} become validation "
            "images."
        )
    return f"{own} Otherwise: {split}" if source == "manifest" else split
