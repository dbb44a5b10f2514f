"""What is wrong with the data, files and designs that were asked for, as far as labels alone show it: answered within
seconds, before torch and MLflow are loaded and before any image is decoded."""

from collections.abc import Iterator
from io import BytesIO

from fairprof.commands.train.hyperparameters import RUN_ID, with_hyperparameters
from fairprof.config import (
    LOCAL_FOLDER,
    WEIGHTS_TO_GIVE,
    DataSettings,
    PrepareSettings,
    Settings,
    StudySettings,
    TrainingSettings,
    TuneSettings,
    of_this_machine,
)
from fairprof.data.drawable import Asked, obstacles, require_drawable
from fairprof.data.pool import Pool, ScreenedRows, pool_of, refuse_if_mostly_unusable, regrouped, screened_rows
from fairprof.errors import UserError
from fairprof.mitigation.methods import require_applicable_methods
from fairprof.runtime.files import UnreadableFile, open_file, path_of

OPENED = 20  # images of a small group that are opened at most, to see whether it has any


def look(settings: DataSettings) -> None:
    """Raises `UserError` for what is wrong with a command's settings whatever its images show.

    Weights and a file of hyperparameters are there; the data set's labels can be read, and it has the groups that are
    named; of what is to be trained, all can be drawn from the labels.
    """
    if isinstance(settings, TrainingSettings):
        for weights in _weights_of(settings):
            _require_weights(weights)
        require_applicable_methods(settings)
    if isinstance(settings, Settings | StudySettings):
        _require_hyperparameters(settings)
    screened = screened_rows(settings, image_size=None)
    if isinstance(settings, PrepareSettings):  # it tells what it can of data that cannot be used
        return
    refuse_if_mostly_unusable(screened, settings)
    pool = pool_of(screened, settings)
    if isinstance(settings, Settings | StudySettings | TuneSettings) and _fail_surely(settings, screened, pool):
        require_drawable(settings, pool, lambda: screened)


def _weights_of(settings: TrainingSettings) -> list[str]:
    if isinstance(settings, StudySettings):
        return [backbone.weights for backbone in settings.listed_backbones()]
    return [settings.weights]


def _require_weights(weights: str) -> None:
    if not of_this_machine(weights):
        return
    if weights.startswith(LOCAL_FOLDER):
        folder = path_of(weights.removeprefix(LOCAL_FOLDER), "weights")
        if not folder.is_dir():
            raise UserError(f"weights={weights}: there is no folder {folder}")
        return
    path = path_of(weights, "weights")
    try:
        open_file(path).close()
    except UnreadableFile as error:
        raise UserError(f"weights={weights}: {error.about(path)}: {WEIGHTS_TO_GIVE}") from None


def _require_hyperparameters(settings: Settings | StudySettings) -> None:
    """Those of a file are read and tried; whether a run has the id that is given, the tracking server alone knows."""
    if settings.hparams != "tuned" and not RUN_ID.fullmatch(settings.hparams):
        with_hyperparameters(settings)


def _fail_surely(settings: Asked, screened: ScreenedRows, pool: Pool) -> bool:
    """Whether something that is asked for can be drawn neither from all rows nor without the groups that may turn out
    to have no image: a group whose images are all unusable is none, and no cell of it is missing."""
    if not obstacles(settings, pool):
        return False
    rows = screened.rows
    for attribute, group in _unseen(screened, settings.max_quarantined_share):
        rows = rows.assign(fault=rows["fault"].mask(rows[attribute].eq(group), "no image of its group could be opened"))
    if rows is screened.rows:
        return True
    try:
        seen = regrouped(ScreenedRows(screened.listing, rows, screened.quarantine, screened.left_out, None), settings)
        return bool(obstacles(settings, pool_of(seen, settings)))
    except UserError:
        return False


def _unseen(screened: ScreenedRows, share: float) -> Iterator[tuple[str, str]]:
    """Attribute and name of the groups that may have no image: small enough that the data set is not refused without
    them, and none of the first images can be opened."""
    usable = screened.rows[screened.usable]
    for attribute in ("gender", "race", "profession"):
        sizes = usable[attribute].value_counts()  # none where professions are drawn: they stay whoever is lost
        for group in sizes.index[sizes <= share * len(usable)]:
            rows = usable["pixel"][usable[attribute].eq(group)].head(OPENED)
            if not any(_opens(screened, row) for row in rows):
                yield attribute, group


def _opens(screened: ScreenedRows, row: int) -> bool:
    from PIL import Image  # for which there is seldom a need

    try:
        with Image.open(BytesIO(screened.listing.images.read(row))):
            return True
    except (
        UnreadableFile,
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
    ):  # whatever Pillow says of no image
        return False
