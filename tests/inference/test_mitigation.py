"""Comparisons of designs with methods: by hand, and against those of designs where both overlap."""

import numpy as np
import pandas as pd
import pytest

from fairprof.inference.cells import CONFIRMATORY_EFFECTS, Cell
from fairprof.inference.differences import DesignRuns, judged_differences, paired_differences
from fairprof.inference.mitigation import (
    Study,
    effects,
    interactions,
    judged_attributes,
    substitutions,
    targets,
)
from fairprof.inference.multiplicity import sidak
from tests.inference.made_cells import cell, runs

DP, EO = "demographic_parity_difference/gender", "equal_opportunity_difference/gender"
NAMES = ["macro_f1", DP, EO]
GROUPS = [("gender", "Female"), ("gender", "Male")]


def study(cells: dict, mitigate: str = "gender") -> Study:
    return Study(NAMES, GROUPS, cells, mitigate)


FOUR = {
    ("A", "none"): cell((0.6, 0.10, 0.30), floors=(0, 0.02, 0.05)),
    ("A", "dfr"): cell((0.5, 0.12, 0.20), (0.4, 0.6), floors=(0, 0.02, 0.08)),
    ("B", "none"): cell((0.7, 0.20, 0.40), floors=(0, 0.03, 0.05)),
    ("B", "dfr"): cell((0.4, 0.25, 0.10), floors=(0, 0.01, 0.05)),
}


def values(table: pd.DataFrame, *keys: str) -> dict:
    return {tuple(row[:-1]): row[-1] for row in table[[*keys, "metric", "value"]].itertuples(index=False)}


def test_effects_are_differences_of_corrected_gaps_within_a_design():
    table, groups = effects(study(FOUR), delta=0.05)
    found = values(table, "design")
    assert found["A", "macro_f1"] == pytest.approx(-0.1)
    assert found["A", "demographic_parity_difference"] == pytest.approx(0.02)
    assert found["A", "equal_opportunity_difference"] == pytest.approx((0.20 - 0.08) - (0.30 - 0.05))
    assert found["B", "demographic_parity_difference"] == pytest.approx((0.25 - 0.01) - (0.20 - 0.03))
    of_a = groups[groups["design"].eq("A")].set_index("group")
    assert of_a["change"].to_dict() == pytest.approx({"Female": -0.1, "Male": 0.1})
    assert of_a["accuracy"].tolist() == pytest.approx([0.4, 0.6])
    assert of_a["accuracy_without"].tolist() == pytest.approx([0.5, 0.5])


def test_gaps_that_are_the_same_in_every_run_differ_in_nothing_whatever_their_floors_are():
    same = {
        method: cell((0.6, 0.10, 0.30), floors=(0, floor, 0.05)) for method, floor in (("none", 0.02), ("dfr", 0.03))
    }
    of_none = same["none"].quantities
    undefined = of_none.values.copy()
    undefined[0, 0, 1] = np.nan  # on these images a group had no rows
    same["none"] = same["none"]._replace(quantities=of_none._replace(values=undefined))
    table, _ = effects(study({("A", method): found for method, found in same.items()}), delta=0.05)
    of_gap = table[table["metric"].eq("demographic_parity_difference")].iloc[0]
    assert (of_gap["value"], of_gap["lower"], of_gap["upper"], of_gap["p_value"]) == (0, 0, 0, 1)
    assert of_gap["verdict"] == "equivalent"


def test_interactions_are_differences_of_effects():
    found = values(interactions(study(FOUR), "A", delta=0.05), "design", "reference", "method")
    assert found == pytest.approx(
        {
            ("B", "A", "dfr", "macro_f1"): (0.4 - 0.7) - (0.5 - 0.6),
            ("B", "A", "dfr", "demographic_parity_difference"): (0.24 - 0.17) - (0.10 - 0.08),
            ("B", "A", "dfr", "equal_opportunity_difference"): (0.05 - 0.35) - (0.12 - 0.25),
        }
    )


def test_substitutions_pair_other_designs_and_choose_by_corrected_gaps():
    table = substitutions(study(FOUR), delta=0.05)
    found = values(table, "design_without", "design_with", "method")
    assert len(found) == 2 * 3
    assert found["A", "B", "dfr", "equal_opportunity_difference"] == pytest.approx(0.05 - 0.25)
    assert found["B", "A", "dfr", "macro_f1"] == pytest.approx(0.5 - 0.7)
    chosen = table[table["chosen"]].set_index("metric")
    assert chosen["design_without"].to_dict() == {
        "macro_f1": "B",
        "demographic_parity_difference": "A",
        "equal_opportunity_difference": "A",
    }


def test_degenerate_cells_are_neither_judged_nor_chosen():
    cells = FOUR | {("B", "lisa"): cell((0.1, 0.0, 0.0), degenerate=True)}
    table = substitutions(study(cells), delta=0.05)
    assert set(table.loc[table["chosen"], "method"]) == {"dfr"}
    of_effects, groups = effects(study(cells), delta=0.05)
    of_gaps = of_effects[of_effects["method"].eq("lisa") & of_effects["attribute"].ne("")]
    assert set(of_gaps["verdict"]) == {"degenerate"}
    assert "degenerate" not in set(groups["verdict"])


def test_effects_and_groups_are_one_family():
    cells = {place: cell((0.5, 0.2, 0.2), noise=number) for number, place in enumerate(FOUR)}
    table, groups = effects(study(cells), delta=0.05)
    p_values = np.concatenate([table["p_value"], groups["p_value"]])
    np.testing.assert_allclose(np.concatenate([table["p_adjusted"], groups["p_adjusted"]]), sidak(p_values))
    assert len(p_values) == 2 * (3 + 2)


@pytest.mark.parametrize("shift", [0.0, 0.03, 0.3])
def test_intervals_exclude_zero_where_tests_reject(shift):
    cells = {place: cell((0.5, 0.2, 0.2 + shift * (number % 2)), noise=number) for number, place in enumerate(FOUR)}
    of_study = study(cells)
    tables = [*effects(of_study, 0.05), interactions(of_study, "A", 0.05), substitutions(of_study, 0.05)]
    for table in tables:
        excludes = (table["lower"] > 0) | (table["upper"] < 0)
        assert excludes.tolist() == (table["p_adjusted"] <= 0.05).tolist()


def test_a_method_that_is_another_design_differs_from_none_as_that_design_does():
    generator = np.random.default_rng(3)
    observed = generator.normal(0.3, 0.02, (3, 6, 3))
    images = generator.normal(0, 0.02, (3, 200, 6, 3))
    of_designs = {
        name: DesignRuns(base, base + noise, np.array([0, 0.01, 0.02]), np.zeros(3, dtype=int))
        for name, base, noise in zip("ABC", observed, images, strict=True)
    }
    found = paired_differences(NAMES, of_designs, range(6), "A", CONFIRMATORY_EFFECTS).table
    blank = found.assign(p_sign_flip=np.nan, p_sign_flip_adjusted=np.nan)
    expected = judged_differences(blank, 0.05)
    nobody = DesignRuns(np.zeros((6, 0)), np.zeros((200, 6, 0)), np.zeros(0), np.zeros(0, dtype=int))
    cells = {
        ("A", method): Cell(tuple(range(6)), of_designs[name], nobody)
        for method, name in {"none": "A", "dfr": "B", "lisa": "C"}.items()
    }
    table, groups = effects(Study(NAMES, [], cells, "gender"), 0.05)
    assert groups.empty
    tested = ("p_value", "p_adjusted", "lower", "upper", "verdict")  # whose error is taken in parts
    shared = [name for name in table if name not in ("design", "method", *tested)]
    pd.testing.assert_frame_equal(table[shared], expected[shared], check_dtype=False)


def test_seeds_that_a_cell_lacks_are_left_out_of_its_own_comparisons():
    cells = FOUR | {("B", "dfr"): cell((0.4, 0.25, 0.1), seeds=(0, 2, 3, 4, 5)), ("A", "lisa"): cell((0.6, 0.1, 0.3))}
    table, _ = effects(study(cells), 0.05)
    seeds = table.groupby(["design", "method"])["seeds"].first()
    assert seeds.to_dict() == {("A", "dfr"): 6, ("A", "lisa"): 6, ("B", "dfr"): 5}
    assert set(interactions(study(cells), "A", 0.05)["verdict"]) == {"no_claim_possible"}
    assert effects(study({("A", "none"): FOUR["A", "none"], ("A", "dfr"): cell((0, 0, 0), seeds=(9,))}), 0.05)[0].empty


def test_paired_seeds_are_those_of_the_same_number():
    base = np.arange(6.0)[:, None] * [0.01, 0.02, 0.03]
    none = Cell(tuple(range(6)), runs(base), runs(base[:, :2]))
    late = Cell((2, 3, 4, 5), runs(base[2:] + 0.1), runs(base[2:, :2]))
    table, _ = effects(study({("A", "none"): none, ("A", "dfr"): late}), 0.05)
    assert table["value"].tolist() == pytest.approx([0.1] * 3) and (table["standard_error"] < 1e-12).all()


def test_nothing_is_compared_without_runs_without_a_method_or_without_a_reference():
    alone = study({("A", "dfr"): FOUR["A", "dfr"], ("B", "none"): FOUR["B", "none"]})
    table, groups = effects(alone, 0.05)
    assert table.empty and groups.empty and substitutions(alone, 0.05).empty
    assert interactions(study(FOUR), "C", 0.05).empty


def test_methods_for_intersections_aim_at_both_attributes():
    assert targets("race") == ("demographic_parity_difference/race", "equal_opportunity_difference/race")
    assert len(targets("gender_x_race")) == 4
    assert judged_attributes("gender_x_race") == ("gender", "race", "gender_x_race")
    assert judged_attributes("gender") == ("gender",)
