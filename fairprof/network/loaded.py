"""A trained model as a classifier again: what `evaluate` and `explain` start from."""

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from fairprof.config import AS_TRAINED, EVERYBODY, DataSettings, EvaluateSettings, ExplainSettings, Settings
from fairprof.data.pool import Pool, load_pool, source_of
from fairprof.errors import UserError
from fairprof.network.classifier import Classifier, starting_weights, trained_classifier
from fairprof.network.predictions import groups_for
from fairprof.network.records import digest_of
from fairprof.network.weights import arrays_of, tensors_of
from fairprof.serving import preprocessing_in
from fairprof.store import models
from fairprof.store.models import FROZEN_TAG, StoredModel
from fairprof.store.tracking import LoggedRun

AnySettings = TypeVar("AnySettings", EvaluateSettings, ExplainSettings)

# kinds of data without partitions of their own, or which may have none: labels and rows decide on them
SPLIT_HERE = ("synthetic", "utkface", "shards")


@dataclass(frozen=True)
class LoadedModel:
    """A trained model, registered or of a run: its network, and what it was trained on and how.

    classes: the professions in the order of the logits. settings: those of its training, as they were resolved; what is
    a path is its last name alone.
    """

    stored: StoredModel
    classifier: Classifier
    classes: tuple[str, ...]
    settings: Settings

    @property
    def run(self) -> LoggedRun:
        """The run that trained it."""
        return self.stored.run

    @property
    def image_size(self) -> int:
        """Edge of its square input, pixels."""
        return self.settings.image_size

    def __str__(self) -> str:
        return str(self.stored)


def load_model(reference: str) -> LoadedModel:
    """The model that a reference names (see `models.load_stored`); none of its code is executed.

    Raises `UserError` where there is none, or it is not one of fairprof's.
    """
    stored = load_whole(reference)
    try:
        known = {name: value for name, value in stored.settings["settings"].items() if name in Settings.model_fields}
        settings = Settings(**known)
        classes = tuple(stored.settings["classes"])
        classifier = trained_classifier(
            stored.settings["architecture"], tensors_of(stored.weights), len(classes), settings.image_size, stored.head
        )
        classifier = replace(classifier, preprocessing=preprocessing_in(stored.settings), rule=stored.rule)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"{stored} was trained by another fairprof, whose model this one cannot read "
            f"({' '.join(str(error).split())[:100]}): train it again"
        ) from None
    return LoadedModel(stored, classifier, classes, settings)


def load_whole(reference: str) -> StoredModel:
    """The model that a reference names, with all its weights; raises `UserError` where there is none, or weights that
    its run does not keep are nowhere."""
    stored = models.load_stored(reference)
    return _with_frozen_weights(stored) if stored.version is None and FROZEN_TAG in stored.run.tags else stored


def _with_frozen_weights(stored: StoredModel) -> StoredModel:
    """The model of a run, which keeps what its training changed, with all the rest: from the weights that it started
    from or, where these cannot be had or are others now, from a registered version that holds the same."""
    name, sha256 = stored.run.params["weights"], stored.run.tags["fairprof.weights_sha256"]
    try:
        described = stored.settings
        architecture, image_size = described["architecture"], described["image_size"]
        whole = arrays_of(starting_weights(architecture, name, len(described["classes"]), image_size, stored.head))
    except UserError as error:
        reason = f"cannot be had ({error})"
    else:
        reason = "are others now"
        if (completed := _completed(stored, whole)) is not None:
            return completed
    for version in models.registered_with(FROZEN_TAG, stored.run.tags[FROZEN_TAG]):
        if (completed := _completed(stored, version.weights)) is not None:
            return completed
    raise UserError(
        f"{stored} ({stored.reference}) keeps what its training changed, and nothing gives back the rest: the weights "
        f"{name} that it started from (SHA-256 {sha256}) {reason}, and no registered version holds them: put that file "
        "there again, or train the run again"
    )


def _completed(stored: StoredModel, whole: dict[str, np.ndarray]) -> StoredModel | None:
    """The model with what it lacks of a whole state dict; None where that is not what its network had."""
    frozen = {name: value for name, value in whole.items() if name not in stored.weights}
    if digest_of(frozen) != stored.run.tags[FROZEN_TAG]:
        return None
    return replace(stored, weights=frozen | stored.weights)


def with_groups_of(model: LoadedModel, settings: AnySettings) -> AnySettings:
    """The settings with the groups merged and left out that `auto` means: as the model was trained where it was trained
    on these data, everybody as labelled elsewhere."""
    same = source_of(settings.data) == source_of(model.run.params["data"])
    found = {
        name: getattr(model.settings, name) if same else EVERYBODY
        for name in ("merge", "exclude")
        if getattr(settings, name) == AS_TRAINED
    }
    return settings.model_copy(update=found)


def pool_for(model: LoadedModel, settings: DataSettings) -> Pool:
    """The data set that the settings name, at the model's image size.

    Raises `UserError` where its professions are not those of the model, or it has groups that the model, which decides
    by them, does not know.
    """
    pool = load_pool(settings, model.image_size, model.classifier.preprocessing)
    if pool.professions != model.classes:
        raise UserError(
            f"{settings.data} has the professions {', '.join(pool.professions)}, but {model} predicts "
            f"{', '.join(model.classes)}: use data with the same professions"
        )
    if model.classifier.rule is not None:
        groups_for(model.classifier.rule, pool.table)  # raises
    return pool


def require_unseen(model: LoadedModel, pool: Pool, settings: DataSettings, partition: str) -> None:
    """Raises `UserError` where images of a partition (test, or all) may be among those that the model was trained on.

    The test partition of the pool that it was trained on is unseen. Of the same data set under other labels or with
    other rows, it is only where the data set has partitions of its own.
    """
    if trained_on(model, pool):
        if partition == "all":
            raise UserError(
                f"partition=all: {model} was trained on images of {settings.data}: use partition=test, or other data"
            )
        return
    same_source = source_of(settings.data) == source_of(model.run.params["data"])
    if same_source and (partition == "all" or settings.data.partition(":")[0] in SPLIT_HERE):
        trained = model.settings
        raise UserError(
            f"partition={partition}: {model} was trained on images of {settings.data}, which had other rows, labels or "
            f"pictures then (label_bias={trained.label_bias}, label_bias_strength={trained.label_bias_strength:g}, "
            f"label_seed={trained.label_seed}, cue_gap={trained.cue_gap:g}, merge={trained.merge}, "
            f"exclude={trained.exclude}), so that its training images may be among "
            "these: use the data as they were, with partition=test, or other data"
        )


def trained_on(model: LoadedModel, pool: Pool) -> bool:
    """Whether the pool is the one that the model's training images were drawn from."""
    return model.stored.pool_fingerprint == pool.fingerprint
