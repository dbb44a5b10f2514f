"""The path of an explanation: whether the maps of trained models can be trusted, and what they look at in the same
images, measured by group."""

from datetime import datetime

import numpy as np

from fairprof.commands.explain.measurements import attention_of, faithfulness_of, randomisation_of, reference_of
from fairprof.commands.explain.models import chosen_models, load_models, require_applicable
from fairprof.commands.explain.pictures import figures_of
from fairprof.commands.explain.report import findings
from fairprof.commands.explain.results import Explanation, shown_of, values_of
from fairprof.commands.explain.subject import Subject, subject_of
from fairprof.commands.explain.trust import marked, trust_of
from fairprof.config import ExplainSettings
from fairprof.data.pool import Pool
from fairprof.data.regions import RegionMasks
from fairprof.data.sources.kinds import shows_faces
from fairprof.errors import UserError
from fairprof.metrics import attention
from fairprof.network.loaded import LoadedModel, pool_for, require_unseen, with_groups_of
from fairprof.reporting.findings import log_findings
from fairprof.reporting.style import png_of
from fairprof.reporting.wording import enumerated
from fairprof.runtime.hardware import device_of
from fairprof.saliency.attention import ATTENTION_METHODS
from fairprof.saliency.gradcam import unit_of
from fairprof.store import tracking
from fairprof.store.models import link_to_model


def run_explanation(settings: ExplainSettings) -> str:
    """Explains trained models on the same test images; returns the id of the explanation's MLflow run.

    Raises `UserError` where there is no such model, the method says nothing of one, the models or the data do not fit
    each other, training images would be among those that are explained, or a region mask cannot be used.
    """
    tags = {
        "fairprof.role": "explanation",
        "fairprof.models": ",".join(settings.references()) or settings.models,
        "fairprof.method": settings.method,
        "fairprof.data": settings.data.partition(":")[0],
    }
    name = "study" if settings.study else "-".join(settings.references())
    with tracking.started_run(f"explain-{name}", tags) as run_id:
        chosen = chosen_models(settings)
        models = load_models(settings, chosen.references)
        require_applicable(settings.method, models)
        settings = with_groups_of(next(iter(models.values())), settings)
        explain_and_log(settings, models, pool_for(next(iter(models.values())), settings), chosen.designs)
    return run_id


def explain_and_log(
    settings: ExplainSettings, models: dict[str, LoadedModel], pool: Pool, designs: dict[str, dict[int, str]]
) -> None:
    """All of an explanation, logged to the MLflow run that is active; designs: of a study, as in `ChosenModels`."""
    for model in models.values():
        require_unseen(model, pool, settings, "test")
        model.classifier.network.to(device_of(settings.accelerator))
    subject = subject_of(settings, models, pool, designs)
    _log_inputs(settings, subject)
    maps = {label: subject.maps(label, settings.method) for label in subject.labels}
    _require_one_resolution(settings, maps)
    checks = faithfulness_of(settings, subject, maps)
    similarity, against_randomised = randomisation_of(settings, subject, maps)
    trust = trust_of(subject.labels, checks["faithfulness"], similarity)
    shown = attention_of(settings, subject, maps) | {"against_randomised": against_randomised}
    tables = {"trust": trust, "similarity": similarity} | checks
    tables |= {name: marked(table, trust, designs) for name, table in shown.items()}
    explanation = Explanation(
        models={label: str(model) for label, model in models.items()},
        designs=designs,
        reference=reference_of(tuple(designs) or subject.labels),
        method=settings.method,
        unit=unit_of(settings.method),
        explained=settings.explained,
        data=settings.data,
        images=len(subject.rows),
        without_mask=int(subject.masks.missing.sum()),
        kind=subject.masks.kind,
        regions=subject.masks.names,
        areas=dict(zip(subject.masks.names, _mean_areas(subject.masks), strict=True)),
        layer="all blocks"
        if settings.method in ATTENTION_METHODS
        else enumerated(sorted({model.classifier.explained_layer.path for model in models.values()})),
        fields=maps[subject.labels[0]].shape[1:],
        undefined={label: int((of_model.max(axis=(1, 2)) == 0).sum()) for label, of_model in maps.items()},
        tables=tables,
        permutations=settings.permutations,
        replicates=settings.replicates,
        min_support=settings.min_support,
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
        shows_faces=shows_faces(settings.data, settings.faces_in_reports),
    )
    _log_maps(subject, maps)
    figures = figures_of(explanation, subject, maps)
    log_findings(findings(explanation, {name: png_of(figure) for name, figure in figures.items()}))
    as_metrics = shown_of(explanation)
    for label, values in values_of(explanation).items():
        tracking.log_values(values, as_metrics)
        link_to_model(models[label].stored, {name: values[name] for name in as_metrics if name in values})


def _require_one_resolution(settings: ExplainSettings, maps: dict[str, np.ndarray]) -> None:
    """Raises `UserError` where maps of some models have more fields than those of others."""
    fields = {label: f"{of_model.shape[1]} x {of_model.shape[2]}" for label, of_model in maps.items()}
    (first, reference), *others = fields.items()
    for label, found in others:
        if found != reference:
            raise UserError(
                f"models={settings.models}: maps of {label} have {found} fields, those of {first} {reference}: explain "
                "models of one resolution together"
            )


def _mean_areas(masks: RegionMasks) -> list[float]:
    return attention.area_shares(masks.masks[~masks.missing], len(masks.names)).mean(axis=0).tolist()


def _log_inputs(settings: ExplainSettings, subject: Subject) -> None:
    tracking.log_settings(
        settings.model_dump()
        | {"pool_fingerprint": subject.pool.fingerprint, "regions": subject.masks.kind}
        | {f"model_{label}": str(model) for label, model in subject.models.items()}
    )
    rows = subject.pool.table.iloc[subject.rows]
    tracking.log_input(rows, settings.data, "explanation", subject.pool.fingerprint)


def _log_maps(subject: Subject, maps: dict[str, np.ndarray]) -> None:
    """The raw maps of every model, the classes that they explain, and the regions."""
    arrays = {f"maps_{label}": of_model for label, of_model in maps.items()}
    arrays |= {
        f"explained_{label}": np.array(subject.pool.professions)[classes] for label, classes in subject.classes.items()
    }
    arrays |= {"image": subject.names, "regions": subject.masks.masks, "region_names": np.array(subject.masks.names)}
    tracking.log_arrays(arrays, "saliency/maps.npz")
