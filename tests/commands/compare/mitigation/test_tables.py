"""The tables of a comparison of methods, on predictions whose truth is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fairprof.commands.compare.mitigation.tables import mitigation_tables
from fairprof.inference.mitigation import EFFECT_COLUMNS, GROUP_EFFECT_COLUMNS, INTERACTION_COLUMNS
from fairprof.inference.random_replacement import REPLACEMENT_COLUMNS

EO_GENDER = "equal_opportunity_difference/gender"
DESIGNS = ("A", "C")
EXPECTED = {
    "group_dro": "fairer_without_harm",
    "reweight": "levelled_down",
    "resample": "trade_off",
    "jtt": "nothing_established",
    "dfr": "nothing_established",
    "gap_penalty_dp": "degenerate",
}


@pytest.fixture(scope="module")
def made(made_mitigation):
    return made_mitigation(DESIGNS, images=3000)


@pytest.fixture(scope="module")
def tables(made):
    return mitigation_tables(*made[:2])


def of_cells(table: pd.DataFrame, column: str = "verdict") -> dict[tuple[str, str], object]:
    return dict(zip(zip(table["design"], table["method"], strict=True), table[column], strict=True))


def test_every_cell_has_the_verdict_that_was_planted(tables):
    expected = {(design, method): verdict for design in DESIGNS for method, verdict in EXPECTED.items()}
    expected["C", "group_dro"] = "nothing_established"
    assert of_cells(tables["verdicts"]) == expected


def test_the_design_in_which_a_method_is_idle_does_not_add_up(tables):
    table = tables["interactions"]
    found = table[table["verdict"].eq("established") & table["metric"].eq("equal_opportunity_difference")]
    assert of_cells(found).keys() == {("C", "group_dro")}
    assert found["value"].item() == pytest.approx(0.25, abs=0.06)
    assert not table[table["method"].eq("gap_penalty_dp") & table["attribute"].ne("")]["verdict"].ne("degenerate").any()


def test_tables_have_their_columns_and_a_row_for_every_cell(tables):
    assert list(tables["effects"]) == list(EFFECT_COLUMNS)
    assert list(tables["group_effects"]) == [*GROUP_EFFECT_COLUMNS, "support"]
    assert list(tables["interactions"]) == list(INTERACTION_COLUMNS)
    assert list(tables["random_replacement"]) == list(REPLACEMENT_COLUMNS)
    assert len(tables["cells"]) == 2 * 7 and len(tables["verdicts"]) == 2 * 6
    assert len(tables["effects"]) == 12 * 12 and len(tables["interactions"]) == 6 * 3
    assert len(tables["substitutions"]) == 12 * 3
    assert len(tables["replacement_line"]) == 2 * 2 * 11


def test_cells_are_means_of_runs_and_their_floors(made, tables):
    runs = [run for run in made[0]["reweight"] if run.design == "C"]
    row = tables["cells"].set_index(["design", "method"]).loc[("C", "reweight")]
    right = [run.test["y_true"].astype(str).eq(run.test["y_pred"].astype(str)) for run in runs]
    assert row["accuracy"] == pytest.approx(np.mean(right))
    of_runs = zip(right, runs, strict=True)
    by_gender = [answers.groupby(run.test["gender"], observed=True).mean().min() for answers, run in of_runs]
    assert row["worst_group_accuracy"] == pytest.approx(np.mean(by_gender))
    assert row[f"corrected/{EO_GENDER}"] == pytest.approx(row[EO_GENDER] - row[f"floor/{EO_GENDER}"])
    assert 0 < row[f"floor/{EO_GENDER}"] < 0.1
    assert row["training_images"] == 302.5 and not row["degenerate"]
    assert tables["cells"].set_index(["design", "method"]).loc[("C", "gap_penalty_dp"), "degenerate"]


def test_a_pair_is_chosen_for_every_quantity_and_never_a_degenerate_cell(tables):
    chosen = tables["substitutions"][tables["substitutions"]["chosen"]]
    assert len(chosen) == 3 and (chosen["method"] != "gap_penalty_dp").all()
    cells = tables["cells"].set_index(["design", "method"])[f"corrected/{EO_GENDER}"]
    of_gap = chosen[chosen["metric"].eq("equal_opportunity_difference")].iloc[0]
    without = cells.xs("none", level="method")
    assert (of_gap["design_without"], of_gap["design_with"]) == (without.idxmin(), without.idxmax())
    methods = cells.loc[of_gap["design_with"]].drop(["none", "gap_penalty_dp"])
    assert of_gap["method"] == methods.idxmin()


def test_levelling_down_pays_more_than_it_would_have_to(tables):
    table = tables["random_replacement"]
    of_gap = table[table["metric"].eq("equal_opportunity_difference")].set_index(["design", "method"])
    assert (of_gap["verdict"].xs("resample", level="method") == "above_the_line").all()
    assert (of_gap["verdict"].xs("gap_penalty_dp", level="method") == "degenerate").all()
    assert of_gap.loc[("A", "group_dro"), "share"] > 0.7


def test_every_selection_has_verdicts_of_its_own(made_mitigation, tables):
    results, study, selections = made_mitigation("A", ("none", "reweight", "jtt", "gap_penalty_dp"), images=600)
    found = mitigation_tables(results, study, selections)
    table = found["selections"]
    assert set(table["selection"]) == {"val_macro_f1", "val_worst_group", "val_distance_to_ideal"}
    first = table[table["selection"].eq("val_macro_f1")]
    assert of_cells(first[first["method"].ne("none")]) == of_cells(found["verdicts"])
    assert first["macro_f1"].tolist() == found["cells"]["macro_f1"].tolist()
    scores = table[table["method"].eq("none")].set_index("selection")["macro_f1"]
    assert scores["val_macro_f1"] > scores["val_worst_group"] > scores["val_distance_to_ideal"]
    assert tables["selections"].empty and list(tables["selections"]) == list(table)


def test_a_selection_that_lacks_an_image_is_refused(made_mitigation):
    results, study, selections = made_mitigation("A", ("none", "jtt"), images=100)
    name = next(iter(selections))
    selections[name] = selections[name].iloc[1:]
    with pytest.raises(ValueError, match=r"no prediction for image '00000\.png'"):
        mitigation_tables(results, study, selections)


def test_a_run_that_failed_costs_its_own_cell_alone(made_mitigation):
    results, study, _ = made_mitigation("AB", ("none", "group_dro", "jtt"), images=500)
    results["jtt"] = [run for run in results["jtt"] if (run.design, run.seed) != ("B", 3)]
    tables = mitigation_tables(results, study)
    assert of_cells(tables["verdicts"])["B", "jtt"] == "no_claim_possible"
    assert of_cells(tables["verdicts"])["A", "jtt"] != "no_claim_possible"
    assert set(tables["effects"].query("design == 'B' and method == 'jtt'")["seeds"]) == {5}
    assert set(tables["interactions"].query("method == 'jtt'")["verdict"]) == {"no_claim_possible"}


def test_a_method_that_changes_no_prediction_has_no_effect_at_all(made_mitigation):
    results, study, _ = made_mitigation("AB", ("none", "jtt"), images=400, seeds=6)
    results["jtt"] = [replace(run, test=other.test) for run, other in zip(results["jtt"], results["none"], strict=True)]
    effects = mitigation_tables(results, study)["effects"]
    assert (effects["value"] == 0).all() and (effects["upper"] == 0).all() and (effects["p_value"] == 1).all()


def test_neither_the_order_of_runs_nor_names_of_methods_change_a_number(made_mitigation):
    results, study, _ = made_mitigation("AB", ("none", "group_dro", "jtt"), images=400)
    one = mitigation_tables(results, study)
    names = {"none": "none", "group_dro": "dfr", "jtt": "lisa"}
    renamed = {names[method]: runs[::-1] for method, runs in reversed(results.items())}
    other = mitigation_tables(renamed, replace(study, methods=tuple(names.values())))
    for name in ("cells", "effects", "group_effects", "verdicts", "interactions", "substitutions"):
        back = other[name].assign(method=other[name]["method"].map({new: old for old, new in names.items()}))
        pd.testing.assert_frame_equal(back, one[name], obj=name)
