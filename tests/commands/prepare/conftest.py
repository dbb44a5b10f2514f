"""What tests of an audit share: small data sets whose every count is known."""

from itertools import product

import pytest


@pytest.fixture
def cells_of():
    """Rows of a manifest from counts by (partition, gender, race, profession); further columns are the same in all."""

    def make(counts: dict[tuple, int], **columns) -> list[dict]:
        return [
            {
                "image": f"{'-'.join(cell)}-{number}.png",
                "partition": cell[0],
                "gender": cell[1],
                "race": cell[2],
                "profession": cell[3],
                **columns,
            }
            for cell, count in counts.items()
            for number in range(count)
        ]

    return make


@pytest.fixture
def screened_of(make_settings, write_manifest):
    """What is screened of a manifest's rows; of labels alone unless pixels are asked for."""
    from fairprof.data.pool import screened_rows  # not above: it imports MLflow, whose remark nobody ignores that early

    def screen(rows: list[dict], with_pixels: bool = False):
        return screened_rows(make_settings(data=write_manifest(rows)), 32 if with_pixels else None)

    return screen


@pytest.fixture
def pool_of(make_settings, screened_of):
    """The pool of a manifest's rows, however few are usable."""
    from fairprof.data.pool import pool_of

    def load(rows: list[dict], with_pixels: bool = False):
        return pool_of(screened_of(rows, with_pixels), make_settings(data="manifest:faces.csv"))

    return load


@pytest.fixture
def pictured(tmp_path, write_image):
    """Rows of a manifest with a picture each: `count` in every cell of gender x race x profession, and no partition."""

    def make(count: int, **columns) -> list[dict]:
        rows = []
        for number, (gender, race, profession) in enumerate(list(product("mf", "xy", ("cook", "nurse"))) * count):
            write_image(tmp_path / f"{number:04d}.png", number)
            cell = {"gender": gender, "race": race, "profession": profession}
            rows.append({"image": f"{number:04d}.png", **cell, **columns})
        return rows

    return make
