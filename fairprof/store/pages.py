"""What MLflow's pages show first: a saved view of the runs with the columns that matter, and how to find the rest."""

import json
from collections.abc import Sequence

from fairprof.plain_text import in_markdown, shortened, visible

SAVED_VIEW = "mlflow.sharedViewState."  # before a view's name in an experiment's tags; MLflow exports no name for it
RUNS_VIEW = "fairprof"
MOST_CLASSES, LETTERS = 20, 60  # that a description names, and of the name of one
LOWEST_WIDTH, MARGINS, LETTER = 110, 30, 6.2  # pixels: of a column, beside its heading, and of a letter in it
VERSION_TAGS = {  # a version's column of tags is narrow
    "macro-F1": "test/macro_f1",
    "DP by gender": "test/demographic_parity_difference/gender",
    "DP by race": "test/demographic_parity_difference/race",
    "EO by gender": "test/equal_opportunity_difference/gender",
    "EO by race": "test/equal_opportunity_difference/race",
}
HEADLINE_COLUMNS = (
    "tags.`fairprof.design`",
    "tags.`fairprof.seed`",
    "metrics.`test/macro_f1`",
    "metrics.`test/demographic_parity_difference/gender`",
    "metrics.`test/demographic_parity_difference/race`",
    "metrics.`test/equal_opportunity_difference/gender`",
    "metrics.`test/equal_opportunity_difference/race`",
    "metrics.`test/macro_f1_of_ceiling`",
    "attributes.`Models`",
    "params.`data`",
)


def experiment_tags(experiment_id: str, milliseconds: int) -> dict[str, str]:
    """Tags of an MLflow experiment by which its page opens on a description with a link to the saved view of its runs.

    milliseconds: the time now, since 1970.
    """
    return {
        SAVED_VIEW + RUNS_VIEW: saved_view("Scores and gaps", "tags.`fairprof.role` = 'run'", milliseconds),
        "mlflow.note.content": (
            "**fairprof**: what the composition of a data set does to a classifier. "
            f"[Macro-F1, DP and EO of every run]({runs_address(experiment_id)[1:]}) - [registered models](#/models)\n\n"
            "In a run's *Artifacts*: `gradcam/contact_sheet.png`, `metrics/`, `data/`; in a study's or comparison's: "
            "`report.html`. DP and EO are the demographic parity and equal opportunity difference, the largest over "
            "the classes; 0 is ideal. A gap of a single run is biased upward: its noise floor is the metric "
            "`..._null_q95/...` beside it."
        ),
    }


def saved_view(name: str, search_filter: str, milliseconds: int, columns: Sequence[str] = HEADLINE_COLUMNS) -> str:
    """A view of an experiment's runs as MLflow's page saves it: what is searched, how it is sorted, which columns."""
    state = {
        "searchFilter": search_filter,
        "orderByKey": "tags.`fairprof.design`",  # by anything but the time, children are shown without their parents
        "orderByAsc": True,
        "selectedColumns": columns,
        "columnOrder": columns,
        "columnWidths": {column: _width(column) for column in columns},
    }
    return json.dumps({"name": name, "createdAt": milliseconds, "updatedAt": milliseconds, "state": json.dumps(state)})


def _width(column: str) -> int:
    heading = column.partition("`")[2]
    return max(LOWEST_WIDTH, MARGINS + round(LETTER * len(heading)))


def runs_address(experiment_id: str) -> str:
    """Where the saved view of an experiment's runs is, behind the address of MLflow's server."""
    return f"/#/experiments/{experiment_id}/runs?viewStateShareKey={RUNS_VIEW}&workflowType=machine_learning"


def named_class(name: str) -> str:
    """The name of a class within a description, Markdown: MLflow's databases hold descriptions of 5,000 letters."""
    return in_markdown(shortened(visible(name), LETTERS))


def degenerate_warning(name: str) -> str:
    """The first paragraph about a version that answers one class, `name`, for every test image; Markdown."""
    return f"**Degenerate**: it answers {named_class(name)} for every test image.\n\n"


def version_tags(metrics: dict[str, float]) -> dict[str, str]:
    """What the list of a registered model's versions shows of each; metrics: by name, those of its run."""
    return {name: f"{metrics[metric]:.4f}" for name, metric in VERSION_TAGS.items() if metric in metrics}


def model_description(name: str, design: str, balanced: Sequence[str], classes: Sequence[str]) -> str:
    """What a registered model is and how it is used, Markdown."""
    named = ", ".join(map(named_class, classes[:MOST_CLASSES]))
    more = f" and {len(classes) - MOST_CLASSES:,} more" if len(classes) > MOST_CLASSES else ""
    return (
        f"Classifies faces as {named}{more}, trained on **design {design}**: images balanced over "
        f"{' x '.join(balanced)}. Every version is a run of its own; the alias `champion` is the best of them on "
        "validation data.\n\n"
        f'```python\nmodel = mlflow.pyfunc.load_model("models:/{name}@champion")\n'
        'model.predict([open("face.jpg", "rb").read()])\n```\n\n'
        "For research on data set composition; not for decisions about people."
    )
