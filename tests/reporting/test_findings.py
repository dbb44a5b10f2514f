"""What a command has found reaches the run, the page and the terminal, all from one record."""

import json

import mlflow
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from fairprof.reporting.blocks import Picture, Section, Sentences
from fairprof.reporting.findings import Findings, finite, log_findings
from fairprof.reporting.style import png_of
from fairprof.store import tracking

ANSWER = ("Gaps are small.", "to mend: more images")
FOLDER = "pictures/"
PNG = png_of(Figure(figsize=(1, 1)))


def found(**more) -> Findings:
    sections = (Section("The answer", (Sentences("", ANSWER), Picture("gaps", "The gaps", "Lower is better."))),)
    return Findings("A title", "a subtitle", sections, {}, {"gaps": PNG}, "**Gaps** are small.", ANSWER, FOLDER, **more)


def logged(findings: Findings) -> tuple[str, mlflow.entities.Run]:
    with tracking.started_run("a command", {}) as run_id:
        log_findings(findings)
    return run_id, mlflow.MlflowClient().get_run(run_id)


def files(run_id: str, folder: str = "") -> set[str]:
    entries = mlflow.MlflowClient().list_artifacts(run_id, folder)
    return {entry.path for entry in entries if not entry.is_dir}.union(
        *(files(run_id, entry.path) for entry in entries if entry.is_dir)
    )


# mlflow asks for the text columns of a table in a way that pandas will change
@pytest.mark.filterwarnings("ignore:For backward compatibility")
def test_tables_pictures_and_documents_lie_where_their_names_say(store):
    table = pd.DataFrame({"race": ["x", "y"], "share": [0.25, 0.75]})
    counts = pd.DataFrame({"cook": [3]}, index=pd.Index(["cook"], name="y_true"))
    run_id, _ = logged(
        Findings(
            *(
                "A title",
                "a subtitle",
                (),
                {"a/shares.csv": table, "a/tables/shares.json": table, "a/counts.csv": counts},
            ),
            *({"gaps": PNG}, "", ("Gaps are small.",)),
            folder="a/",
            documents={"card.md": "# Card"},
        )
    )
    assert files(run_id) == {
        *("a/shares.csv", "a/tables/shares.json", "a/counts.csv", "a/gaps.png", "documents/card.md", "report.html")
    }
    assert tracking.load_text(run_id, "a/shares.csv") == "race,share\nx,0.25\ny,0.75\n"
    assert tracking.load_text(run_id, "a/counts.csv") == "y_true,cook\ncook,3\n"
    assert json.loads(tracking.load_text(run_id, "a/tables/shares.json"))["columns"] == ["race", "share"]
    assert "# Card" in tracking.load_text(run_id, "report.html")


def test_the_answer_is_printed_and_said_where_the_report_is(store, capsys):
    run_id, run = logged(found())
    address = f"http://127.0.0.1:5000/#/experiments/{run.info.experiment_id}/runs/{run_id}"
    assert capsys.readouterr().out.splitlines() == [
        "Gaps are small.",
        "to mend: more images",
        f"run: {address}?workflowType=machine_learning",
        f"report: {address}/artifacts/report.html?workflowType=machine_learning",
        "(while `mlflow ui` runs here)",
    ]
    assert run.data.tags["answer"] == "Gaps are small."
    assert run.data.tags["mlflow.note.content"] == "**Gaps** are small."
    page = tracking.load_text(run_id, "report.html")
    assert "<h1>A title</h1>" in page and "a subtitle" in page and "<li>Gaps are small.</li>" in page


def test_the_report_is_markdown_too_where_that_is_asked_for(store):
    assert "report.md" not in files(logged(found())[0])
    run_id, _ = logged(found(in_markdown=True))
    source = tracking.load_text(run_id, "report.md")
    assert source.startswith("# A title\n\na subtitle\n") and "![The gaps](<pictures/gaps.png>)" in source
    assert "pictures/gaps.png" in files(run_id)


def test_metrics_and_curves_are_logged_where_they_are_numbers(store):
    run_id, run = logged(
        found(
            values={"gap": 0.5, "none": np.nan, "floor": 0.25},
            shown=("gap", "none"),
            curves={50: {"accuracy": 0.75, "f1": np.inf}, 100: {"accuracy": 0.5}},
        )
    )
    assert run.data.metrics == {"gap": 0.5, "accuracy": 0.5}
    values = tracking.load_values(run_id)
    assert (values["gap"], values["floor"]) == (0.5, 0.25) and np.isnan(values["none"])
    history = mlflow.MlflowClient().get_metric_history(run_id, "accuracy")
    assert [(point.step, point.value) for point in history] == [(50, 0.75), (100, 0.5)]
    assert finite({"a": 1.0, "b": -np.inf}) == {"a": 1.0}


def test_a_picture_that_is_none_is_named():
    with pytest.raises(ValueError, match="picture 'gaps' is no PNG"):
        Findings("", "", (), {}, {"gaps": b"GIF89a"}, "", ()).html()
