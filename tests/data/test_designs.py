"""Designs A-D: exact counts on a small data set worked by hand, and the study's sizes on FairFace's labels."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from fairprof.config import Settings
from fairprof.data.designs import DESIGNS, composition, draw
from fairprof.data.pool import load_pool

# gender, race, profession: training images
COUNTS = {
    ("m", "x", "s"): 6,
    ("m", "x", "w"): 10,
    ("m", "y", "s"): 3,
    ("m", "y", "w"): 5,
    ("f", "x", "s"): 4,
    ("f", "x", "w"): 7,
    ("f", "y", "s"): 2,
    ("f", "y", "w"): 9,
}


@pytest.fixture
def pool_of(make_settings, write_manifest):
    """A pool of labels alone; validation has 10 and test 2 images in every cell."""

    def load(counts: dict = COUNTS, shuffled: int | None = None):
        rows = [
            {
                "image": f"{partition}-{'-'.join(cell)}-{number}",
                "gender": cell[0],
                "race": cell[1],
                "profession": cell[2],
                "partition": partition,
            }
            for cell in COUNTS
            for partition, count in (("train", counts.get(cell, 0)), ("val", 10), ("test", 2))
            for number in range(count)
        ]
        if shuffled is not None:
            rows = [rows[place] for place in np.random.default_rng(shuffled).permutation(len(rows))]
        return load_pool(make_settings(data=write_manifest(rows)), image_size=None)

    return load


@pytest.fixture
def pool(pool_of):
    return pool_of()


def counted(pool, rows: np.ndarray, *axes: str) -> dict:
    keys = pool.table.iloc[rows][list(axes)].astype(str).itertuples(index=False, name=None)
    return dict(Counter(key[0] if len(axes) == 1 else key for key in keys))


def cells(*axes: str) -> list[tuple]:
    place = {"gender": 0, "race": 1, "profession": 2}
    return sorted({tuple(cell[place[axis]] for axis in axes) for cell in COUNTS})


# The smallest cells, by hand: A f-y-s 2. B m-s 9, m-w 15, f-s 6, f-w 16. C x-s 10, x-w 17, y-s 5, y-w 14.
# D m-x 16, m-y 8, f-x 11, f-y 11.
PER_CELL = {"A": 2, "B": 6, "C": 5, "D": 8}
NATURAL = {"A": None, "B": "race", "C": "gender", "D": "profession"}


@pytest.mark.parametrize("name", PER_CELL)
def test_every_cell_of_the_balanced_axes_gets_the_smallest_one_s_count(pool, name):
    drawn = draw(pool, DESIGNS[name], Settings())
    axes = DESIGNS[name].balanced
    assert counted(pool, drawn.train, *axes) == dict.fromkeys(cells(*axes), PER_CELL[name])
    assert counted(pool, drawn.val, *axes) == dict.fromkeys(cells(*axes), 10 if name == "A" else 20)
    assert DESIGNS[name].natural == NATURAL[name]


@pytest.mark.parametrize("name", PER_CELL)
def test_draws_are_distinct_rows_of_their_own_partition_and_the_test_rows_are_all_there_are(pool, name):
    drawn = draw(pool, DESIGNS[name], Settings(train_size="matched", fraction=0.5, seed=3))
    for partition in ("train", "val", "test"):
        rows = drawn.rows(partition)
        assert (np.diff(rows) > 0).all()
        assert pool.table["partition"].iloc[rows].eq(partition).all()
    assert drawn.test.tolist() == np.flatnonzero(pool.table["partition"].eq("test")).tolist() and len(drawn.test) == 16


@pytest.mark.parametrize(
    ("name", "settings", "per_cell"),
    [
        *((name, {"train_size": "matched"}, {"A": 2, "B": 4, "C": 4, "D": 4}[name]) for name in PER_CELL),  # 16 in all
        ("B", {"train_size": 24}, 6),
        ("B", {"train_size": 23}, 5),
        ("B", {"train_size": 10}, 2),
        ("D", {"train_size": 4}, 1),
        ("B", {"fraction": 0.5}, 3),
        ("B", {"fraction": 0.34}, 2),
        ("B", {"train_size": 20, "fraction": 0.6}, 3),
    ],
)
def test_sizes_are_rounded_down_to_equal_cells(pool, name, settings, per_cell):
    drawn = draw(pool, DESIGNS[name], Settings(**settings))
    axes = DESIGNS[name].balanced
    assert counted(pool, drawn.train, *axes) == dict.fromkeys(cells(*axes), per_cell)


def test_matched_validation_sets_are_as_large_as_the_smallest_too(pool_of):
    pool = pool_of()
    sizes = {len(draw(pool, design, Settings(train_size="matched")).val) for design in DESIGNS.values()}
    assert sizes == {80}


# Geometric profiles, by hand. B: races x 27 (share 1) and y 19 (share 1/r). With r = 2 the largest share is
# min(6, 10, 4, 7; 2*3, 2*5, 2*2, 2*9) = 4. C: genders m 24, f 22: min(6, 10, 3, 5; 2*4, 2*7, 2*2, 2*9) = 3.
# D: professions w 31, s 15; r = 5: min(10, 5, 7, 9; 5*6, 5*3, 5*4, 5*2) = 5.
@pytest.mark.parametrize(
    ("name", "ratio", "per_cell"),
    [
        ("B", 1, {"x": 2, "y": 2}),
        ("B", 2, {"x": 4, "y": 2}),
        ("B", 4, {"x": 4, "y": 1}),
        ("C", 3, {"m": 3, "f": 1}),
        ("C", 2, {"m": 3, "f": 1}),
        ("D", 5, {"w": 5, "s": 1}),
        ("D", 2, {"w": 4, "s": 2}),
    ],
)
def test_imbalance_gives_the_natural_axis_its_ratio_in_every_cell(pool, name, ratio, per_cell):
    drawn = draw(pool, DESIGNS[name], Settings(imbalance=ratio))
    natural = {"race": 1, "gender": 0, "profession": 2}[NATURAL[name]]
    expected = {cell: per_cell[cell[natural]] for cell in COUNTS}
    assert counted(pool, drawn.train, "gender", "race", "profession") == expected


def test_a_profile_over_three_groups_is_geometric(make_settings, write_manifest):
    rows = [
        {
            "image": f"{partition}{gender}{race}{profession}{number}",
            "gender": gender,
            "race": race,
            "profession": profession,
            "partition": partition,
        }
        for partition in ("train", "val", "test")
        for gender in "mf"
        for profession in "sw"
        for race, count in (("rare", 50), ("common", 90), ("middle", 70))
        for number in range(count)
    ]
    pool = load_pool(make_settings(data=write_manifest(rows)), image_size=None)
    drawn = draw(pool, DESIGNS["B"], Settings(imbalance=9))
    # shares 1, 1/3, 1/9 for common, middle, rare: 90 / 1 is the first to run out
    assert counted(pool, drawn.train, "race") == {"common": 4 * 90, "middle": 4 * 30, "rare": 4 * 10}


def test_errors_name_the_cell_its_count_and_what_would_help(pool_of, refused):
    pool = pool_of()
    with refused("imbalance=2", "design A", "B, C or D"):
        draw(pool, DESIGNS["A"], Settings(imbalance=2))
    with refused("train_size=25", "design B", "at most 24", "f x s, has 6"):
        draw(pool, DESIGNS["B"], Settings(train_size=25))
    with refused("design B", "no image would be left", "train", "f x s, has 6", "train_size"):
        draw(pool, DESIGNS["B"], Settings(train_size=3))
    with refused("design A", "no image would be left", "f x y x s, has 2", "fraction"):
        draw(pool, DESIGNS["A"], Settings(fraction=0.4))
    with refused("design C", "no image would be left", "imbalance"):
        draw(pool, DESIGNS["C"], Settings(imbalance=4))


def test_an_empty_cell_is_refused_where_it_is_balanced_and_only_there(pool_of, refused):
    pool = pool_of(COUNTS | {("f", "y", "s"): 0})
    with refused("design A", "empty cell", "train", "f x y x s, has 0"):
        draw(pool, DESIGNS["A"], Settings())
    assert [len(draw(pool, DESIGNS[name], Settings()).train) for name in "BCD"] == [4 * 4, 4 * 3, 4 * 8]
    with refused("imbalance=2", "design B", "empty cell", "f x s x y, has 0"):
        draw(pool, DESIGNS["B"], Settings(imbalance=2))
    with refused("design A", "empty cell", "f x y x s, has 0 there and 12 in all"):
        draw(pool, DESIGNS["A"], Settings(train_size="matched"))


def test_matched_sizes_are_those_of_the_smallest_design_that_can_be_drawn(pool_of):
    """Without women of race y who are s, A cannot be: C is the smallest, with four cells of 3 (men of race y)."""
    pool = pool_of(COUNTS | {("f", "y", "s"): 0})
    drawn = [draw(pool, DESIGNS[name], Settings(train_size="matched")) for name in "BCD"]
    assert [len(rows.train) for rows in drawn] == [12, 12, 12]
    assert [rows.matched_to for rows in drawn] == ["C", "C", "C"]
    whole = pool_of()
    assert draw(whole, DESIGNS["B"], Settings(train_size="matched")).matched_to == "A"
    assert draw(whole, DESIGNS["B"], Settings()).matched_to == ""


def test_a_seed_names_one_draw_which_does_not_depend_on_the_order_of_the_source(pool_of):
    first, second = pool_of(), pool_of(shuffled=1)
    for name, design in DESIGNS.items():
        draws = [draw(pool, design, Settings(seed=seed)) for pool, seed in ((first, 0), (second, 0), (first, 1))]
        images = [
            pool.table["image"].iloc[drawn.train].tolist()
            for pool, drawn in zip((first, second, first), draws, strict=True)
        ]
        assert images[0] == images[1] != images[2], name
        assert draws[0].fingerprint == draws[1].fingerprint != draws[2].fingerprint
        assert draws[0].test_fingerprint == draws[2].test_fingerprint


def test_smaller_draws_are_parts_of_larger_ones(pool):
    for design in DESIGNS.values():
        rows = [set(draw(pool, design, Settings(fraction=fraction)).train) for fraction in (0.5, 0.7, 1.0)]
        assert rows[0] <= rows[1] <= rows[2] and len(rows[0]) < len(rows[2])
        assert set(draw(pool, design, Settings(train_size="matched")).train) <= rows[2]


def test_composition_counts_every_cell_of_every_partition(pool):
    table = composition(pool, draw(pool, DESIGNS["A"], Settings(fraction=0.5)))
    assert len(table) == 3 * 8
    assert table.groupby("partition", observed=True)["count"].apply(list).to_dict() == {
        "train": [1] * 8,
        "val": [10] * 8,
        "test": [2] * 8,
    }


# --- the study's sizes ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fairface(shared, tmp_path_factory):
    settings = Settings(data=f"fairface:{shared / 'data' / 'fairface'}", cache_dir=str(tmp_path_factory.mktemp("c")))
    return load_pool(settings, image_size=None)


def test_fairface_s_own_test_set_and_a_validation_set_split_off_its_training_images(fairface):
    assert len(fairface.rows_of("test")) == 10_954
    assert fairface.table["image"].iloc[fairface.rows_of("test")].str.startswith("val/").all()
    assert len(fairface.rows_of("val")) / 86_744 == pytest.approx(0.1, abs=0.002)
    assert fairface.mangled_ages == 22_048 and fairface.quarantine.empty
    shares = pd.crosstab(fairface.table["partition"], fairface.table["profession"], normalize="index")
    assert np.abs(shares.loc["val"] - shares.loc["train"]).max() < 0.005


# cells, and the study's training images; its labels are another draw, so that sizes agree within 3 deviations of
# the smallest cell's count, which is binomial: about the square root of the count
@pytest.mark.parametrize(("name", "cell_count", "study"), [("A", 56, 9_128), ("B", 8, 19_288), ("C", 28, 17_696)])
def test_fairface_s_sizes_are_the_study_s_within_chance(fairface, name, cell_count, study):
    drawn = draw(fairface, DESIGNS[name], Settings())
    axes = list(DESIGNS[name].balanced)
    per_cell = [
        set(fairface.table.iloc[rows].groupby(axes, observed=False).size()) for rows in (drawn.train, drawn.val)
    ]
    (train,), (val,) = per_cell
    assert (len(drawn.train), len(drawn.val)) == (cell_count * train, cell_count * val)
    expected = study / cell_count
    assert abs(train + val - expected) <= 3 * np.sqrt(expected)
    assert val / (train + val) == pytest.approx(0.1, abs=0.02)


def test_fairface_s_size_of_d_is_the_study_s_exactly_as_no_profession_matters(fairface):
    smallest = (
        fairface.table.iloc[np.concatenate([fairface.rows_of("train"), fairface.rows_of("val")])]
        .groupby(["gender", "race"], observed=False)
        .size()
    )
    assert 14 * smallest.min() == 39_858
    drawn = draw(fairface, DESIGNS["D"], Settings())
    assert 39_858 - 14 * 5 <= len(drawn.train) + len(drawn.val) <= 39_858


def test_fairface_s_test_set_is_the_same_for_every_design_seed_and_size(fairface):
    fingerprints = {
        draw(fairface, design, Settings(**settings)).test_fingerprint
        for design in DESIGNS.values()
        for settings in ({}, {"seed": 1}, {"train_size": "matched"})
    }
    assert len(fingerprints) == 1


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("A", {}, "44b5ec50ce0f0269"),
        ("B", {"imbalance": 2.0}, "ae8dbe1bae02f07a"),
        ("C", {"train_size": "matched", "seed": 5}, "51eee39a165e0e70"),
        ("D", {"fraction": 0.5, "seed": 1}, "74dc75c8269dbb1b"),
    ],
)
def test_fairface_s_draws_are_those_that_they_always_were(fairface, name, settings, expected):
    drawn = draw(fairface, DESIGNS[name], Settings(**settings))
    assert drawn.fingerprint == expected and drawn.test_fingerprint == "e9ee79f65478d851"


def test_fairface_s_matched_designs_have_equal_sizes(fairface):
    sizes = {
        name: len(draw(fairface, design, Settings(train_size="matched")).train) for name, design in DESIGNS.items()
    }
    assert max(sizes.values()) == sizes["A"] and min(sizes.values()) > sizes["A"] - 28


def test_designs_of_one_seed_share_more_rows_than_those_of_two(fairface):
    """A pair of designs at one seed is a pair: the random order is common to all designs."""
    rows = {
        (name, seed): set(draw(fairface, DESIGNS[name], Settings(seed=seed)).train) for name in "BC" for seed in (0, 1)
    }
    assert len(rows["B", 0] & rows["C", 0]) > 1.5 * len(rows["B", 0] & rows["C", 1])
