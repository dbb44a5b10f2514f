"""The embedded data set: complete, as its composition says, drawn once and the same each time."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fairprof.config import Settings
from fairprof.data.attributes import AGE_BINS
from fairprof.data.designs import DESIGNS, draw
from fairprof.data.pool import load_pool
from fairprof.data.portraits import Person, draw_portrait
from fairprof.data.sources import synthetic
from fairprof.runtime.cache import Cache
from fairprof.runtime.checksums import CHECKSUMS
from fairprof.seeds import numpy_generator
from tests.damages import DAMAGES


@pytest.fixture(scope="module")
def listing(synthetic_cache):
    return synthetic.read(Cache(synthetic_cache, size_limit=1, lock_timeout=5.0))


@pytest.fixture(scope="module")
def labels(listing, synthetic_cache):
    """The label file, which tells more than a listing: regions, years, skin_tone."""
    table = pd.read_csv(synthetic_cache / synthetic.VERSION / "labels.csv", dtype=str)
    assert table["image"].tolist() == listing.rows["image"].tolist()
    return table


def test_every_portrait_is_there_with_its_regions(listing, labels, synthetic_cache):
    assert len(listing.rows) == synthetic.IMAGES == len(listing.images) and listing.quarantine.empty
    folder = synthetic_cache / synthetic.VERSION
    assert len(list(folder.glob("images/*.jpg"))) == len(list(folder.glob("regions/*.png"))) == synthetic.IMAGES
    for row in (0, 1234, synthetic.IMAGES - 1):
        image = cv2.imdecode(np.frombuffer(listing.images.read(row), np.uint8), cv2.IMREAD_COLOR)
        regions = cv2.imread(str(folder / labels["regions"][row]), cv2.IMREAD_UNCHANGED)
        assert image.shape == (synthetic.SIZE, synthetic.SIZE, 3) and regions.shape == image.shape[:2]
        assert set(np.unique(regions)) == {0, 1, 2}


def test_a_portrait_shows_whom_its_labels_describe(listing, labels):
    for row in (5, 777):
        subject = labels.loc[row]
        person = Person(int(subject["years"]), subject["gender"], int(subject["skin_tone"]))
        drawn, _ = draw_portrait(person, numpy_generator(synthetic.SEED, "portrait", subject["image"]), synthetic.SIZE)
        stored = cv2.cvtColor(
            cv2.imdecode(np.frombuffer(listing.images.read(row), np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB
        )
        assert np.abs(stored.astype(int) - drawn).mean() < 5  # what JPEG changes


def test_the_composition_is_the_documented_one_and_its_attributes_are_independent(listing):
    for column, shares in (
        ("gender", synthetic.GENDER_SHARES),
        ("race", synthetic.RACE_SHARES),
        ("age", synthetic.AGE_SHARES),
    ):
        assert sum(shares.values()) == pytest.approx(1)
        counts = listing.rows[column].value_counts()[list(shares)]
        assert stats.chisquare(counts, np.array(list(shares.values())) * synthetic.IMAGES).pvalue > 0.01
    for first, second in (("gender", "race"), ("gender", "age"), ("race", "age")):
        crossed = pd.crosstab(listing.rows[first], listing.rows[second])
        assert stats.chi2_contingency(crossed).pvalue > 0.01


def test_years_and_skin_tones_agree_with_their_groups(labels):
    lowest = [int(name.rstrip("+").split("-")[0]) for name in AGE_BINS]
    bins = np.array(AGE_BINS)[np.searchsorted(lowest, labels["years"].astype(int), side="right") - 1]
    assert bins.tolist() == labels["age"].tolist()
    limits = labels["race"].str.extract(r"Monk (\d+)-(\d+)").astype(int)
    assert labels["skin_tone"].astype(int).between(limits[0], limits[1]).all()
    assert labels["skin_tone"].nunique() == 10


def test_who_is_drawn_does_not_depend_on_when(labels):
    pd.testing.assert_frame_equal(synthetic._people().astype(str), labels.astype(str))


def test_a_second_reading_draws_nothing(listing, synthetic_cache):
    labels = synthetic_cache / synthetic.VERSION / "labels.csv"
    before = labels.stat()
    again = synthetic.read(Cache(synthetic_cache, size_limit=1, lock_timeout=5.0))
    assert (labels.stat().st_mtime_ns, labels.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    pd.testing.assert_frame_equal(again.rows, listing.rows)


def test_it_makes_a_pool_from_which_every_design_can_be_drawn(synthetic_cache):
    settings = Settings(cache_dir=str(synthetic_cache), lock_timeout=60.0, image_size=32)
    pool = load_pool(settings, settings.image_size)
    assert len(pool.table) >= 0.99 * synthetic.IMAGES  # no two portraits are near-duplicates or fail to decode
    assert pool.quarantine.empty
    sizes = {name: len(draw(pool, design, settings).train) for name, design in DESIGNS.items()}
    assert sizes["A"] < min(sizes["B"], sizes["C"], sizes["D"])


def test_a_cue_gap_makes_another_pool_of_the_same_people_and_labels(make_settings, monkeypatch):
    monkeypatch.setattr(synthetic, "IMAGES", 60)
    equal, fainter, again = (load_pool(make_settings(cue_gap=gap), 32) for gap in (0.0, 1.0, 0.0))
    assert equal.fingerprint == again.fingerprint != fainter.fingerprint
    columns = ["image", "gender", "race", "age", "profession", "partition"]
    pd.testing.assert_frame_equal(equal.table[columns], fainter.table[columns])
    changed = [
        np.any(one != other)
        for one, other in zip(
            equal.pixel_cache.array[equal.table["pixel"].to_numpy()],
            fainter.pixel_cache.array[fainter.table["pixel"].to_numpy()],
            strict=True,
        )
    ]
    old_and_dark = equal.table["race"].eq("Monk 8-10") & equal.table["age"].isin(["60-69", "70+"])
    assert old_and_dark.any() and np.array(changed)[old_and_dark].all()


# --- damage -----------------------------------------------------------------------------------------------------


@pytest.fixture
def drawn(tmp_path, monkeypatch) -> Cache:
    """A cache with an embedded data set of four portraits."""
    monkeypatch.setattr(synthetic, "IMAGES", 4)
    cache = Cache(tmp_path / "cache", size_limit=2**30, lock_timeout=5.0)
    synthetic.read(cache)
    return cache


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["labels.csv", "images/0002.jpg", "regions/0003.png", CHECKSUMS])
@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_is_damaged_all_is_drawn_again_alike_and_a_line_says_so(name, damage, drawn, capfd):
    folder = drawn.folder / synthetic.VERSION
    before = contents(folder)
    capfd.readouterr()
    synthetic.read(drawn)
    assert capfd.readouterr().out == ""
    DAMAGES[damage](folder / name)
    listing = synthetic.read(drawn)
    assert capfd.readouterr().out.startswith(f"fairprof: the embedded data set in {folder} is damaged ({name}: ")
    assert contents(folder) == before and len(listing.rows) == 4


def test_the_folder_stays_until_its_successor_is_drawn(drawn, monkeypatch):
    """Another process may be reading images of it at this moment."""
    folder = drawn.folder / synthetic.VERSION
    (folder / "regions" / "0003.png").unlink()
    draw_all = synthetic._draw_all

    def watched(*arguments):
        assert (folder / "images" / "0000.jpg").exists()
        draw_all(*arguments)

    monkeypatch.setattr(synthetic, "_draw_all", watched)
    synthetic.read(drawn)
    assert (folder / "regions" / "0003.png").exists()
