"""The report of a comparison: its sections, claims, tables and limits, alike in HTML and in Markdown."""

import io
import re
import shlex
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairprof.commands.compare.claims import claims
from fairprof.commands.compare.documents.annex_iv import annex_iv
from fairprof.commands.compare.protocol import Protocol
from fairprof.commands.compare.report import findings
from fairprof.commands.compare.sections import EVIDENCE, data_facts, sections
from fairprof.config import CompareSettings, StudySettings
from fairprof.reporting.blocks import Section
from tests.reporting.pages import Outline, plain_markdown, plain_text, rows_of

NASTY = "<b>A&B</b>"
ARMS = ("natural", "matched", "natural, fraction 0.25")

PROTOCOL = Protocol(
    title="Four designs",
    created="2026-01-02T03:04:05+00:00",
    study_key="study0123",
    data="manifest:my faces/table.csv",
    settings={"label_seed": "0", "architecture": "resnet50", "weights": "back bone.pth", "epochs": "20"},
    hyperparameters_hash="hash4567",
    pool_fingerprint="pool89ab",
    test_fingerprint="testcdef",
    weights="back bone.pth",
    weights_sha256="sha0123",
    classes=("student", "blue_collar"),
    groups={"gender": ("Male", "Female"), "race": (NASTY, "b_c")},
    test_images=10954,
    designs=tuple("ABCD"),
    seeds=(0, 1, 2),
    arms=ARMS[:2],
    reference="A",
    main_arm="natural",
    pseudo_professions=True,
    label_bias="none",
    label_bias_strength=0.15,
    cue_gap=0.0,
    ceiling={"accuracy": 0.625, "macro_f1": 0.546},
    permutations=999,
    replicates=1000,
    delta=0.05,
    min_support=30,
    versions={"torch": "2.15.0"},
    git_commit="c0ffee",
    machine="two cores",
    failed=(("C-seed1", f"out of memory in {NASTY}"),),
)


@pytest.fixture(scope="module")
def study(make_tables) -> dict[str, pd.DataFrame]:
    """Three seeds and two arms; names that mean something to HTML and to Markdown; undefined values."""
    tables = make_tables(
        seeds=3, arms=PROTOCOL.arms, races=(NASTY, "b_c", "[d](e)"), classes=("student", "blue|collar", "*"), epochs=3
    )
    tables["performance"] = tables["performance"].assign(
        ceiling=np.nan, share_of_ceiling=np.nan, share_above_chance=np.nan
    )
    place = ["natural"] * 2, ["B"] * 2, ["race"] * 2, ["selection_rate"] * 2, ["student"] * 2, [NASTY, "b_c"]
    contrasts = dict(zip(["arm", "design", "attribute", "rate", "class", "group"], place, strict=True))
    contrasts |= {"support": [40, 0], "rest_support": [60, 100], "value": [0.4, np.nan], "rest": [0.3, 0.4]}
    contrasts |= {"contrast": [0.1234, np.nan], "standard_error": [0.05, np.nan], "lower": [-0.05, np.nan]}
    contrasts |= {"upper": [0.2, np.nan], "p_adjusted": [0.01, np.nan], "differs": [True, False]}
    contrasts |= {"evidence": ["sufficient", "undefined"]}
    composition = [
        ("A", profession, race, gender, partition, 163.5)
        for profession in PROTOCOL.classes
        for race in PROTOCOL.groups["race"]
        for gender in PROTOCOL.groups["gender"]
        for partition in ("train", "val")
    ]
    columns = ["design", "profession", "race", "gender", "partition", "count"]
    return tables | {"contrasts": pd.DataFrame(contrasts), "composition": pd.DataFrame(composition, columns=columns)}


@pytest.fixture(scope="module")
def pictures() -> dict[str, bytes]:
    file = io.BytesIO()
    Image.new("RGB", (30, 20), "teal").save(file, "PNG")
    return {"differences": file.getvalue(), f"of {NASTY}": file.getvalue(), "performance": file.getvalue()}


@pytest.fixture(scope="module")
def page(study, pictures) -> str:
    return findings(study, PROTOCOL, pictures, {"data sheet": "# Sheet\n<script>alert(1)</script> http://a.b"}).html()


@pytest.fixture(scope="module")
def markdown(study, pictures) -> str:
    return findings(study, PROTOCOL, pictures, {}).markdown()


# The page.


def test_sections_come_in_order(page, markdown):
    titles = ["The answer", "Summary by design", "Evidence", "How sure this is", "Protocol", "Limits", "Terms"]
    expected = [f"{number}. {title}" for number, title in enumerate(titles, 1)]
    assert re.findall(r"<h2[^>]*>([^<]*)</h2>", page) == [*expected, "Documents"]
    assert re.findall(r"^## (.*)$", markdown, re.MULTILINE) == expected


def test_pictures_are_embedded_in_order_and_unknown_ones_come_last(page, markdown, pictures):
    names = [EVIDENCE["performance"].title, EVIDENCE["differences"].title, f"of {NASTY}"]
    images = Outline(page).of("img")
    assert [image["alt"].startswith(name) for image, name in zip(images, names, strict=True)] == [True] * 3
    assert "B has the highest" in images[0]["alt"] and "Mean differences from A" in images[1]["alt"]
    assert images[2]["alt"] == names[2]
    assert {(image["width"], image["height"]) for image in images} == {("30", "20")}
    assert re.findall(r"^!\[.*\]\(<(.*)>\)$", markdown, re.MULTILINE) == [
        "comparison/performance.png",
        "comparison/differences.png",
        "comparison/of%20%3Cb%3EA%26B%3C/b%3E.png",
    ]


def test_every_picture_has_a_caption_that_says_how_to_read_it(study, pictures):
    protocol = replace(PROTOCOL, shows_faces=True)
    page = findings(study, protocol, dict.fromkeys(EVIDENCE, pictures["performance"]), {}).html()
    text = plain_text(page)
    assert page.count("<figcaption>") == len(EVIDENCE)
    assert all(evidence.caption in text for evidence in EVIDENCE.values())


def test_images_of_people_are_left_out_and_where_they_are_is_said(study, pictures):
    found = findings(study, PROTOCOL, dict.fromkeys(("gradcam", "gaps"), pictures["performance"]), {})
    page = found.html()
    assert EVIDENCE["gaps"].caption in plain_text(page) and EVIDENCE["gradcam"].caption not in plain_text(page)
    assert "comparison/gradcam.png among the run's artifacts, and with faces_in_reports=true" in plain_text(page)
    assert "gradcam.png>)" not in found.markdown()


def test_what_is_passed_on_says_nothing_of_where_files_lie(study, pictures):
    protocol = replace(PROTOCOL, data="utkface:/home/somebody/data/faces")
    found = findings(study, protocol, {}, {"annex_iv.md": annex_iv(study, protocol)})
    for text in (found.html(), found.markdown()):
        assert "utkface:faces" in text and "/home" not in text
        assert "FOLDER stands for where the data set lies. WEIGHTS stands for the file" in text


def test_a_report_without_pictures_and_documents(study):
    page = findings(study, PROTOCOL, {}, {}).html()
    assert Outline(page).of("img") == []
    assert "Documents" not in page
    assert "Gaps between groups within each design" in page


# What both say.


def test_both_say_every_claim_and_answer_in_the_same_words(study, page, markdown):
    said = claims(study, PROTOCOL)
    found = [
        *said.answer,
        said.possibility,
        *said.levelling_down,
        said.weak_rates,
        said.gap_scope,
        said.difference_scope,
    ]
    found += [claim.sentence for claim in (*said.gaps, *said.differences, *said.scores)]
    assert len(found) > 30
    text, source = plain_text(page), plain_markdown(markdown)
    for sentence in found:
        assert sentence in text
        assert sentence in source


def test_three_seeds_allow_no_claim_between_designs(page, markdown):
    sentence = "With 3 seeds no claim between designs is possible: 6 are the least, 10 are recommended."
    answer = page.split('<h2 id="section-2">')[0]
    assert sentence in answer
    assert sentence in markdown.split("## 2.")[0]
    assert "no claim possible" in page


def test_biased_labels_are_said_at_once(study):
    biased = replace(PROTOCOL, label_bias="race", label_bias_strength=0.4)
    page = findings(study, biased, {}, {}).html().split("<main>")[1]
    source = findings(study, biased, {}, {}).markdown()
    for first in (re.search(r"<li>(.*)</li>", page)[1], re.search(r"^- (.*)$", source, re.MULTILINE)[1]):
        assert "labels were biased on purpose (label_bias=race, strength .4)" in first


def test_a_cue_gap_is_said_at_once_and_among_the_limits(study):
    source = findings(study, replace(PROTOCOL, cue_gap=1.0), {}, {}).markdown()
    assert "made fainter on dark skin on purpose" in re.search(r"^- (.*)$", source, re.MULTILINE)[1]
    assert "gaps by race were put there" in source
    assert "on dark skin" not in findings(study, PROTOCOL, {}, {}).markdown()


def test_no_text_of_the_report_claims_what_no_test_can_show(page, markdown):
    for text in (plain_text(page), plain_markdown(markdown)):
        assert not re.search(r"\bfair\b|unbiased|no difference|\bnan\b|\bNone\b", text)
        assert "undefined" in text


# Tables.


@pytest.mark.parametrize(
    ("title", "name", "rows"),
    [
        ("Performance on the test set", "performance", len),
        ("Gaps, over all classes", "gaps", lambda table: table["class"].str.endswith("_over_classes").sum()),
        ("Gaps of each class", "gaps", lambda table: (~table["class"].str.endswith("_over_classes")).sum()),
        ("Which groups differ", "contrasts", len),
        ("Design minus reference, mean", "differences", len),
        ("Design minus reference, by seed", "seed_differences", len),
        ("Every run", "runs", len),
        ("Accuracy by group", "group_changes", len),
        ("Metrics by the size", "training_size", len),
        ("Validation by epoch", "epochs", lambda table: len(table) / table["metric"].nunique()),
        (
            "Images by group, true and predicted class, by race",
            "confusion",
            lambda table: table["attribute"].eq("race").sum() / table["y_pred"].nunique(),
        ),
        (
            "Images by group, true and predicted class, by gender x race",
            "confusion",
            lambda table: table["attribute"].eq("gender_x_race").sum() / table["y_pred"].nunique(),
        ),
        ("Images by design", "composition", lambda table: len(table) / table["profession"].nunique()),
    ],
)
def test_every_row_of_every_table_is_there(page, study, title, name, rows):
    expected = rows(study[name])
    assert expected > 0
    assert len(rows_of(page, title)) == expected + 1


def test_numbers_in_tables(page):
    heading, first, second = rows_of(page, "Which groups differ")
    assert heading[:2] == ["design", "attribute"]  # one arm: it is in the title
    values = ["B", "race", "selection rate", "student"]
    assert first == [
        *(*values, NASTY, "40", "60", ".400", ".300", "+.123", ".050", "−.050", "+.200", ".010", "yes", "sufficient"),
    ]
    assert second == [*values, "b_c", "0", "100", "undefined", ".400", *["undefined"] * 5, "no", "undefined"]
    assert rows_of(page, "Images by design")[1] == ["A", NASTY, "Male", "train", "163.5", "163.5"]


def test_p_values_and_verdicts_in_tables(page, study):
    heading, *rows = rows_of(page, "Design minus reference, mean")
    for cells, row in zip(rows, study["differences"].to_dict("records"), strict=True):
        cell = dict(zip(heading, cells, strict=True))
        assert cell["smallest p of sign flips"] == ".250"
        assert cell["verdict"] == "no claim possible"
        assert cell["adjusted p"] == f"{row['p_adjusted']:.3f}".removeprefix("0")
        assert cell["scope"] == "new seeds and new images"
        assert cell["attribute"] == (row["attribute"].replace("_x_", " x ") or "–")


def test_the_summary_shows_every_design_and_arm(page):
    rows = rows_of(page, "Macro-F1 of every design")[1:]
    assert [cells[:3] for cells in rows[:2]] == [
        ["A nothing natural", "natural", "3"],
        ["B race natural", "natural", "3"],
    ]
    assert len(rows) == 8
    assert rows[1][4] == "undefined"


def test_the_verdicts_have_a_row_for_each_confirmatory_gap_with_floors(page, study):
    heading, *rows = rows_of(page, "Verdicts")
    assert [cells[0] for cells in rows] == [
        f"{name} difference by {attribute}"
        for name in ("demographic parity", "equal opportunity")
        for attribute in ("gender", "race")
    ]
    gaps = study["gaps"]
    known = gaps["design"].eq("B") & gaps["arm"].eq("natural") & gaps["class"].eq("max_over_classes")
    row = gaps[known & gaps["attribute"].eq("race") & gaps["metric"].eq("equal_opportunity_difference")].iloc[0]
    value, mean, quantile = (f"{row[name]:.3f}".removeprefix("0") for name in ("value", "null_mean", "null_q95"))
    verdict = row["verdict"].replace("_", " ")
    assert rows[3][heading.index("design B")] == f"{value} chance {mean}, {quantile} {verdict}"
    assert rows[3][-1].startswith("B ") and rows[3][-1].endswith("no claim possible")


def test_long_tables_are_folded_and_short_ones_are_not(page):
    folded = re.findall(r"<details><summary>(.*?)</summary>", page)
    assert "Gaps, over all classes (delta .05): 144 rows" in folded
    assert not [title for title in folded if title.startswith(("Designs", "Verdicts"))]


NEEDED = {"performance", "gaps", "differences"}


def said_in_sections(tables: dict[str, pd.DataFrame]) -> tuple[Section, ...]:
    return sections(tables, PROTOCOL, claims(tables, PROTOCOL), [])


@pytest.mark.slow
def test_tables_that_are_not_needed_may_be_missing_or_empty(study):
    needed = {name: table for name, table in study.items() if name in NEEDED}
    assert Outline(findings(needed, PROTOCOL, {}, {}).html()).of("table")
    assert findings(needed, PROTOCOL, {}, {}).markdown().startswith("# Four designs")
    complete = said_in_sections(study)
    for missing in study.keys() - NEEDED:
        without = {name: table for name, table in study.items() if name != missing}
        empty = study | {missing: study[missing].iloc[:0]}
        assert said_in_sections(without) == said_in_sections(empty) != complete


def test_one_design_and_one_seed(make_tables):
    tables = make_tables(designs="A", seeds=1)
    alone = replace(PROTOCOL, designs=("A",), seeds=(0,), arms=("natural",))
    page = findings(tables, alone, {}, {}).html()
    assert "No claim between designs is possible" in page.split("2. Summary by design</h2>")[0]
    assert rows_of(page, "Every run")[1][0] == "natural-A-0"


# Protocol and limits.


def test_the_protocol_names_what_it_takes_to_judge_and_repeat_it(page, markdown):
    for text in (plain_text(page), plain_markdown(markdown)):
        for known in ("study0123", "hash4567", "pool89ab", "testcdef", "sha0123", "c0ffee", "two cores", "2.15.0"):
            assert known in text
        assert "10,954" in text
        assert f"out of memory in {NASTY}" in text
    designs = rows_of(page, "Designs")
    assert designs[1:] == [
        ["A", "gender x race x profession", "nothing", "the reference"],
        ["B", "gender x profession", "race", "race imbalance"],
        ["C", "race x profession", "gender", "gender imbalance"],
        ["D", "gender x race", "profession", "natural target mix"],
    ]


@pytest.mark.parametrize(
    ("seeds", "arms"), [((0, 1, 2), ARMS[:1]), ((0, 7, 9), ARMS[:2]), ((5,), ("natural", ARMS[2])), ((0,), ("1000",))]
)
def test_the_commands_repeat_the_study_and_its_comparison(study, seeds, arms):
    protocol = replace(PROTOCOL, seeds=seeds, arms=arms)
    (block,) = (
        block
        for section in sections(study, protocol, claims(study, protocol), [])
        for block in section.blocks
        if block.kind == "commands"
    )
    checkout, train, compare = block.text.replace("\\\n", "").splitlines()
    assert checkout == "git checkout c0ffee"
    words = shlex.split(train)
    assert words[:5] == ["mlflow", "run", ".", "-e", "study"]
    settings = StudySettings.from_arguments([f"--{word}" for word in words[5:] if word != "-P"])
    assert settings.listed("experiments") == tuple("ABCD")
    assert settings.listed("seeds") == seeds
    listed = [
        size if share == 1 else f"{size}, fraction {share:g}"
        for size in settings.listed("train_size")
        for share in settings.listed("fractions")
    ]
    assert tuple(map(str, listed)) == arms
    assert (settings.data, settings.weights, settings.epochs) == ("manifest:FILE", "WEIGHTS", 20)
    words = shlex.split(compare)
    assert words[:5] == ["mlflow", "run", ".", "-e", "compare"]
    settings = CompareSettings.from_arguments([f"--{word}" for word in words[5:] if word != "-P"])
    assert (settings.permutations, settings.replicates, settings.delta, settings.min_support) == (999, 1000, 0.05, 30)


def test_without_git_there_is_nothing_to_check_out(study):
    assert "git checkout" not in findings(study, replace(PROTOCOL, git_commit="unknown"), {}, {}).html()


def test_without_failed_runs_it_says_so(study):
    assert "None: every run" not in findings(study, PROTOCOL, {}, {}).html()
    assert (
        "every run that was asked for is in this report" in findings(study, replace(PROTOCOL, failed=()), {}, {}).html()
    )


def test_limits_name_the_law_and_what_the_professions_are(study, page, markdown):
    for text in (plain_text(page), plain_markdown(markdown)):
        limits = text.split("6. Limits")[-1]
        for known in ("research artefact", "2024/1689", "Annex III, point 4", "Article 5(1)(g)", "No race predictor"):
            assert known in limits
        assert "drawn at random given the age bin: nobody's occupation is known" in limits
    real = findings(study, replace(PROTOCOL, pseudo_professions=False), {}, {}).html()
    assert "nobody&#39;s occupation" not in real


def test_size_is_named_where_it_goes_with_the_design(study, page):
    assert "size and composition change together. train_size=matched,natural would compare" in page
    nearly = study["runs"].assign(arm="matched", training_images=study["runs"]["design"].map({"A": 280, "B": 276}))
    matched = findings(study | {"runs": nearly}, replace(PROTOCOL, main_arm="matched"), {}, {}).html()
    assert "276 to 280 training images: as many as the smallest, rounded down to equal cells." in matched
    runs = study["runs"].assign(training_images=280)
    assert "All designs have equally many training images" in findings(study | {"runs": runs}, PROTOCOL, {}, {}).html()


def test_merged_groups_and_those_left_out_stand_beside_the_data():
    def facts(protocol: Protocol) -> dict[str, str]:
        return dict(data_facts(protocol))

    merged = replace(PROTOCOL, merge="race:x+y=few", exclude="race:z")
    assert "x and y (race) count as one group, named few" in facts(merged)["groups merged or left out"]
    assert "groups merged or left out" not in facts(PROTOCOL)
