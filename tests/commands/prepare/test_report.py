"""What an audit says: the answer first, what is impossible and why, and one page that needs nothing else."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from fairprof.commands.prepare.answer import answer, banners, judged_table, quotable, to_mend
from fairprof.commands.prepare.audit import LARGEST, PERFECT, SMALLEST, audited
from fairprof.commands.prepare.pictures import figures_of
from fairprof.commands.prepare.report import PICTURES, findings
from fairprof.config import PrepareSettings
from fairprof.data.pool import pool_of, screened_rows
from fairprof.reporting.blocks import Picture, Sentences, Table
from fairprof.reporting.style import DPI
from tests.reporting.pages import needs_nothing_else, plain_text

CELLS = list(product("mf", "xy", ("cook", "nurse")))


@pytest.fixture
def audit_of(write_manifest, tmp_path):
    """The audit of a manifest's labels."""

    def audit(rows: list[dict], refusal: str = "", **values):
        values = {"replicates": 100, "permutations": 99, "cache_dir": str(tmp_path / "cache"), **values}
        settings = PrepareSettings(data=write_manifest(rows), **values)
        screened = screened_rows(settings, image_size=None)
        pool = pool_of(screened, settings) if screened.usable.any() else None
        return audited(screened, pool, refusal, settings)

    return audit


@pytest.fixture
def balanced(cells_of):
    """Rows with 40 train, 10 val and 35 test images in every cell, but 7 train images of f x y x nurse."""
    counts = {
        (partition, *cell): 7 if (partition, cell) == ("train", CELLS[-1]) else count
        for partition, count in (("train", 40), ("val", 10), ("test", 35))
        for cell in CELLS
    }
    return cells_of(counts)


def page(audit) -> str:
    figures = figures_of(audit)
    shown = {name: b"\x89PNG\r\n\x1a\n" + b"\0" * 20 for name in figures}
    assert set(figures) <= set(PICTURES)
    return findings(audit, ("Nothing.",), shown).html()


def test_the_answer_begins_with_what_can_be_trained_and_what_limits_it(audit_of, balanced):
    audit = audit_of(balanced)
    said = answer(audit)
    assert said[0] == "647 of 647 rows are usable: 287 train, 80 val and 280 test images.".replace(
        "are usable", "have usable labels"
    )
    assert (
        said[1] == "All four designs can be trained: A with 56, B with 188, C with 188 and D with 188 training images."
    )
    assert said[3].startswith(
        "A is limited by f x y x nurse (7 training images): 33 images more there would make it 320"
    )
    assert "True DP differences between the two largest groups that the test of one model on the 280 test" in said[7]
    assert "at the level .0125 of the first of Holm's steps" in said[7]
    assert not [sentence for sentence in said if "nan" in sentence or "undefined" in sentence]
    assert to_mend(audit)[1].startswith("Design A has 56 training images only")


def test_what_is_quoted_tells_what_can_be_trained_and_what_the_test_set_could_show(audit_of, balanced):
    audit = audit_of(balanced)
    said, table = quotable(audit), judged_table(audit)
    floors = audit.tables["noise_floors"].set_index(["metric", "attribute", "class"])
    floor = floors.loc[("demographic_parity_difference", "race", "max_over_classes")]
    assert said[0] == answer(audit)[1]
    assert said[1].startswith("On its 280 test images, the test of one model finds differences between the two largest")
    found, chance = (f"{floor[name]:.3f}".removeprefix("0") for name in ("detectable_largest", "null_q95"))
    assert f"DP by race from {found} on (chance up to {chance})" in said[1]
    assert [row[0].text for row in table.rows][1] == "demographic parity difference by race"
    assert (table.rows[1][2].note, table.rows[1][3].text) == (f"95 % {chance}", f"from {found} on")
    assert banners(audit)[0] == (
        "Few training images: 56 in design A, 188 in design B, 188 in design C and 188 in design D."
    )


def test_a_design_that_cannot_be_trained_stands_above(audit_of, balanced):
    audit = audit_of([row for row in balanced if not row["image"].startswith("val-f-y-nurse")])
    assert banners(audit)[0] == "Design A cannot be trained on these data."


def test_an_impossible_design_is_answered_and_the_others_stay(audit_of, balanced):
    audit = audit_of([row for row in balanced if not row["image"].startswith("val-f-y-nurse")])
    said = answer(audit)
    assert said[1].startswith("B, C and D can be trained: B with 188")
    assert "Design A cannot be trained: 1 of 8 cells have no val image, such as f x y x nurse." in " ".join(said)
    assert "10 val images more in 1 cell would make it 80 val images." in " ".join(said)
    assert "At equal size (train_size=matched) each has " in " ".join(said)
    assert "With -P experiments=B,C,D a study of all that is then asked for can be drawn." in said
    assert "mlflow run . -P experiment=B" in page(audit) and "-P experiments=B,C,D" in page(audit)
    assert to_mend(audit)[1].startswith("Make design A possible")
    assert "impossible" in page(audit)


def test_a_refusal_comes_first_and_does_not_hide_the_rest(audit_of, balanced):
    audit = audit_of(balanced, refusal="too many rows are unusable")
    said = answer(audit)
    assert said[0] == "As it is, nothing can be trained on this data set: too many rows are unusable."
    assert said[2].startswith("If that were mended, all four designs can be trained")
    assert "mlflow run ." not in page(audit)


def test_without_a_usable_row_the_quarantine_is_shown(audit_of, balanced):
    audit = audit_of([row | {"race": ""} for row in balanced[:5]], refusal="5 of 5 rows are unusable")
    assert answer(audit)[-1] == "0 of 5 rows are usable."
    assert audit.tables.keys().isdisjoint({"sizes", "noise_floors"})
    assert "empty cell: race" in page(audit)


def test_a_pool_without_test_images_can_train_nothing(audit_of, balanced):
    few = [{name: row[name] for name in ("image", "gender", "race", "profession")} for row in balanced[:2]]
    few[1] |= {"profession": "nurse"}
    audit = audit_of(few)
    assert "No design can be trained: there is no test image." in answer(audit)
    assert page(audit)


def test_gaps_that_lie_in_the_data(audit_of, cells_of):
    # half of the men are cooks, a quarter of the women; both races alike
    counts = {
        (partition, gender, race, profession): 3 if (gender, profession) == ("f", "nurse") else 1
        for partition in ("train", "val", "test")
        for gender, race, profession in CELLS
    }
    found = audit_of(cells_of(counts)).tables["gaps_in_the_data"].set_index(["prediction", "metric", "attribute"])
    dp = "demographic_parity_difference"
    assert found.loc[(PERFECT, dp, "gender"), "value"] == pytest.approx(0.25)
    assert found.loc[(PERFECT, dp, "race"), "value"] == pytest.approx(0)
    assert not {SMALLEST, LARGEST} & set(found.index.get_level_values("prediction"))


def test_what_goes_through_the_age_is_known_where_professions_are_drawn_from_it(audit_of):
    generator = np.random.default_rng(0)
    rows = [
        {
            "image": f"{number}",
            "gender": "mf"[old],
            "race": "xy"[number % 2],
            "age": str(generator.integers(50) + 30 * old),
        }
        for number, old in enumerate(generator.integers(0, 2, 600))
    ]
    found = audit_of(rows).tables["associations"].set_index(["first", "second"])
    by_gender = found.loc[("profession", "gender")]
    assert by_gender["cramers_v"] > 0.2 and by_gender["lower"] > 0.1 and by_gender["p_holm"] < 0.001
    assert by_gender["through_age"] == pytest.approx(by_gender["cramers_v_uncorrected"], abs=0.1)
    assert by_gender["p_given_age"] > 0.01 and np.isnan(found.loc[("gender", "race"), "p_given_age"])
    assert found.loc[("profession", "race"), "lower"] == 0


def test_a_single_race_is_undefined_and_said_to_be(audit_of, balanced):
    audit = audit_of([row | {"race": "x"} for row in balanced])
    associations = audit.tables["associations"].set_index(["first", "second"])
    assert np.isnan(associations.loc[("profession", "race"), "cramers_v"])
    floors = audit.tables["noise_floors"].set_index(["attribute", "metric", "class"])
    assert floors.loc[("race", "demographic_parity_difference", "max_over_classes"), "judged"] == "none"
    assert "Too few test images to judge DP by race" in " ".join(answer(audit))
    assert "undefined" in page(audit)


def test_the_page_has_every_part_and_nothing_from_outside(audit_of, balanced):
    html = page(audit_of(balanced, imbalance=2))
    for heading in ("The answer", "What to mend first", "Sizes of the designs", "Which gaps could be seen"):
        assert heading in html
    assert "imbalance 2" in html and needs_nothing_else(html) and "nan" not in plain_text(html).lower()


def test_names_in_the_data_cannot_break_the_page(audit_of, balanced):
    html = page(audit_of([row | {"race": row["race"] + "<script>alert(1)</script>"} for row in balanced]))
    assert "<script>alert" not in html and "&lt;script&gt;" in html


def test_every_block_is_complete(audit_of, balanced):
    audit = audit_of(balanced, imbalance=3)
    sections = findings(audit, (), dict.fromkeys(figures_of(audit), b"")).sections
    blocks = [block for section in sections for block in section.blocks]
    assert {block.name for block in blocks if isinstance(block, Picture)} == set(figures_of(audit))
    for block in blocks:
        if isinstance(block, Table):
            assert {len(row) for row in block.rows} <= {len(block.columns)}, block.title
        if isinstance(block, Sentences):
            assert all(item.endswith(".") or item.endswith(":") for item in block.items)


@pytest.mark.slow
def test_pictures_can_be_drawn_where_ages_are_unknown_and_groups_are_many(audit_of, balanced, tmp_path):
    rows = [row | {"race": f"race {number % 9}", "age": ""} for number, row in enumerate(balanced)]
    rows[0]["race"] = ""
    for name, figure in figures_of(audit_of(rows)).items():
        figure.savefig(tmp_path / f"{name}.png", dpi=DPI)
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    assert set(figures_of(audit_of(rows))) == set(PICTURES)


def test_tables_follow_from_the_same_rows(audit_of, balanced):
    tables = audit_of(balanced).tables
    assert tables["counts"]["count"].sum() == tables["cells"]["count"].sum() == 647
    shuffled = [balanced[place] for place in np.random.default_rng(0).permutation(len(balanced))]
    again = audit_of(shuffled).tables
    for name in ("counts", "marginals", "two_way", "cells", "sizes", "associations", "noise_floors", "supports"):
        pd.testing.assert_frame_equal(tables[name], again[name])
