"""The gallery of errors: test images that a model got wrong, beside the map of where it looked."""

import base64
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fairprof.commands.compare.collect import RunResults
from fairprof.commands.compare.protocol import Protocol
from fairprof.metrics.fairness import ATTRIBUTES
from fairprof.metrics.performance import PROBABILITY_PREFIX
from fairprof.reporting.blocks import Block, Embedded, Interactive, Paragraph
from fairprof.reporting.wording import counted, number
from fairprof.saliency.panels import COLOURS
from fairprof.saliency.thumbnails import unpacked_thumbnails
from fairprof.store import tracking

MOST = 64  # images, so that a page stays small
LEVELS = 255  # of a map's strength that are told apart


def gallery_blocks(results: Sequence[RunResults], protocol: Protocol) -> Iterator[Block]:
    """Errors on explained test images of the first seed of every design."""
    main = [run for run in results if run.arm == protocol.main_arm]
    seed = min(run.seed for run in main)
    runs = [run for run in main if run.seed == seed]
    maps = {run.design: tracking.load_arrays(run.run.run_id, "gradcam/maps.npz") for run in runs}
    first = maps[runs[0].design]
    explained = first["image"]
    rows = {run.design: run.test.set_index("image").loc[explained] for run in runs}
    wrong = {design: (table["y_true"] != table["y_pred"]).to_numpy() for design, table in rows.items()}
    errors = np.flatnonzero(np.any(list(wrong.values()), axis=0))
    shown = errors[:MOST]
    if not len(shown):
        yield Paragraph(f"None of the {counted(len(explained), 'test image')} that were explained was got wrong.")
        return
    pictures = unpacked_thumbnails(first) if protocol.shows_faces else []
    yield Paragraph(_scope(runs, wrong, explained, shown, errors, seed))
    yield Paragraph(
        "Pick no conclusion from single images: they are examples of errors, and a map shows where a network looked, "
        "not why: each on a scale of its own, the lighter the more."
        + ("" if pictures else f" The images themselves are not shown: {_why_not(protocol)}. Maps lie over an outline.")
    )
    yield Interactive("gallery")
    table = rows[runs[0].design]
    yield Embedded(
        "gallery",
        {
            "colours": base64.b64encode(_colours().tobytes()).decode(),
            "size": list(first["maps"].shape[1:]),
            "images": [
                {
                    **{name: str(table[name].iloc[place]) for name in ATTRIBUTES},
                    "true": str(table["y_true"].iloc[place]),
                    "picture": base64.b64encode(pictures[place]).decode() if pictures else None,
                }
                for place in shown
            ],
            "errors": [
                _error(run, rows[run.design].iloc[place], maps[run.design]["maps"], place, int(position))
                for run in runs
                for position, place in enumerate(shown)
                if wrong[run.design][place]
            ],
        },
    )


def _scope(
    runs: Sequence[RunResults],
    wrong: dict[str, np.ndarray],
    explained: np.ndarray,
    shown: np.ndarray,
    errors: np.ndarray,
    seed: int,
) -> str:
    """How many errors there are, and which of them are shown."""
    images = len(runs[0].test)
    of_designs = "; ".join(
        f"{run.design} {(run.test['y_true'] != run.test['y_pred']).sum():,} of {images:,} test images, "
        f"{wrong[run.design].sum():,} of the {len(explained):,} explained, {wrong[run.design][shown].sum():,} shown"
        for run in runs
    )
    left_out = (
        f" Of the {counted(len(errors), 'explained image')} that some design got wrong, the first {len(shown)} are "
        "shown, so that this page stays small."
        if len(shown) < len(errors)
        else " All errors on explained images are shown."
    )
    return (
        f"Errors of the runs of seed {seed}: {of_designs}. Maps exist for the explained images alone, which are the "
        f"same for all designs and take one image of every gender x race x class in turn.{left_out}"
    )


def _why_not(protocol: Protocol) -> str:
    if protocol.shows_faces:
        return "these runs kept no small copies of them"
    return "images of people from real data stay out of reports unless faces_in_reports is true"


def _error(run: RunResults, row: pd.Series, maps: np.ndarray, place: int, position: int) -> dict[str, Any]:
    strength = np.clip(maps[place], 0, None)
    levels = np.round(LEVELS * strength / strength.max()) if strength.max() > 0 else np.zeros_like(strength)
    return {
        "image": position,
        "run_id": run.run.run_id,
        "design": run.design,
        "predicted": str(row["y_pred"]),
        "probability": number(row[PROBABILITY_PREFIX + str(row["y_pred"])]),
        "probability_of_truth": number(row[PROBABILITY_PREFIX + str(row["y_true"])]),
        "map": base64.b64encode(levels.astype(np.uint8).tobytes()).decode(),
    }


def _colours() -> np.ndarray:
    """(LEVELS + 1, 3) uint8: the colour of each level of a map."""
    return np.round(255 * COLOURS(np.arange(LEVELS + 1) / LEVELS)[:, :3]).astype(np.uint8)
