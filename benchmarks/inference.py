"""How fast gaps are resampled and permuted, against fairlearn, and how often tests and bands are right."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
from numpy.typing import ArrayLike
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from benchmarks.simulations.groups import ATTRIBUTE, table_of_counts
from fairprof.inference.bands import contrast_bands, largest_gaps, resampled_counts
from fairprof.inference.levels import TIE
from fairprof.inference.over_runs import contrasts_over_runs, gap_tests_over_runs, gap_upper_bounds_over_runs
from fairprof.inference.permutation import gap_tests, gaps_and_aggregates
from fairprof.inference.verdicts import gaps_and_contrasts
from fairprof.metrics.fairness import ATTRIBUTES, DIFFERENCES, MAX_OVER_CLASSES, count_table, group_labels, rates
from fairprof.seeds import numpy_generator

CLASSES = ["chef", "doctor", "engineer", "teacher"]
RATES = {
    "selection_rate": selection_rate,
    "true_positive_rate": true_positive_rate,
    "false_positive_rate": false_positive_rate,
}
REPLICATES = 1000
SIX_RUNS = 6


@dataclass(frozen=True)
class Size:
    """rows: of the predictions that are timed, in so many rounds. bootstraps, permutations: of fairlearn, from which
    1,000 are extrapolated. null_tables, gap_tables, band_tables, tables_of_runs: simulated tables. drawn: replicates of
    each band."""

    rows: int
    rounds: int
    bootstraps: int
    permutations: int
    null_tables: int
    gap_tables: int
    band_tables: int
    tables_of_runs: int
    drawn: int


FULL = Size(10_000, 5, 20, 3, 2_000, 1_000, 2_000, 400, 500)
QUICK = Size(2_000, 1, 1, 1, 100, 50, 50, 10, 50)


def measure_inference(quick: bool) -> dict:
    """Seconds on one core, and shares of simulated tables in which a test or a band did what it did.

    `gaps_seconds`: 1,000 bootstrap and 1,000 permutation replicates of every gap of three attributes;
    `fairlearn_seconds`: the same with fairlearn, extrapolated; `tested_seconds`: tests, bands and verdicts of one run;
    `six_runs_seconds`: tests and bands of six runs on the same images. `rejected`, `found` and `covered`: by
    simulation, the share of each difference or rate.
    """
    size = QUICK if quick else FULL
    runs = [_predictions(size.rows, run) for run in range(SIX_RUNS)]
    work = {
        "gaps_seconds": lambda: _all_gaps(runs[0]),
        "tested_seconds": lambda: gaps_and_contrasts(runs[0], REPLICATES, REPLICATES, 0.05, np.random.default_rng(0)),
        "six_runs_seconds": lambda: _of_runs(runs),
    }
    with threadpool_limits(1):
        return {
            "rows": size.rows,
            "replicates": REPLICATES,
            **{name: _seconds(measured, size.rounds) for name, measured in work.items()},
            "fairlearn_seconds": _fairlearn_seconds(runs[0], size),
            "rejected": _rejected(size),
            "found": _found(size),
            "covered": _covered(size),
        }


# Speed.


def _predictions(rows: int, run: int) -> pd.DataFrame:
    """Predictions for the same images, of two genders and seven races; each run is right in four of five cases."""
    generator = numpy_generator(0, "images")
    table = pd.DataFrame(
        {
            "image": np.arange(rows),
            "gender": generator.choice(["Female", "Male"], rows),
            "race": generator.choice([f"race {number}" for number in range(7)], rows),
            "y_true": generator.choice(CLASSES, rows),
        }
    )
    generator = numpy_generator(run, "run")
    guess = generator.choice(CLASSES, rows)
    table["y_pred"] = np.where(generator.random(rows) < 0.73, table["y_true"], guess)
    return table.assign(**{f"probability_{name}": (table["y_pred"] == name).astype(float) for name in CLASSES})


def _all_gaps(predictions: pd.DataFrame) -> None:
    generator = np.random.default_rng(0)
    gap_tests(predictions, REPLICATES, generator)
    for attribute in ATTRIBUTES:
        counts, _ = count_table(predictions, attribute)
        gaps_and_aggregates(rates(resampled_counts(counts, REPLICATES, generator)))


def _of_runs(runs: list[pd.DataFrame]) -> None:
    generator = np.random.default_rng(0)
    gap_tests_over_runs(runs, REPLICATES, generator)
    contrasts_over_runs(runs, REPLICATES, generator)


def _seconds(work: Callable[[], object], rounds: int) -> float:
    """The median of a few rounds, after one that warms up."""
    work()
    taken = []
    for _ in range(rounds):
        started = perf_counter()
        work()
        taken.append(perf_counter() - started)
    return median(taken)


def _fairlearn_seconds(predictions: pd.DataFrame, size: Size) -> float:
    """1,000 bootstrap replicates, from a few of them less none of them, and 1,000 permutations, from a few of them."""
    generator = np.random.default_rng(0)
    started = perf_counter()
    for _ in range(size.permutations):
        _fairlearn(predictions, generator.permutation(len(predictions)))
    permuted = (perf_counter() - started) / size.permutations
    started = perf_counter()
    _fairlearn(predictions, np.arange(len(predictions)), size.bootstraps)
    bootstrapped = (perf_counter() - started - permuted) / size.bootstraps
    return REPLICATES * (permuted + bootstrapped)


def _fairlearn(predictions: pd.DataFrame, order: np.ndarray, bootstraps: int | None = None) -> None:
    """The differences of each rate, class and attribute, with the groups of the rows in that order."""
    quantiles = None if bootstraps is None else [0.025, 0.975]
    for attribute in ATTRIBUTES:
        groups = group_labels(predictions, attribute).astype(str).to_numpy()[order]
        for name in CLASSES:
            frame = MetricFrame(
                metrics=RATES,
                y_true=predictions["y_true"] == name,
                y_pred=predictions["y_pred"] == name,
                sensitive_features=groups,
                n_boot=bootstraps,
                ci_quantiles=quantiles,
                random_state=0,
            )
            frame.difference() if bootstraps is None else frame.difference_ci()


# Simulations.


def shares_of(recalls: ArrayLike, sizes: ArrayLike, classes: int) -> np.ndarray:
    """(G, K, K) shares of all rows: groups of these sizes, recognised that often, wrong predictions spread evenly."""
    recall = np.array(recalls)[:, None, None]
    confusion = np.where(np.eye(classes, dtype=bool), recall, (1 - recall) / (classes - 1))
    return np.array(sizes)[:, None, None] / np.sum(sizes) * confusion / classes


def p_values(counts: np.ndarray, permutations: int, generator: np.random.Generator) -> list[float]:
    """Of the largest gap over classes, for each difference: what `gap_tests` says of a table with these counts."""
    found = gap_tests(table_of_counts(counts), permutations, generator, [ATTRIBUTE])
    return found.loc[found["class"].eq(MAX_OVER_CLASSES), "p_value"].tolist()


def share_rejected(
    shares: np.ndarray, rows: int, tables: int, permutations: int, generator: np.random.Generator
) -> dict[str, float]:
    """By difference, the share of tables with p <= .05 among those drawn from `shares` (G, K, K)."""
    drawn = generator.multinomial(rows, shares.ravel(), size=tables).reshape(tables, *shares.shape)
    rejected = np.array([p_values(counts, permutations, generator) for counts in drawn]) <= 0.05
    return dict(zip(DIFFERENCES, rejected.mean(axis=0).tolist(), strict=True))


def share_found(
    recalls: list[float], rows: int, tables: int, permutations: int, generator: np.random.Generator
) -> dict[str, float]:
    """By difference, the share of tables with p <= .05: two classes, with as many `rows` in each group and class."""
    drawn = [
        [[generator.multinomial(rows, [p, 1 - p]), generator.multinomial(rows, [1 - p, p])] for p in recalls]
        for _ in range(tables)
    ]
    found = np.array([p_values(counts, permutations, generator) for counts in np.array(drawn)]) <= 0.05
    return dict(zip(DIFFERENCES, found.mean(axis=0).tolist(), strict=True))


def share_covered(
    shares: np.ndarray, rows: int, tables: int, replicates: int, generator: np.random.Generator
) -> dict[str, float]:
    """By rate, the share of tables whose bands all hold the truth; by difference, of bounds not under any true gap."""
    of_rest = rates(shares.sum(axis=0) - shares)
    truth = {rate: value - of_rest[rate] for rate, value in rates(shares).items()}
    gap = gaps_and_aggregates(rates(shares))
    held = dict.fromkeys([*truth, *gap], 0)
    for _ in range(tables):
        counts = generator.multinomial(rows, shares.ravel()).reshape(shares.shape)
        drawn = resampled_counts(counts, replicates, generator)
        bands = contrast_bands(counts, counts, drawn, drawn)
        for rate, band in bands.items():
            inside = (band.lower <= truth[rate]) & (truth[rate] <= band.upper)
            held[rate] += int((inside | np.isnan(band.contrast)).all())
        bounds = largest_gaps({rate: (band.lower, band.upper) for rate, band in bands.items()}, counts)
        for metric, bound in bounds.items():
            held[metric] += int(not (bound < gap[metric] - TIE).any())
    return {name: number / tables for name, number in held.items()}


def share_covered_over_runs(
    images: int, tables: int, replicates: int, generator: np.random.Generator
) -> dict[str, float]:
    """The same of true positive rates and equal opportunity, for two runs to which the same images are difficult.

    Run r recognises images of a group with probability .93 - .08 r - shift, of which .2 is the largest.
    """
    shift, sizes = np.array([0.2, 0.05, 0]), np.array([0.2, 0.5, 0.3])
    recall = 0.93 - 0.08 * np.arange(2)[:, None] - shift  # (R, G)
    mean = recall.mean(axis=0)
    truth = dict(zip("FMN", mean - (mean @ sizes - mean * sizes) / (1 - sizes), strict=True))
    bands_held = bounds_held = 0
    for _ in range(tables):
        group, true = generator.choice(3, images, p=sizes), generator.integers(2, size=images)
        difficulty = norm.cdf(0.8 * generator.normal(size=images) + 0.6 * generator.normal(size=(2, images)))
        predicted = np.where(difficulty < recall[:, group], true, 1 - true)
        image = {
            "image": np.arange(images),
            "gender": np.array(list("FMN"))[group],
            "y_true": np.array(["x", "y"])[true],
        }
        runs = [
            pd.DataFrame(image | {"y_pred": np.array(["x", "y"])[of_run], "probability_x": 0.5, "probability_y": 0.5})
            for of_run in predicted
        ]
        bands = contrasts_over_runs(runs, replicates, generator, attributes=["gender"])
        bands = bands[bands["rate"] == "true_positive_rate"]
        bands_held += int(bands["group"].map(truth).between(bands["lower"], bands["upper"]).all())
        bounds = gap_upper_bounds_over_runs(runs, replicates, generator, attributes=["gender"])
        of_opportunity = bounds.loc[bounds["metric"] == "equal_opportunity_difference", "upper"]
        bounds_held += int((of_opportunity >= 0.2).all())
    return {"true_positive_rate": bands_held / tables, "equal_opportunity_difference": bounds_held / tables}


SIMULATED_BANDS = {
    "2 groups, cells of 30, rates near 0 and 1": (shares_of([0.99, 0.9], [1, 1], 4), 240),
    "2 groups, cells of 30": (shares_of([0.5, 0.7], [1, 1], 2), 120),
    "4 uneven groups": (shares_of([0.9, 0.95, 0.8, 0.97], [0.6, 0.3, 0.06, 0.04], 3), 600),
    "7 groups, cells of 30": (shares_of(np.linspace(0.7, 0.99, 7), np.ones(7), 4), 840),
    "7 groups, cells of 30, rates near 0 and 1": (shares_of([0.99] * 6 + [0.8], np.ones(7), 4), 840),
    "14 groups": (shares_of(np.linspace(0.6, 0.98, 14), np.ones(14), 4), 10_000),
}


def _rejected(size: Size) -> dict[str, dict[str, float]]:
    generator, tables = numpy_generator(0, "rejected"), size.null_tables
    few, many = shares_of([0.7] * 3, [0.6, 0.3, 0.1], 3), shares_of([0.8] * 14, np.ones(14), 4)
    return {
        "3 uneven groups, 200 rows": share_rejected(few, 200, tables, 199, generator),
        "14 groups, 1,000 rows": share_rejected(many, 1000, tables // 4, 199, generator),
    }


def _found(size: Size) -> dict[str, dict[str, float]]:
    generator = numpy_generator(0, "found")
    return {
        f"{high} and {low}": share_found([high, low], 100, size.gap_tables, 199, generator)
        for high, low in ((0.9, 0.7), (0.8, 0.6), (0.6, 0.4))
    }


def _covered(size: Size) -> dict[str, dict[str, float]]:
    generator = numpy_generator(0, "covered")
    found = {
        case: share_covered(shares, rows, size.band_tables, size.drawn, generator)
        for case, (shares, rows) in SIMULATED_BANDS.items()
    }
    return found | {"two runs": share_covered_over_runs(300, size.tables_of_runs, size.drawn, generator)}
