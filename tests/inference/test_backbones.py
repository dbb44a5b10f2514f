"""Backbones crossed with designs: by hand, against SciPy's paired t test, and under other names."""

from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t, ttest_1samp, ttest_rel

from benchmarks.simulations.backbones import study_by_seed
from benchmarks.simulations.designs import normal_seeds
from fairprof.inference.backbones import (
    CONTRAST_COLUMNS,
    INTERACTION_COLUMNS,
    MOVE_COLUMNS,
    Crossed,
    contrasts,
    expected_range,
    interactions,
    moves,
)
from fairprof.inference.cells import Cell
from fairprof.inference.differences import DesignRuns
from fairprof.inference.multiplicity import sidak
from tests.inference.made_cells import cell, runs

DP = "demographic_parity_difference/gender"
NAMES = ["macro_f1", "accuracy", DP]
BACKBONES = ("small", "large")
MEANS = {  # macro-F1, accuracy and DP, with the floor of the last
    ("A", "small"): ((0.50, 0.6, 0.10), 0.02),
    ("B", "small"): ((0.52, 0.6, 0.12), 0.02),
    ("C", "small"): ((0.54, 0.6, 0.20), 0.04),
    ("A", "large"): ((0.70, 0.8, 0.10), 0.01),
    ("B", "large"): ((0.74, 0.8, 0.14), 0.01),
    ("C", "large"): ((0.72, 0.8, 0.30), 0.04),
}


def made(noise: bool = False, means: dict = MEANS, **of_cells) -> Crossed:
    cells = {
        place: cell(found, floors=(0, 0, floor), noise=number if noise else None, **of_cells)
        for number, (place, (found, floor)) in enumerate(means.items())
    }
    return Crossed(NAMES, cells, BACKBONES)


def value(table: pd.DataFrame, metric: str, **place: str) -> float:
    chosen = table[table["metric"].eq(metric)]
    for column, name in place.items():
        chosen = chosen[chosen[column].eq(name)]
    return chosen["value"].item()


def test_contrasts_are_differences_of_means_over_the_other_factor():
    table = contrasts(made(), delta=0.05)
    assert list(table) == list(CONTRAST_COLUMNS)
    assert len(table) == (3 + 1) * 3
    assert value(table, "macro_f1", level="large", reference="small") == pytest.approx((0.2 + 0.22 + 0.18) / 3)
    assert value(table, "macro_f1", level="C", reference="A") == pytest.approx((0.04 + 0.02) / 2)
    gap = "demographic_parity_difference"
    assert value(table, gap, level="C", reference="B") == pytest.approx(((0.16 - 0.10) + (0.26 - 0.13)) / 2)
    assert value(table, gap, level="large", reference="small") == pytest.approx((0.01 + 0.03 + 0.10) / 3)
    assert set(table.loc[table["metric"].eq("accuracy"), "family"]) == {"exploratory"}


def test_interactions_are_what_a_design_changes_with_one_backbone_less_with_the_other():
    table = interactions(made(), "A", delta=0.05)
    assert list(table) == list(INTERACTION_COLUMNS) and len(table) == 2 * 2
    assert set(table["backbone"]) == {"large"} and set(table["reference_backbone"]) == {"small"}
    assert value(table, "macro_f1", design="B") == pytest.approx(0.04 - 0.02)
    assert value(table, "demographic_parity_difference", design="C") == pytest.approx((0.26 - 0.09) - (0.16 - 0.08))


def test_the_factor_with_the_larger_range_of_main_effects_moves_more():
    table = moves(made()).set_index("metric")
    assert table.columns.tolist() == list(MOVE_COLUMNS)[1:]
    score, gap = table.loc["macro_f1"], table.loc["demographic_parity_difference"]
    assert score["range_of_backbone"] == pytest.approx(0.2) and score["range_of_composition"] == pytest.approx(0.03)
    assert gap["range_of_composition"] == pytest.approx((0.16 + 0.26) / 2 - (0.08 + 0.09) / 2)
    assert gap["range_of_backbone"] == pytest.approx(0.14 / 3)
    # without any noise each interval is a point
    assert (score["lower"], score["upper"]) == pytest.approx((0.17, 0.17)) and score["verdict"] == "backbone_moves_more"
    assert gap["lower"] == pytest.approx(gap["difference"]) and gap["verdict"] == "composition_moves_more"
    assert table[["p_adjusted", "expected_by_chance_of_backbone"]].to_numpy() == pytest.approx(0, abs=1e-12)


def by_seed(study: Crossed, design: str, backbone: str, column: int = 0) -> np.ndarray:
    found = study.cells[design, backbone].quantities
    return found.observed[:, column] - found.floors[column]


def test_where_images_do_not_vary_tests_are_paired_t_tests_over_seeds():
    study = made(noise=True)
    of_small, of_large = (np.mean([by_seed(study, d, name) for d in "ABC"], axis=0) for name in BACKBONES)
    table = contrasts(study, delta=0.05)
    row = table[table["factor"].eq("backbone") & table["metric"].eq("macro_f1")].iloc[0]
    assert row["p_value"] == pytest.approx(ttest_rel(of_large, of_small).pvalue, rel=1e-6)
    confirmatory = table[table["family"].eq("confirmatory")]
    np.testing.assert_allclose(confirmatory["p_adjusted"], sidak(confirmatory["p_value"]))
    assert len(confirmatory) == 4 * 2

    a, b, c, d = (by_seed(study, design, name) for design in "BA" for name in ("large", "small"))
    of_score = interactions(study, "A", delta=0.05)
    row = of_score[of_score["metric"].eq("macro_f1") & of_score["design"].eq("B")].iloc[0]
    assert row["p_value"] == pytest.approx(ttest_1samp(a - b - c + d, 0).pvalue, rel=1e-6)


def test_of_two_designs_and_two_backbones_the_corners_decide_which_moves_more():
    """(b1 - b2) - (d1 - d2) is then a difference of two cells."""
    means = {place: found for place, found in MEANS.items() if place[0] in "AC"}
    study = made(noise=True, means=means)
    found = moves(study).set_index("metric").loc["macro_f1"]
    tests = [  # large less small is more than C less A, and than A less C
        ttest_rel(by_seed(study, one, "large"), by_seed(study, other, "small"), alternative="greater")
        for one, other in (("A", "C"), ("C", "A"))
    ]
    # two ordered pairs of backbones, two directions, two quantities
    assert found["p_value"] == pytest.approx(2 * 2 * max(test.pvalue for test in tests), rel=1e-6)
    assert found["p_adjusted"] == pytest.approx(2 * found["p_value"])
    level = 1 - 0.05 / (2 * 2 * 2)
    lower = min(test.confidence_interval(level).low for test in tests)
    assert found["lower"] == pytest.approx(lower)


def with_images(generator: np.random.Generator, backbones: int, designs: int, scale: float = 0.05) -> Crossed:
    """Cells whose seeds and images vary."""
    names = ["macro_f1", DP, "equal_opportunity_difference/race"]
    nobody = DesignRuns(np.zeros((7, 0)), np.zeros((50, 7, 0)), np.zeros(0), np.zeros(0, dtype=int))
    cells = {}
    for design in "ABCD"[:designs]:
        for backbone in "pqrs"[:backbones]:
            observed = generator.normal(0.5, scale) + 0.02 * generator.normal(size=(7, 3))
            values = observed + 0.01 * generator.normal(size=(50, 1, 3)) + 0.01 * generator.normal(size=(50, 7, 3))
            quantities = DesignRuns(observed, values, 0.01 * generator.random(3), np.zeros(3, dtype=int))
            cells[design, backbone] = Cell(tuple(range(7)), quantities, nobody)
    return Crossed(names, cells, tuple("pqrs"[:backbones]))


@pytest.mark.parametrize("seed", range(3))
def test_bounds_are_the_best_of_a_factors_pairs_against_the_worst_of_the_others(seed):
    """Written out, pair by pair, from the contrasts and their parts."""
    study = with_images(np.random.default_rng(seed), 3, 4)
    found = moves(study)

    def main(column: int, field: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
        def of(places):
            chosen = [study.cells[place].quantities for place in places]
            return np.mean([getattr(runs, field)[..., column] - runs.floors[column] for runs in chosen], axis=0)

        return (
            [of([(design, name) for design in "ABCD"]) for name in "pqr"],
            [of([(design, name) for name in "pqr"]) for design in "ABCD"],
        )

    for column, row in enumerate(found.itertuples()):
        (of_backbones, of_designs), (b_images, d_images) = main(column, "observed"), main(column, "values")
        ends = {"lower": [], "upper": []}
        for one, other in permutations(range(3), 2):
            for design, another in permutations(range(4), 2):
                x = of_backbones[one] - of_backbones[other] - of_designs[design] + of_designs[another]
                images = b_images[one] - b_images[other] - d_images[design] + d_images[another]
                of_mean = images.mean(axis=1).var(ddof=1)
                both = max(images.var(axis=0, ddof=1).mean() - of_mean, 0) / 6
                half = {
                    end: np.sqrt(
                        t.isf(level, 6) ** 2 * x.var(ddof=1) / 7 + t.isf(level, 49) ** 2 * max(of_mean - both, 0)
                    )
                    for end, level in (("lower", 0.05 / (2 * 3 * 6)), ("upper", 0.05 / (2 * 3 * 12)))
                }
                ends["lower"].append(x.mean() - half["lower"])
                ends["upper"].append(x.mean() + half["upper"])
        by_pairs = {end: np.reshape(bounds, (6, 12)) for end, bounds in ends.items()}
        assert row.lower == pytest.approx(by_pairs["lower"].min(axis=1).max())
        assert row.upper == pytest.approx(by_pairs["upper"].max(axis=0).min())
        assert row.lower <= row.difference <= row.upper
        assert row.difference == pytest.approx(
            np.ptp([each.mean() for each in of_backbones]) - np.ptp([each.mean() for each in of_designs])
        )
        excludes = row.lower > 0 or row.upper < 0
        assert excludes == (row.p_adjusted <= 0.05)
        assert (row.verdict != "not_established") == excludes


@pytest.mark.parametrize("scale", [0.0, 0.1, 0.3])
def test_renamed_and_reordered_levels_change_nothing(scale):
    study = with_images(np.random.default_rng(5), 3, 3, scale)
    names = {"A": "C", "B": "A", "C": "B"}
    cells = {(names[design], name): found for (design, name), found in reversed(study.cells.items())}
    other = study._replace(cells={place: cells[place] for place in sorted(cells)}, backbones=("r", "p", "q"))
    pd.testing.assert_frame_equal(moves(other), moves(study))
    one, two = (contrasts(each, 0.05) for each in (study, other))
    assert sorted(one["value"].abs()) == pytest.approx(sorted(two["value"].abs()))
    assert sorted(one["p_adjusted"]) == pytest.approx(sorted(two["p_adjusted"]))


def test_swapped_factors_swap_which_moves_more():
    study = with_images(np.random.default_rng(8), 3, 3, scale=0.2)
    turned = {"ABC"["pqr".index(name)]: name for name in "pqr"}
    cells = {
        ("ABC"["pqr".index(name)], "pqr"["ABC".index(design)]): found for (design, name), found in study.cells.items()
    }
    other = Crossed(study.names, {(d, b): cells[d, b] for d in turned for b in "pqr"}, ("p", "q", "r"))
    one, two = moves(study), moves(other)
    np.testing.assert_allclose(one["lower"], -two["upper"])
    np.testing.assert_allclose(one["p_value"], two["p_value"])
    swap = {"backbone_moves_more": "composition_moves_more", "composition_moves_more": "backbone_moves_more"}
    assert [swap.get(verdict, verdict) for verdict in one["verdict"]] == two["verdict"].tolist()


@pytest.mark.parametrize(("levels", "deviations"), [(2, 1.12838), (4, 2.05875), (7, 2.70436)])
def test_the_range_expected_by_chance_is_tippetts(levels, deviations):
    assert expected_range(levels, np.array([0.5])) == pytest.approx(0.5 * deviations, abs=1e-4)


def test_the_range_of_backbones_by_chance_is_that_of_their_contrasts():
    study = with_images(np.random.default_rng(2), 3, 2, scale=0)
    table = contrasts(study, 0.05)
    row = moves(study).iloc[1]
    of_gap = table[table["factor"].eq("backbone") & table["attribute"].eq("gender")]
    half = of_gap["value"] - of_gap["lower"]
    assert (half > 0).all()
    variances = []
    for one, other in combinations("pqr", 2):
        x, images = (
            np.mean(
                [getattr(study.cells[d, one].quantities, f)[..., 1] for d in "AB"]
                + [-getattr(study.cells[d, other].quantities, f)[..., 1] for d in "AB"],
                axis=0,
            )
            * 2
            for f in ("observed", "values")
        )
        of_mean = images.mean(axis=1).var(ddof=1)
        both = max(images.var(axis=0, ddof=1).mean() - of_mean, 0) / 6
        variances.append(x.var(ddof=1) / 7 + max(of_mean - both, 0))
    deviation = np.sqrt(np.mean(variances) / 2)
    assert row["expected_by_chance_of_backbone"] == pytest.approx(1.69257 * deviation, rel=1e-4)


def test_runs_that_do_not_differ_move_nothing():
    """Corners that cancel but for rounding establish nothing."""
    generator = np.random.default_rng(1)
    base = {name: 0.3 + 0.1 * generator.random((6, 3)) for name in ("one", "two", "three")}
    of_places = {("A", "small"): "one", ("A", "large"): "two", ("B", "small"): "two", ("B", "large"): "three"}
    cells = {
        place: Cell(tuple(range(6)), runs(base[name]), runs(base[name][:, :2])) for place, name in of_places.items()
    }
    table = moves(Crossed(NAMES, cells, BACKBONES))
    assert (table["p_value"] == 1).all() and table["verdict"].eq("not_established").all()
    same = {place: cells["A", "small"] for place in cells}
    alike = Crossed(NAMES, same, BACKBONES)
    assert (moves(alike)["upper"] == 0).all() and (moves(alike)["lower"] == 0).all()
    assert set(contrasts(alike, 0.05)["verdict"]) == set(interactions(alike, "A", 0.05)["verdict"]) == {"equivalent"}


def test_fewer_than_six_seeds_allow_no_claim():
    study = made(seeds=range(5))
    assert set(moves(study)["verdict"]) == {"no_claim_possible"}
    assert set(contrasts(study, 0.05)["verdict"]) == set(interactions(study, "A", 0.05)["verdict"])
    assert set(moves(made(seeds=[3]))["scope"]) == {"these models"}


def test_a_seed_that_a_cell_lacks_is_left_out_where_it_stands():
    study = made(noise=True)
    lacking = cell((0.7, 0.8, 0.3), floors=(0, 0, 0.04), seeds=(0, 1, 2, 4, 5))
    study = study._replace(cells=dict(study.cells) | {("C", "large"): lacking})
    table = contrasts(study, 0.05)
    seeds = table.groupby(["factor", "level", "reference"])["seeds"].first()
    assert seeds["composition", "B", "A"] == 6 and seeds["composition", "C", "A"] == 5
    assert set(moves(study)["seeds"]) == {5}
    of_interactions = interactions(study, "A", 0.05).groupby("design")["seeds"].first()
    assert of_interactions.to_dict() == {"B": 6, "C": 5}


def test_designs_that_a_backbone_lacks_are_not_crossed():
    study = made(noise=True)
    cells = {place: found for place, found in study.cells.items() if place != ("B", "large")}
    less = study._replace(cells=cells)
    assert less.levels == {"composition": ["A", "C"], "backbone": ["small", "large"]}
    table = contrasts(less, 0.05)
    assert set(table["level"]) == {"C", "large"}
    expected = ((0.7 + 0.72) - (0.5 + 0.54)) / 2
    assert value(table, "macro_f1", level="large") == pytest.approx(expected, abs=0.02)
    assert set(interactions(less, "A", 0.05)["design"]) == {"C"}


def test_one_backbone_or_one_design_leaves_nothing_to_weigh():
    study = made(noise=True)
    one_design = study._replace(cells={place: found for place, found in study.cells.items() if place[0] == "A"})
    assert moves(one_design).empty and interactions(one_design, "A", 0.05).empty
    assert set(contrasts(one_design, 0.05)["factor"]) == {"backbone"}
    one_backbone = study._replace(cells={place: found for place, found in study.cells.items() if place[1] == "small"})
    assert one_backbone.levels["backbone"] == ["small"]
    assert moves(one_backbone).empty and set(contrasts(one_backbone, 0.05)["factor"]) == {"composition"}
    apart = {("A", "small"): cell((0, 0, 0)), ("A", "large"): cell((0, 0, 0), seeds=(9,))}
    assert contrasts(Crossed(NAMES, apart, BACKBONES), 0.05).empty


def test_gaps_of_degenerate_models_are_not_judged_and_scores_are():
    study = made(noise=True)
    cells = dict(study.cells) | {("B", "large"): cell((0.1, 0.2, 0.0), degenerate=True)}
    study = study._replace(cells=cells)
    table = moves(study).set_index("metric")["verdict"]
    assert table["demographic_parity_difference"] == "degenerate" and table["macro_f1"] != "degenerate"
    found = contrasts(study, 0.05)
    found = found[found["metric"].eq("demographic_parity_difference")].set_index(["level", "reference"])["verdict"]
    assert found["C", "A"] != "degenerate"
    assert found[[("B", "A"), ("C", "B"), ("large", "small")]].eq("degenerate").all()


def test_a_gap_that_a_run_does_not_have_is_undefined_and_costs_the_others_nothing():
    study = made(noise=True)
    quantities = study.cells["A", "small"].quantities
    observed = quantities.observed.copy()
    observed[2, 2] = np.nan
    lacking = study.cells["A", "small"]._replace(quantities=quantities._replace(observed=observed))
    found = moves(study._replace(cells=dict(study.cells) | {("A", "small"): lacking})).set_index("metric")
    gap, score = found.loc["demographic_parity_difference"], found.loc["macro_f1"]
    assert gap["verdict"] == "undefined" and np.isnan(gap["p_adjusted"]) and np.isnan(gap["lower"])
    assert score["p_adjusted"] == score["p_value"] and score["verdict"] == "backbone_moves_more"


@pytest.mark.slow
@pytest.mark.parametrize("images", [0.1, 2])
def test_ranges_of_what_changes_nothing_are_about_what_is_expected_by_chance(images):
    """images: what they vary by, as a multiple of what seeds do."""
    generator = np.random.default_rng(11)
    levels = dict(of_backbones=(0, 0, 0), of_designs=(0, 0), noises=(0.02,) * 3)
    tables = [moves(study_by_seed(generator, noise=normal_seeds, images=images, **levels)) for _ in range(25)]
    found = pd.concat(tables)
    expected = found["expected_by_chance_of_backbone"].mean()
    assert found["range_of_backbone"].mean() == pytest.approx(expected, rel=0.15)
