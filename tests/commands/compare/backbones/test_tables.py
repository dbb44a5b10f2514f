"""The tables of a comparison of backbones, on predictions whose truth is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fairprof.commands.compare.backbones.protocol import BackboneStudy
from fairprof.commands.compare.backbones.tables import backbone_tables
from fairprof.inference.backbones import CONTRAST_COLUMNS, INTERACTION_COLUMNS, MOVE_COLUMNS
from tests.commands.compare.mitigation.made_mitigation import made_mitigation

EO_GENDER = "equal_opportunity_difference/gender"
# of the made methods that recalls women and men .55 and .80, .78 and .80 but in design C, and answers one class
BACKBONES = {"none": "resnet50@random", "group_dro": "timm:vit@random", "gap_penalty_dp": "vgg11@random"}


def made(backbones=tuple(BACKBONES)[:2], designs="AC", **settings):
    """Runs by backbone, and their study."""
    results, study, _ = made_mitigation(designs, backbones, **settings)
    names = tuple(BACKBONES[name] for name in backbones)
    runs = dict(zip(names, (results[name] for name in backbones), strict=True))
    return runs, BackboneStudy(study.protocol, names, {name: name.partition("@")[0] for name in names})


@pytest.fixture(scope="module")
def tables():
    return backbone_tables(*made(images=3000))


def of_gap(table: pd.DataFrame) -> pd.Series:
    (row,) = table[(table["metric"] + "/" + table["attribute"]).eq(EO_GENDER)].to_dict("records")
    return pd.Series(row)


def test_tables_have_their_columns_and_a_row_for_every_cell(tables):
    assert list(tables) == ["cells", "contrasts", "moves", "interactions"]
    assert list(tables["contrasts"]) == list(CONTRAST_COLUMNS)
    assert list(tables["moves"]) == list(MOVE_COLUMNS)
    assert list(tables["interactions"]) == list(INTERACTION_COLUMNS)
    assert len(tables["cells"]) == 4 and len(tables["moves"]) == len(tables["interactions"]) == 5
    assert tables["contrasts"].groupby("factor").size().to_dict() == {"backbone": 12, "composition": 12}


def test_what_was_planted_is_found(tables):
    contrast = of_gap(tables["contrasts"].query("factor == 'backbone'"))
    assert contrast["verdict"] == "established" and contrast["value"] == pytest.approx(-0.25 / 2, abs=0.05)
    interaction = of_gap(tables["interactions"])
    assert interaction["verdict"] == "established" and interaction["value"] == pytest.approx(0.25, abs=0.06)
    row = of_gap(tables["moves"])
    # designs differ as much, with the second backbone alone
    assert row["range_of_backbone"] == pytest.approx(row["range_of_composition"], abs=0.05)
    assert row["verdict"] == "not_established"


def test_cells_are_means_of_runs(tables):
    runs, _ = made(images=3000)
    chosen = [run for run in runs["timm:vit@random"] if run.design == "C"]
    row = tables["cells"].set_index(["design", "backbone"]).loc[("C", "timm:vit@random")]
    right = [run.test["y_true"].astype(str).eq(run.test["y_pred"].astype(str)) for run in chosen]
    assert row["accuracy"] == pytest.approx(np.mean(right)) and row["seeds"] == 6
    of_groups = [
        answers.groupby(run.test[attribute], observed=True).mean()
        for answers, run in zip(right, chosen, strict=True)
        for attribute in ("gender", "race")
    ]
    worst = [min(one.min(), other.min()) for one, other in zip(of_groups[::2], of_groups[1::2], strict=True)]
    assert row["worst_group_accuracy"] == pytest.approx(np.mean(worst))
    assert row[f"corrected/{EO_GENDER}"] == pytest.approx(row[EO_GENDER] - row[f"floor/{EO_GENDER}"])
    assert row["training_images"] == 302.5 and not row["degenerate"]


def test_a_backbone_whose_models_answer_one_class_has_no_verdict_on_gaps():
    tables = backbone_tables(*made(("none", "gap_penalty_dp"), images=300))
    moves = tables["moves"].set_index("metric")["verdict"]
    assert moves["macro_f1"] == "backbone_moves_more"
    assert set(moves.drop("macro_f1")) == {"degenerate"}
    assert tables["cells"].groupby("backbone")["degenerate"].all().to_dict() == {
        "resnet50@random": False,
        "vgg11@random": True,
    }


def test_neither_the_order_of_runs_nor_names_of_backbones_change_a_number():
    results, study = made(designs="AB", images=400)
    names = {"resnet50@random": "b@imagenet", "timm:vit@random": "a@imagenet"}
    renamed = {names[backbone]: runs[::-1] for backbone, runs in reversed(results.items())}
    one = backbone_tables(results, study)
    other = backbone_tables(renamed, replace(study, backbones=tuple(names.values())))
    for name, table in one.items():
        pd.testing.assert_frame_equal(other[name], table.replace(names), obj=name)


def test_a_backbone_without_runs_is_left_out():
    results, study = made(images=200)
    tables = backbone_tables(results | {"timm:vit@random": []}, study)
    assert tables["cells"]["backbone"].unique().tolist() == ["resnet50@random"]
    assert tables["moves"].empty and tables["interactions"].empty
