"""The picture of a training shows every epoch."""

import numpy as np
import pytest

from fairprof.commands.train.pictures import training_figure
from tests.reporting.charts import rendered


def history(epochs: int) -> list[dict[str, float]]:
    names = ["train/loss", "val/loss", "val/accuracy", "val/balanced_accuracy", "val/macro_f1"]
    names += [
        f"val/{gap}_difference/{attribute}"
        for gap in ("demographic_parity", "equal_opportunity")
        for attribute in ("gender", "race")
    ]
    return [{name: 1 / (epoch + place + 1) for place, name in enumerate(names)} for epoch in range(epochs)]


@pytest.mark.parametrize("epochs", [1, 2, 40])
def test_training_curves_hold_every_epoch(epochs):
    figure = training_figure(history(epochs), 1)
    rendered(figure)
    assert [len(axis.get_lines()) for axis in figure.axes] == [3, 4, 5]  # the last line of each marks the best epoch
    train_loss = figure.axes[0].get_lines()[0]
    np.testing.assert_array_equal(train_loss.get_xdata(), range(1, epochs + 1))
    np.testing.assert_allclose(train_loss.get_ydata(), [1 / (epoch + 1) for epoch in range(epochs)])
    assert all(axis.get_lines()[-1].get_xdata()[0] == 1 for axis in figure.axes)


def test_gaps_that_are_undefined_in_every_epoch_leave_their_curves_empty():
    values = [
        {name: float("nan") if "difference" in name else value for name, value in epoch.items()} for epoch in history(3)
    ]
    figure = training_figure(values, 3)
    rendered(figure)
    assert np.isnan(figure.axes[2].get_lines()[0].get_ydata()).all()
