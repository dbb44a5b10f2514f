"""The embedded data set: generated portraits, drawn once into the cache, with masks of face, hair and background.

Gender, skin tone and age, and with age the profession, are independent of each other: the labels hold no
difference between groups. Nor does what can be seen: a wrinkle changes the lightness of every skin by as much, and hair
is as grey on all. `cue_gap` plants a difference there: the labels stay as they are, but the darker the skin, the
fainter the cues of age.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from fairprof.data.attributes import AGE_BINS, GENDERS, LAST_YEARS, SYNTHETIC_RACES
from fairprof.data.encoded_images import ImageFiles
from fairprof.data.sources.listing import ROW_COLUMNS, Listing, RegionFiles, split_by_reason
from fairprof.runtime.cache import Cache
from fairprof.runtime.progress import progress_bar
from fairprof.seeds import numpy_generator

VERSION = "synthetic-2"  # raise the number when a portrait or a label changes
IMAGES = 2000
SIZE = 256  # pixels
JPEG_QUALITY = 95
SEED = 2026
CHUNK = 16  # portraits a task
WHAT = "the embedded data set"
LAST_AGE = 90

# Natural composition: imbalanced, so that the designs differ.
GENDER_SHARES = dict(zip(GENDERS, (0.58, 0.42), strict=True))
RACE_SHARES = dict(zip(SYNTHETIC_RACES, (0.52, 0.28, 0.20), strict=True))
AGE_SHARES = dict(zip(AGE_BINS, (0.04, 0.11, 0.12, 0.15, 0.13, 0.12, 0.10, 0.10, 0.13), strict=True))


def read(cache: Cache, cue_gap: float = 0.0, images_needed: bool = True) -> Listing:
    """The embedded data set, drawn into the cache's folder if it is not there yet, or damaged; it stays there.

    cue_gap: by how much less the cues of age contrast on the darkest tone, 0..1, as in `draw_portrait`. Where no images
    are needed, nothing is drawn.

    Raises `UserError` where another process draws it for longer than the cache's `lock_timeout`.
    """
    folder = cache.folder / (f"{VERSION}-cue-gap-{cue_gap}" if cue_gap else VERSION)
    if not images_needed:
        return _listing(folder, _people().astype(str))
    with cache.locked(folder, WHAT):
        if not cache.is_whole(folder, WHAT):
            with cache.written(folder) as unfinished:
                _draw_all(_people(), unfinished, cue_gap)
        return _listing(folder, pd.read_csv(folder / "labels.csv", dtype=str, keep_default_na=False))


def _listing(folder: Path, records: pd.DataFrame) -> Listing:
    records["line"] = range(2, len(records) + 2)
    rows, quarantine = split_by_reason(
        records[[name for name in ROW_COLUMNS if name in records]], pd.Series("", index=records.index)
    )
    images = ImageFiles(folder, rows["image"].array)
    return Listing(
        "synthetic",
        rows,
        quarantine,
        images,
        races=tuple(SYNTHETIC_RACES),
        regions=RegionFiles(images, folder, records["regions"].array, records["image"].array),
    )


def _people() -> pd.DataFrame:
    """Who is drawn: image, regions (file names), years, age (bin), gender, race, skin_tone."""
    generator = numpy_generator(SEED, "people")

    def pick(shares: dict[str, float]) -> np.ndarray:
        return generator.choice(list(shares), size=IMAGES, p=list(shares.values()))

    ages, genders, races = pick(AGE_SHARES), pick(GENDER_SHARES), pick(RACE_SHARES)
    first_years = dict(zip(AGE_BINS, (0, *(last + 1 for last in LAST_YEARS)), strict=True))
    last_years = dict(zip(AGE_BINS, (*LAST_YEARS, LAST_AGE), strict=True))
    return pd.DataFrame(
        {
            "image": [f"images/{number:04d}.jpg" for number in range(IMAGES)],
            "regions": [f"regions/{number:04d}.png" for number in range(IMAGES)],
            "years": [int(generator.integers(first_years[age], last_years[age], endpoint=True)) for age in ages],
            "age": ages,
            "gender": genders,
            "race": races,
            "skin_tone": [int(generator.choice(SYNTHETIC_RACES[race])) for race in races],
        }
    )


def _draw_all(people: pd.DataFrame, folder: Path, cue_gap: float) -> None:
    (folder / "images").mkdir()
    (folder / "regions").mkdir()
    rows = list(people.itertuples(index=False))
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]

    def draw(chunk: list) -> int:
        for person in chunk:
            _draw_one(person, folder, cue_gap)
        return len(chunk)

    with ThreadPoolExecutor(os.cpu_count()) as executor, progress_bar("drawing", len(rows), "portraits") as bar:
        for done in executor.map(draw, chunks):
            bar.update(done)
    people.to_csv(folder / "labels.csv", index=False)


def _draw_one(person, folder: Path, cue_gap: float) -> None:
    import cv2  # which labels alone do not need

    from fairprof.data.portraits import Person, draw_portrait

    generator = numpy_generator(SEED, "portrait", person.image)
    subject = Person(person.years, person.gender, person.skin_tone)
    image, regions = draw_portrait(subject, generator, SIZE, cue_gap)
    _write_picture(
        folder / person.image, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    _write_picture(folder / person.regions, regions, [])


def _write_picture(path: Path, pixels: np.ndarray, options: list[int]) -> None:
    import cv2

    path.write_bytes(cv2.imencode(path.suffix, pixels, options)[1].tobytes())
