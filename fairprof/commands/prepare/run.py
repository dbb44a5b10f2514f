"""The path of an audit: read, count, look, and say what can be trained, before anything is."""

import time
from pathlib import Path

from fairprof.commands.prepare import sheets
from fairprof.commands.prepare.audit import CONTEXTS, Audit, audited
from fairprof.commands.prepare.pictures import figures_of
from fairprof.commands.prepare.report import findings
from fairprof.config import PrepareSettings
from fairprof.data.pixels import ARRAY, NoImages, StreamedPixels
from fairprof.data.pool import Pool, ScreenedRows, pool_of, refuse_if_mostly_unusable, screened_rows
from fairprof.data.shards import PixelShards, require_new, write_shards
from fairprof.data.sources.kinds import without_its_folders
from fairprof.errors import UserError
from fairprof.reporting.findings import log_findings
from fairprof.reporting.style import png_of
from fairprof.reporting.wording import counted
from fairprof.runtime.cache import Cache, readable
from fairprof.runtime.files import path_of
from fairprof.runtime.progress import note, progress_bar
from fairprof.store import tracking


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
        if settings.shards != "none":
            require_new(path_of(settings.shards, "shards"))
        screened, pool, refusal = read(settings)
        cache = cache_facts(screened, settings, started)
        why = without_its_folders(str(refusal or ""), settings.data)
        audit = audited(screened, pool, why.rstrip("."), settings)
        _log_sheets(audit, screened)
        if pool is not None:
            _log_pool(pool, settings.data)
            _write_shards(screened, settings)
        pictures = {name: png_of(figure) for name, figure in figures_of(audit).items()}
        log_findings(findings(audit, cache, pictures))
        if refusal:
            raise UserError(f"{refusal} (what can be known all the same is in report.html of the run prepare-{kind})")
    return run_id


def read(settings: PrepareSettings) -> tuple[ScreenedRows, Pool | None, UserError | None]:
    """What there is of the data set: its screened rows, the pool of the usable ones (None where they make none), and
    why nothing can be trained on it (None where that can be done).

    Where no image exists, labels alone are read. Raises `UserError` where nothing can be read.
    """
    refusal: UserError | None = None
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


# What is logged, beside findings.


def _log_sheets(audit: Audit, screened: ScreenedRows) -> None:
    images = audit.settings.sheet_images
    if not images or screened.pixels is None:
        return
    if audit.near_duplicates["groups"]:
        figure = sheets.duplicates_sheet(audit.tables["near_duplicates"], screened.pixels)
        tracking.log_bytes(png_of(figure), "sheets/near_duplicates.png")
    if audit.pool is None:
        return
    races = len(sheets.shown_of(audit.pool)["race"])
    with progress_bar("image sheets", races, "races") as bar:
        for number, (name, figure) in enumerate(sheets.cell_sheets(audit.pool, images, audit.settings.seed), 1):
            tracking.log_bytes(png_of(figure), f"sheets/{number:02d}-{name}.png")
            bar.update()


def _log_pool(pool: Pool, data: str) -> None:
    """Its fingerprint, and its partitions as data sets."""
    tracking.set_tags({"fairprof.pool": pool.fingerprint})
    tracking.log_settings({"pool_fingerprint": pool.fingerprint})
    for partition, context in CONTEXTS.items():
        rows = pool.table.iloc[pool.rows_of(partition)]
        if len(rows):
            tracking.log_input(rows, data, context, pool.fingerprint)


def _write_shards(screened: ScreenedRows, settings: PrepareSettings) -> None:
    if settings.shards != "none" and screened.pixels is not None:
        folder = path_of(settings.shards, "shards")
        write_shards(folder, screened.listing, screened.pixels, settings.lock_timeout)
        note(f"labels and pixels of {counted(len(screened.rows), 'image')} are in {folder}: data=shards:{folder}")


# The cache.


def cache_facts(screened: ScreenedRows, settings: PrepareSettings, started: float) -> tuple[str, ...]:
    """What was put into the cache, where, and what the next run is spared."""
    pixels, cache = screened.pixels, Cache.of(settings)
    if pixels is None:
        return ("Nothing: no image was read.",)
    if isinstance(pixels.array, PixelShards):
        return (f"Nothing: {len(pixels.array):,} images of {pixels.array.size} px are read from their shards.",)
    if isinstance(pixels.array, StreamedPixels):
        return (
            f"The pixels of {len(pixels.records):,} images do not fit into cache_gib={settings.cache_gib:g}: they are "
            "decoded at every use. What was found out about the files is in the cache.",
        )
    entry = cache.entry("pixels", pixels.key)
    size = readable(pixels.array.nbytes)
    facts = (
        f"Pixels of {len(pixels.array):,} images for networks of {settings.image_size} px: {size} in the cache, "
        f"{entry.relative_to(cache.folder)}."
    )
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
