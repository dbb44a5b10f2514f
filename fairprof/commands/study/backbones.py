"""The backbones of a study: networks and the weights that they start from, found once for all runs."""

from dataclasses import dataclass

from fairprof.config import ONE_BACKBONE, Backbone, Settings, StudySettings
from fairprof.errors import UserError
from fairprof.network.records import Weights
from fairprof.network.weight_sources import find_weights
from fairprof.reporting.names import backbone_titles
from fairprof.store.studies import backbone_name


@dataclass(frozen=True)
class FoundBackbone:
    """The weights of a backbone, and its title among those of the study; none where it is the only one."""

    weights: Weights
    title: str = ""


FoundBackbones = dict[Backbone, FoundBackbone]  # the reference first


def with_weights(settings: StudySettings) -> tuple[StudySettings, FoundBackbones]:
    """The settings, with the weights of every backbone as they are found, and all backbones.

    They are found once: every run starts from the same, even where a download would work later. Raises `UserError`
    where they cannot be had, or two backbones are one.
    """
    found: dict[Backbone, Weights] = {}
    for asked in settings.listed_backbones():
        weights, _ = find_weights(asked.architecture, asked.weights)
        backbone = Backbone(asked.architecture, weights.name)
        for other, known in found.items():
            _require_different(settings.backbones, (other, known), (backbone, weights))
        found[backbone] = weights
    reference = next(iter(found))
    listed = settings.backbones if settings.backbones == ONE_BACKBONE else ",".join(map(str, found))
    resolved = {"architecture": reference.architecture, "weights": reference.weights, "backbones": listed}
    titles = backbone_titles([_shown(backbone) for backbone in found]) if len(found) > 1 else {}
    backbones = {
        backbone: FoundBackbone(weights, titles.get(_shown(backbone), "")) for backbone, weights in found.items()
    }
    return settings.model_copy(update=resolved), backbones


def _require_different(setting: str, first: tuple[Backbone, Weights], second: tuple[Backbone, Weights]) -> None:
    (one, its_weights), (other, other_weights) = first, second
    alike = one.architecture == other.architecture and its_weights.identity == other_weights.identity
    if alike or _shown(one) == _shown(other):
        raise UserError(
            f"backbones={setting}: {_shown(one)} and {_shown(other)} are "
            f"{'one backbone: name it once' if alike else 'called the same: rename one of the files of weights'}"
        )


def backbone_of_settings(settings: Settings) -> Backbone:
    """The backbone of a run, whose weights have been found."""
    return Backbone(settings.architecture, settings.weights)


def _shown(backbone: Backbone) -> str:
    return backbone_name(backbone.architecture, backbone.weights)
