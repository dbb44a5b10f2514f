"""The picture of what a draw is composed of shows every image."""

import pandas as pd
import pytest

from fairprof.reporting.composition import composition_figure
from tests.reporting.charts import class_names, rendered


def composition(races: int, classes: int) -> pd.DataFrame:
    rows = [
        (partition, profession, f"group {race}", gender, 1 + race + number)
        for partition in ("train", "val", "test")
        for number, profession in enumerate(class_names(classes))
        for race in range(races)
        for gender in ("man", "woman")
    ]
    table = pd.DataFrame(rows, columns=["partition", "profession", "race", "gender", "count"])
    table["partition"] = pd.Categorical(table["partition"], ["train", "val", "test"])
    return table.astype({"profession": "category", "race": "category", "gender": "category"})


@pytest.mark.slow
@pytest.mark.parametrize("races", [1, 7, 14])
@pytest.mark.parametrize("classes", [2, 6, 10])
def test_composition_draws_every_image_of_every_group(races, classes):
    table = composition(races, classes)
    figure = composition_figure(table, "Design A")
    rendered(figure)
    assert len(figure.axes) == 3
    for axis, partition in zip(figure.axes, ("train", "val", "test"), strict=True):
        bars = [bar.get_width() for bar in axis.patches]
        assert len(bars) == classes * races * 2
        total = table[table["partition"].eq(partition)]["count"].sum()
        assert sum(bars) == total
        assert axis.get_title() == f"{partition}: {total:,} images"


def test_composition_of_an_empty_cell_has_a_bar_of_no_length():
    table = composition(2, 2)
    table.loc[3, "count"] = 0
    figure = composition_figure(table, "Design D")
    rendered(figure)
    assert sorted(bar.get_width() for bar in figure.axes[0].patches)[0] == 0
