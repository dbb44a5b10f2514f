"""The path of an audit: read, count, look, and say what can be trained, before anything is."""

import time
from pathlib import Path

import numpy as np

from fairprof.commands.prepare import sheets
from fairprof.commands.prepare.answer import answer, to_mend
from fairprof.commands.prepare.audit import Audit, audited
from fairprof.commands.prepare.counts import EMPTY, SMALL
from fairprof.commands.prepare.pictures import figures_of
from fairprof.commands.prepare.report import sections, title
from fairprof.commands.prepare.sizes import imbalance_name
from fairprof.config import PrepareSettings
from fairprof.data.pixels import ARRAY, NoImages, StreamedPixels
from fairprof.data.pool import Pool, ScreenedRows, pool_of, refuse_if_mostly_unusable, screened_rows
from fairprof.errors import UserError
from fairprof.measurement.ceilings import ceilings
from fairprof.metrics.fairness import MAX_OVER_CLASSES, PARITY_DIFFERENCES
from fairprof.reporting.page import html_page
from fairprof.reporting.style import png_of
from fairprof.runtime.cache import Cache, readable
from fairprof.runtime.progress import progress_bar
from fairprof.store import tracking

BROWSABLE_ROWS = 2_000  # of a table that the UI shows; the CSV file has all
CONTEXTS = {"train": "train", "val": "validation", "test": "test"}


def run_preparation(settings: PrepareSettings) -> str:
    """Audits the data set that `settings.data` names, fills the pixel cache, and returns the id of the MLflow run.

    Raises `UserError` where nothing can be read. Where it can be read but not used (no images, too many unusable rows,
    one profession only), everything that can still be known is logged first, and then it is raised.
    """
    kind = settings.data.partition(":")[0]
    tags = {"fairprof.role": "preparation", "fairprof.data": kind}
    with tracking.started_run(f"prepare-{kind}", tags) as run_id:
        tracking.log_settings(settings.model_dump())
        started = time.time()
        screened, pool, refusal = read(settings)
        cache = _cache_facts(screened, settings, started)
        audit = audited(screened, pool, str(refusal or "").rstrip("."), settings)
        log_audit(audit, screened, cache)
        if refusal:
            raise UserError(f"{refusal} (what can be known all the same is in report.html of the run prepare-{kind})")
    return run_id


def read(settings: PrepareSettings) -> tuple[ScreenedRows, Pool | None, UserError | None]:
    """What there is of the data set: its screened rows, the pool of the usable ones (None where they make none), and
    why nothing can be trained on it (None where that can be done).

    Where no image exists, labels alone are read. Raises `UserError` where nothing can be read.
    """
    refusal = None
    try:
        screened = screened_rows(settings, settings.image_size)
    except NoImages as error:
        refusal, screened = error, screened_rows(settings, image_size=None)
    try:
        refuse_if_mostly_unusable(screened, settings)
    except UserError as error:
        refusal = refusal or error
    if not screened.usable.any():
        return screened, None, refusal
    try:
        return screened, pool_of(screened, settings), refusal
    except UserError as error:
        return screened, None, refusal or error


# What is logged.


def log_audit(audit: Audit, screened: ScreenedRows, cache: tuple[str, ...]) -> None:
    """Tables, pictures, sheets, data sets, metrics, description and report of an audit, to the active run."""
    for name, table in audit.tables.items():
        tracking.log_table(table, f"data/{name}.csv")
        if len(table):
            tracking.log_browsable_table(table.head(BROWSABLE_ROWS), f"data/tables/{name}.json")
    pictures = {name: png_of(figure) for name, figure in figures_of(audit).items()}
    for name, picture in pictures.items():
        tracking.log_bytes(picture, f"data/{name}.png")
    _log_sheets(audit, screened)
    if audit.pool is not None:
        _log_pool(audit)
    tracking.log_metrics(metrics(audit))
    page = html_page(title(audit), _subtitle(audit), sections(audit, cache, pictures), pictures, {})
    tracking.log_text(page, "report.html")
    _describe(audit)


def _subtitle(audit: Audit) -> str:
    pool = f"; pool {audit.pool.fingerprint}" if audit.pool else ""
    return f"{audit.settings.data}: before anything is trained{pool}"


def _log_sheets(audit: Audit, screened: ScreenedRows) -> None:
    images = audit.settings.sheet_images
    if not images or not audit.images_read:
        return
    if audit.near_duplicates["groups"]:
        figure = sheets.duplicates_sheet(audit.tables["near_duplicates"], screened.pixels)
        tracking.log_bytes(png_of(figure), "sheets/near_duplicates.png")
    if audit.pool is None:
        return
    races = audit.pool.table["race"].cat.categories.size
    with progress_bar("image sheets", races, "races") as bar:
        for number, (name, figure) in enumerate(sheets.cell_sheets(audit.pool, images, audit.settings.seed), 1):
            tracking.log_bytes(png_of(figure), f"sheets/{number:02d}-{_file_name(name)}.png")
            bar.update()


def _file_name(name: str) -> str:
    """A name that any file system and MLflow can hold."""
    return "".join(letter if letter.isalnum() or letter in "-+" else "_" for letter in name)


def _log_pool(audit: Audit) -> None:
    pool = audit.pool
    tracking.set_tags({"fairprof.pool": pool.fingerprint})
    tracking.log_settings({"pool_fingerprint": pool.fingerprint})
    for partition, context in CONTEXTS.items():
        rows = pool.table.iloc[pool.rows_of(partition)]
        if len(rows):
            tracking.log_input(rows, audit.settings.data, context, pool.fingerprint)


def metrics(audit: Audit) -> dict[str, float]:
    """The numbers of an audit by name, those that are defined."""
    values = {
        "rows": audit.rows,
        "quarantined": audit.quarantined,
        "quarantined_share": audit.quarantined / max(audit.rows, 1),
        "near_duplicate_groups": audit.near_duplicates["groups"],
        "near_duplicate_images": audit.near_duplicates["images"],
        "persons_with_several_images": audit.persons["groups"],
    }
    values |= {
        f"label_conflicts/{name}": audit.near_duplicates[f"conflicts_{name}"] for name in ("gender", "race", "age")
    }
    if audit.pool is not None:
        values |= _metrics_of_pool(audit)
    values = {f"data/{name}": float(value) for name, value in values.items()}
    if audit.classifier is not None:
        found = ceilings(audit.pool, audit.pool.rows_of("test"), np.nan)
        values |= {name: value for name, value in found.items() if name.startswith("ceiling/")}
    return {name: value for name, value in values.items() if np.isfinite(value)}


def _metrics_of_pool(audit: Audit) -> dict[str, float]:
    pool, tables = audit.pool, audit.tables
    evidence = tables["cells"]["test_evidence"].value_counts()
    values = {
        "pool": len(pool.table),
        "repaired_ages": pool.mangled_ages,
        "empty_cells": evidence.get(EMPTY, 0),
        "small_cells": evidence.get(SMALL, 0),
    }
    values |= {partition: len(pool.rows_of(partition)) for partition in CONTEXTS}
    asked = tables["sizes"][tables["sizes"]["imbalance"].eq(imbalance_name(audit.settings.imbalance))]
    for row in asked.itertuples():
        values |= {
            f"{row.partition}_images/{row.design}": row.images,
            f"{row.partition}_images_matched/{row.design}": row.matched,
        }
    values |= {f"cramers_v/{row.first}_{row.second}": row.cramers_v for row in tables["associations"].itertuples()}
    if "noise_floors" in tables:
        floors = tables["noise_floors"]
        for row in floors[
            floors["class"].eq(MAX_OVER_CLASSES) & floors["metric"].isin(PARITY_DIFFERENCES)
        ].itertuples():
            values |= {
                f"{row.metric}_{column}/{row.attribute}": getattr(row, column)
                for column in ("null_mean", "null_q95", "detectable_largest", "detectable_smallest")
            }
    return values


def _describe(audit: Audit) -> None:
    said, mend = answer(audit), to_mend(audit)
    todo = "\n\n**What to mend first**\n\n" + "\n".join(f"- {item}" for item in mend) if mend else ""
    tracking.set_description(
        "\n".join(f"- {sentence}" for sentence in said)
        + todo
        + "\n\nThe whole report is the artifact `report.html`; tables and pictures are in `data/`, images of every "
        "cell in `sheets/`."
    )
    lines = [*said, *(f"to mend: {item}" for item in mend), "the report: report.html among the artifacts of this run"]
    print("\n" + "\n".join(lines), flush=True)


# The cache.


def _cache_facts(screened: ScreenedRows, settings: PrepareSettings, started: float) -> tuple[str, ...]:
    """What was put into the cache, where, and what the next run is spared."""
    pixels, cache = screened.pixels, Cache.of(settings)
    if pixels is None:
        return ("Nothing: no image was read.",)
    if isinstance(pixels.array, StreamedPixels):
        return (
            f"The pixels of {len(pixels.array):,} images do not fit into cache_gib={settings.cache_gib:g}: they are "
            f"decoded at every use. What was found out about the files is in {cache.folder}.",
        )
    entry = cache.entry("pixels", pixels.key)
    size = readable(pixels.array.nbytes)
    facts = f"Pixels of {len(pixels.array):,} images for networks of {settings.image_size} px: {size} in {entry}."
    return (
        facts,
        _spared(entry, started),
        "Outputs of a frozen network depend on its weights: the first run adds them.",
    )


def _spared(entry: Path, started: float) -> str:
    if (entry / ARRAY).stat().st_mtime < started:
        return "They were there already, so that this audit decoded no image, and the next run does not either."
    seconds = time.time() - started
    tracking.log_metrics({"cache/seconds": seconds})
    return f"Reading and decoding took {seconds:,.0f} s, which the next run at this image size does not wait for."
