"""The pool: what is usable, what is quarantined and why, and partitions that keep together what belongs together."""

import hashlib
import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairprof.config import Settings
from fairprof.data.pixels import StreamedPixels
from fairprof.data.pool import fingerprint, load_pool, screened_rows, source_of, without_test

CELLS = [(gender, race, profession) for gender in "mf" for race in "xy" for profession in ("cook", "nurse")]
COLUMNS = ("gender", "race", "profession")


@pytest.fixture
def faces(tmp_path, write_image):
    """Rows of a manifest with a picture each, `count` in every cell."""

    def make(count: int, **columns) -> list[dict]:
        rows = []
        for number in range(count * len(CELLS)):
            write_image(tmp_path / f"{number:04d}.png", number)
            rows.append({"image": f"{number:04d}.png", **dict(zip(COLUMNS, CELLS[number % 8], strict=True)), **columns})
        return rows

    return make


@pytest.fixture
def pool_of(make_settings, write_manifest):
    def load(rows: list[dict], with_pixels: bool = True, **settings):
        return load_pool(make_settings(data=write_manifest(rows), **settings), 32 if with_pixels else None)

    return load


def copied(tmp_path, name: str, of: str) -> None:
    """A near-duplicate: the same picture, encoded as JPEG."""
    Image.open(tmp_path / of).save(tmp_path / name, quality=95)


def partition_of(pool) -> dict[str, str]:
    return dict(zip(pool.table["image"], pool.table["partition"], strict=True))


# --- what is usable ---------------------------------------------------------------------------------------------


def test_a_pool_is_the_manifest_sorted_by_name_with_its_own_pixels(pool_of, faces):
    rows = faces(3)
    pool = pool_of(rows[::-1])
    assert pool.table["image"].tolist() == [row["image"] for row in rows]
    assert pool.table[list(COLUMNS)].astype(str).values.tolist() == [[row[name] for name in COLUMNS] for row in rows]
    assert pool.professions == ("cook", "nurse") and pool.label_probabilities is None and pool.quarantine.empty
    straight = pool_of(rows)
    np.testing.assert_array_equal(
        pool.pixels.array[pool.table["pixel"]], straight.pixels.array[straight.table["pixel"]]
    )
    assert len(np.unique(pool.pixels.array.reshape(24, -1), axis=0)) == 24


def test_bad_rows_are_quarantined_with_line_reason_and_group(pool_of, faces, tmp_path, write_image):
    rows = faces(3)
    (tmp_path / "0001.png").write_bytes(b"")
    (tmp_path / "0004.png").unlink()
    (tmp_path / "0006.png").write_text("no image")
    rows[8]["gender"] = ""
    rows.append({**rows[2]})
    pool = pool_of(rows, max_quarantined_share=0.5)
    assert pool.quarantine[["image", "line", "reason"]].values.tolist() == [
        ["0001.png", 3, "empty file"],
        ["0004.png", 6, "missing image"],
        ["0006.png", 8, "not an image in a known format"],
        ["0008.png", 10, "empty cell: gender"],
        ["0002.png", 26, "duplicate: the image is listed on an earlier line"],
    ]
    assert pool.quarantine["race"].tolist() == ["x", "x", "y", "x", "y"]
    assert len(pool.table) == 20 and set(pool.table["image"]).isdisjoint({"0001.png", "0004.png", "0008.png"})


def test_screening_keeps_every_row_with_its_reason_and_those_it_belongs_with(
    make_settings, write_manifest, faces, tmp_path
):
    rows = faces(3, person="")
    (tmp_path / "0001.png").write_bytes(b"")
    copied(tmp_path, "copy.jpg", "0003.png")
    rows.append({**rows[3], "image": "copy.jpg"})
    rows[5]["person"] = rows[6]["person"] = "Ada"
    settings = make_settings(data=write_manifest(rows))
    screened = screened_rows(settings, image_size=32)
    assert screened.rows["image"].tolist() == [row["image"] for row in rows]  # in the order of the pixels
    assert screened.rows["reason"].ne("").tolist() == [number == 1 for number in range(25)]
    assert screened.usable.sum() == 24 and screened.quarantine["image"].tolist() == ["0001.png"]
    near = screened.rows["near_duplicates"]
    assert near[3] == near[24] and near[1] == -1 and near[screened.usable].nunique() == 23
    assert screened.rows["group"][[3, 24]].nunique() == 1 and screened.rows["group"][[5, 6]].nunique() == 1
    labels = screened_rows(settings, image_size=None)
    assert labels.pixels is None and labels.rows["near_duplicates"].eq(-1).all() and labels.usable.all()


def test_too_many_bad_rows_are_an_error_that_names_the_first(pool_of, faces, tmp_path, refused):
    rows = faces(5)
    for row in rows[3:8]:
        (tmp_path / row["image"]).unlink()
    assert len(pool_of(rows, max_quarantined_share=0.125).table) == 35  # 5 of 40
    with refused("faces.csv: 5 of 40 rows", "max_quarantined_share=0.12 ", "0003.png, line 5: missing image"):
        pool_of(rows, max_quarantined_share=0.12)


def test_without_one_usable_row_there_is_no_pool(make_settings, tmp_path, refused):
    (tmp_path / "m.csv").write_text("image,gender,race,profession\na,m\nb\n")
    with refused("2 of 2 rows", "m.csv, line 2: malformed line: 2 cells instead of 4"):
        load_pool(make_settings(data=f"manifest:{tmp_path / 'm.csv'}", max_quarantined_share=1.0), image_size=32)


def test_one_profession_is_nothing_to_learn(pool_of, faces, refused):
    with refused("faces.csv", "every row has the profession cook"):
        pool_of([{**row, "profession": "cook"} for row in faces(2)])


def test_a_label_bias_on_labels_that_were_read_is_refused(pool_of, faces, refused):
    with refused("label_bias=gender", "faces.csv", "label_bias=none"):
        pool_of(faces(2), label_bias="gender")


def test_a_pool_without_pixels_says_so_where_they_are_needed(pool_of, faces):
    assert pool_of(faces(2)).pixel_cache.array.shape[0] == 16
    with pytest.raises(ValueError, match="without its pixels"):
        _ = pool_of(faces(2), with_pixels=False).pixel_cache


def test_a_pool_whose_pixels_no_cache_can_hold_is_the_same_pool(pool_of, faces, tmp_path):
    rows = faces(3)
    copied(tmp_path, "copy.jpg", "0003.png")
    (tmp_path / "0005.png").write_bytes(b"")
    rows.append({**rows[3], "image": "copy.jpg"})
    mapped, streamed = (
        pool_of(rows, max_quarantined_share=0.5, cache_dir=str(tmp_path / f"{size}"), cache_gib=size)
        for size in (1.0, 1e-6)
    )
    assert isinstance(streamed.pixels.array, StreamedPixels) and not isinstance(mapped.pixels.array, StreamedPixels)
    pd.testing.assert_frame_equal(mapped.table, streamed.table)
    pd.testing.assert_frame_equal(mapped.quarantine, streamed.quarantine)
    assert mapped.fingerprint == streamed.fingerprint and mapped.pixels.key == streamed.pixels.key
    rows = mapped.table["pixel"].to_numpy()
    np.testing.assert_array_equal(mapped.pixels.array[rows], streamed.pixels.array[rows])


# --- duplicates and near-duplicates -----------------------------------------------------------------------------


def test_identical_files_count_once_and_not_at_all_under_different_labels(pool_of, faces, tmp_path):
    rows = faces(3)
    for name, original, changes in (("same.png", 0, {}), ("other.png", 1, {"race": "y"})):
        (tmp_path / name).write_bytes((tmp_path / rows[original]["image"]).read_bytes())
        rows.append({**rows[original], "image": name, **changes})
    pool = pool_of(rows, max_quarantined_share=0.5)
    assert pool.quarantine[["image", "reason"]].values.tolist() == [
        ["0001.png", "duplicate: same file under different labels, see 0001.png"],
        ["same.png", "duplicate: same file as 0000.png"],
        ["other.png", "duplicate: same file under different labels, see 0001.png"],
    ]
    assert "0000.png" in set(pool.table["image"])


def test_near_duplicates_land_in_one_partition(pool_of, faces, tmp_path):
    rows = faces(8)
    for number in range(0, 64, 2):
        copied(tmp_path, f"copy-{number:04d}.jpg", f"{number:04d}.png")
        rows.append({**rows[number], "image": f"copy-{number:04d}.jpg"})
    pool = pool_of(rows)
    assert pool.quarantine.empty
    partition = partition_of(pool)
    originals = {partition[f"{number:04d}.png"] for number in range(0, 64, 2)}
    assert originals == {"train", "val", "test"}  # so that staying together is no accident
    for number in range(0, 64, 2):
        assert partition[f"copy-{number:04d}.jpg"] == partition[f"{number:04d}.png"]


def test_images_of_one_person_stay_together(pool_of, faces):
    rows = faces(12)
    for number, row in enumerate(rows):
        row["person"] = f"p{number // 3}" if number < 72 else ""
    pool = pool_of(rows, with_pixels=False)
    partition = partition_of(pool)
    assert set(partition.values()) == {"train", "val", "test"}
    for first in range(0, 72, 3):
        assert len({partition[f"{number:04d}.png"] for number in range(first, first + 3)}) == 1


@pytest.mark.parametrize("chain", [6, 11])
def test_persons_who_are_linked_by_near_duplicates_stay_together_however_long_the_chain(
    pool_of, faces, tmp_path, chain
):
    """Person k's second picture is nearly person k + 1's first one, and names do not follow the chain."""
    rows = faces(16)
    generator = np.random.default_rng(chain)
    linked = set()
    for start in range(0, 5 * chain, chain):
        names = generator.permutation([f"p{start + place:03d}" for place in range(chain)])
        for place in range(chain):
            number = start + place
            copied(tmp_path, f"copy-{number:04d}.jpg", f"{number:04d}.png")
            rows[number]["person"] = names[place]
            rows.append(
                {
                    **rows[number],
                    "image": f"copy-{number:04d}.jpg",
                    "person": names[(place + 1) % chain if place + 1 < chain else place],
                }
            )
            linked.add(number)
    pool = pool_of([{"person": "", **row} for row in rows])
    partition = partition_of(pool)
    for start in range(0, 5 * chain, chain):
        members = [
            name.format(number) for number in range(start, start + chain) for name in ("{:04d}.png", "copy-{:04d}.jpg")
        ]
        assert len({partition[name] for name in members}) == 1


# --- partitions -------------------------------------------------------------------------------------------------


def test_partitions_have_their_shares_in_every_cell(pool_of, faces):
    pool = pool_of(faces(20), with_pixels=False)
    shares = pool.table.groupby([*COLUMNS, "partition"], observed=True).size().unstack()
    assert shares["test"].tolist() == [4] * 8 and shares["val"].tolist() == [3] * 8  # .20 and .15 of 20
    parts = [pool.rows_of(name) for name in ("train", "val", "test")]
    assert sorted(np.concatenate(parts)) == list(range(160))


def test_partitions_do_not_depend_on_the_order_of_the_rows_nor_on_any_setting(pool_of, faces):
    rows = faces(6)
    pool = pool_of(rows, with_pixels=False)
    order = np.random.default_rng(0).permutation(len(rows))
    other = pool_of(
        [rows[place] for place in order],
        with_pixels=False,
        seed=7,
        experiment="D",
        fraction=0.5,
        label_seed=3,
        epochs=1,
    )
    pd.testing.assert_frame_equal(pool.table.drop(columns="pixel"), other.table.drop(columns="pixel"))
    assert pool.fingerprint == other.fingerprint


def test_the_data_set_s_own_partitions_are_kept(pool_of, faces):
    rows = faces(5)
    for number, row in enumerate(rows):
        row["partition"] = ("train", "validation", "test")[number % 3]
    names = {row["image"]: row["partition"].replace("validation", "val") for row in rows}
    assert partition_of(pool_of(rows, with_pixels=False)) == names


def test_validation_is_split_off_training_where_the_data_set_has_a_test_partition_alone(pool_of, faces):
    rows = faces(20)
    for number, row in enumerate(rows):
        row["partition"] = "test" if number >= 80 else "train"
    pool = pool_of(rows, with_pixels=False)
    partition = partition_of(pool)
    assert {name for name, where in partition.items() if where == "test"} == {row["image"] for row in rows[80:]}
    counts = pool.table.groupby([*COLUMNS, "partition"], observed=True).size().unstack()
    assert counts["val"].tolist() == [1] * 8 and counts["train"].tolist() == [9] * 8  # a tenth of 10


def test_partitions_without_a_test_row_are_refused(pool_of, faces, refused):
    with refused("partition", "no test row"):
        pool_of(faces(2, partition="train"), with_pixels=False)


def test_what_is_nearly_or_the_person_of_a_held_out_image_is_quarantined(pool_of, faces, tmp_path):
    rows = faces(6)
    for number, row in enumerate(rows):
        row |= {"partition": ("train", "train", "val", "test")[number // 8 % 4], "person": f"p{number}"}
    rows[1]["person"] = rows[30]["person"]  # a training image of a test person
    rows[17]["person"] = rows[31]["person"]  # a validation image of a test person
    rows[2]["person"] = rows[18]["person"]  # a training image of a validation person
    copied(tmp_path, "copy.jpg", "0029.png")
    rows.append({**rows[5], "image": "copy.jpg", "partition": "train", "person": "p"})  # nearly a test image
    pool = pool_of(rows, max_quarantined_share=0.5)
    reason = "duplicate: same person or nearly the same image as a {} image"
    assert dict(zip(pool.quarantine["image"], pool.quarantine["reason"], strict=True)) == {
        "0001.png": reason.format("test"),
        "0017.png": reason.format("test"),
        "copy.jpg": reason.format("test"),
        "0002.png": reason.format("val"),
    }
    kept = {name: partition for name, partition in partition_of(pool).items()}
    assert len(kept) == 45 and all(kept[row["image"]] == row["partition"] for row in rows if row["image"] in kept)


# --- pseudo-professions -----------------------------------------------------------------------------------------


def aged(count: int) -> list[dict]:
    generator = np.random.default_rng(5)
    return [
        {
            "image": f"{number}.jpg",
            "gender": "MF"[number % 2],
            "race": "xy"[number // 2 % 2],
            "age": generator.integers(0, 100),
        }
        for number in range(count)
    ]


def test_added_removed_and_permuted_rows_change_no_other_row_s_profession(pool_of):
    rows = aged(400)
    labels = pool_of(rows, with_pixels=False).table.set_index("image")["profession"].astype(str)
    fewer = pool_of(rows[350:100:-2], with_pixels=False).table.set_index("image")["profession"].astype(str)
    assert len(fewer) == 125 and (fewer == labels[fewer.index]).all()
    other = pool_of(rows, with_pixels=False, label_seed=1).table["profession"].astype(str)
    assert 0.2 < (other.to_numpy() != labels.to_numpy()).mean() < 0.8


def test_probabilities_belong_to_the_rows_of_the_table(pool_of):
    pool = pool_of(aged(100)[::-1], with_pixels=False)
    assert pool.label_probabilities.shape == (100, 4)
    oldest = pool.table["age"].eq("70+").to_numpy()
    assert oldest.any() and np.allclose(pool.label_probabilities[oldest], [0, 0.10, 0.15, 0.75])
    assert (pool.label_probabilities[~oldest][:, 0] > 0).all()
    assert pool.professions == ("student", "blue_collar", "white_collar", "retired")


# --- fingerprints -----------------------------------------------------------------------------------------------


def test_the_fingerprint_is_that_of_labels_and_contents_and_not_of_order_time_or_place(
    pool_of, faces, tmp_path, write_image
):
    rows = faces(3)
    original = pool_of(rows).fingerprint
    assert len(original) == 16 and int(original, 16) >= 0
    assert pool_of(rows[::-1]).fingerprint == original
    os.utime(tmp_path / "0005.png", (1, 1))
    assert pool_of(rows).fingerprint == original
    relabelled = pool_of([{**rows[0], "race": "y"}, *rows[1:]]).fingerprint
    renamed = pool_of([{**row, "gender": row["gender"].upper()} for row in rows]).fingerprint
    fewer = pool_of(rows[:-1]).fingerprint
    write_image(tmp_path / "0005.png", seed=99)
    repainted = pool_of(rows).fingerprint
    assert len({original, relabelled, renamed, fewer, repainted}) == 5


def test_a_fingerprint_is_that_of_the_text_of_the_labels_missing_ones_too(pool_of, faces):
    ages = ["34", "", "9-Mar", "unknown"]
    rows = [{**row, "age": ages[number % 4]} for number, row in enumerate(faces(2))]
    table = pool_of(rows, with_pixels=False).table
    assert table["age"].isna().sum() == 8
    texts = table[["image", "gender", "race", "age", "profession", "partition"]].astype(str)
    hashes = pd.util.hash_pandas_object(texts, index=False).to_numpy()
    assert fingerprint(table) == hashlib.sha256(hashes.tobytes()).hexdigest()[:16]
    assert fingerprint(table.drop(columns="age")) != fingerprint(table)


# Labels, partitions and fingerprints are what runs of different days are compared by: these values never change.
@pytest.mark.parametrize(
    ("folder", "settings", "expected"),
    [
        ("fairface", {}, "30d8db8b788a48aa"),
        ("fairface", {"label_bias": "intersectional", "label_seed": 3}, "269b84571ddf87e3"),
        ("utkface", {}, "fa1bd400e799a111"),
    ],
)
def test_real_labels_have_the_fingerprints_that_they_always_had(shared, folder, settings, expected):
    data = Settings(data=f"{folder}:{shared / 'data' / folder}", **settings)
    assert load_pool(data, image_size=None).fingerprint == expected


def test_the_embedded_labels_have_the_fingerprint_that_they_always_had(synthetic_cache):
    settings = Settings(cache_dir=str(synthetic_cache))
    assert load_pool(settings, image_size=None).fingerprint == "3fdaddd121d8cb83"


def test_a_cue_gap_is_for_data_that_are_drawn(pool_of, faces, refused):
    with refused("cue_gap=0.5", "data=synthetic", "faces.csv", "cue_gap=0"):
        pool_of(faces(2), cue_gap=0.5)


def test_a_data_set_s_address_is_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert source_of("synthetic") == "synthetic"
    assert source_of("utkface:faces") == f"utkface:{tmp_path / 'faces'}"


def test_real_faces_make_a_pool_that_every_run_shares(shared, make_settings, tmp_path):
    """Hundreds of real images: nothing but true duplicates is lost, and the second reading is the first."""
    folder = tmp_path / "some"
    folder.mkdir()
    for path in sorted((shared / "data" / "utkface").iterdir())[::12]:
        (folder / path.name).symlink_to(path)
    settings = make_settings(data=f"utkface:{folder}", image_size=32)
    pool, again = load_pool(settings, settings.image_size), load_pool(settings, settings.image_size)
    assert pool.fingerprint == again.fingerprint
    assert len(pool.table) > 0.97 * len(list(folder.iterdir()))
    assert pool.quarantine["reason"].str.startswith(("duplicate", "malformed")).all()
    assert pool.table["partition"].value_counts(normalize=True)[["train", "val", "test"]].tolist() == pytest.approx(
        [0.65, 0.15, 0.20], abs=0.03
    )


def test_without_its_test_rows_a_pool_has_all_others_and_their_pixels(pool_of, faces):
    pool = pool_of(faces(12))
    sealed = without_test(pool)
    assert set(pool.table["partition"]) == {"train", "val", "test"}
    assert set(sealed.table["partition"]) == {"train", "val"} and len(sealed.rows_of("test")) == 0
    kept = pool.table[pool.table["partition"].ne("test")].reset_index(drop=True)
    pd.testing.assert_frame_equal(sealed.table, kept)
    assert sealed.fingerprint == pool.fingerprint


def test_label_probabilities_follow_the_rows_that_are_kept(make_settings, synthetic_cache):
    pool = load_pool(make_settings(cache_dir=str(synthetic_cache)), image_size=None)
    sealed = without_test(pool)
    kept = pool.table["partition"].ne("test").to_numpy()
    np.testing.assert_array_equal(sealed.label_probabilities, pool.label_probabilities[kept])
