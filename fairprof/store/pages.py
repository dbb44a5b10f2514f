"""What MLflow's pages show first: a saved view of the runs with the columns that matter, and how to find the rest."""

import json
from collections.abc import Sequence

from fairprof.plain_text import in_markdown, shortened, visible

SAVED_VIEW = "mlflow.sharedViewState."  # before a view's name in an experiment's tags; MLflow exports no name for it
RUNS_VIEW, REPORTS_VIEW = "fairprof", "reports"
PRIMARY_METRIC = "mlflow.experiment.primaryMetric.name"  # of the first chart; MLflow exports no name for it either
LINE = {  # what MLflow's page takes for granted in a chart of curves
    "lineSmoothness": 0,
    "scaleType": "linear",
    "xAxisScaleType": "linear",
    "xAxisKey": "step",
    "selectedXAxisMetricKey": "",
    "range": {},
    "yAxisKey": "metric",
    "yAxisExpressions": [],
    "ignoreOutliers": False,
    "useGlobalXaxisKey": True,
    "useGlobalLineSmoothing": True,
}
MOST_CLASSES, LETTERS = 20, 60  # that a description names, and of the name of one
LOWEST_WIDTH, MARGINS, LETTER = 50, 24, 7  # pixels: of a column, beside its heading, and of a letter in it
SHORT_NAMES = {  # columns of runs and of a model's versions are narrow
    "macro_F1": "test/macro_f1",
    "DP_gender": "test/demographic_parity_difference/gender",
    "DP_race": "test/demographic_parity_difference/race",
    "EO_gender": "test/equal_opportunity_difference/gender",
    "EO_race": "test/equal_opportunity_difference/race",
}
DECIMALS = 3  # of what stands under these names
RUN_COLUMNS = (
    "tags.`design`",
    "tags.`seed`",
    *(f"metrics.`{name}`" for name in SHORT_NAMES),
    "attributes.`Models`",
)
REPORT_COLUMNS = ("tags.`answer`", "tags.`data`")
WIDTHS = {"tags.`answer`": 640, "tags.`data`": 90, "attributes.`Models`": 100}  # pixels, of what is no number
CURVES = ("train/loss", "val/loss", "val/macro_f1")
MAPS = {"contact_sheet": "Grad-CAM", "mean_by_group": "Grad-CAM mean by group"}  # how images are named that runs share
SCORES, TRAINING, IMAGES = "Scores and gaps", "Training", "Grad-CAM"  # sections of charts
FOLDED = ("Model metrics", "best_val", "ceiling", "data", "test", "train", "val", "System metrics")


def experiment_tags(experiment_id: str, milliseconds: int) -> dict[str, str]:
    """Tags of an MLflow experiment: a description with links to the saved views of its runs, and these views.

    milliseconds: the time now, since 1970.
    """
    runs, charts, reports = (
        address[1:]
        for address in (
            view_address(experiment_id, RUNS_VIEW),
            f"{view_address(experiment_id, RUNS_VIEW)}&compareRunsMode=CHART",
            view_address(experiment_id, REPORTS_VIEW),
        )
    )
    of_runs = "tags.`fairprof.role` = 'run'"
    of_reports = " and ".join(f"tags.`fairprof.role` != '{role}'" for role in ("run", "trial", "registration"))
    return {
        SAVED_VIEW + RUNS_VIEW: saved_view("Runs: scores and gaps", of_runs, milliseconds, RUN_COLUMNS),
        SAVED_VIEW + REPORTS_VIEW: saved_view("Reports", of_reports, milliseconds, REPORT_COLUMNS),
        PRIMARY_METRIC: "macro_F1",
        "mlflow.note.content": (
            f"**[Runs]({runs})** - **[Charts]({charts})** - **[Reports]({reports})** - "
            "[registered models](#/models): what the composition of a data set does to a classifier.\n\n"
            "Every run has a `report.html` among its *Artifacts*, and so have studies, comparisons, evaluations, "
            "explanations and audits. DP and EO are the demographic parity and equal opportunity difference, the "
            "largest over the classes; 0 is ideal. A gap of a single run is biased upward: what chance makes of it is "
            "in its report."
        ),
    }


def saved_view(name: str, search_filter: str, milliseconds: int, columns: Sequence[str]) -> str:
    """A view of an experiment's runs as MLflow's page saves it: what is searched, how it is sorted, which columns and
    charts."""
    by_time = columns is REPORT_COLUMNS
    state = {
        "searchFilter": search_filter,
        # by anything but the time, children are shown without their parents
        "orderByKey": "attributes.start_time" if by_time else "tags.`design`",
        "orderByAsc": not by_time,
        "selectedColumns": columns,
        "columnOrder": columns,
        "columnWidths": {column: WIDTHS.get(column, _width(column)) for column in columns},
        "compareRunCharts": _charts(),
        "compareRunSections": [
            {"uuid": _key(section), "name": section, "display": section not in FOLDED, "isReordered": False}
            for section in (SCORES, TRAINING, IMAGES, *FOLDED)
        ],
        "isAccordionReordered": True,  # or MLflow sorts the sections by name
    }
    return json.dumps({"name": name, "createdAt": milliseconds, "updatedAt": milliseconds, "state": json.dumps(state)})


def _charts() -> list[dict]:
    """Charts as MLflow keeps them: bars of scores and gaps, gaps against scores, curves, images."""
    bars = [_chart("BAR", SCORES, name, metricKey=name, displayName=name) for name in SHORT_NAMES]
    scattered = [
        _chart("SCATTER", SCORES, f"macro_F1 against {gap}", xaxis=_axis("macro_F1"), yaxis=_axis(gap))
        for gap in ("DP_race", "EO_race")
    ]
    curves = [_chart("LINE", TRAINING, name, metricKey=name, selectedMetricKeys=[name]) for name in CURVES]
    images = [_chart("IMAGE", IMAGES, name, imageKeys=[name]) for name in MAPS.values()]
    return [*bars, *scattered, *curves, *images]


def _chart(kind: str, section: str, name: str, **more: object) -> dict:
    return {
        "type": kind,
        "uuid": _key(name),
        "metricSectionId": _key(section),
        "deleted": False,
        "isGenerated": False,
        "runsCountToCompare": 100,
        "displayName": name,
        **(LINE if kind == "LINE" else {}),
        **more,
    }


def _axis(metric: str) -> dict[str, str]:
    return {"key": metric, "type": "METRIC"}


def _key(name: str) -> str:
    return "fairprof " + name


def _width(column: str) -> int:
    heading = column.partition("`")[2].removesuffix("`")
    return max(LOWEST_WIDTH, MARGINS + round(LETTER * len(heading)))


def view_address(experiment_id: str, view: str) -> str:
    """Where a saved view of an experiment's runs is, behind the address of MLflow's server."""
    return f"/#/experiments/{experiment_id}/runs?viewStateShareKey={view}&workflowType=machine_learning"


def run_address(experiment_id: str, run_id: str, artifact: str = "") -> str:
    """Where a run is, or one of its artifacts, behind the address of MLflow's server."""
    shown = f"/artifacts/{artifact}" if artifact else ""
    return f"/#/experiments/{experiment_id}/runs/{run_id}{shown}?workflowType=machine_learning"


def version_address(name: str, number: str) -> str:
    """Where a version of a registered model is, behind the address of MLflow's server."""
    return f"/#/models/{name}/versions/{number}"


def named_class(name: str) -> str:
    """The name of a class within a description, Markdown: MLflow's databases hold descriptions of 5,000 letters."""
    return in_markdown(shortened(visible(name), LETTERS))


def degenerate_warning(name: str) -> str:
    """The first paragraph about a version that answers one class, `name`, for every test image; Markdown."""
    return f"**Degenerate**: it answers {named_class(name)} for every test image.\n\n"


def short_metrics(metrics: dict[str, float]) -> dict[str, float]:
    """The headline metrics once more, rounded and under short names; metrics: by name, those of a run."""
    return {name: round(metrics[metric], DECIMALS) for name, metric in SHORT_NAMES.items() if metric in metrics}


def version_tags(metrics: dict[str, float]) -> dict[str, str]:
    """What the list of a registered model's versions shows of each; metrics: by name, those of its run."""
    return {name: f"{value:.{DECIMALS}f}" for name, value in short_metrics(metrics).items()}


def model_description(name: str, design: str, balanced: Sequence[str], classes: Sequence[str]) -> str:
    """What a registered model is and how it is used, Markdown."""
    named = ", ".join(map(named_class, classes[:MOST_CLASSES]))
    more = f" and {len(classes) - MOST_CLASSES:,} more" if len(classes) > MOST_CLASSES else ""
    return (
        f"Classifies faces as {named}{more}, trained on **design {design}**: images balanced over "
        f"{' x '.join(balanced)}. Every version is a run of its own; the alias `champion` is the best on "
        "validation data of those without a mitigation.\n\n"
        f'```python\nmodel = mlflow.pyfunc.load_model("models:/{name}@champion")\n'
        'model.predict([open("face.jpg", "rb").read()])\n```\n\n'
        "For research on data set composition; not for decisions about people."
    )
