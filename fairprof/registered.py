"""A registered model as a classifier: what `evaluate` and `explain` start from."""

from dataclasses import dataclass

from pydantic import ValidationError

from fairprof import tracking
from fairprof.config import DataSettings, Settings
from fairprof.data.pool import Pool, load_pool
from fairprof.errors import UserError
from fairprof.model import Classifier, trained_classifier
from fairprof.tracking import LoggedRun, StoredModel


@dataclass(frozen=True)
class RegisteredModel:
    """A version of a registered model: its network, and what it was trained on and how.

    classes: the professions in the order of the logits. settings: those of its training, as they were resolved.
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


def load_model(reference: str) -> RegisteredModel:
    """The registered model that a reference names (see `tracking.load_registered`); none of its code is executed.

    Raises `UserError` where there is none, or it is not one of fairprof's.
    """
    stored = tracking.load_registered(reference)
    known = {name: value for name, value in stored.settings["settings"].items() if name in Settings.model_fields}
    try:
        settings = Settings(**known)
        classes = tuple(stored.settings["classes"])
        classifier = trained_classifier(stored.settings["architecture"], stored.weights, len(classes))
    except (KeyError, ValidationError, RuntimeError) as error:
        raise UserError(
            f"{stored} was registered by another fairprof, whose model this one cannot read "
            f"({' '.join(str(error).split())[:100]}): train it again"
        ) from None
    return RegisteredModel(stored, classifier, classes, settings)


def pool_for(model: RegisteredModel, settings: DataSettings) -> Pool:
    """The data set that the settings name, at the model's image size.

    Raises `UserError` where its professions are not those of the model.
    """
    pool = load_pool(settings.of_a_run(image_size=model.image_size))
    if pool.professions != model.classes:
        raise UserError(
            f"{settings.data} has the professions {', '.join(pool.professions)}, but {model} predicts "
            f"{', '.join(model.classes)}: use data with the same professions"
        )
    return pool


def trained_on(model: RegisteredModel, pool: Pool) -> bool:
    """Whether the pool is the one that the model's training images were drawn from."""
    return model.stored.tags.get("fairprof.pool") == pool.fingerprint
