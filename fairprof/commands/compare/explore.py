"""What readers explore in the report of a comparison, from data within the page: never more than its tables say.

A run's counts by groups, true and predicted class give all scores, rates and gaps of the tables to the last digit. What
offsets would change rests on the log-probabilities of every test image.
"""

import base64
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fairprof.commands.compare.collect import RunResults
from fairprof.commands.compare.explore_charts import seeds_chart, tradeoff_chart
from fairprof.commands.compare.explore_gallery import gallery_blocks
from fairprof.commands.compare.protocol import Protocol
from fairprof.inference.same_images import Runs, runs_on_the_same_images
from fairprof.metrics.fairness import ATTRIBUTES, DIFFERENCES, MAX_OVER_CLASSES
from fairprof.metrics.performance import class_probabilities
from fairprof.reporting.blocks import Block, Embedded, Heading, Interactive, Paragraph
from fairprof.reporting.names import CLASS_NAMES, METRIC_NAMES, name_of
from fairprof.reporting.style import DESIGN_COLOURS
from fairprof.reporting.wording import counted, seeds_named
from fairprof.store import tracking

STEPS = 1000  # of a log-probability that are told apart in a unit
LOWEST = 2**16 - 1  # of these steps below the predicted class, the lowest that is told apart
ROOM = 900_000  # letters of log-probabilities in a page
RATES = ("selection_rate", "true_positive_rate", "false_positive_rate")


def explore_blocks(
    results: Sequence[RunResults], tables: dict[str, pd.DataFrame], protocol: Protocol
) -> tuple[Block, ...]:
    """The section in which readers choose what they see.

    results: of the main arm first, as `comparison_tables` takes them, from which `tables` are.
    """
    in_order = [run.test.sort_values("image", ignore_index=True) for run in results]
    runs = runs_on_the_same_images(in_order, ATTRIBUTES)
    moved = runs_with_offsets(results, protocol)
    return (
        Paragraph(
            "What is shown here is computed in this page from the counts of its runs, and asks for nothing elsewhere. "
            "It describes; what may be claimed stands in the sections before. Looking until something is found is no "
            "test."
        ),
        Embedded("mlflow", _mlflow(results[0])),
        Embedded("runs", _described(results, runs, protocol) | _estimates(tables)),
        Heading("Seed by seed"),
        Interactive("seeds"),
        Embedded("seeds-chart", seeds_chart(protocol.designs)),
        Heading("Runs between performance and gaps"),
        Interactive("tradeoff"),
        Embedded("tradeoff-chart", tradeoff_chart(protocol.designs)),
        Heading("What offsets would change"),
        *_offset_blocks(results, in_order, runs, moved, protocol),
        Heading("Errors, and where the network looked"),
        *gallery_blocks(results, protocol),
    )


def _mlflow(run: RunResults) -> dict[str, Any]:
    """Where the pages of the runs are in MLflow."""
    server, certain = tracking.server_address()
    return {"server": server, "certain": certain, "experiment": tracking.experiment_of(run.run.run_id)}


def runs_with_offsets(results: Sequence[RunResults], protocol: Protocol) -> list[int]:
    """The numbers of the runs whose log-probabilities fit into a page: those of the first seeds of the main arm, as
    many for every design; none where one seed is too many."""
    main = [number for number, run in enumerate(results) if run.arm == protocol.main_arm]
    each = 4 * -(-2 * len(results[0].test) * len(protocol.classes) // 3)  # letters in base 64
    seeds = ROOM // (each * len(protocol.designs))
    return [number for number in main if results[number].seed in protocol.seeds[:seeds]]


def steps_below(predictions: pd.DataFrame, predicted: np.ndarray) -> np.ndarray:
    """(N, K) uint16: how many steps of 1 / STEPS the log-probability of each class lies below that of the predicted
    class, at least one for every other class, so that the largest stays the predicted one.

    predicted: (N,) int codes.
    """
    with np.errstate(divide="ignore"):  # a probability of 0 lies infinitely far below
        logarithms = np.log(class_probabilities(predictions))
    below = np.take_along_axis(logarithms, predicted[:, None], axis=1) - logarithms
    steps = np.clip(np.round(STEPS * below), 1, LOWEST)
    np.put_along_axis(steps, predicted[:, None], 0, axis=1)
    return steps.astype(np.uint16)


def _described(results: Sequence[RunResults], runs: Runs, protocol: Protocol) -> dict[str, Any]:
    """Classes, groups, and the counts of every run by combination of groups, true and predicted class."""
    cells = {attribute: members.argmax(axis=0).tolist() for attribute, members in runs.members.items()}
    shape = (runs.cells, len(runs.classes), len(runs.classes))
    counts = [
        np.bincount(np.ravel_multi_index((runs.cell, runs.true, predicted), shape), minlength=np.prod(shape))
        for predicted in runs.predicted
    ]
    return {
        "classes": runs.classes,
        "attributes": {name: {"name": name_of(name), "groups": groups} for name, groups in runs.groups.items()},
        "cells": cells,
        "names": METRIC_NAMES | CLASS_NAMES | {rate: name_of(rate) for rate in RATES},
        "designs": list(protocol.designs),
        "colours": {design: DESIGN_COLOURS[design] for design in protocol.designs},
        "arms": list(protocol.arms),
        "images": len(runs.true),
        "least_support": protocol.min_support,
        "runs": [
            {
                "run_id": run.run.run_id,
                "name": run.run.name,
                "arm": run.arm,
                "design": run.design,
                "seed": run.seed,
                "counts": of_run.tolist(),
            }
            for run, of_run in zip(results, counts, strict=True)
        ],
    }


def _estimates(tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Means over seeds with their intervals, and noise floors, as the tables have them."""
    return {
        "performance": _rows(tables["performance"], ["arm", "design", "metric", "value", "lower", "upper"]),
        "gaps": _rows(
            tables["gaps"],
            ["arm", "design", "attribute", "metric", "class", "value", "upper", "null_mean", "null_q95"],
        ),
    }


def _rows(table: pd.DataFrame, columns: list[str]) -> list[dict[str, Any]]:
    """The rows of a table, None in place of what is undefined."""
    chosen = table[columns].astype(object)
    return chosen.where(chosen.notna(), None).to_dict("records")


# Offsets.


def _offset_blocks(
    results: Sequence[RunResults],
    in_order: Sequence[pd.DataFrame],
    runs: Runs,
    moved: Sequence[int],
    protocol: Protocol,
) -> Iterator[Block]:
    if not moved:
        yield Paragraph(
            f"The log-probabilities of {counted(protocol.test_images, 'test image')} and "
            f"{counted(len(protocol.classes), 'class')} are too many for this page. The predictions are among the "
            "artifacts of every run, as predictions/test.parquet."
        )
        return
    yield Paragraph(
        "An offset is added to the log-probability of a class, for everybody or for a group, before the largest is "
        "taken: a threshold that is moved. Offsets that are chosen here are tuned on the test images. They show what a "
        "rule could trade, and prove nothing: on other images the same offsets give other numbers. Offsets by gender "
        "or race would treat people differently by these attributes, which may be unlawful.",
        "Exploration only.",
    )
    seeds = sorted({results[number].seed for number in moved})
    if len(seeds) < len(protocol.seeds):
        yield Paragraph(
            f"Of {counted(len(protocol.seeds), 'seed')} only {seeds_named(seeds)} can be chosen: the "
            "log-probabilities of more do not fit into this page."
        )
    yield Interactive("offsets")
    yield Embedded(
        "predictions",
        {
            "steps": STEPS,
            "permutations": protocol.permutations,
            "cell": _packed(runs.cell),
            "true": _packed(runs.true),
            "person": None if runs.person is None else _packed(np.unique(runs.person, return_inverse=True)[1]),
            "runs": [
                {
                    "run": number,
                    "below": _packed(steps_below(in_order[number], runs.predicted[number])),
                    "floors": _floors(results[number].run.run_id),
                }
                for number in moved
            ],
        },
    )


def _packed(codes: np.ndarray) -> str:
    """Whole numbers below 2^16 as text: two bytes each, the lower one first, in base 64."""
    if codes.max() > LOWEST:
        raise ValueError(f"a code is {codes.max()}, above {LOWEST}")
    return base64.b64encode(codes.astype("<u2").tobytes()).decode()


def _floors(run_id: str) -> list[dict[str, Any]]:
    """The noise floors of a run's largest gaps, from its own table."""
    gaps = tracking.load_table(run_id, "metrics/gaps.csv")
    largest = gaps[gaps["class"].eq(MAX_OVER_CLASSES) & gaps["metric"].isin(DIFFERENCES) & gaps["view"].eq("natural")]
    return _rows(largest, ["attribute", "metric", "null_mean", "null_q95"])
