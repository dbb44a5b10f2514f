"""The pool: every usable example of a data set in one table, its partitions, and the way to its pixels."""

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fairprof.config import DataSettings
from fairprof.data.attributes import AGE_BINS, GENDERS, categorical
from fairprof.data.groups import left_out, merged, merged_order, require_groups
from fairprof.data.partitions import CELL, PARTITIONS, partitions
from fairprof.data.professions import LabelBias, draw_professions, profession_probabilities
from fairprof.data.sources.kinds import open_source
from fairprof.data.sources.listing import QUARANTINE_COLUMNS, Listing, RegionFiles
from fairprof.errors import UserError
from fairprof.metrics.fairness import OVER_CLASSES
from fairprof.runtime.cache import Cache
from fairprof.runtime.files import path_of

if TYPE_CHECKING:
    from fairprof.data.pixels import Pixels
    from fairprof.serving import Preprocessing

USED = [  # of what was read, in a pool
    *("image", "gender", "race", "age", "profession", "pixel", "person", "partition", "group"),
    *("labelled_gender", "labelled_race"),
]
LABELS = ["gender", "race"]  # of the groups that can be merged and left out
CHUNK = 2**18  # rows that are hashed at a time
LEFT_OUT = "left out"  # the reason of rows that cannot be used because `exclude` says so


def _nobody() -> pd.DataFrame:
    return pd.DataFrame({"gender": [], "race": [], "count": []})


@dataclass(frozen=True)
class Pool:
    """Every usable example of a data set.

    table: a row per image, sorted by `image`, with the columns image (str, its name), gender, race, age,
    profession (ordered categoricals; age is missing where the data set has none), partition (train, val, test), pixel
    (int, its row in the pixel cache) and, where the data set names persons, person (str, empty where it does not).
    professions: the class names in order. label_probabilities: (N, K) P(class) of every row where labels are
    pseudo-professions, None where they were read. quarantine: image, line, reason, gender, race of every
    unusable row. pixels: the pixel cache, None where only labels were asked for. mangled_ages: how many ages
    were repaired. fingerprint: hexadecimal digest of rows, labels and partitions. sealed: the test rows were taken out.
    regions: the region masks, by the column pixel; None where the data set has none. left_out: gender, race (as they
    are labelled) and count of the rows that `exclude` left out; they are not in quarantine.
    """

    name: str
    table: pd.DataFrame
    professions: tuple[str, ...]
    label_probabilities: np.ndarray | None
    quarantine: pd.DataFrame
    pixels: "Pixels | None"
    mangled_ages: int
    fingerprint: str
    sealed: bool = False
    regions: RegionFiles | None = None
    left_out: pd.DataFrame = field(default_factory=_nobody)

    @property
    def pixel_cache(self) -> "Pixels":
        """The pixels, where they are needed; raises ValueError where only labels were asked for."""
        if self.pixels is None:
            raise ValueError(f"the pool of {self.name} was read without its pixels")
        return self.pixels

    @cached_property
    def _row_hashes(self) -> np.ndarray:
        return _row_hashes(self.table)

    def fingerprint_of(self, rows: np.ndarray) -> str:
        """Hexadecimal digest of rows of the table, in this order."""
        return _digest_of(self._row_hashes[rows])

    def rows_of(self, partition: str) -> np.ndarray:
        """Row numbers of a partition, ascending."""
        return np.flatnonzero(self.table["partition"].eq(partition))

    @cached_property
    def cell_counts(self) -> pd.DataFrame:
        """Images of every cell (index: gender, race, profession, empty cells too) by partition: train, val and test."""
        cells = self.table.groupby([*CELL, "partition"], observed=False).size().unstack("partition", fill_value=0)
        return cells.reindex(columns=list(PARTITIONS), fill_value=0)


@dataclass(frozen=True)
class ScreenedRows:
    """What was read of a data set, before anything is refused or split.

    rows: a row per record that the listing holds, its columns (gender and race with merged groups) and:
    labelled_gender and labelled_race (as the data set has them), pixel (int, the row in the pixel cache), fault (why
    the record or its image cannot be used, empty where it can), reason (the same, or why it may not: it is left out, or
    belongs with an image that must stay unseen), near_duplicates (int, equal for images that are nearly the same
    picture; -1 where they were not compared) and group (str, equal for rows that must share a partition: images of one
    person, and near-duplicates). quarantine: every record that cannot be used, also those that the listing left out.
    left_out: gender, race and count of the records that are left out, whatever else is wrong with them. pixels: None
    where only labels were asked for.
    """

    listing: Listing
    rows: pd.DataFrame
    quarantine: pd.DataFrame
    left_out: pd.DataFrame
    pixels: "Pixels | None"

    @property
    def usable(self) -> pd.Series:
        """(N,) bool: which of the rows become a pool's."""
        return self.rows["reason"].eq("")


def load_pool(settings: DataSettings, image_size: int | None, preprocessing: "Preprocessing | None" = None) -> Pool:
    """The pool that `settings.data` names, with pixels for inputs of `image_size` and a network's preprocessing (None:
    ImageNet's). But for them it is the same for any preprocessing.

    Without a size, labels alone are read and images may be absent.

    Raises `UserError` where the data set cannot be used, or more than `settings.max_quarantined_share` of its
    rows cannot.
    """
    screened = screened_rows(settings, image_size, preprocessing)
    refuse_if_mostly_unusable(screened, settings)
    return pool_of(screened, settings)


def screened_rows(
    settings: DataSettings, image_size: int | None, preprocessing: "Preprocessing | None" = None
) -> ScreenedRows:
    """Every record of the data set that `settings.data` names, with the reason why it cannot be used if there is one.

    The pixels are for inputs of `image_size` and a network's preprocessing (None: ImageNet's); without a size, labels
    alone are read and images may be absent.

    Raises `UserError` where nothing can be read, and its subclass `NoImages` where no image exists.
    """
    cache = Cache.of(settings)
    listing = open_source(settings.data, cache, settings.cue_gap, images_needed=image_size is not None)
    labelled = {f"labelled_{name}": listing.rows[name] for name in LABELS}
    rows = listing.rows.assign(pixel=np.arange(len(listing.rows)), **labelled)
    faults = pd.Series("", index=rows.index, dtype=str)
    faults[rows["image"].duplicated()] = "duplicate: the image is listed on an earlier line"
    pixels, groups, named = None, rows["image"], rows["person"].fillna("").ne("")
    if named.any():
        groups = rows["person"].where(named, groups)
    near = pd.Series(-1, index=rows.index)
    if image_size is not None and len(rows):
        # SciPy and MLflow, which labels alone do not need
        from fairprof.data.duplicates import near_duplicate_groups
        from fairprof.data.pixels import cached_pixels, perceptual_bits
        from fairprof.serving import IMAGENET

        pixels = cached_pixels(listing.images, image_size, cache, preprocessing or IMAGENET)
        faults = faults.where(faults.ne(""), pixels.records["reason"].astype(str))
        faults = faults.where(faults.ne(""), _identical_files(rows, pixels.records["sha256"], faults))
        usable = faults.eq("")
        near[usable] = near_duplicate_groups(perceptual_bits(pixels.records["perceptual_hash"][usable]))
        groups = _joined_groups(groups, near, usable)
    rows = rows.assign(fault=faults, near_duplicates=near, group=groups)
    return regrouped(ScreenedRows(listing, rows, listing.quarantine, _nobody(), pixels), settings)


def regrouped(screened: ScreenedRows, settings: DataSettings) -> ScreenedRows:
    """The same rows with the groups that the settings merge and leave out.

    Raises `UserError` where they name a group that the data do not have.
    """
    listing = screened.listing
    labels = screened.rows[[f"labelled_{name}" for name in LABELS]].set_axis(LABELS, axis=1)
    require_groups(labels, settings)
    out, faulty_out = left_out(labels, settings), left_out(listing.quarantine, settings)
    rows = screened.rows.assign(**merged(labels, settings))
    reasons = rows["fault"].mask(out, LEFT_OUT)
    reasons = reasons.where(reasons.ne(""), _leaks(rows, rows["group"], reasons))
    rows = rows.assign(reason=reasons)
    rejected = rows.loc[reasons.ne("") & ~out, list(QUARANTINE_COLUMNS)]
    quarantine = pd.concat([merged(listing.quarantine[~faulty_out], settings), rejected], ignore_index=True)
    gone = pd.concat([labels[out], listing.quarantine.loc[faulty_out, LABELS]]).fillna("")
    return replace(
        screened,
        rows=rows,
        quarantine=quarantine.sort_values(["line", "image"], ignore_index=True),
        left_out=gone.groupby(LABELS).size().reset_index(name="count"),
    )


def _identical_files(rows: pd.DataFrame, digests: pd.Series, reasons: pd.Series) -> pd.Series:
    """Reasons for files with equal bytes: the later ones go; where their labels differ, none can be trusted."""
    usable = rows[reasons.eq("")].assign(digest=digests)
    labels = ["gender", "race", "age", "profession"]
    usable["labels"] = usable[labels].fillna("").groupby(labels).ngroup()
    files = usable.groupby("digest")
    original = files["image"].transform("first")
    conflicting = files["labels"].transform("nunique").gt(1)
    repeated = usable["digest"].duplicated()
    found = pd.Series("", index=rows.index, dtype=str)
    found.loc[usable.index[repeated]] = "duplicate: same file as " + original[repeated]
    found.loc[usable.index[conflicting]] = "duplicate: same file under different labels, see " + original[conflicting]
    return found


def _joined_groups(groups: pd.Series, near: pd.Series, usable: pd.Series) -> pd.Series:
    """Groups of rows that must share a partition: those of one person, joined with near-duplicate images."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names, persons = np.unique(groups[usable].to_numpy(dtype=object), return_inverse=True)
    near = near[usable].to_numpy()
    # a row links its person to its cluster of pictures: whatever is connected belongs together
    links = coo_array((np.ones(len(near)), (persons, len(names) + near)), shape=(len(names) + len(near),) * 2)
    component = connected_components(links, directed=False)[1][: len(names)]
    smallest_name = pd.Series(names).groupby(component).transform("min").to_numpy()
    joined = groups.copy()
    joined[usable] = smallest_name[persons]
    return joined


def _leaks(rows: pd.DataFrame, groups: pd.Series, reasons: pd.Series) -> pd.Series:
    """Reasons for rows whose person or near-duplicate is in a partition of the data set's own that must stay unseen:
    test goes before val, and val before train."""
    leaks = pd.Series("", index=rows.index, dtype=str)
    for held_out, others in (("test", ("val", "train")), ("val", ("train",))):
        usable = reasons.eq("") & leaks.eq("")
        unseen = set(groups[usable & rows["partition"].eq(held_out)])
        leaking = usable & rows["partition"].isin(others) & groups.isin(unseen)
        leaks[leaking] = f"duplicate: same person or nearly the same image as a {held_out} image"
    return leaks


def refuse_if_mostly_unusable(screened: ScreenedRows, settings: DataSettings) -> None:
    """Raises `UserError` where no row is usable, or more than `settings.max_quarantined_share` are not."""
    usable, quarantine = int(screened.usable.sum()), screened.quarantine
    total = usable + len(quarantine)
    if usable and len(quarantine) <= settings.max_quarantined_share * total:
        return
    worst = quarantine.iloc[0]
    raise UserError(
        f"{settings.data}: {len(quarantine):,} of {total:,} rows are unusable, more than "
        f"max_quarantined_share={settings.max_quarantined_share:g} allows; the first: "
        f"{worst['image']}{f', line {worst.line}' if worst.line else ''}: {worst['reason']}"
    )


def pool_of(screened: ScreenedRows, settings: DataSettings) -> Pool:
    """The pool of the usable rows, however few they are.

    Raises `UserError` where they cannot be used together: one profession only, a label bias on labels that were read.
    """
    listing, pixels = screened.listing, screened.pixels
    rows, images = screened.rows[USED], screened.rows["image"].array
    if not screened.usable.all():
        rows = rows[screened.usable].reset_index(drop=True)
    if not (images[1:] >= images[:-1]).all():  # otherwise sorted already, as most lists are: that takes long
        rows = rows.iloc[rows["image"].argsort(kind="stable")].reset_index(drop=True)
    probabilities, professions = None, rows["profession"]
    if professions.isna().all():
        bias = LabelBias(settings.label_bias, settings.label_bias_strength)
        probabilities = profession_probabilities(rows["age"], rows["labelled_gender"], rows["labelled_race"], bias)
        professions = pd.Series(draw_professions(rows["image"], probabilities, settings.label_seed))
    elif settings.label_bias != "none":
        raise UserError(
            f"label_bias={settings.label_bias} needs pseudo-professions; {settings.data} has a column "
            "profession: set label_bias=none"
        )
    table = pd.DataFrame(
        {
            "image": rows["image"],
            "gender": categorical(rows["gender"], merged_order(GENDERS, "gender", settings)),
            "race": categorical(rows["race"], merged_order(listing.races, "race", settings)),
            "age": categorical(rows["age"], AGE_BINS),
            "profession": professions if probabilities is not None else categorical(professions),
            "pixel": rows["pixel"],
        }
    )
    if rows["person"].fillna("").ne("").any():
        table["person"] = rows["person"].fillna("").astype(str)
    table["partition"] = partitions(table, rows["partition"], rows["group"])
    if table["profession"].cat.categories.size < 2:
        raise UserError(
            f"{settings.data}: every row has the profession {table['profession'].iloc[0]}: "
            "a classifier needs at least two"
        )
    reserved = [name for name in table["profession"].cat.categories if name in OVER_CLASSES]
    if reserved:
        raise UserError(
            f"{settings.data}: a profession is called {reserved[0]}, which stands in place of a class in fairprof's "
            "tables: give it another name"
        )
    digests = pixels.records["sha256"].iloc[rows["pixel"]].to_numpy() if pixels else None
    return Pool(
        listing.name,
        table,
        tuple(table["profession"].cat.categories),
        probabilities,
        screened.quarantine,
        pixels,
        listing.mangled_ages,
        fingerprint(table, digests),
        regions=listing.regions,
        left_out=screened.left_out,
    )


def fingerprint(table: pd.DataFrame, digests: np.ndarray | None = None) -> str:
    """Sixteen hexadecimal digits over image names, labels, partitions and, where known, the files' contents."""
    return _digest_of(_row_hashes(table), digests)


def _row_hashes(table: pd.DataFrame) -> np.ndarray:
    """(N,) uint64: a number per row that its image's name, labels and partition give, whatever the other rows are."""
    columns = [name for name in ("image", "gender", "race", "age", "profession", "partition") if name in table]
    hashes = np.empty(len(table), dtype=np.uint64)
    for start in range(0, len(table), CHUNK):
        rows = table[columns].iloc[start : start + CHUNK]
        hashes[start : start + CHUNK] = pd.util.hash_pandas_object(rows, index=False, categorize=False)
    return hashes


def _digest_of(hashes: np.ndarray, digests: np.ndarray | None = None) -> str:
    digest = hashlib.sha256(hashes.tobytes())
    if digests is not None:
        digest.update("".join(digests).encode())
    return digest.hexdigest()[:16]


def without_test(pool: Pool) -> Pool:
    """The pool without its test rows: whoever has it cannot look at them. The fingerprint stays the whole pool's."""
    kept = np.flatnonzero(pool.table["partition"].ne("test"))
    probabilities = None if pool.label_probabilities is None else pool.label_probabilities[kept]
    table = pool.table.iloc[kept].reset_index(drop=True)
    return replace(pool, table=table, label_probabilities=probabilities, sealed=True)


def source_of(data: str) -> str:
    """The data set's address for a log: absolute path, or `synthetic`; as it is given where it is another machine's."""
    kind, separator, path = data.partition(":")
    try:
        return f"{kind}:{path_of(path, 'data')}" if separator else kind
    except UserError:
        return data
