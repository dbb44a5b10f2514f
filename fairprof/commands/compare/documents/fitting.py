"""How the models of a comparison were fitted, as it stands in documents: trainings, or the baselines that have none."""

from dataclasses import dataclass

from fairprof.commands.compare.protocol import Protocol
from fairprof.config import BASELINES
from fairprof.serving import OF_TIMM

# stages from which on a network is trained, and which share of its blocks that is where it has no stages
SHARES = {"layer2": "three quarters", "layer3": "half", "layer4": "quarter"}


@dataclass(frozen=True)
class Fitting:
    """How models were fitted, in parts of sentences.

    head: what computes logits from features. part: which part of the networks is trained. training: how, with what is
    chosen on validation images. steps: of the development. optimised: what for. besides: what training adds to how
    images are read, a sentence. validation: what validation images are for.
    """

    head: str
    part: str
    training: str
    steps: str
    optimised: str
    besides: str
    validation: str


def fitting_of(protocol: Protocol) -> Fitting:
    """How the models of a comparison were fitted."""
    finetune = setting(protocol, "finetune")
    return _BASELINES[finetune] if finetune in BASELINES else _training(protocol, finetune)


def setting(protocol: Protocol, name: str) -> str:
    """The value of a setting that all runs share."""
    return protocol.settings.get(name, "(not recorded)")


def _training(protocol: Protocol, finetune: str) -> Fitting:
    parts = {"head": "the head alone is trained", "all": "all of it is trained"}
    parts |= {stage: f"it is trained from stage {stage} on" for stage in SHARES}
    if finetune in SHARES and setting(protocol, "architecture").startswith(OF_TIMM):
        parts[finetune] += f" (of a network of one resolution: the last {SHARES[finetune]} of its blocks)"
    selection = setting(protocol, "selection")
    return Fitting(
        head="a head of two linear layers",
        part=parts.get(finetune, f"the part {finetune} is trained"),
        training=(
            f"AdamW, at most {setting(protocol, 'epochs')} epochs of batches of {setting(protocol, 'batch_size')}, "
            f"peak learning rate {setting(protocol, 'learning_rate')}, class-weighted cross-entropy; best epoch by "
            f"{selection} on validation images"
        ),
        steps="a network is trained; the best epoch is chosen on validation images; it is measured",
        optimised=f"class-weighted cross-entropy with label smoothing; the best epoch is that by {selection}",
        besides="Training adds augmentation, MixUp and AdamW with a one-cycle schedule.",
        validation="they choose the best epoch and stop training early",
    )


_BASELINES = {
    "linear_probe": Fitting(
        head="one linear layer on its features (a linear probe)",
        part="nothing else of it is trained",
        training=(
            "multinomial logistic regression (scikit-learn) with an L2 penalty on standardised features of centre "
            "crops, every class with the same weight; its strength has the highest macro-F1 on validation images; no "
            "epochs and no augmentation"
        ),
        steps=(
            "a logistic regression is fitted to a network's features; the strength of its penalty is chosen on "
            "validation images; it is measured"
        ),
        optimised=(
            "class-weighted cross-entropy with an L2 penalty, whose strength has the highest macro-F1 on validation "
            "images"
        ),
        besides="The logistic regression is fitted to features of images that are read so, without augmentation.",
        validation="they choose the strength of the penalty",
    ),
    "knn": Fitting(
        head="a vote of the training images whose features are nearest (k-NN)",
        part="nothing of it is trained",
        training=(
            "none: the model holds a feature vector of the centre crop of every training image, and its class; the 20 "
            "with the largest cosine similarity vote with the exponential of similarity / .07"
        ),
        steps="the features of training images are kept, which classify others by their similarity; this is measured",
        optimised="nothing; neighbours and temperature are those published with DINO (arXiv:2104.14294)",
        besides="Features of training images that are read so, without augmentation, are part of the model.",
        validation="they choose nothing, and are measured to choose between seeds",
    ),
}
