"""What can be known of a data set that cannot be used, and the numbers that an audit logs."""

import numpy as np
import pytest

from fairprof.commands.prepare.audit import SHOWN, audited, values_of
from fairprof.commands.prepare.run import cache_facts, read
from fairprof.config import PrepareSettings
from fairprof.data.pixels import NoImages


@pytest.fixture
def rows(tmp_path, write_image):
    """Forty-eight rows of a manifest, six in every cell, all with pictures."""
    found = []
    for number in range(48):
        write_image(tmp_path / f"{number:02d}.png", number)
        cell = {"gender": "mf"[number % 2], "race": "xy"[number // 2 % 2], "profession": "sw"[number // 4 % 2]}
        found.append({"image": f"{number:02d}.png", **cell})
    return found


@pytest.fixture
def settings_of(tmp_path, write_manifest):
    values = {"cache_dir": str(tmp_path / "cache"), "image_size": 32, "replicates": 100, "permutations": 99}
    return lambda rows, **more: PrepareSettings(data=write_manifest(rows), **values | more)


def test_what_can_be_used_is_not_refused(rows, settings_of):
    screened, pool, refusal = read(settings_of(rows))
    assert refusal is None and len(pool.table) == 48 and screened.quarantine.empty and screened.pixels is not None


def test_without_images_the_labels_are_read_and_it_is_a_refusal(rows, settings_of):
    absent = [row | {"image": f"absent/{row['image']}"} for row in rows]
    screened, pool, refusal = read(settings_of(absent))
    assert isinstance(refusal, NoImages) and "none of the 48 images exists" in str(refusal)
    assert screened.pixels is None and len(pool.table) == 48


def test_too_many_unusable_rows_are_a_refusal_and_the_rest_is_a_pool(rows, settings_of, tmp_path):
    (tmp_path / "07.png").write_bytes(b"")
    screened, pool, refusal = read(settings_of(rows, max_quarantined_share=0.01))
    assert "1 of 48 rows are unusable" in str(refusal) and "07.png" in str(refusal)
    assert screened.quarantine["reason"].tolist() == ["empty file"] and len(pool.table) == 47


def test_one_profession_is_a_refusal_without_a_pool(rows, settings_of):
    screened, pool, refusal = read(settings_of([row | {"profession": "s"} for row in rows]))
    assert pool is None and "every row has the profession s" in str(refusal) and screened.usable.all()


def test_not_one_usable_row_is_a_refusal_without_a_pool(rows, settings_of):
    screened, pool, refusal = read(settings_of([row | {"race": ""} for row in rows]))
    assert pool is None and "48 of 48 rows are unusable" in str(refusal) and len(screened.quarantine) == 48


def test_what_is_not_there_is_the_usual_error(tmp_path, refused):
    with refused("no.csv", "no such file"):
        read(PrepareSettings(data=f"manifest:{tmp_path / 'no.csv'}", cache_dir=str(tmp_path)))


def test_pixels_that_the_cache_cannot_hold_are_counted(rows, settings_of):
    settings = settings_of(rows, cache_gib=1e-6)
    screened, _, _ = read(settings)
    (fact,) = cache_facts(screened, settings, started=0.0)
    assert fact.startswith("The pixels of 48 images do not fit into cache_gib=1e-06:")


def test_numbers_are_finite_and_those_of_the_tables(rows, settings_of, tmp_path):
    (tmp_path / "07.png").write_bytes(b"")
    settings = settings_of(rows)
    screened, pool, refusal = read(settings)
    audit = audited(screened, pool, "", settings)
    found = values_of(audit)
    assert all(np.isfinite(value) for value in found.values())
    assert (found["data/rows"], found["data/pool"], found["data/quarantined"]) == (48, 47, 1)
    assert found["data/quarantined_share"] == pytest.approx(1 / 48)
    sizes = audit.tables["sizes"].set_index(["design", "partition"])
    assert found["data/train_images/B"] == sizes.loc[("B", "train"), "images"] > 0
    assert 0 <= found["data/cramers_v/profession_gender"] <= 1
    assert found["data/small_cells"] == 8 and found["data/empty_cells"] == 0
    shown = found.keys() & set(SHOWN)
    assert {"data/rows", "data/train_images/B", "data/small_cells"} <= shown and len(SHOWN) <= 30
    gap = "data/demographic_parity_difference"
    assert found[f"{gap}_null_mean/race"] < found[f"{gap}_null_q95/race"] < found[f"{gap}_detectable_largest/race"]
    without = values_of(audited(screened, None, "refused", settings))
    assert without["data/quarantined"] == 1 and "data/pool" not in without
