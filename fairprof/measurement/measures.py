"""All that is measured on one table of predictions: scores, gaps with their floors, tables and pictures."""

from dataclasses import dataclass

import pandas as pd

from fairprof.config import AnalysisSettings
from fairprof.inference.calibration_by_group import reliability_with_intervals
from fairprof.inference.intervals import bootstrap_scores, with_intervals
from fairprof.inference.standardised_gaps import standardised_gaps
from fairprof.inference.verdicts import gaps_and_contrasts
from fairprof.measurement.pictures import confusion_figure, rates_figure, reliability_figure
from fairprof.metrics import fairness, performance
from fairprof.metrics.fairness import MAX_OVER_CLASSES
from fairprof.reporting.findings import finite, log_pictures, log_tables
from fairprof.reporting.gap_chart import gaps_figure
from fairprof.reporting.style import png_of
from fairprof.seeds import numpy_generator

NATURAL, BALANCED = "natural", "balanced"


@dataclass(frozen=True)
class Measurements:
    """What is measured on one predictions table.

    values: metrics by name, each under `test/`. tables: by artifact path, `metrics/NAME.csv`, where NAME is

    - scores, contrasts, standardised_gaps: of `bootstrap_scores`, `contrasts_with_tests` and `standardised_gaps`
    - by_group, gaps: of `rates_by_group` and `fairness.gaps`, with a column view: natural, with intervals and tests, or
      balanced, under `balanced_weights`, without
    - performance_by_group, per_class, confusion_matrix: of the functions of these names; the index of the second and
      third are the (true) classes
    - reliability: of `reliability_with_intervals`

    tested_gaps: of `tested_gaps`, as the picture of the gaps takes them.
    """

    values: dict[str, float]
    tables: dict[str, pd.DataFrame]
    tested_gaps: pd.DataFrame

    def table(self, name: str) -> pd.DataFrame:
        """The table of this name."""
        return self.tables[f"metrics/{name}.csv"]

    @property
    def one_class(self) -> bool:
        """Whether one class is predicted for every image."""
        return int(self.table("confusion_matrix").any().sum()) == 1

    def natural(self, name: str) -> pd.DataFrame:
        """The natural view of a table that has views."""
        table = self.table(name)
        return table[table["view"].eq(NATURAL)].drop(columns="view")


def scores_and_gaps(predictions: pd.DataFrame, min_support: int) -> dict[str, float]:
    """Scores and gaps of a predictions table by name."""
    return performance.performance(predictions) | fairness.summary(predictions, min_support)


def measure(predictions: pd.DataFrame, settings: AnalysisSettings, seed: int) -> Measurements:
    """Measures predictions of images that were not trained on, a table as `predictions_table` makes it.

    seed: of the permutations and bootstraps.
    """
    predictions, min_support = fairness.in_categories(predictions), settings.min_support
    tested, contrasts = gaps_and_contrasts(
        predictions,
        settings.permutations,
        settings.replicates,
        settings.delta,
        numpy_generator(seed, "noise floor"),
        min_support=min_support,
    )
    by_group, gaps = _rates_and_gaps(predictions, tested, min_support)
    tables = {
        "contrasts": contrasts,
        "standardised_gaps": standardised_gaps(
            [predictions], settings.replicates, numpy_generator(seed, "standardised gaps")
        ),
        "scores": bootstrap_scores(predictions, settings.replicates, numpy_generator(seed, "scores")),
        "by_group": by_group,
        "gaps": gaps,
        "performance_by_group": fairness.performance_by_group(predictions, min_support),
        "per_class": performance.classification_table(predictions),
        "confusion_matrix": performance.confusion_table(predictions),
        "reliability": reliability_with_intervals(predictions, performance.CALIBRATION_BINS),
    }
    values = scores_and_gaps(predictions, min_support) | _noise_floors(tested)
    return Measurements(
        {f"test/{name}": value for name, value in values.items()},
        {f"metrics/{name}.csv": table for name, table in tables.items()},
        tested,
    )


def _rates_and_gaps(
    predictions: pd.DataFrame, tested: pd.DataFrame, min_support: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rates by group and the gaps between them, each in the natural and the balanced view."""
    natural = with_intervals(fairness.rates_by_group(predictions, min_support), predictions)
    balanced = fairness.rates_by_group(predictions, min_support, fairness.balanced_weights(predictions))
    gaps = fairness.gaps(natural).merge(
        tested.drop(columns=["value", "undefined_cells", "insufficient_cells"]),
        how="left",
        on=["attribute", "metric", "class"],
        validate="1:1",
    )
    return (
        pd.concat([natural.assign(view=NATURAL), balanced.assign(view=BALANCED)]),
        pd.concat([gaps.assign(view=NATURAL), fairness.gaps(balanced).assign(view=BALANCED)]),
    )


def _noise_floors(gaps: pd.DataFrame) -> dict[str, float]:
    """Floor, p-value and upper bound beside every gap that is a metric (the largest over the classes)."""
    largest = gaps[gaps["class"].eq(MAX_OVER_CLASSES)]
    return finite(
        {
            f"{row.metric}_{figure}/{row.attribute}": getattr(row, figure)
            for row in largest.itertuples()
            for figure in ("null_mean", "null_q95", "excess", "p_value", "upper")
        }
    )


def log_measurements(measurements: Measurements, arm: str | int, design: str) -> None:
    """Logs the tables and pictures of `metrics/`; arm, design: as `pictures_of` takes them."""
    log_tables(measurements.tables)
    log_pictures(pictures_of(measurements, arm, design))


def pictures_of(measurements: Measurements, arm: str | int, design: str) -> dict[str, bytes]:
    """PNG by artifact path without its ending; arm, design: what the picture of the gaps names and colours them by.

    Where one class is predicted for every image, all rates are 0 or 1 and gaps 0: there is no picture of them.
    """
    confusion = measurements.table("confusion_matrix")
    reliability, error = measurements.table("reliability"), measurements.values["test/calibration_error"]
    figures = {
        "confusion_matrix": confusion_figure(confusion, "test set"),
        "reliability": reliability_figure(reliability, error),
    }
    if not measurements.one_class:
        tested = measurements.tested_gaps.assign(arm=arm, design=design, seeds=1)
        figures |= {"rates_by_group": rates_figure(measurements.natural("by_group")), "gaps": gaps_figure(tested)}
    return {f"metrics/{name}": png_of(figure) for name, figure in figures.items()}
