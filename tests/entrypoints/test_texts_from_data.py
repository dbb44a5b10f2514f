"""Markup, TeX, escapes and overrides in every text that comes from data: the real commands show them as text."""

import io
import itertools
import re
import sqlite3
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
import yaml
from PIL import Image

import fairprof
from fairprof.commands.compare.run import run_comparison
from fairprof.commands.evaluate.run import run_evaluation
from fairprof.commands.explain.run import run_explanation
from fairprof.commands.prepare.run import run_preparation
from fairprof.commands.train.run import run_experiment
from fairprof.config import CompareSettings, EvaluateSettings, ExplainSettings, PrepareSettings, Settings
from fairprof.errors import UserError, shown_in_one_line
from fairprof.reporting.page import TEMPLATES
from tests.entrypoints.runs import MLFLOW_WARNS, client, runs_in
from tests.places import mlflow_in

pytestmark = [pytest.mark.slow, *MLFLOW_WARNS]

SHARED = "$x_{y$ <b>all</b>"  # a gender, a race and a class
NAMES = {
    "gender": (SHARED, "_hidden\x1b[31m & co"),
    "race": (SHARED, "\u202e[x](javascript:alert(1)) ![i](http://h.example/i.png)\u202c", "L" * 299 + "|"),
    "profession": (SHARED, "<iframe src=javascript:alert(1)> `code` *star* www.h.example \x9b1m\n女 &amp;\t_z"),
}
IMAGES = {"train": 4, "val": 2, "test": 3}  # of every cell
FOLDER = "it's <script> $x_{y$ `code` [x](javascript:alert(1)) \x1b[0m\u202e"
QUICK = {"permutations": 99, "replicates": 100, "accelerator": "cpu"}
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
MARKUP = ("<b>", "<iframe", "<script", "<img", "](", "`code`", "*star*", "$x", "www.h", "://h.example")


def planted(folder: Path, write_image) -> str:
    """A data set whose every text is hostile; the value of `data` that names it."""
    folder.mkdir()
    rows = []
    for gender, race, profession in itertools.product(*NAMES.values()):
        for partition in (name for name, count in IMAGES.items() for _ in range(count)):
            name = f"<img src=x> $x_{{y$ \x1b[2J {len(rows)}.png"
            write_image(folder / name, seed=len(rows), size=(40, 40))
            row = {"image": name, "gender": gender, "race": race, "profession": profession, "partition": partition}
            rows.append(row | {"age": "34", "person": f"<b>{partition}</b>\u202e{len(rows) // 2}"})
    rows.append(rows[0] | {"image": "absent <b>\x1b.png"})
    pd.DataFrame(rows).to_parquet(folder / "faces <b>$x_{y$.parquet")
    return f"manifest:{folder / 'faces <b>$x_{y$.parquet'}"


@pytest.fixture(scope="module")
def done(tmp_path_factory, write_image):
    """The folder of a store in which every command has worked on the planted data, and all that was said."""
    folder = tmp_path_factory.mktemp("texts")
    data = {"data": planted(folder / FOLDER, write_image), "cache_dir": str(folder / "cache"), **QUICK}
    hparams = folder / "<b> `code` \x1b.yaml"
    hparams.write_text(yaml.safe_dump({"learning_rate": 0.002, "epochs": 1, "architecture": "resnet18"}))
    said = io.StringIO()
    with mlflow_in(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", said)
        patch.setattr("sys.stderr", said)
        run_preparation(PrepareSettings(**data, image_size=32, sheet_images=2))
        for experiment in "AB":
            training = {"weights": "random", "image_size": 32, "gradcam_images": 16, "hparams": str(hparams)}
            run_experiment(Settings(experiment=experiment, **data, **training))
        run_comparison(CompareSettings(**{name: value for name, value in QUICK.items() if name != "accelerator"}))
        run_evaluation(EvaluateSettings(model="B", **data, robustness_images=12))
        run_explanation(ExplainSettings(models="A,B", **data, gradcam_images=16, faithfulness_images=8))
        with pytest.raises(UserError):
            run_experiment(Settings(data=f"manifest:{folder / FOLDER / 'no <b>'}", cache_dir=data["cache_dir"]))
    return folder, said.getvalue()


@pytest.fixture(scope="module")
def files(done) -> list[Path]:
    """Every artifact of every run."""
    folder, _ = done
    return [file for file in (folder / "mlruns").rglob("*") if file.is_file()]


def test_every_command_has_finished(done):
    folder, _ = done
    roles = {run.data.tags["fairprof.role"]: run.info.status for run in runs_in(folder)}
    (failed,) = [run for run in runs_in(folder) if run.info.status != "FINISHED"]
    assert set(roles) == {"preparation", "run", "comparison", "evaluation", "explanation"}
    assert not HIDDEN.search(failed.data.tags["fairprof.error"]) and "\\x1b[0m" in failed.data.tags["fairprof.error"]


def test_the_terminal_gets_no_control_character(done):
    _, said = done
    assert "all</b>" in said
    found = HIDDEN.search(said)
    assert found is None, said[max(0, found.start() - 200) : found.end() + 50]


def test_an_error_with_escapes_is_one_line_without_them(tmp_path):
    with pytest.raises(SystemExit) as end, shown_in_one_line(tmp_path):
        raise UserError(f"no file {FOLDER}\x07\n\u2066here")
    assert not HIDDEN.search(end.value.code) and r"\x1b[0m\u202e\x07 \u2066here" in end.value.code


class Known(HTMLParser):
    """Elements and names of attributes of this project's templates."""

    def __init__(self):
        super().__init__()
        self.elements, self.attributes = set(), set()
        for template in TEMPLATES.rglob("*.html.j2"):
            text = re.sub(r"<(/?)\{\{ tag \}\}", r"<\1td", template.read_text())
            self.feed(re.sub(r"\{%.*?%\}|\{\{.*?\}\}", " ", text))
        self.elements |= {"h4"}  # by a variable of a template

    def handle_starttag(self, tag, attributes):
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attributes}


KNOWN = Known()


class Foreign(HTMLParser):
    """What a page holds that no template of this project has."""

    def __init__(self, page: str):
        super().__init__()
        self.found = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found += [tag] if tag not in KNOWN.elements else []
        for name, value in attributes:
            begins = {"src": "data:image/png;base64,", "href": "#"}.get(name, "")
            if name not in KNOWN.attributes or not (value or "").startswith(begins) or HIDDEN.search(value or ""):
                self.found.append((tag, name, value))

    def handle_data(self, data):
        self.found += HIDDEN.findall(data)


def test_pages_have_no_element_of_the_data(files):
    pages = [file for file in files if file.suffix == ".html"]
    assert len(pages) == 6  # of the audit, two runs, the comparison, the evaluation and the explanation
    for page in pages:
        text = page.read_text()
        assert Foreign(text).found == [], page
    assert sum("&lt;b&gt;all&lt;/b&gt;" in page.read_text() for page in pages) >= 3


def unescaped(markdown: str) -> list[str]:
    """The planted markup that Markdown would not show as it is."""
    markdown = re.sub(r"^    .+$", "", markdown, flags=re.MULTILINE)  # code, in which nothing is read
    outside = re.sub(r"(`+).+?\1", "", re.sub(r"\\.", "", markdown))
    return [mark for mark in MARKUP if mark in outside] + HIDDEN.findall(markdown)


def test_documents_show_markup_as_text(files):
    documents = [file for file in files if file.suffix == ".md"]
    assert {file.name for file in documents} >= {"datasheet.md", "report.md", "model_card_A.md", "annex_iv.md"}
    for document in documents:
        text = document.read_text().replace("](<comparison/", "")  # links of this project
        assert unescaped(text) == [], document
    assert (
        r"&#36;x\_{y&#36; &lt;b&gt;all" in next(file for file in documents if file.name == "datasheet.md").read_text()
    )


def test_descriptions_and_tags_show_markup_as_text(done):
    folder, _ = done
    store = client(folder)
    described = [run.data.tags["mlflow.note.content"] for run in runs_in(folder) if run.info.status == "FINISHED"]
    models = store.search_registered_models()
    described += [model.description for model in models]
    described += [version.description for version in store.search_model_versions("")]
    assert len(described) == 6 + 2 + 2
    for text in described:
        own = re.sub(r"\]\(#/(experiments|models)/[\w/.?=-]+\)", "]", text)  # links of this project
        assert unescaped(own) == [] and len(text) <= 5000
    assert any(r"&#36;x\_{y&#36; &lt;b&gt;all" in model.description for model in models)
    tags = [value for run in runs_in(folder) for value in run.data.tags.values()]
    tags += [value for version in store.search_model_versions("") for value in version.tags.values()]
    assert [value for value in tags if HIDDEN.search(value)] == []


def test_pictures_are_drawn_and_not_larger_than_a_page(files):
    pictures = [file for file in files if file.suffix == ".png"]
    names = {file.stem for file in pictures}
    assert names >= {"contact_sheet", "mean_by_group", "rates_by_group", "two_way", "composition", "confusion_race"}
    for file in pictures:
        with Image.open(file) as picture:
            assert 100 < picture.width < 3000 and 100 < picture.height < 5000, file
    sheets = sorted(file.name for file in pictures if file.parent.name == "sheets")
    assert len(sheets) == 3 and all(re.fullmatch(r"\d\d-[\w.-]{1,48}\.png", name) for name in sheets)


@pytest.fixture(scope="module")
def predictions(files) -> pd.DataFrame:
    return pd.read_parquet(next(file for file in files if file.parts[-2:] == ("predictions", "test.parquet")))


def test_nothing_but_the_parameters_and_errors_says_where_files_lie(done, files):
    folder, _ = done
    places = [str(folder / name) for name in (FOLDER.partition("'")[0], "cache", "<b>")]
    artifacts = [file for file in files if any(place.encode() in file.read_bytes() for place in places)]
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        told = [line for line in database.iterdump() if any(place in line for place in places)]
    assert any("'data','manifest:" in line for line in told)  # the call as given, by which runs are repeated
    # MLflow gives a model the parameters of its run
    allowed = (
        *('INSERT INTO "params"', 'INSERT INTO "logged_model_params"'),
        "INSERT INTO \"tags\" VALUES('fairprof.error'",
    )
    assert artifacts == [] and [line for line in told if not line.startswith(allowed)] == []


def test_tables_hold_the_names_as_they_are(predictions):
    for name, column in (("gender", "gender"), ("race", "race"), ("profession", "y_true")):
        assert set(predictions[column].astype(str)) == set(NAMES[name])


def test_an_audit_of_these_predictions_shows_them_as_text(predictions):
    groups = ["gender", "race", ("gender", "race")]
    audit = fairprof.audit(predictions, groups, probabilities="probability_", permutations=99, replicates=100)
    assert Foreign(audit.to_html()).found == [] and Foreign(audit._repr_html_()).found == []
    assert not HIDDEN.search(repr(audit))
