"""Groups that count as one or are left out: who is in the pool then, and that no label of anybody else changes."""

import pytest

from fairprof.data.pool import load_pool, screened_rows

RACES = ("White", "Black", "Asian", "Indian", "Others")


@pytest.fixture
def faces(tmp_path):
    """A folder of names as UTKFace has them, without pictures: 12 of every gender and race, of all ages; and one of
    race Others with an impossible age."""
    for number in range(12 * 10):
        gender, race = number % 2, number // 2 % 5
        (tmp_path / f"{number * 7 % 95}_{gender}_{race}_{number:04d}.jpg").touch()
    (tmp_path / "999_0_4_0.jpg").touch()
    return f"utkface:{tmp_path}"


@pytest.fixture
def pool_of(make_settings, faces):
    return lambda **settings: load_pool(make_settings(data=faces, **settings), image_size=None)


def test_merged_groups_are_one_where_the_first_of_them_stood(pool_of):
    pool = pool_of(merge="race:Black+Indian,race:White+Others=rest")
    assert list(pool.table["race"].cat.categories) == ["rest", "Black+Indian", "Asian"]


def test_merging_and_leaving_out_change_no_label_of_anybody_else(pool_of):
    """Professions are drawn from labels as they were: the bias against women labelled Black stays theirs alone."""
    plain, merged, left = (
        pool_of(label_bias="intersectional", label_bias_strength=0.9, **groups).table.set_index("image")
        for groups in ({}, {"merge": "race:Black+White"}, {"exclude": "race:Others"})
    )
    assert merged["profession"].astype(str).equals(plain["profession"].astype(str))
    assert left["profession"].astype(str).equals(plain["profession"].astype(str)[left.index])
    assert set(plain.index) - set(left.index) == set(plain.index[plain["race"].eq("Others")])
    probabilities = pool_of(label_bias="intersectional", merge="race:Black+White").label_probabilities
    assert (probabilities == pool_of(label_bias="intersectional").label_probabilities).all()


def test_who_is_left_out_is_counted_and_not_in_quarantine_whatever_else_is_wrong(pool_of):
    plain, left = pool_of(), pool_of(exclude="race:Others")
    assert plain.quarantine["reason"].tolist() == ["unknown age: 999"] and plain.left_out.empty
    assert left.quarantine.empty and len(left.table) == 96
    assert left.left_out.to_dict("records") == [
        {"gender": "Female", "race": "Others", "count": 12},
        {"gender": "Male", "race": "Others", "count": 13},
    ]


def test_other_groups_are_another_pool(pool_of):
    pools = [pool_of(**groups) for groups in ({}, {"merge": "race:Black+White"}, {"exclude": "race:Others"})]
    assert len({pool.fingerprint for pool in pools}) == 3


def test_quarantined_rows_count_in_the_group_that_theirs_was_merged_into(pool_of):
    assert pool_of(merge="race:Indian+Others=rest").quarantine["race"].tolist() == ["rest"]


def test_partitions_are_stratified_by_merged_groups(make_settings, write_manifest):
    """Two of each race alone would never be tested: four of both together are."""
    rows = [
        {"image": f"{race}{gender}{profession}{number}", "gender": gender, "race": race, "profession": profession}
        for race in ("x", "y", "z")
        for gender in "mf"
        for profession in ("cook", "nurse")
        for number in range(20 if race == "z" else 2)
    ]
    settings = make_settings(data=write_manifest(rows))
    apart = load_pool(settings, None).cell_counts
    together = load_pool(settings.model_copy(update={"merge": "race:x+y"}), None).cell_counts
    assert apart.loc["f", "x", "cook"].tolist() == [1, 1, 0]
    assert together.loc["f", "x+y", "cook"].tolist() == [2, 1, 1]


def test_one_file_under_two_labels_is_not_trusted_because_one_of_them_is_left_out(
    make_settings, write_manifest, write_image, tmp_path
):
    rows = [
        {
            "image": f"{number}.png",
            "gender": "mf"[number % 2],
            "race": "xyz"[number % 3],
            "profession": "ab"[number // 6],
        }
        for number in range(12)
    ]
    for number in range(12):
        write_image(tmp_path / f"{number}.png", number)
    (tmp_path / "copy.png").write_bytes((tmp_path / "0.png").read_bytes())
    settings = make_settings(
        data=write_manifest([*rows, rows[0] | {"image": "copy.png", "race": "z"}]), exclude="race:z"
    )
    screened = screened_rows(settings, 32)
    assert screened.quarantine["image"].tolist() == ["0.png"]
    assert screened.left_out["count"].sum() == 5


@pytest.mark.parametrize(
    ("settings", "texts"),
    [
        ({"merge": "race:Indien+Others"}, ["merge=race:Indien+Others", "race Indien", "did you mean Indian?", "White"]),
        ({"exclude": "gender:Divers"}, ["exclude=gender:Divers", "gender Divers", "there are Female, Male"]),
        ({"merge": "race:Indian+Others", "exclude": "race:Indian"}, ["race Indian is in merge and in exclude"]),
        ({"merge": "race:Indian+Others=Asian"}, ["there is a race Asian already", "another name"]),
        ({"merge": "gender:Male+Female"}, ["fewer than 2 groups of gender", "Female, Male"]),
        ({"exclude": ",".join(f"race:{race}" for race in RACES[1:])}, ["fewer than 2 groups of race"]),
    ],
)
def test_groups_that_cannot_be_had_are_one_line_with_those_there_are(pool_of, refused, settings, texts):
    with refused(*texts):
        pool_of(**settings)
