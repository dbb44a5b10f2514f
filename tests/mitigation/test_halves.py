"""Halves of the validation images: by person, alike in every cell, and refused where one lacks what is needed."""

import numpy as np
import pandas as pd
import pytest

from fairprof.config import Settings
from fairprof.data.pool import load_pool
from fairprof.errors import UserError
from fairprof.mitigation.halves import Groups, halved, require_fittable, validation_halves


def test_images_of_every_cell_are_shared_equally_and_the_first_half_gets_the_odd_one():
    cells = np.repeat([0, 1, 2], [10, 7, 1])
    halves = halved(pd.DataFrame({"image": range(18)}), cells, seed=0)
    assert np.bincount(cells[halves.fit]).tolist() == [5, 4, 1]
    assert sorted([*halves.fit, *halves.choose]) == list(range(18))


def test_all_images_of_a_person_are_in_one_half_and_images_without_a_person_are_their_own():
    persons = ["anna"] * 4 + ["bea"] * 4 + ["carl"] * 2 + [""] * 6
    halves = halved(pd.DataFrame({"person": persons}), np.zeros(16, dtype=int), seed=1)
    assert len(halves.fit) == len(halves.choose) == 8
    known = {name for name in persons if name}
    assert not {persons[k] for k in halves.fit} & {persons[k] for k in halves.choose} & known


def test_the_halves_follow_from_the_seed_alone():
    table, cells = pd.DataFrame({"image": range(40)}), np.arange(40) % 4
    first, again, other = (halved(table, cells, seed).fit.tolist() for seed in (0, 0, 1))
    assert first == again != other


@pytest.fixture(scope="module")
def pool(synthetic_cache):
    settings = Settings(image_size=32, cache_dir=str(synthetic_cache))
    return load_pool(settings, 32)


def test_groups_of_two_attributes_are_those_that_occur_named_by_both(pool):
    groups = Groups.of(pool.table, "gender_x_race")
    row = pool.table.iloc[5]
    assert groups.attributes == ("gender", "race")
    assert groups.names[groups.codes[5]] == (str(row["gender"]), str(row["race"]))
    assert len(set(groups.names)) == len(groups.names) == len(set(groups.codes)) == 6


def test_a_half_that_lacks_a_group_of_a_class_is_refused_and_the_cell_is_named(pool):
    groups = Groups.of(pool.table, "race")
    val = pool.rows_of("val")
    require_fittable("dfr", "", pool, val, groups, seed=0)
    lacking = (pool.table["race"] == "Monk 8-10") & (pool.table["profession"] == pool.professions[0])
    rows = val[~lacking.to_numpy()[val]]
    with pytest.raises(UserError, match=f"none of Monk 8-10 with the profession {pool.professions[0]}: add such"):
        require_fittable("dfr", "", pool, rows, groups, seed=0)
    require_fittable("linear_post", "demographic_parity", pool, rows, groups, seed=0)
    rows = val[(pool.table["race"] != "Monk 8-10").to_numpy()[val]]
    with pytest.raises(UserError, match="has none of Monk 8-10: add such"):
        require_fittable("linear_post", "demographic_parity", pool, rows, groups, seed=0)


def test_a_single_validation_image_makes_no_two_halves(pool):
    groups = Groups.of(pool.table, "race")
    assert len(validation_halves(pool, pool.rows_of("val")[:1], groups, 0).choose) == 0
    with pytest.raises(UserError, match="1 validation images, which make no two halves"):
        require_fittable("class_scaling", "", pool, pool.rows_of("val")[:1], groups, 0)
