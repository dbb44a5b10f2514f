"""A verdict under a known truth, and how often it was right."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from threadpoolctl import threadpool_limits

from fairprof.runtime.progress import progress_bar
from fairprof.seeds import numpy_generator

MOST_FALSE = 0.06  # wanted of levels and family-wise errors
LEAST_COVERED = 0.93  # wanted of intervals and bands
LEAST_FOUND = 0.95  # wanted of the power in the example of small groups


@dataclass(frozen=True)
class Simulation:
    """Data sets with a known truth, and what is wanted of their verdicts.

    name: the truth, in words. outcome: draws one data set and judges it: by what is asked of it ("rejected: equal
    opportunity"), whether it happened. at_most, at_least: of the share of data sets in which it happens; with
    neither the share is for information, as are those named in `for_information`. data_sets: how many are drawn for
    the record; quick_data_sets: in tests.
    """

    name: str
    outcome: Callable[[np.random.Generator], dict[str, bool]]
    at_most: float = 1.0
    at_least: float = 0.0
    for_information: tuple[str, ...] = ()
    data_sets: int = 1000
    quick_data_sets: int = 60


def simulated(simulation: Simulation, quick: bool = False, processes: int = 1) -> pd.DataFrame:
    """A row for each thing that is asked: simulation, asked, share, standard_error, data_sets, wanted, holds.

    Data set n of a simulation is always the same. holds: the share is what is wanted or within two standard errors of
    it, as the simulation itself is a sample.
    """
    number = simulation.quick_data_sets if quick else simulation.data_sets
    outcomes = pd.DataFrame(_outcomes(simulation, number, processes))
    rows = []
    for asked, happened in outcomes.items():
        happened = happened.dropna()
        share = float(happened.mean())
        error = float(np.sqrt(share * (1 - share) / len(happened)))
        rows.append(
            {
                "simulation": simulation.name,
                "asked": asked,
                "share": share,
                "standard_error": error,
                "data_sets": len(happened),
                "wanted": _wanted(simulation, str(asked)),
                "holds": asked in simulation.for_information
                or simulation.at_least - 2 * error <= share <= simulation.at_most + 2 * error,
            }
        )
    return pd.DataFrame(rows)


def contradicts(row: pd.Series, at_most: float = 1.0, at_least: float = 0.0) -> bool:
    """Whether a row of `simulated` contradicts what is wanted, by an exact binomial test at the level .001.

    For tests, which can afford few data sets and must not fail by chance.
    """
    happened, number = round(row["share"] * row["data_sets"]), int(row["data_sets"])
    above = binomtest(happened, number, at_most, alternative="greater").pvalue if at_most < 1 else 1
    below = binomtest(happened, number, at_least, alternative="less").pvalue if at_least > 0 else 1
    return bool(min(above, below) < 0.001)


def _wanted(simulation: Simulation, asked: str) -> str:
    if asked in simulation.for_information:
        return ""
    if simulation.at_most < 1:
        return f"<= {simulation.at_most:g}"
    return f">= {simulation.at_least:g}" if simulation.at_least > 0 else ""


def _outcomes(simulation: Simulation, number: int, processes: int) -> Iterator[dict[str, bool]]:
    with progress_bar(simulation.name, number, "data sets") as bar:
        if processes == 1:
            for each in range(number):
                yield _outcome(simulation, each)
                bar.update()
            return
        with ProcessPoolExecutor(processes) as pool:
            for outcome in pool.map(_outcome, [simulation] * number, range(number), chunksize=4):
                yield outcome
                bar.update()


def _outcome(simulation: Simulation, each: int) -> dict[str, bool]:
    with threadpool_limits(1):
        return simulation.outcome(numpy_generator(each, simulation.name))
