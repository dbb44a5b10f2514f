"""Which models are explained: named ones, or all seeds of the designs of a study."""

from dataclasses import dataclass

from fairprof.config import NEWEST, ExplainSettings
from fairprof.errors import UserError
from fairprof.network.loaded import LoadedModel, load_model
from fairprof.saliency.attention import ATTENTION_METHODS, Inapplicable, require_attention
from fairprof.store import tracking
from fairprof.store.models import run_reference
from fairprof.store.studies import confirmatory_arm, design_of, is_study, newest_study_runs, runs_of_study, seed_of
from fairprof.store.tracking import LoggedRun


@dataclass(frozen=True)
class ChosenModels:
    """References of models by label. designs: of a study, design to seed to label; none without a study, or where a
    design has one seed: nothing is known of designs then."""

    references: dict[str, str]
    designs: dict[str, dict[int, str]]


def chosen_models(settings: ExplainSettings) -> ChosenModels:
    """The models that the settings name; of a study the runs of its confirmatory arm whose seeds were planned, as
    `A-seed0`.

    Raises `UserError` where there is no such study, or it has no finished run.
    """
    if settings.study is None:
        return ChosenModels(settings.references(), {})
    runs = confirmatory_arm(_runs_of(settings.study))
    if not runs:
        raise UserError(f"models={settings.models}: there is no finished run in this study: start `-e study` first")
    designs: dict[str, dict[int, str]] = {}
    for run in runs:
        designs.setdefault(design_of(run), {})[seed_of(run)] = f"{design_of(run)}-seed{seed_of(run)}"
    references = {designs[design_of(run)][seed_of(run)]: run_reference(run.run_id) for run in runs}
    if min(map(len, designs.values())) == 1:
        designs = {}
    return ChosenModels(references, {design: dict(sorted(designs[design].items())) for design in sorted(designs)})


def _runs_of(name: str) -> list[LoggedRun]:
    if name == NEWEST:
        return newest_study_runs(planned_alone=True)
    run = tracking.get_run(name)
    if not is_study(run):
        raise UserError(f"models=study:{name}: {run.name} is no study: name one by its run id, or take study:{NEWEST}")
    return runs_of_study(run, planned_alone=True)


def load_models(settings: ExplainSettings, references: dict[str, str]) -> dict[str, LoadedModel]:
    """The models by label; raises `UserError` where one occurs twice, or their classes, image sizes or
    preprocessing differ."""
    models = {label: load_model(reference) for label, reference in references.items()}
    (first, reference), *others = models.items()
    for _, model in others:
        if model.image_size != reference.image_size:
            raise UserError(
                f"models={settings.models}: {model} takes images of {model.image_size} pixels, {reference} of "
                f"{reference.image_size}: explain models of one image size together"
            )
        if model.classifier.preprocessing != reference.classifier.preprocessing:
            raise UserError(
                f"models={settings.models}: {model} takes images that are cropped or normalised otherwise than those "
                f"of {reference}: explain models of one architecture together"
            )
        if model.classes != reference.classes:
            raise UserError(
                f"models={settings.models}: {model} predicts {', '.join(model.classes)}, {reference} "
                f"{', '.join(reference.classes)}: explain models of the same classes together"
            )
    seen: dict[str, str] = {}
    for label, model in models.items():
        run_id = model.run.run_id  # what a run has registered is its own model
        if run_id in seen:
            raise UserError(f"models={settings.models}: {seen[run_id]} and {label} are both {model}: name it once")
        seen[run_id] = label
    return models


def require_applicable(method: str, models: dict[str, LoadedModel]) -> None:
    """Raises `UserError` where a method of explanation says nothing of one of the models."""
    for label, model in models.items() if method in ATTENTION_METHODS else ():
        try:
            require_attention(model.classifier.network, model.classifier.explained_layer, model.image_size)
        except Inapplicable as error:
            raise UserError(
                f"method={method} does not apply to {label}, whose architecture is {model.settings.architecture}: "
                f"{error}; take one that looks at a layer, such as method=GradCAM"
            ) from None
