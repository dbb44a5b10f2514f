"""Sheets of images: a few of every cell, and the largest groups of near-duplicates, so that somebody looks at them."""

from collections.abc import Iterator

import cv2
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fairprof.data.pixels import Pixels
from fairprof.data.pool import Pool
from fairprof.plain_text import plain_names
from fairprof.reporting.chart import MOST_CLASSES, drawn, largest_of, left_out
from fairprof.reporting.style import DPI, LARGE, SMALL, TINY
from fairprof.seeds import uniforms

EDGE = 104  # pixels of a picture on a sheet
GAP = 4  # pixels between pictures
CAPTION = 44  # pixels for what stands below a picture
NARROWEST = 820  # pixels that a title needs
LABEL = 190  # pixels for what stands beside a line
TOP = 64  # pixels for a sheet's title
COLUMNS = 10  # pictures side by side
LINES = 24  # of pictures on a page
MOST_RACES = 40  # that have sheets
LABEL_LETTERS, PICTURE_LETTERS = 24, 18  # of a name beside a line, and below a picture
PAPER, NO_IMAGE = 255, 232  # grey values
DUPLICATE_GROUPS = 16


def shown_of(pool: Pool) -> dict[str, list[str]]:
    """The categories of which there are sheets: of race, profession and gender the most frequent."""
    return {
        axis: largest_of(pool.table[axis].value_counts(sort=False), most)
        for axis, most in (("race", MOST_RACES), ("profession", MOST_CLASSES), ("gender", MOST_CLASSES))
    }


def cell_sheets(pool: Pool, images: int, seed: int) -> Iterator[tuple[str, Figure]]:
    """Pages by race, each with its name for a file ("White", "White-2"): of every profession x gender at most `images`
    pictures. Of many categories only those of `shown_of` have some.

    Which ones depends on the seed and the images' names alone. A cell without images is a line that says so.
    """
    table = pool.table.assign(order=uniforms(pool.table["image"], seed, "image sheet")).sort_values("order")
    groups = dict(list(table.groupby(["race", "profession", "gender"], observed=True)))
    shown_axes = shown_of(pool)
    files = plain_names(shown_axes["race"])
    lost = ((axis, names, pool.table[axis].cat.categories.size) for axis, names in shown_axes.items())
    left = "".join(left_out(len(names), there, f"{axis} groups") for axis, names, there in lost).replace("; ", "\n", 1)
    for race in shown_axes["race"]:
        lines = []
        for profession in shown_axes["profession"]:
            for gender in shown_axes["gender"]:
                cell = groups.get((race, profession, gender), table.iloc[:0])
                shown = pool.pixel_cache.array[np.sort(cell["pixel"].to_numpy()[:images])]
                names = "\n".join(drawn(name, LABEL_LETTERS) for name in (profession, gender))
                label = f"{names}\n{len(shown):,} of {len(cell):,} images"
                lines += _lines(label, shown, min(images, COLUMNS))
        for number, page in enumerate(_pages(lines)):
            name = f"{files[race]}-{number + 1}" if number else files[race]
            title = f"{drawn(race)}: {min(images, COLUMNS * LINES):,} images of every profession x gender, at random"
            yield name, _sheet(page, title + left)


def duplicates_sheet(groups: pd.DataFrame, pixels: Pixels) -> Figure:
    """The largest groups of near-duplicates, a line each; groups: as `duplicates.near_duplicates`.

    Groups whose labels disagree come first, in gender or race before age: somebody has to decide which one is right.
    Every image has its labels below it.
    """
    conflicts = groups["conflicts"]
    urgency = np.select([conflicts.str.contains("gender|race"), conflicts.ne("")], [0, 1], 2)
    ordered = groups.assign(urgency=urgency).sort_values(["urgency", "group"], kind="stable")
    shown = ordered["group"].drop_duplicates()[:DUPLICATE_GROUPS]
    ordered = ordered[ordered["group"].isin(shown)]
    ordered = ordered[ordered.groupby("group").cumcount() < COLUMNS]
    columns = int(ordered.groupby("group").size().max())
    lines, captions = [], []
    for number in shown:
        group = ordered[ordered["group"].eq(number)].sort_values("pixel")
        conflict = group["conflicts"].iloc[0]
        label = f"group {number}: {group['size'].iloc[0]:,} images\n{f'disagree: {conflict}' if conflict else ''}"
        lines += _lines(label, pixels.array[group["pixel"].to_numpy()], columns)
        captions.append([_caption(row) for row in group.itertuples()])
    many = groups["group"].nunique()
    title = f"Near-duplicates: {len(shown)} of {many:,} groups, labels that disagree first, then size"
    return _sheet(lines, title, captions)


def _caption(row) -> str:
    labels = [row.gender, row.race, row.age]
    return "\n".join(drawn(label, PICTURE_LETTERS) for label in labels if isinstance(label, str) and label)


def _lines(label: str, pictures: np.ndarray, columns: int) -> list[tuple[str, np.ndarray]]:
    """A label and (EDGE, width, 3) uint8 pictures side by side, in as many lines as they need; one line if there are
    none."""
    lines = []
    for start in range(0, max(len(pictures), 1), columns):
        line = np.full((EDGE, columns * (EDGE + GAP), 3), PAPER, dtype=np.uint8)
        for place, picture in enumerate(pictures[start : start + columns]):
            left = place * (EDGE + GAP)
            shrinks = picture.shape[0] > EDGE
            line[:, left : left + EDGE] = cv2.resize(
                picture, (EDGE, EDGE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
            )
        if not len(pictures):
            line[:, :EDGE] = NO_IMAGE
        lines.append((label if start == 0 else "", line))
    return lines


def _pages(lines: list) -> Iterator[list]:
    for start in range(0, len(lines), LINES):
        yield lines[start : start + LINES]


def _sheet(lines: list[tuple[str, np.ndarray]], title: str, captions: list[list[str]] | None = None) -> Figure:
    """One picture with every pixel as it is, labels on the left, captions below the pictures of every line."""
    below = CAPTION if captions else GAP
    step = EDGE + below
    mosaic = np.concatenate([np.pad(line, ((0, below), (0, 0), (0, 0)), constant_values=PAPER) for _, line in lines])
    height, width = mosaic.shape[0] + TOP, max(mosaic.shape[1] + LABEL, NARROWEST)
    figure = Figure(figsize=(width / DPI, height / DPI))
    axis = figure.add_axes((LABEL / width, 0, mosaic.shape[1] / width, mosaic.shape[0] / height))
    axis.imshow(mosaic, aspect="auto", interpolation="nearest")
    axis.axis("off")
    for number, (label, _) in enumerate(lines):
        middle = mosaic.shape[0] - number * step - EDGE / 2
        figure.text((LABEL - 10) / width, middle / height, label, ha="right", va="center", fontsize=SMALL)
    for number, texts in enumerate(captions or []):
        for place, text in enumerate(texts):
            x, y = LABEL + place * (EDGE + GAP) + EDGE / 2, mosaic.shape[0] - number * step - EDGE - 3
            figure.text(x / width, y / height, text, ha="center", va="top", fontsize=TINY, linespacing=1.1)
    figure.text(12 / width, 1 - TOP / 2 / height, title, ha="left", va="center", fontsize=LARGE)
    return figure
