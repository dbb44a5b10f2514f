"""Region masks: the geometry of the images, every bad mask named with its line, and the centre prior elsewhere."""

import os

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairprof.config import Settings
from fairprof.data.pool import load_pool
from fairprof.data.portraits import REGIONS
from fairprof.data.regions import CENTRE_PRIOR, NO_MASK, centre_prior, region_mask, region_masks
from fairprof.data.sources import synthetic

ROWS = 8


@pytest.fixture
def manifest(tmp_path, write_image, write_manifest):
    """A manifest of images 60 x 40 with masks, whose middle is marked; `change` alters its rows."""

    def write(change=lambda rows: None) -> str:
        rows = []
        for number in range(ROWS):
            write_image(tmp_path / f"{number}.png", seed=number, size=(60, 40))
            mask = np.zeros((40, 60), np.uint8)
            mask[:, 10:20] = 1
            mask[30:, 40:50] = 2
            Image.fromarray(mask).save(tmp_path / f"mask{number}.png")
            rows.append(
                {
                    "image": f"{number}.png",
                    "gender": "wm"[number % 2],
                    "race": "x",
                    "profession": "ab"[number // 4],
                    "partition": ("train", "val", "test", "test")[number % 4],
                    "regions": f"mask{number}.png",
                }
            )
        change(rows)
        return write_manifest(rows)

    return write


def pool_of(make_settings, data: str, image_size: int = 32):
    return load_pool(make_settings(data=data, max_quarantined_share=1.0), image_size)


def test_a_mask_is_cut_and_scaled_as_its_image(make_settings, manifest, tmp_path):
    """The picture of a mask, sent through as an image, shows the same regions at the same places."""
    data = manifest()
    for number in range(ROWS):
        with Image.open(tmp_path / f"mask{number}.png") as file:
            mask = np.asarray(file)
        noise = np.random.default_rng(number).integers(0, 40, mask.shape, dtype=np.uint8)
        Image.fromarray(mask * 100 + noise).save(tmp_path / f"{number}.png")
    pool = pool_of(make_settings, data)
    pixels = pool.pixels.array[pool.table["pixel"].to_numpy()][:, 2:34, 2:34, 0]
    found = region_masks(pool.regions, pool.table["pixel"].to_numpy(), 32)
    assert found.names == REGIONS and found.kind == "regions" and not found.missing.any()
    agree = (np.abs(pixels.astype(int) - found.masks * 100.0 - 20) <= 22).mean()
    assert agree > 0.93  # but for the blurred edges
    assert set(np.unique(found.masks)) == {0, 1, 2}


def test_masks_of_the_embedded_data_lie_on_their_portraits(synthetic_cache):
    pool = load_pool(Settings(cache_dir=str(synthetic_cache), lock_timeout=60.0), image_size=64)
    rows = pool.table["pixel"].to_numpy()[[3, 500]]
    masks = region_masks(pool.regions, rows, 64)
    labels = pd.read_csv(synthetic_cache / synthetic.VERSION / "labels.csv")
    for row, mask in zip([3, 500], masks.masks, strict=True):
        name = labels.set_index("image").loc[pool.table["image"].iloc[row], "regions"]
        whole = cv2.imread(str(synthetic_cache / synthetic.VERSION / name), cv2.IMREAD_UNCHANGED)
        expected = cv2.resize(whole, (73, 73), interpolation=cv2.INTER_NEAREST_EXACT)[4:68, 4:68]
        assert (mask == expected).mean() > 0.99
        assert set(np.unique(mask)) == {0, 1, 2}


def test_an_upright_mask_fits_an_image_that_exif_turns(make_settings, manifest, tmp_path):
    data = manifest()
    with Image.open(tmp_path / "2.png") as image:
        turned = image.convert("RGB").transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[274] = 6  # shown turned clockwise
    turned.save(tmp_path / "2.png", exif=exif)
    pool = pool_of(make_settings, data)
    region_mask(pool.regions, 2, 32)


@pytest.mark.parametrize(
    ("damage", "texts"),
    [
        (lambda path: path.unlink(), ["cannot be read", "no such file"]),
        (lambda path: path.unlink() or os.mkfifo(path), ["cannot be read", "a named pipe"]),
        (lambda path: os.truncate(path, 40 * 2**30), ["cannot be read", "42,949,672,960 bytes"]),
        (lambda path: Image.new("1", (14_000, 14_000)).save(path, compress_level=1), ["cannot be read", "pixels"]),
        (lambda path: path.write_bytes(b"no picture"), ["cannot be read"]),
        (lambda path: path.write_bytes(path.read_bytes()[:60]), ["cannot be read"]),
        (lambda path: Image.new("L", (40, 60)).save(path), ["40 x 60 pixels", "60 x 40 pixels"]),
        (lambda path: Image.new("RGB", (60, 40)).save(path), ["mode RGB", "one channel"]),
        (lambda path: Image.new("L", (60, 40), 255).save(path), ["value 255", "0 background, 1 face, 2 hair"]),
    ],
    ids=["missing", "pipe", "sparse", "bomb", "no picture", "truncated", "size", "colours", "values"],
)
def test_a_mask_that_cannot_be_used_is_an_error_that_names_the_line(
    make_settings, manifest, tmp_path, refused, damage, texts
):
    pool = pool_of(make_settings, manifest())
    damage(tmp_path / "mask3.png")
    with refused("faces.csv, line 5", "mask3.png", *texts):
        region_masks(pool.regions, pool.table["pixel"].to_numpy(), 32)


def test_palettes_and_bilevel_masks_are_read_by_value(make_settings, manifest, tmp_path):
    pool = pool_of(make_settings, manifest())
    expected = region_mask(pool.regions, 0, 32)
    with Image.open(tmp_path / "mask0.png") as mask:
        palette = mask.convert("L")
    palette.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
    palette.save(tmp_path / "mask0.png")
    with Image.open(tmp_path / "mask0.png") as saved:
        assert saved.mode == "P"
    np.testing.assert_array_equal(region_mask(pool.regions, 0, 32), expected)
    with Image.open(tmp_path / "mask1.png") as mask:
        bilevel = np.asarray(mask) == 1
    Image.fromarray(bilevel).save(tmp_path / "mask1.png")
    np.testing.assert_array_equal(region_mask(pool.regions, 1, 32), expected == 1)


def test_an_empty_cell_means_no_mask_and_keeps_the_row(make_settings, manifest):
    pool = pool_of(make_settings, manifest(lambda rows: rows[3].update(regions=" ")))
    assert len(pool.table) == ROWS and pool.quarantine.empty
    found = region_masks(pool.regions, pool.table["pixel"].to_numpy(), 32)
    assert found.missing.tolist() == [number == 3 for number in range(ROWS)] and (found.masks[3] == NO_MASK).all()


@pytest.mark.parametrize("column", ["absent", "empty"])
def test_without_any_mask_there_is_a_centre_prior_that_says_so(make_settings, manifest, column):
    def change(rows):
        for row in rows:
            row.pop("regions") if column == "absent" else row.update(regions="")

    pool = pool_of(make_settings, manifest(change))
    found = region_masks(pool.regions, pool.table["pixel"].to_numpy(), 32)
    assert (found.kind, found.names) == (CENTRE_PRIOR, ("periphery", "centre"))
    assert "face" not in found.names and not found.missing.any()
    np.testing.assert_array_equal(found.masks, [centre_prior(32)] * ROWS)


def test_the_centre_prior_is_an_ellipse_in_the_middle():
    prior = centre_prior(200)
    assert prior.mean() == pytest.approx(np.pi * 0.3 * 0.4, abs=0.002)
    np.testing.assert_array_equal(prior, prior[::-1, ::-1])
    assert prior[100, 100] == 1 and prior[100, 41] == 1 and prior[100, 38] == 0 and prior[18, 100] == 0


def test_masks_change_neither_the_rows_nor_the_fingerprint_of_a_pool(make_settings, manifest):
    with_masks = pool_of(make_settings, manifest())
    without = pool_of(make_settings, manifest(lambda rows: [row.pop("regions") for row in rows]))
    assert without.regions is None and with_masks.fingerprint == without.fingerprint
    pd.testing.assert_frame_equal(with_masks.table, without.table)
