"""Sizes of the designs: what draw() takes, and says, of the same pool; limits by hand."""

from itertools import product

import numpy as np
import pytest

from fairprof.commands.prepare.sizes import design_sizes, imbalance_name
from fairprof.config import Settings
from fairprof.data.designs import DESIGNS, draw
from fairprof.errors import UserError

CELLS = [(gender, race, profession) for gender in "mf" for race in "xy" for profession in "sw"]
# m-x-s, m-x-w, m-y-s, m-y-w, f-x-s, f-x-w, f-y-s, f-y-w
COUNTS = (6, 10, 3, 5, 4, 7, 2, 9)


@pytest.fixture
def pool_with(cells_of, pool_of):
    def load(train, val=(10,) * 8, test=(2,) * 8):
        counts = {
            (partition, *cell): count
            for partition, given in (("train", train), ("val", val), ("test", test))
            for cell, count in zip(CELLS, given, strict=True)
        }
        return pool_of(cells_of(counts))

    return load


def train(sizes, imbalance: str = "natural"):
    return sizes[sizes["imbalance"].eq(imbalance) & sizes["partition"].eq("train")].set_index("design")


def test_sizes_and_limits_by_hand(pool_with):
    found = train(design_sizes(pool_with(COUNTS)))
    assert found["images"].to_dict() == {"A": 16, "B": 24, "C": 20, "D": 32}
    assert found["matched"].to_dict() == {"A": 16, "B": 16, "C": 16, "D": 16}
    assert found["cells"].to_dict() == {"A": 8, "B": 4, "C": 4, "D": 4}
    assert found.loc["A", ["limiting_cell", "limiting_count", "next_cell"]].tolist() == ["f x y x s", 2, "m x y x s"]
    # B: m-s 9, m-w 15, f-s 6, f-w 16. With 3 more of f-s, m-s limits: 4 x 9
    assert found.loc["B", ["limiting_cell", "images_if_filled", "missing_images"]].tolist() == ["f x s", 36, 3]
    # C: x-s 10, x-w 17, y-s 5, y-w 14; D: m-x 16, m-y 8, f-x 11, f-y 11
    assert found.loc["C", ["limiting_cell", "next_cell", "images_if_filled"]].tolist() == ["y x s", "x x s", 40]
    assert found.loc["D", ["limiting_cell", "limiting_cells", "images_if_filled"]].tolist() == ["m x y", 1, 44]
    # 46 of the 142 images are training images: of 3 more of f-s there, 142 / 46 times as many in the data set
    assert found.loc["B", "missing_in_the_data"] == np.ceil(3 * 142 / 46)
    assert found["possible"].all() and found["reason"].eq("").all()


def test_an_imbalance_limits_by_shares(pool_with):
    # B, races x 27 and y 19: shares 1 and 1/2. The largest share is min(6, 10, 4, 7; 2*3, 2*5, 2*2, 2*9) = 4
    found = train(design_sizes(pool_with(COUNTS), 2.0), "2")
    assert found.loc["B", ["images", "limiting_cell", "limiting_cells"]].tolist() == [24, "f x s x x", 2]
    assert found.loc["B", "missing_images"] == 3  # to 6 of f-s-x and 3 of f-s-y
    assert found.loc["A", "images"] == 16
    assert set(design_sizes(pool_with(COUNTS), 2.0)["imbalance"]) == {"natural", "2"}


def test_where_all_cells_are_equal_nothing_would_follow(pool_with):
    found = train(design_sizes(pool_with((4,) * 8)))
    assert found["limiting_cells"].to_dict() == {"A": 8, "B": 4, "C": 4, "D": 4}
    assert found[["images_if_filled", "missing_images", "missing_in_the_data"]].isna().all(axis=None)


def test_an_impossible_design_is_a_row_that_says_why(pool_with):
    found = train(design_sizes(pool_with((6, 10, 3, 5, 0, 7, 0, 9))))
    assert found["possible"].to_dict() == {"A": False, "B": False, "C": True, "D": True}
    assert found.loc["A", "reason"] == "2 of 8 cells have no train image, such as f x x x s"
    assert found.loc["A", ["images", "empty_cells", "missing_images", "images_if_filled"]].tolist() == [0, 2, 6, 24]
    assert found["matched"].isna().to_dict() == {"A": True, "B": True, "C": False, "D": False}
    assert found["matched"][["C", "D"]].tolist() == [12, 12]  # as large as C, the smallest that is possible
    assert found.loc["C", "images"] == 12


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("imbalance", ["natural", 3.0])
def test_sizes_are_those_that_are_drawn(pool_with, seed, imbalance):
    generator = np.random.default_rng(seed)
    smallest = 0 if seed % 3 == 0 else 1
    pool = pool_with(generator.integers(smallest, 12, 8), generator.integers(smallest, 5, 8))
    sizes = design_sizes(pool, imbalance)
    sizes = sizes[sizes["imbalance"].eq(imbalance_name(imbalance))].set_index(["design", "partition"])
    for (name, design), column in product(DESIGNS.items(), ("images", "matched")):
        found = sizes.loc[name][column]
        train_size = "natural" if column == "images" else "matched"
        settings = Settings(train_size=train_size, imbalance=design.imbalance(imbalance))  # as a study trains it
        if sizes.loc[name]["possible"].all() and found.notna().all():
            drawn = draw(pool, design, settings)
            assert found.to_dict() == {"train": len(drawn.train), "val": len(drawn.val)}, name
        else:
            with pytest.raises(UserError):
                draw(pool, design, settings)
