"""Pictures of an evaluation: they show what the tables say, for any number of corruptions, without a warning."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from fairprof.commands.evaluate.corruptions import CORRUPTIONS, SEVERITIES
from fairprof.commands.evaluate.pictures import corruption_sheet, robustness_figure
from fairprof.commands.evaluate.robustness import accuracy_under_corruption
from tests.commands.evaluate.test_robustness import random_outcomes

NAMES = (*CORRUPTIONS, "fog", "snow")


def rendered(figure: Figure) -> None:
    """Drawn as it is logged; every warning on the way is an error of the test."""
    figure.savefig(io.BytesIO(), format="png", dpi=110)


def accuracy_of(count: int) -> pd.DataFrame:
    """Accuracy under so many corruptions, and clean."""
    made = random_outcomes(0, 0.2)
    levels = [made[made["corruption"].eq("clean")]]
    for name in NAMES[:count]:
        for severity in SEVERITIES:
            levels.append(made[made["severity"].eq(1)].assign(corruption=name, severity=severity))
    table = pd.concat(levels).drop_duplicates(["corruption", "severity", "image"])
    return accuracy_under_corruption(table)


@pytest.mark.parametrize("count", [1, 3, 6, 7, 8])
def test_robustness_has_a_panel_for_every_corruption(count):
    accuracy = accuracy_of(count)
    figure = robustness_figure(accuracy, "race")
    rendered(figure)
    assert [axis.get_title() for axis in figure.axes] == list(NAMES[:count])
    for axis in figure.axes:
        everyone = accuracy[accuracy["attribute"].eq("all")]
        shown = everyone[everyone["corruption"].isin(["clean", axis.get_title()])].sort_values("severity")
        np.testing.assert_array_equal(axis.get_lines()[0].get_ydata(), shown["accuracy"])
        assert len(axis.get_lines()) == 1 + accuracy.loc[accuracy["attribute"].eq("race"), "group"].nunique()


@pytest.mark.parametrize("count", [1, 6, 7])
def test_the_sheet_of_corruptions_has_a_line_for_each(count):
    images = {("clean", 0): np.zeros((8, 8, 3), np.uint8)}
    images |= {(name, severity): np.full((8, 8, 3), 9, np.uint8) for name in NAMES[:count] for severity in SEVERITIES}
    figure = corruption_sheet(images, "One image")
    rendered(figure)
    assert len(figure.axes) == count * (1 + len(SEVERITIES))
    assert [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()] == list(NAMES[:count])
