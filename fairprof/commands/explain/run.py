"""The path of an explanation: what registered models look at in the same images, measured by group, and whether the
maps can be trusted."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch import nn

from fairprof.commands.explain.pictures import attention_figure, faithfulness_figure, randomisation_figure
from fairprof.commands.explain.report import answer, description, report
from fairprof.commands.explain.results import Explanation, metrics
from fairprof.config import ExplainSettings
from fairprof.data.pool import Pool
from fairprof.data.regions import RegionMasks, region_masks
from fairprof.data.sample import balanced_sample
from fairprof.errors import UserError
from fairprof.metrics import attention
from fairprof.metrics.attention import Measured
from fairprof.metrics.fairness import group_labels
from fairprof.network.batches import InputsOfRows
from fairprof.network.classifier import build_classifier
from fairprof.network.images import ImageInputs, pixels_seen
from fairprof.network.predictions import predict
from fairprof.network.registered import RegisteredModel, load_model, pool_for, require_unseen
from fairprof.reporting.style import png_of
from fairprof.runtime.hardware import device_of
from fairprof.saliency.faithfulness import SCORES, faithfulness, random_maps
from fairprof.saliency.gradcam import COSTLY, mean_maps, saliency_maps, unit_of
from fairprof.saliency.panels import Wording, mean_map_difference_panel, reference_difference_panel, side_by_side_panel
from fairprof.saliency.randomisation import EVERYTHING, randomised_networks, similarities
from fairprof.seeds import derive_seed, numpy_generator
from fairprof.store import registry, tracking

SIDE_BY_SIDE_IMAGES = 8
RANDOMISATION_IMAGES = 64
RANDOMISED_NETWORKS = 3  # of which numbers are means
TABLES = {  # where each lies among the artifacts
    "per_image": "attention/per_image",
    "by_group": "attention/by_group",
    "contrasts": "attention/contrasts",
    "gaps": "attention/gaps",
    "map_distances": "attention/map_distances",
    "model_differences": "attention/model_differences",
    "against_randomised": "attention/against_randomised",
    "faithfulness_per_image": "faithfulness/per_image",
    "faithfulness_by_group": "faithfulness/by_group",
    "faithfulness": "faithfulness/against_random_maps",
    "similarity": "randomisation/similarity",
}


@dataclass(frozen=True)
class Explained:
    """What the models are asked about. models: by label. rows: of the pool's table, (N,) int. entering: their images.
    pixels: (N, S, S, 3) uint8, what the networks see. masks: their regions. predictions: label to a table of the same
    images. classes: label to (N,) int, the class that is explained."""

    models: dict[str, RegisteredModel]
    pool: Pool
    rows: np.ndarray
    entering: InputsOfRows
    pixels: np.ndarray
    masks: RegionMasks
    predictions: dict[str, pd.DataFrame]
    classes: dict[str, np.ndarray]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.models)

    @property
    def images(self) -> pd.DataFrame:
        """image, gender, race, y_true of every row, and the rest of a predictions table."""
        return self.predictions[self.labels[0]]

    @property
    def names(self) -> np.ndarray:
        return self.images["image"].to_numpy(dtype=str)

    def network(self, label: str) -> nn.Module:
        return self.models[label].classifier.network

    def maps(self, label: str, method: str, count: int | None = None, network: nn.Module | None = None) -> np.ndarray:
        """Saliency maps of the first `count` images, of a network with the model's layers if not of its own."""
        return saliency_maps(
            network or self.network(label),
            self.models[label].classifier.gradcam_layer,
            self.entering,
            self.classes[label][:count],
            method=method,
        )


def run_explanation(settings: ExplainSettings) -> str:
    """Explains registered models on the same test images; returns the id of the explanation's MLflow run.

    Raises `UserError` where there is no such model, the models or the data do not fit each other, training images
    would be among those that are explained, or a region mask cannot be used.
    """
    labels = list(settings.references())
    tags = {
        "fairprof.role": "explanation",
        "fairprof.models": ",".join(labels),
        "fairprof.method": settings.method,
        "fairprof.data": settings.data.partition(":")[0],
    }
    with tracking.started_run(f"explain-{'-'.join(labels)}", tags) as run_id:
        models = load_models(settings)
        explain_and_log(settings, models, pool_for(next(iter(models.values())), settings))
    return run_id


def load_models(settings: ExplainSettings) -> dict[str, RegisteredModel]:
    """The models by label; raises `UserError` where one occurs twice, or their classes or image sizes differ."""
    models = {label: load_model(reference) for label, reference in settings.references().items()}
    (first, reference), *others = models.items()
    for _, model in others:
        if model.image_size != reference.image_size:
            raise UserError(
                f"models={settings.models}: {model} takes images of {model.image_size} pixels, {reference} of "
                f"{reference.image_size}: explain models of one image size together"
            )
        if model.classes != reference.classes:
            raise UserError(
                f"models={settings.models}: {model} predicts {', '.join(model.classes)}, {reference} "
                f"{', '.join(reference.classes)}: explain models of the same classes together"
            )
    seen: dict[str, str] = {}
    for label, model in models.items():
        if str(model) in seen:
            raise UserError(f"models={settings.models}: {seen[str(model)]} and {label} are both {model}: name it once")
        seen[str(model)] = label
    return models


def explain_and_log(settings: ExplainSettings, models: dict[str, RegisteredModel], pool: Pool) -> None:
    """All of an explanation, logged to the MLflow run that is active."""
    for model in models.values():
        require_unseen(model, pool, settings, "test")
        model.classifier.network.to(device_of(settings.accelerator))
    subject = _explained(settings, models, pool)
    _log_inputs(settings, subject)
    maps = {label: subject.maps(label, settings.method) for label in subject.labels}
    tables, found = _attention(settings, subject, maps)
    tables |= _faithfulness(settings, subject, maps)
    tables |= _randomisation(settings, subject, maps)
    explanation = Explanation(
        models={label: str(model) for label, model in models.items()},
        reference=_reference(subject.labels),
        method=settings.method,
        unit=unit_of(settings.method),
        explained=settings.explained,
        data=settings.data,
        images=len(subject.rows),
        without_mask=int(subject.masks.missing.sum()),
        kind=subject.masks.kind,
        regions=subject.masks.names,
        areas=dict(zip(subject.masks.names, _mean_areas(subject.masks), strict=True)),
        fields=maps[subject.labels[0]].shape[1:],
        undefined={label: int((of_model.max(axis=(1, 2)) == 0).sum()) for label, of_model in maps.items()},
        tables=tables,
        permutations=settings.permutations,
        replicates=settings.replicates,
        min_support=settings.min_support,
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
    )
    _log_found(explanation, _pictures(explanation, subject, maps, found), subject, maps)


def _reference(labels: tuple[str, ...]) -> str:
    return "A" if "A" in labels else labels[0]


def _mean_areas(masks: RegionMasks) -> list[float]:
    return attention.area_shares(masks.masks[~masks.missing], len(masks.names)).mean(axis=0).tolist()


# What is explained.


def _explained(settings: ExplainSettings, models: dict[str, RegisteredModel], pool: Pool) -> Explained:
    test = pool.rows_of("test")
    rows = test[balanced_sample(pool.table.iloc[test], settings.gradcam_images)]
    image_size = next(iter(models.values())).image_size
    inputs = ImageInputs(pool, image_size, None, settings.seed)
    predictions = {
        label: predict(model.classifier, inputs, pool, rows, settings, f"predicting, {label}")
        for label, model in models.items()
    }
    column = "y_pred" if settings.explained == "predicted" else "y_true"
    classes = {
        label: table[column].map(pool.professions.index).to_numpy(dtype=int) for label, table in predictions.items()
    }
    return Explained(
        models,
        pool,
        rows,
        InputsOfRows(inputs, rows),
        pixels_seen(pool.pixels.array[pool.table["pixel"].to_numpy()[rows]], image_size),
        region_masks(pool.regions, pool.table["pixel"].to_numpy()[rows], image_size),
        predictions,
        classes,
    )


def _log_inputs(settings: ExplainSettings, subject: Explained) -> None:
    tracking.log_settings(
        settings.model_dump()
        | {"pool_fingerprint": subject.pool.fingerprint, "regions": subject.masks.kind}
        | {f"model_{label}": str(model) for label, model in subject.models.items()}
    )
    rows = subject.pool.table.iloc[subject.rows]
    tracking.log_input(rows, settings.data, "explanation", subject.pool.fingerprint)


# What is measured.


def _attention(
    settings: ExplainSettings, subject: Explained, maps: dict[str, np.ndarray]
) -> tuple[dict[str, pd.DataFrame], Measured]:
    regions = subject.masks.names
    per_image = {label: attention.measures(of_model, subject.masks.masks, regions) for label, of_model in maps.items()}
    names = tuple(next(iter(per_image.values())).columns)
    found = attention.measured(subject.images, {label: table.to_numpy() for label, table in per_image.items()}, names)
    weights = attention.resampled_weights(
        len(subject.rows), settings.replicates, numpy_generator(settings.seed, "attention bootstrap")
    )
    images = subject.images["image"]
    gaps = attention.gap_tests(found, settings.permutations, numpy_generator(settings.seed, "attention gaps"))
    distances = attention.map_distances(
        found, maps, images, settings.permutations, numpy_generator(settings.seed, "map distances")
    )
    tables = {
        "per_image": _per_image(subject, per_image),
        "by_group": attention.by_group(found, weights, settings.min_support),
        "contrasts": attention.contrasts(found, weights),
        "gaps": attention.adjusted(gaps, np.zeros(len(gaps), dtype=bool)),
        "map_distances": attention.judged_distances(distances),
        "model_differences": _model_differences(found, weights),
    }
    masks = {"masks": subject.masks.kind}
    return {name: table.assign(**masks) for name, table in tables.items()}, found


def _per_image(subject: Explained, per_image: dict[str, pd.DataFrame]) -> pd.DataFrame:
    columns = ["image", "gender", "race", "y_true", "y_pred"]
    tables = []
    for label, values in per_image.items():
        rows = subject.predictions[label][columns].reset_index(drop=True)
        explained = np.array(subject.pool.professions)[subject.classes[label]]
        tables.append(pd.concat([rows.assign(model=label, explained=explained), values], axis=1))
    return pd.concat(tables, ignore_index=True)


def _model_differences(found: Measured, weights: np.ndarray) -> pd.DataFrame:
    """Of normalised numbers: the strength of maps is in the units of each model's own logits."""
    reference = _reference(found.models)
    kept = [number for number, name in enumerate(found.names) if name != "strength"]
    values = found.values[:, :, kept]
    others = [number for number, label in enumerate(found.models) if label != reference]
    if not others:
        return pd.DataFrame(columns=list(attention.DIFFERENCE_COLUMNS))
    place = found.models.index(reference)
    names = tuple(found.names[number] for number in kept)
    return attention.paired_differences(
        found._replace(models=tuple(found.models[number] for number in others), names=names, values=values[others]),
        found._replace(models=(reference,), names=names, values=values[[place]]),
        weights,
    )


def _faithfulness(
    settings: ExplainSettings, subject: Explained, maps: dict[str, np.ndarray]
) -> dict[str, pd.DataFrame]:
    """Of the models' own maps, beside random ones of the same resolution."""
    count = min(settings.faithfulness_images, len(subject.rows))
    names = ("faithfulness_per_image", "faithfulness_by_group", "faithfulness")
    if count == 0:
        return {name: pd.DataFrame(columns=list(attention.DIFFERENCE_COLUMNS)) for name in names}
    networks = {label: subject.network(label) for label in subject.labels}
    images = subject.names[:count]

    def measured(maps: np.ndarray, labels: tuple[str, ...], what: str) -> dict[str, pd.DataFrame]:
        chosen = {label: networks[label] for label in labels}
        classes = {label: subject.classes[label] for label in labels}
        return faithfulness(
            chosen, subject.entering, maps[:count], classes, images, settings.seed, f"faithfulness, {what}"
        )

    own = {label: measured(maps[label], (label,), label)[label] for label in subject.labels}
    shape = maps[subject.labels[0]].shape[1:]
    chance = measured(random_maps(shape, images, settings.seed), subject.labels, "random maps")
    rows = subject.images.iloc[:count]
    found, reference = (
        attention.measured(rows, {label: table.to_numpy() for label, table in tables.items()}, SCORES)
        for tables in (own, chance)
    )
    weights = attention.resampled_weights(
        count, settings.replicates, numpy_generator(settings.seed, "faithfulness bootstrap")
    )
    per_image = [
        table.assign(model=label, maps=kind, image=images)
        for kind, tables in (("method", own), ("random", chance))
        for label, table in tables.items()
    ]
    differences = attention.paired_differences(found, reference, weights)
    return {
        "faithfulness_per_image": pd.concat(per_image, ignore_index=True),
        "faithfulness_by_group": attention.by_group(found, weights, settings.min_support),
        "faithfulness": differences.assign(reference="random maps"),
    }


def _randomisation(
    settings: ExplainSettings, subject: Explained, maps: dict[str, np.ndarray]
) -> dict[str, pd.DataFrame]:
    """How much the maps of the first images change with the weights, and where randomised networks look.

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
    return {"similarity": table, "against_randomised": _against_randomised(settings, subject, maps, everything)}


def _randomised_maps(
    settings: ExplainSettings, subject: Explained, label: str, count: int
) -> dict[str, list[np.ndarray]]:
    """Randomised part to the maps of several networks: all of them for the first and the last part, one between."""
    model = subject.models[label]
    architecture, class_count = model.stored.settings["architecture"], len(model.classes)
    maps: dict[str, list[np.ndarray]] = {}
    for draw in range(RANDOMISED_NETWORKS):
        seed = derive_seed(settings.seed, "randomised weights", label, draw)
        fresh = build_classifier(architecture, "random", "all", class_count, seed)
        blocks = _blocks(model) if draw == 0 and settings.method not in COSTLY else ()
        device = next(model.classifier.network.parameters()).device
        parts = randomised_networks(model.classifier.network, fresh.network.to(device), model.classifier.head, blocks)
        for part, network in parts:
            maps.setdefault(part, []).append(subject.maps(label, settings.method, count, network))
    return maps


def _blocks(model: RegisteredModel) -> tuple[str, ...]:
    """The sequences of blocks of a network that has several, such as layer1 to layer4 of a ResNet."""
    children = model.classifier.network.named_children()
    paths = [name for name, child in children if isinstance(child, nn.Sequential)]
    paths = [name for name in paths if not f"{model.classifier.head}.".startswith(f"{name}.")]
    return tuple(paths) if len(paths) > 1 else ()


def _against_randomised(
    settings: ExplainSettings, subject: Explained, maps: dict[str, np.ndarray], randomised: dict[str, list[np.ndarray]]
) -> pd.DataFrame:
    """Attention of each model minus the mean over networks with all weights randomised, on the same images."""
    count = len(next(iter(randomised.values()))[0])
    regions, masks = subject.masks.names, subject.masks.masks[:count]

    def measured(maps: dict[str, list[np.ndarray]]) -> Measured:
        found = {label: attention.mean_measures(several, masks, regions) for label, several in maps.items()}
        names = tuple(name for name in next(iter(found.values())).columns if name != "strength")
        values = {label: table[list(names)].to_numpy() for label, table in found.items()}
        return attention.measured(subject.images.iloc[:count], values, names)

    weights = attention.resampled_weights(
        count, settings.replicates, numpy_generator(settings.seed, "randomised bootstrap")
    )
    own = {label: [of_model[:count]] for label, of_model in maps.items()}
    table = attention.paired_differences(measured(own), measured(randomised), weights)
    return table.assign(reference="randomised weights", masks=subject.masks.kind)


# What is shown.


def _pictures(
    explanation: Explanation, subject: Explained, maps: dict[str, np.ndarray], found: Measured
) -> dict[str, bytes]:
    wording = Wording("model", explanation.method, explanation.unit, explanation.explained)
    first = slice(0, SIDE_BY_SIDE_IMAGES)
    known = "regions: face, hair, background" if explanation.kind == "regions" else f"{explanation.kind}: an ellipse"
    figures: dict[str, Figure] = {
        "side_by_side": side_by_side_panel(
            {label: table.iloc[first] for label, table in subject.predictions.items()},
            subject.pixels[first],
            {label: of_model[first] for label, of_model in maps.items()},
            f"The same test images through every model ({known})",
            wording,
            subject.masks.masks[first],
        ),
        "attention": attention_figure(explanation),
    }
    for attribute in attention.ATTRIBUTES:
        groups = group_labels(subject.images, attribute).astype(str).to_numpy()
        counts = pd.Series(groups).value_counts()[list(found.groups[attribute][1])].to_dict()
        title = f"Mean {explanation.method} of the {explanation.explained} class by {attribute.replace('_', ' ')}"
        raw = {label: mean_maps(of_model, groups) for label, of_model in maps.items()}
        figures[f"mean_maps_{attribute}"] = mean_map_difference_panel(raw, counts, title, wording)
        if len(maps) > 1 and attribute != "gender_x_race":
            figures[f"model_differences_{attribute}"] = _reference_panel(explanation, maps, groups, counts, wording)
    if len(explanation.tables["faithfulness"]):
        figures["faithfulness"] = faithfulness_figure(explanation)
    figures["randomisation"] = randomisation_figure(explanation)
    return {name: png_of(figure) for name, figure in figures.items()}


def _reference_panel(
    explanation: Explanation,
    maps: dict[str, np.ndarray],
    groups: np.ndarray,
    counts: dict[str, int],
    wording: Wording,
) -> Figure:
    everybody = "all images"
    means = {}
    for label, of_model in maps.items():
        shares = attention.normalised(of_model)
        defined = ~np.isnan(shares).any(axis=(1, 2))
        undefined = np.full(shares.shape[1:], np.nan)
        of_groups = dict.fromkeys(counts, undefined) | mean_maps(shares[defined], groups[defined])
        means[label] = {everybody: shares[defined].mean(axis=0) if defined.any() else undefined} | of_groups
    return reference_difference_panel(
        means,
        {everybody: len(groups)} | counts,
        explanation.reference,
        f"Mean of the normalised maps, minus those of model {explanation.reference}",
        wording,
    )


def _log_found(
    explanation: Explanation, pictures: dict[str, bytes], subject: Explained, maps: dict[str, np.ndarray]
) -> None:
    for name, path in TABLES.items():
        table = explanation.tables[name]
        if len(table):
            tracking.log_table(table, f"{path}.csv")
            tracking.log_browsable_table(table, f"tables/{path.replace('/', '_')}.json")
    for name, picture in pictures.items():
        tracking.log_bytes(picture, f"pictures/{name}.png")
    arrays = {f"maps_{label}": of_model for label, of_model in maps.items()}
    arrays |= {
        f"explained_{label}": np.array(subject.pool.professions)[classes] for label, classes in subject.classes.items()
    }
    arrays |= {"image": subject.names, "regions": subject.masks.masks, "region_names": np.array(subject.masks.names)}
    tracking.log_arrays(arrays, "saliency/maps.npz")
    tracking.log_text(report(explanation, pictures), "report.html")
    tracking.set_description(description(explanation))
    for label, values in metrics(explanation).items():
        registry.link_to_model(subject.models[label].stored, values)
    print(
        "\n" + "\n".join(answer(explanation)) + "\nthe report: report.html among the artifacts of this run", flush=True
    )
