"""What is measured of an explanation: faithfulness, maps of randomised networks, and attention by group."""

from contextlib import suppress

import numpy as np
import pandas as pd
from torch import nn

from fairprof.commands.explain import designs
from fairprof.commands.explain.subject import Subject
from fairprof.config import ExplainSettings
from fairprof.errors import UserError
from fairprof.inference import attention_tests, group_means
from fairprof.inference.group_means import ImageValues
from fairprof.inference.multiplicity import adjusted_in_families
from fairprof.metrics import attention
from fairprof.network.architectures import stages
from fairprof.network.classifier import build_classifier
from fairprof.network.loaded import LoadedModel
from fairprof.saliency.faithfulness import SCORES, faithfulness, random_maps
from fairprof.saliency.gradcam import COSTLY
from fairprof.saliency.randomisation import EVERYTHING, randomised_networks, similarities
from fairprof.seeds import derive_seed, numpy_generator
from fairprof.serving import OF_TIMM

RANDOMISATION_IMAGES = 64
RANDOMISED_NETWORKS = 3  # of which numbers are means


def reference_of(labels: tuple[str, ...]) -> str:
    """The model, or the design, that the others are compared with."""
    return "A" if "A" in labels else labels[0]


def attention_of(settings: ExplainSettings, subject: Subject, maps: dict[str, np.ndarray]) -> dict[str, pd.DataFrame]:
    """Where the maps lie, by group, and how groups and models differ in it.

    Here and below, maps: label to the (N, h, w) maps of the subject's images.
    """
    regions = subject.masks.names
    per_image = {label: attention.measures(of_model, subject.masks.masks, regions) for label, of_model in maps.items()}
    names = tuple(next(iter(per_image.values())).columns)
    attended = group_means.image_values(
        subject.images, {label: table.to_numpy() for label, table in per_image.items()}, names
    )
    weights = _resampled(settings, attended, "attention bootstrap")
    images = subject.images["image"]
    gaps, contrasts = (
        tests(attended, settings.permutations, numpy_generator(settings.seed, "attention gaps"))
        for tests in (attention_tests.attention_gap_tests, attention_tests.group_contrasts)
    )
    distances = attention_tests.map_distances(
        attended, maps, images, settings.permutations, numpy_generator(settings.seed, "map distances")
    )
    tables = {
        "per_image": _per_image(subject, per_image),
        "by_group": group_means.by_group(attended, weights, settings.min_support),
        "contrasts": contrasts,
        "gaps": adjusted_in_families(gaps, np.zeros(len(gaps), dtype=bool)),
        "map_distances": attention_tests.judged_distances(distances),
        "model_differences": _model_differences(attended, weights, subject.designs),
    }
    if subject.designs:
        tables["designs"] = designs.design_means(attended, weights, subject.designs)
        reference = reference_of(tuple(subject.designs))
        tables["design_differences"] = designs.design_differences(attended, weights, subject.designs, reference)
    masks = {"masks": subject.masks.kind}
    return {name: table.assign(**masks) for name, table in tables.items()}


def _resampled(settings: ExplainSettings, found: ImageValues, purpose: str) -> np.ndarray:
    generator = numpy_generator(settings.seed, purpose)
    return group_means.resampled_weights(len(found.persons), settings.replicates, generator, found.persons)


def _per_image(subject: Subject, per_image: dict[str, pd.DataFrame]) -> pd.DataFrame:
    columns = ["image", "gender", "race", "y_true", "y_pred"]
    tables = []
    for label, values in per_image.items():
        rows = subject.predictions[label][columns].reset_index(drop=True)
        explained = np.array(subject.pool.professions)[subject.classes[label]]
        tables.append(pd.concat([rows.assign(model=label, explained=explained), values], axis=1))
    return pd.concat(tables, ignore_index=True)


def _model_differences(attended: ImageValues, weights: np.ndarray, of_study: dict[str, dict[int, str]]) -> pd.DataFrame:
    """Of normalised numbers: the strength of maps is in the units of each model's own logits. Models of a study are
    compared by design."""
    reference = reference_of(attended.models)
    kept = [number for number, name in enumerate(attended.names) if name != "strength"]
    values = attended.values[:, :, kept]
    others = [number for number, label in enumerate(attended.models) if label != reference]
    if of_study or not others:
        return pd.DataFrame(columns=list(group_means.DIFFERENCE_COLUMNS))
    place = attended.models.index(reference)
    names = tuple(attended.names[number] for number in kept)
    return group_means.paired_differences(
        attended._replace(
            models=tuple(attended.models[number] for number in others), names=names, values=values[others]
        ),
        attended._replace(models=(reference,), names=names, values=values[[place]]),
        weights,
    )


def faithfulness_of(
    settings: ExplainSettings, subject: Subject, maps: dict[str, np.ndarray]
) -> dict[str, pd.DataFrame]:
    """Of the models' own maps, beside random ones of the same resolution."""
    count = min(settings.faithfulness_images, len(subject.rows))
    names = ("faithfulness_per_image", "faithfulness_by_group", "faithfulness")
    if count == 0:
        return {name: pd.DataFrame(columns=list(group_means.DIFFERENCE_COLUMNS)) for name in names}
    networks = {label: subject.network(label) for label in subject.labels}
    images = subject.names[:count]

    def scored(maps: np.ndarray, labels: tuple[str, ...], what: str) -> dict[str, pd.DataFrame]:
        chosen = {label: networks[label] for label in labels}
        classes = {label: subject.classes[label] for label in labels}
        return faithfulness(
            chosen, subject.entering, maps[:count], classes, images, settings.seed, f"faithfulness, {what}"
        )

    own = {label: scored(maps[label], (label,), label)[label] for label in subject.labels}
    shape = maps[subject.labels[0]].shape[1:]
    chance = scored(random_maps(shape, images, settings.seed), subject.labels, "random maps")
    rows = subject.images.iloc[:count]
    scores, reference = (
        group_means.image_values(rows, {label: table.to_numpy() for label, table in tables.items()}, SCORES)
        for tables in (own, chance)
    )
    weights = _resampled(settings, scores, "faithfulness bootstrap")
    per_image = [
        table.assign(model=label, maps=kind, image=images)
        for kind, tables in (("method", own), ("random", chance))
        for label, table in tables.items()
    ]
    differences = group_means.paired_differences(scores, reference, weights)
    return {
        "faithfulness_per_image": pd.concat(per_image, ignore_index=True),
        "faithfulness_by_group": group_means.by_group(scores, weights, settings.min_support),
        "faithfulness": differences.assign(reference="random maps"),
    }


def randomisation_of(
    settings: ExplainSettings, subject: Subject, maps: dict[str, np.ndarray]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How much the maps of the first images change with the weights, and where they lie against those of randomised
    networks.

    Randomised networks are several, with weights of their own: the maps of a single one may all be zero.
    """
    count = min(RANDOMISATION_IMAGES, len(subject.rows))
    randomised = {label: _randomised_maps(settings, subject, label, count) for label in subject.labels}
    table = similarities(
        {label: of_model[:count] for label, of_model in maps.items()},
        randomised,
        settings.replicates,
        lambda *words: numpy_generator(settings.seed, *words),
    )
    everything = {label: parts[EVERYTHING] for label, parts in randomised.items()}
    return table, _against_randomised(settings, subject, maps, everything)


def _randomised_maps(
    settings: ExplainSettings, subject: Subject, label: str, count: int
) -> dict[str, list[np.ndarray]]:
    """Randomised part to the maps of several networks: all of them for the first and the last part, one between."""
    model = subject.models[label]
    architecture, class_count = model.stored.settings["architecture"], len(model.classes)
    maps: dict[str, list[np.ndarray]] = {}
    for draw in range(RANDOMISED_NETWORKS):
        seed = derive_seed(settings.seed, "randomised weights", label, draw)
        fresh = build_classifier(architecture, "random", "all", class_count, seed, model.image_size, model.stored.head)
        steps = _steps(model) if draw == 0 and settings.method not in COSTLY else {}
        device = next(model.classifier.network.parameters()).device
        parts = randomised_networks(model.classifier.network, fresh.network.to(device), model.classifier.head, steps)
        for part, network in parts:
            maps.setdefault(part, []).append(subject.maps(label, settings.method, count, network))
    return maps


def _steps(model: LoadedModel) -> dict[str, tuple[str, ...]]:
    """The paths between which randomisation steps, by the name of the step, in order: the sequences of blocks of a
    network that has several, such as layer1 to layer4 of a ResNet; of other networks of timm the blocks of each stage,
    which are quarters of a transformer."""
    classifier, architecture = model.classifier, model.stored.settings["architecture"]
    children = classifier.network.named_children()
    paths = [name for name, child in children if isinstance(child, nn.Sequential)]
    paths = [name for name in paths if not f"{classifier.head}.".startswith(f"{name}.")]
    if len(paths) > 1:
        return {name: (name,) for name in paths}
    steps: dict[str, tuple[str, ...]] = {}
    if architecture.startswith(OF_TIMM):
        with suppress(UserError):  # it has no stages
            for path, stage in stages(architecture, model.image_size).items():
                steps[stage] = (*steps.get(stage, ()), path)
    return steps


def _against_randomised(
    settings: ExplainSettings, subject: Subject, maps: dict[str, np.ndarray], randomised: dict[str, list[np.ndarray]]
) -> pd.DataFrame:
    """Attention of each model minus the mean over networks with all weights randomised, on the same images."""
    count = len(next(iter(randomised.values()))[0])
    regions, masks = subject.masks.names, subject.masks.masks[:count]

    def attended(maps: dict[str, list[np.ndarray]]) -> ImageValues:
        means = {label: attention.mean_measures(several, masks, regions) for label, several in maps.items()}
        names = tuple(name for name in next(iter(means.values())).columns if name != "strength")
        values = {label: table[list(names)].to_numpy() for label, table in means.items()}
        return group_means.image_values(subject.images.iloc[:count], values, names)

    own = attended({label: [of_model[:count]] for label, of_model in maps.items()})
    weights = _resampled(settings, own, "randomised bootstrap")
    table = group_means.paired_differences(own, attended(randomised), weights)
    return table.assign(reference="randomised weights", masks=subject.masks.kind)
