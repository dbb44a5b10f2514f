"""The mitigation methods: frozen records of what each is, where it comes from, and whose group membership it needs.

PyTorch is not loaded for them: a comparison tells of methods, and does without it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fairprof.config import BASELINES, NO_MITIGATION, TrainingSettings
from fairprof.errors import UserError
from fairprof.runtime.beside import function_at

ROOM = "fairprof.mitigation"
MAY_BE_UNLAWFUL = (
    "Using membership in a group to decide about a person may be unlawful where the model is used: for example section "
    "106 of the US Civil Rights Act of 1991 forbids adjusting scores of employment tests by race or sex, and in the "
    "European Union the law of non-discrimination and Article 9 of the GDPR apply. This is no legal advice."
)
ESTIMATED = (
    "Its rule holds weights that estimate from a face how likely each group is: to infer race from faces may be "
    "prohibited (in the European Union by Article 5(1)(g) of Regulation (EU) 2024/1689). This is no legal advice."
)


@dataclass(frozen=True)
class Needs:
    """Of which images a method has to know the group: those it trains on, those of the validation, those it predicts
    for."""

    training: bool = False
    validation: bool = False
    prediction: bool = False

    def __str__(self) -> str:
        named = ("training", "validation", "prediction")
        return ", ".join(name for name in named if getattr(self, name)) or "nowhere"


@dataclass(frozen=True)
class Method:
    """A way to mitigate unfairness. name: as the setting `mitigation` has it. title: for readers. what: a sentence
    without its end. source: where it was published. needs: where it needs group membership.

    refits: whether it leaves the training as it is without it, and changes what has been trained: its last layer, or
    what is made of its predictions; fitted on validation data.

    What it changes, each named by module and function or class of this room, empty where it changes nothing of that:
    weights of the images (`sampling.reweighted`), sample of the draw (`sampling.resampled`), partners with which images
    are mixed (`sampling.partners_across_groups`), augmentation (`augmentation.strengthened`), loss (a
    `losses.Loss`). trains_twice: whether a first training says which images are hard.
    estimates_groups: whether the model estimates the group of whoever it predicts for.
    """

    name: str
    title: str
    what: str
    source: str
    needs: Needs = Needs()
    refits: bool = False
    weights: str = ""
    sample: str = ""
    partners: str = ""
    augmentation: str = ""
    loss: str = "losses.Loss"
    trains_twice: bool = False
    estimates_groups: bool = False

    @property
    def cautions(self) -> tuple[str, ...]:
        """What has to be known before the model decides about anybody, a paragraph each."""
        return (MAY_BE_UNLAWFUL,) * self.needs.prediction + (ESTIMATED,) * self.estimates_groups

    def hook(self, name: str) -> Callable[..., Any] | None:
        """What the method changes of `name`, a field; None where that is nothing."""
        path = getattr(self, name)
        return function_at(f"{ROOM}.{path}") if path else None


_METHODS = (
    Method(NO_MITIGATION, "none", "the class-weighted loss alone, which every other method starts from", ""),
    Method(
        "resample",
        "resampling",
        "images of rare groups of a class are drawn more often, so that its groups count alike",
        "Kamiran and Calders 2012",
        Needs(training=True),
        sample="sampling.resampled",
    ),
    Method(
        "reweight",
        "reweighting",
        "images of rare groups of a class weigh more, so that its groups count alike",
        "Kamiran and Calders 2012",
        Needs(training=True),
        weights="sampling.reweighted",
    ),
    Method(
        "balanced_softmax",
        "balanced softmax",
        "the loss sees logits to which the logarithm of how frequent each class is in the image's group was added",
        "Ren et al. 2020; Menon et al. 2021",
        Needs(training=True),
        loss="losses.BalancedSoftmax",
    ),
    Method(
        "group_dro",
        "group DRO",
        "groups with a larger loss weigh more and more",
        "Sagawa et al. 2020",
        Needs(training=True),
        loss="losses.GroupDRO",
    ),
    Method(
        "cvar_dro",
        "CVaR DRO",
        "the images of a batch with the largest losses alone count",
        "Levy et al. 2020",
        loss="losses.CVaR",
    ),
    Method(
        "jtt",
        "Just Train Twice",
        "images that a first, short training gets wrong weigh more in a second one",
        "Liu et al. 2021",
        weights="sampling.upweighted_mistakes",
        trains_twice=True,
    ),
    Method(
        "gap_penalty_dp",
        "penalty on demographic parity",
        "the loss grows with the differences between groups in the mean probability of each class",
        "Chuang and Mroueh 2021",
        Needs(training=True),
        loss="losses.ParityPenalty",
    ),
    Method(
        "gap_penalty_eo",
        "penalty on equal opportunity",
        "the loss grows with the differences between groups in the mean probability of the true class",
        "Chuang and Mroueh 2021",
        Needs(training=True),
        loss="losses.OpportunityPenalty",
    ),
    Method(
        "lisa",
        "LISA",
        "images are mixed with images of the same class from other groups",
        "Yao et al. 2022",
        Needs(training=True),
        partners="sampling.partners_across_groups",
    ),
    Method(
        "strong_augmentation",
        "strong augmentation",
        "images are distorted more than the study's augmentation does (RandAugment)",
        "Cubuk et al. 2020",
        augmentation="augmentation.strengthened",
    ),
    Method(
        "dfr",
        "deep feature reweighting",
        "the last layer is fitted anew on validation images, of which every group of a class has as many",
        "Kirichenko et al. 2023",
        Needs(validation=True),
        refits=True,
    ),
    Method(
        "linear_post",
        "linear post-processing by group",
        "probabilities are shifted by group and class, as a linear program on validation images says",
        "Xian and Zhao 2024",
        Needs(validation=True, prediction=True),
        refits=True,
    ),
    Method(
        "linear_post_blind",
        "blind linear post-processing",
        "probabilities are shifted by how likely each group is, as a linear program on validation images says",
        "Xian and Zhao 2024",
        Needs(validation=True),
        refits=True,
        estimates_groups=True,
    ),
    Method(
        "class_scaling",
        "class scaling",
        "every class's probability is multiplied by a factor, chosen on validation images for the worst group",
        "Narasimhan 2018; Delaney et al. 2024",
        Needs(validation=True),
        refits=True,
    ),
)
METHODS = {method.name: method for method in _METHODS}


def require_applicable_methods(settings: TrainingSettings) -> None:
    """Raises `UserError` where a method changes a training, or fits the last layer anew, and `finetune` is a baseline
    that has none."""
    if settings.finetune not in BASELINES:
        return
    usable = [method.name for method in _METHODS if method.name == NO_MITIGATION or method.refits]
    if settings.finetune == "knn":
        usable.remove("dfr")
    for name in settings.methods():
        if name not in usable:
            lacks = "has no last layer to be fitted anew" if name == "dfr" else "trains nothing that it could change"
            raise UserError(
                f"finetune={settings.finetune} {lacks}: with it, mitigation={name} is impossible; use one of "
                f"{', '.join(usable)}, or finetune=head"
            )
