"""The comparison of runs that exist: tables, pictures, documents and one report, from what the runs have left."""

import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version

from fairprof.commands.compare.backbones.run import comparison_of_backbones
from fairprof.commands.compare.collect import RunResults, by_backbone, chosen_runs, collect, require_comparable
from fairprof.commands.compare.documents.annex_iv import annex_iv
from fairprof.commands.compare.documents.model_card import model_card
from fairprof.commands.compare.explore import explore_blocks
from fairprof.commands.compare.maps import map_figures
from fairprof.commands.compare.mitigation.run import comparison_of_methods
from fairprof.commands.compare.pictures import figures_of
from fairprof.commands.compare.protocol import COMPARISON, Protocol
from fairprof.commands.compare.report import findings
from fairprof.commands.compare.seed_record import log_seeds, record_of_runs, recorded_plan
from fairprof.commands.compare.tables import CONFIRMATORY_QUANTITIES, comparison_tables
from fairprof.config import EVERYBODY, PATHS, AnalysisSettings, CompareSettings, Identifies, Settings
from fairprof.data.sources.kinds import shows_faces, without_its_folders
from fairprof.inference.planning import SeedPlan
from fairprof.metrics import fairness
from fairprof.metrics.performance import class_names
from fairprof.reporting.findings import log_beside, log_findings
from fairprof.reporting.style import png_of
from fairprof.runtime.files import without_folders
from fairprof.serving import OF_TIMM
from fairprof.store import registry, tracking
from fairprof.store.studies import method_of, reference_method, seed_of
from fairprof.store.tracking import LoggedRun

PACKAGES = (
    *("fairlearn", "grad-cam", "lightning", "matplotlib", "mlflow", "numpy", "optuna", "pandas", "scikit-learn"),
    *("scipy", "torch", "torchvision"),
)


def run_comparison(settings: CompareSettings) -> str:
    """Compares the runs that `settings.runs` names and returns the id of the comparison's MLflow run.

    Raises `UserError` where there are none, or where they were not trained alike; it says what differs.
    """
    with tracking.started_run("comparison", {"fairprof.role": "comparison"}) as run_id:
        tracking.log_settings(settings.model_dump())
        runs = chosen_runs(settings)
        compare_and_log(runs, settings, ())
        log_seeds([record_of_runs(own) for own in by_backbone(runs).values()], map(seed_of, runs))
    return run_id


def compare_and_log(runs: Sequence[LoggedRun], settings: AnalysisSettings, failed: tuple[tuple[str, str], ...]) -> None:
    """Logs the comparison of finished runs to the active run; failed: name and reason of runs that are missing.

    The designs are compared by their runs without a method and with the backbone of the first run. Where other runs
    have methods, or other backbones, the report is on these, and that of the designs stands beside it.
    """
    require_comparable(runs)
    reference = reference_method(map(method_of, runs))
    backbones = by_backbone(runs)
    of_reference = next(iter(backbones.values()))
    results = collect([run for run in of_reference if method_of(run) == reference])
    of_main_arm = [run.seed for run in results if run.arm == results[0].arm]
    plan = recorded_plan(record_of_runs(runs), of_main_arm)
    results = in_arms_by_plan(results, plan)
    protocol = protocol_of(results, settings, failed, plan)
    tables = comparison_tables(results, protocol)
    figures = figures_of(tables, protocol) | map_figures(results, protocol)
    pictures = {name: png_of(figure) for name, figure in figures.items()}
    of_methods = comparison_of_methods(runs, results, protocol)
    told = (None, "") if of_methods is None else (of_methods.tables, of_methods.study.mitigate)
    documents = {f"model_card_{design}.md": model_card(tables, protocol, design, *told) for design in protocol.designs}
    documents["annex_iv.md"] = annex_iv(tables, protocol, *told)
    of_designs = findings(tables, protocol, pictures, documents, explore_blocks(results, tables, protocol))
    first = of_methods or comparison_of_backbones(backbones, results, protocol)
    if first is None:
        log_findings(of_designs)
    else:
        log_beside(replace(of_designs, page=COMPARISON))
        log_findings(first.findings())


def in_arms_by_plan(results: Sequence[RunResults], plan: SeedPlan) -> list[RunResults]:
    """The main arm, which comes first, with the seeds that are tested; where others were added, all of them once more
    in an arm of their own; then the other arms."""
    main = [run for run in results if run.arm == results[0].arm]
    others = [run for run in results if run.arm != results[0].arm]
    tested = [run for run in main if run.seed in plan.tested]
    again = [replace(run, with_later_seeds=True) for run in main] if plan.left_out else []
    return [*tested, *again, *others]


# What the runs have in common.


def protocol_of(
    results: Sequence[RunResults], settings: AnalysisSettings, failed: tuple[tuple[str, str], ...], plan: SeedPlan
) -> Protocol:
    """How the runs, those of the main arm first, were made: read from the runs themselves."""
    first, values = results[0].run, results[0].values
    designs = tuple(sorted({run.design for run in results}))
    arms = tuple(dict.fromkeys(run.arm for run in results))
    params = first.params
    packages = (*PACKAGES, "timm") if params["architecture"].startswith(OF_TIMM) else PACKAGES
    return Protocol(
        title=f"Designs {', '.join(designs)} on {params['data'].partition(':')[0]}",
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
        study_key=first.tags["fairprof.study_key"],
        data=params["data"],
        settings=_common_settings(results),
        hyperparameters_hash=params["hyperparameters_hash"],
        pool_fingerprint=params["pool_fingerprint"],
        test_fingerprint=params["test_fingerprint"],
        weights=without_folders(first.tags["fairprof.weights"]),
        weights_sha256=first.tags["fairprof.weights_sha256"],
        classes=tuple(class_names(results[0].test)),
        groups={
            attribute: tuple(fairness.group_labels(results[0].test, attribute).cat.categories)
            for attribute in fairness.ATTRIBUTES
        },
        test_images=len(results[0].test),
        designs=designs,
        seeds=tuple(sorted({run.seed for run in results if run.arm == arms[0]})),
        arms=arms,
        reference="A" if "A" in designs else designs[0],
        main_arm=arms[0],
        pseudo_professions="ceiling/macro_f1" in values,
        label_bias=params["label_bias"],
        label_bias_strength=float(params["label_bias_strength"]),
        cue_gap=float(params.get("cue_gap", 0)),
        ceiling={name: values[f"ceiling/{name}"] for name in fairness.SCORES if f"ceiling/{name}" in values},
        permutations=settings.permutations,
        replicates=settings.replicates,
        delta=settings.delta,
        min_support=settings.min_support,
        versions={name: version(name) for name in packages},
        git_commit=tracking.git_commit(first),
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} processor cores",
        failed=tuple((name, without_its_folders(reason, params["data"])) for name, reason in failed),
        gaps_in_the_data={
            name: (values[f"ceiling/lowest_{name}"], values[f"ceiling/highest_{name}"])
            for name in CONFIRMATORY_QUANTITIES
            if f"ceiling/lowest_{name}" in values
        },
        seed_plan=plan,
        merge=params.get("merge", EVERYBODY),
        exclude=params.get("exclude", EVERYBODY),
        shows_faces=shows_faces(params["data"], settings.faces_in_reports),
        run_id=tracking.active_run_id(),
        models=tuple(_registered_models(results)),
        weights_licence=first.tags.get("fairprof.weights_licence", ""),
        weights_origin=first.tags.get("fairprof.weights_origin", ""),
        weights_loaded=first.tags.get("fairprof.weights_loaded", ""),
    )


def _registered_models(results: Sequence[RunResults]) -> Iterator[tuple[str, str, str]]:
    """Name of the run, name and version of its model, of every run that has registered one."""
    for run_id, name in {result.run.run_id: result.run.name for result in results}.items():
        version = registry.version_of_run(run_id)
        if version is not None:
            yield name, version.name, version.version


def _common_settings(results: Sequence[RunResults]) -> dict[str, str]:
    """Every setting with which all runs were trained, name to text."""
    names = Settings.identifying(Identifies.STUDY, Identifies.SHARED, Identifies.METHOD, Identifies.ANALYSIS)
    texts = {name: {run.run.params.get(name, "not logged") for run in results} for name in names}
    # a study's imbalance is for the designs that leave an axis natural: the others have none
    texts["imbalance"] = texts["imbalance"] - {"natural"} or {"natural"}
    for name in set(PATHS) & set(texts):
        texts[name] = set(map(without_folders, texts[name]))
    return {name: " or ".join(sorted(values)) for name, values in texts.items()}
