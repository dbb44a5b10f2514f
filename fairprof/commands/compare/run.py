"""The comparison of runs that exist: tables, pictures, documents and one report, from what the runs have left."""

import os
import platform
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fairprof.commands.compare.claims import claims
from fairprof.commands.compare.collect import RunResults, chosen_runs, collect, require_comparable
from fairprof.commands.compare.documents.annex_iv import annex_iv
from fairprof.commands.compare.documents.model_card import model_card
from fairprof.commands.compare.pictures import (
    confusion_figure,
    differences_figure,
    epochs_figure,
    group_changes_figure,
    performance_figure,
    tradeoff_figure,
    training_size_figure,
)
from fairprof.commands.compare.protocol import Protocol
from fairprof.commands.compare.report import report_html, report_markdown
from fairprof.commands.compare.statistics import CONFIRMATORY, comparison_tables
from fairprof.config import AnalysisSettings, CompareSettings, Identifies, Settings
from fairprof.inference import groups as inference
from fairprof.metrics import fairness
from fairprof.metrics.performance import class_names
from fairprof.reporting.gap_chart import gaps_by_class_figure, gaps_figure
from fairprof.reporting.style import png_of
from fairprof.saliency.gradcam import mean_maps
from fairprof.saliency.panels import mean_map_difference_panel, side_by_side_panel
from fairprof.store import tracking
from fairprof.store.tracking import LoggedRun

PACKAGES = (
    *("fairlearn", "grad-cam", "lightning", "matplotlib", "mlflow", "numpy", "optuna", "pandas", "scikit-learn"),
    *("scipy", "torch", "torchvision"),
)
SIDE_BY_SIDE_IMAGES = 8


def run_comparison(settings: CompareSettings) -> str:
    """Compares the runs that `settings.runs` names and returns the id of the comparison's MLflow run.

    Raises `UserError` where there are none, or where they were not trained alike; it says what differs.
    """
    with tracking.started_run("comparison", {"fairprof.role": "comparison"}) as run_id:
        tracking.log_settings(settings.model_dump())
        compare_and_log(chosen_runs(settings), settings, ())
    return run_id


def compare_and_log(runs: Sequence[LoggedRun], settings: AnalysisSettings, failed: tuple[tuple[str, str], ...]) -> None:
    """Logs the comparison of finished runs to the active run; failed: name and reason of runs that are missing."""
    require_comparable(runs)
    results = collect(runs)
    protocol = protocol_of(results, settings, failed)
    tables = comparison_tables(results, protocol)
    for name, table in tables.items():
        tracking.log_table(table, f"comparison/{name}.csv")
        tracking.log_browsable_table(table, f"comparison/tables/{name}.json")
    figures = _figures(tables, protocol) | _saliency_figures(results, protocol)
    pictures = {name: png_of(figure) for name, figure in figures.items()}
    for name, picture in pictures.items():
        tracking.log_bytes(picture, f"comparison/{name}.png")
    documents = {f"model_card_{design}.md": model_card(tables, protocol, design) for design in protocol.designs}
    documents["annex_iv.md"] = annex_iv(tables, protocol)
    for name, text in documents.items():
        tracking.log_text(text, f"documents/{name}")
    tracking.log_text(report_html(tables, protocol, pictures, documents), "report.html")
    tracking.log_text(report_markdown(tables, protocol, tuple(pictures), "comparison/"), "report.md")
    _describe(tables, protocol)


# What the runs have in common.


def protocol_of(
    results: Sequence[RunResults], settings: AnalysisSettings, failed: tuple[tuple[str, str], ...]
) -> Protocol:
    """How the runs were made, read from the runs themselves."""
    first = results[0].run
    designs = tuple(sorted({run.design for run in results}))
    arms = tuple(dict.fromkeys(run.arm for run in results))
    params = first.params
    return Protocol(
        title=f"Designs {', '.join(designs)} on {params['data'].partition(':')[0]}",
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
        study_key=first.tags["fairprof.study_key"],
        data=params["data"],
        settings=_common_settings(results),
        hyperparameters_hash=params["hyperparameters_hash"],
        pool_fingerprint=params["pool_fingerprint"],
        test_fingerprint=params["test_fingerprint"],
        weights=first.tags["fairprof.weights"],
        weights_sha256=first.tags["fairprof.weights_sha256"],
        classes=tuple(class_names(results[0].test)),
        groups={
            attribute: tuple(fairness.group_labels(results[0].test, attribute).cat.categories)
            for attribute in fairness.ATTRIBUTES
        },
        test_images=len(results[0].test),
        designs=designs,
        seeds=tuple(sorted({run.seed for run in results})),
        arms=arms,
        reference="A" if "A" in designs else designs[0],
        main_arm=arms[0],
        pseudo_professions="ceiling/macro_f1" in first.metrics,
        label_bias=params["label_bias"],
        label_bias_strength=float(params["label_bias_strength"]),
        ceiling={
            name: first.metrics[f"ceiling/{name}"] for name in fairness.SCORES if f"ceiling/{name}" in first.metrics
        },
        permutations=settings.permutations,
        replicates=settings.replicates,
        delta=settings.delta,
        min_support=settings.min_support,
        versions={name: version(name) for name in PACKAGES},
        git_commit=tracking.git_commit(first),
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} processor cores",
        failed=failed,
        gaps_of_ceiling={
            name: first.metrics[f"ceiling/{name}"] for name in CONFIRMATORY if f"ceiling/{name}" in first.metrics
        },
    )


def _common_settings(results: Sequence[RunResults]) -> dict[str, str]:
    """Every setting with which all runs were trained, name to text."""
    names = Settings.identifying(Identifies.STUDY, Identifies.SHARED, Identifies.ANALYSIS)
    texts = {name: {run.run.params.get(name, "not logged") for run in results} for name in names}
    # a study's imbalance is for the designs that leave an axis natural: the others have none
    texts["imbalance"] = texts["imbalance"] - {"natural"} or {"natural"}
    return {name: " or ".join(sorted(found)) for name, found in texts.items()}


# Pictures.


def _figures(tables: dict[str, pd.DataFrame], protocol: Protocol) -> dict[str, Figure]:
    main = {
        name: tables[name][tables[name]["arm"].eq(protocol.main_arm)]
        for name in ("runs", "performance", "gaps", "differences", "seed_differences", "group_changes", "epochs")
    }
    figures = {
        "performance": performance_figure(tables["performance"], tables["runs"]),
        "gaps": gaps_figure(main["gaps"]),
        "gaps_by_class": gaps_by_class_figure(main["gaps"]),
        "tradeoff": tradeoff_figure(main["runs"], main["performance"]),
        "training_size": training_size_figure(tables["training_size"]),
        "epochs": epochs_figure(main["epochs"]),
        "confusion_gender": confusion_figure(tables["confusion"], "gender"),
        "confusion_race": confusion_figure(tables["confusion"], "race"),
    }
    if len(main["differences"]):
        figures["differences"] = differences_figure(main["differences"], main["seed_differences"])
        figures["group_changes"] = group_changes_figure(main["group_changes"])
    return figures


def _saliency_figures(results: Sequence[RunResults], protocol: Protocol) -> dict[str, Figure]:
    """Grad-CAM of the same test images through every design, and the mean maps by gender and race."""
    runs = [run for run in results if run.arm == protocol.main_arm]
    maps = {run.run.run_id: tracking.load_arrays(run.run.run_id, "gradcam/maps.npz") for run in runs}
    seed = min(run.seed for run in runs)
    shown = {run.design: run for run in runs if run.seed == seed}
    first = maps[next(iter(shown.values())).run.run_id]
    explained = first["image"]
    pixels = first["pixels"][:SIDE_BY_SIDE_IMAGES]
    predictions = {
        design: run.test.set_index("image", drop=False).loc[explained[: len(pixels)]] for design, run in shown.items()
    }
    figures = {
        "gradcam": side_by_side_panel(
            predictions,
            pixels,
            {design: maps[run.run.run_id]["maps"][: len(pixels)] for design, run in shown.items()},
            f"The same test images through every design, seed {seed}",
        )
    }
    rows = runs[0].test.set_index("image").loc[explained].reset_index()
    for attribute in ("gender", "race"):
        groups = fairness.group_labels(rows, attribute).astype(str).to_numpy()
        figures[f"mean_maps_{attribute}"] = mean_map_difference_panel(
            {
                design: mean_maps(
                    np.mean([maps[run.run.run_id]["maps"] for run in runs if run.design == design], axis=0), groups
                )
                for design in protocol.designs
            },
            pd.Series(groups).value_counts().to_dict(),
            f"Mean Grad-CAM of the predicted class by {attribute}, mean over the seeds of each design",
        )
    return figures


def _describe(tables: dict[str, pd.DataFrame], protocol: Protocol) -> None:
    """The answer as the run's description, and the headline numbers as its metrics."""
    answer = claims(tables, protocol).answer
    tracking.set_description(
        "\n\n".join(answer)
        + "\n\nThe whole report is the artifact `report.html`; tables and pictures are in `comparison/`."
    )
    print("\n" + "\n".join(answer) + "\nthe report: report.html among the artifacts of this run", flush=True)
    performance = tables["performance"]
    main = performance[performance["arm"].eq(protocol.main_arm)]
    gaps = tables["gaps"][tables["gaps"]["family"].eq(inference.CONFIRMATORY)]
    values = {f"{row.design}/{row.metric}": row.value for row in main.itertuples()}
    values |= {f"{row.design}/{row.metric}/{row.attribute}": row.value for row in gaps.itertuples()}
    tracking.log_metrics({name: value for name, value in values.items() if np.isfinite(value)})
