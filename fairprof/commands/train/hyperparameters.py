"""Where the hyperparameters come from that all designs share: defaults, a search, another run, or a file."""

import hashlib
import re
from typing import TypeVar

from pydantic import ValidationError

from fairprof.config import (
    EVERYBODY,
    MITIGATIONS,
    ONE_BACKBONE,
    PUBLISHED,
    TUNED_VALUES,
    Settings,
    StudySettings,
    TrainingSettings,
    shared_settings,
)
from fairprof.data.pool import source_of
from fairprof.errors import UserError
from fairprof.runtime.files import UnreadableFile, path_of, read_file, without_folders
from fairprof.runtime.flat_yaml import MAX_BYTES, pairs_of

WINNER = "best_hparams.yaml"  # among a search's artifacts
METHOD_WINNERS = "best_method_values.yaml"  # among those of a search for methods' values
METHOD_SEARCH = "method_search"  # its role
SEARCHED_ATTRIBUTE, SEARCHED_METHODS = "fairprof.mitigate", "fairprof.mitigations"
SEARCHED_DATA = "fairprof.searched_data"
RUN_ID = re.compile(r"[0-9a-f]{32}")

RunsOrStudy = TypeVar("RunsOrStudy", bound=Settings | StudySettings)


def with_hyperparameters(settings: RunsOrStudy) -> RunsOrStudy:
    """The settings, with what `settings.hparams` names in place of every shared hyperparameter left at its default, and
    what `mitigation_values=tuned` means in place of it.

    `mlflow run` gives declared parameters their defaults, so a value that equals the default counts as left out.
    Raises `UserError` where nothing can be found under that name, or a value is not valid.
    """
    return _with_shared(_with_values_of_methods(settings))


def _with_values_of_methods(settings: RunsOrStudy) -> RunsOrStudy:
    """The settings with the winners of the newest search for the values of their methods, where they are asked for."""
    if settings.mitigation_values != TUNED_VALUES:
        return settings
    texts = [text for method in settings.methods() if MITIGATIONS[method] for text in _tuned_values(settings, method)]
    return type(settings)(**settings.model_dump() | {"mitigation_values": ",".join(texts) or PUBLISHED})


def _tuned_values(settings: Settings | StudySettings, method: str) -> list[str]:
    """A method's own values by the newest search that has any, as the setting takes them."""
    from fairprof.store import tracking

    tags = {"fairprof.role": METHOD_SEARCH, SEARCHED_DATA: data_key(settings), SEARCHED_ATTRIBUTE: settings.mitigate}
    for search in tracking.find_runs(tags):
        if method in search.tags[SEARCHED_METHODS].split(","):
            found = pairs_of(tracking.load_text(search.run_id, METHOD_WINNERS).encode(), METHOD_WINNERS)
            return [f"{name}={value}" for name, value in found.items() if name.startswith(f"{method}.")]
    raise UserError(
        f"mitigation_values={TUNED_VALUES}: no search for the values of {method} with mitigate={settings.mitigate} on "
        f"{settings.data} has finished here: start `mlflow run . -e tune -P mitigations=none,{method}` with the same "
        "data first"
    )


def _with_shared(settings: RunsOrStudy) -> RunsOrStudy:
    if settings.hparams == "default":
        return settings
    values = _named(settings)
    unknown = sorted(set(values) - set(shared_settings()))
    if unknown:
        raise UserError(f"hparams={settings.hparams}: {unknown[0]:.80} is not a shared hyperparameter: remove it")
    defaults = Settings()
    left = {name: value for name, value in values.items() if getattr(settings, name) == getattr(defaults, name)}
    if isinstance(settings, StudySettings) and settings.backbones != ONE_BACKBONE:
        left.pop("architecture", None)  # that of every backbone is named
    try:
        return type(settings)(**settings.model_dump() | left)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(
            f"hparams={settings.hparams}: {first['loc'][0]}={first['input']!s:.80} is not valid: {first['msg']}"
        ) from None


def data_key(settings: TrainingSettings) -> str:
    """Equal for settings that train on the same images and labels: a name, and a hash of the rest."""
    labels = (settings.label_bias, settings.label_bias_strength, settings.label_seed)
    groups = [text for text in (settings.merge, settings.exclude) if text != EVERYBODY]
    key = " ".join(map(str, (source_of(settings.data), *labels, settings.cue_gap, *groups)))
    return f"{without_folders(settings.data)} {hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _named(settings: Settings | StudySettings) -> dict[str, str]:
    if settings.hparams == "tuned":
        return _tuned(settings)
    file = path_of(settings.hparams, "hparams")
    try:
        return pairs_of(read_file(file, MAX_BYTES), f"hparams: {file}")
    except UnreadableFile as error:
        if not error.missing:
            raise UserError(f"hparams: {file}: {error}: give default, tuned, an id or another file") from None
    return _of_run(settings.hparams)


# what the tracking server knows: MLflow takes long to load, and is not needed for a file


def _tuned(settings: Settings | StudySettings) -> dict[str, str]:
    from fairprof.store import tracking

    searches = tracking.find_runs({"fairprof.role": "search", SEARCHED_DATA: data_key(settings)})
    if not searches:
        raise UserError(
            f"hparams=tuned: no search on {settings.data} has finished here: start `mlflow run . -e tune` with the "
            "same data first"
        )
    return _of_search(searches[0].run_id)


def _of_run(run_id: str) -> dict[str, str]:
    unknown = UserError(f"hparams={run_id} is neither a file nor a run's id: give default, tuned, an id or a file")
    if not RUN_ID.fullmatch(run_id):
        raise unknown
    from fairprof.store import tracking

    try:
        run = tracking.get_run(run_id)
    except UserError:
        raise unknown from None
    if run.tags.get("fairprof.role") == "search":
        return _of_search(run.run_id)
    absent = [name for name in shared_settings() if name not in run.params]
    if absent:
        raise UserError(f"hparams={run_id}: run {run.name} has no {absent[0]}: name a run of fairprof")
    return {name: run.params[name] for name in shared_settings()}


def _of_search(run_id: str) -> dict[str, str]:
    from fairprof.store import tracking

    return pairs_of(tracking.load_text(run_id, WINNER).encode(), f"hparams: {WINNER} of run {run_id}")
