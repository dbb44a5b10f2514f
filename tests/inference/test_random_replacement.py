"""Random replacement: the line against replacing by chance and the form for two classes; verdicts by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from fairprof.inference.cells import Cell
from fairprof.inference.differences import DesignRuns
from fairprof.inference.mitigation import Study
from fairprof.inference.over_runs import image_replicates
from fairprof.inference.random_replacement import (
    Chance,
    chance_replicates,
    random_replacement,
    replacement_lines,
)
from fairprof.metrics.fairness import (
    count_table,
    demographic_parity_difference,
    equal_opportunity_difference,
    rates,
)
from fairprof.metrics.performance import chance_scores, scores_from_counts
from fairprof.metrics.tradeoffs import replacement_line

DP, EO = "demographic_parity_difference/gender", "equal_opportunity_difference/gender"
NAMES = ["macro_f1", DP, EO]


def predictions(classes: int, images: int = 4000, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    names = np.array(["retired", "student", "teacher", "worker"][:classes])
    group, true = generator.integers(2, size=images), generator.integers(classes, size=images)
    right = generator.random(images) < np.where(group, 0.8, 0.5)
    predicted = np.where(right, true, np.minimum(true, generator.integers(classes, size=images)))
    return pd.DataFrame(
        {
            "image": np.arange(images),
            "gender": np.array(["Female", "Male"])[group],
            "y_true": names[true],
            "y_pred": names[predicted],
            **{f"probability_{name}": 1 / classes for name in names},
        }
    )


def largest(counts: np.ndarray) -> tuple[float, float]:
    found = rates(counts)
    return demographic_parity_difference(found).max(), equal_opportunity_difference(found).max()


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("share", [0.3, 0.8])
def test_replacing_predictions_by_chance_comes_to_the_line(classes, share):
    table, generator = predictions(classes), np.random.default_rng(1)
    counts, _ = count_table(table, "gender")
    drawn = []
    for _ in range(200):
        replaced = generator.random(len(table)) < share
        by_chance = table["y_pred"].sample(len(table), replace=True, random_state=generator).to_numpy()
        drawn.append(count_table(table.assign(y_pred=np.where(replaced, by_chance, table["y_pred"])), "gender")[0])
    expected = np.mean(drawn, axis=0)
    total = counts.sum(axis=0)
    score = float(scores_from_counts(total)["macro_f1"])
    chance = float(chance_scores(total)["macro_f1"])
    for gap, found in zip(largest(counts), largest(expected), strict=True):
        line = replacement_line(gap, score, chance, share)
        assert line[0] == pytest.approx(found, abs=0.005)
        assert line[1] == pytest.approx(float(scores_from_counts(expected.sum(axis=0))["macro_f1"]), abs=0.003)
    of_draws = np.mean([scores_from_counts(each.sum(axis=0))["macro_f1"] for each in drawn])
    assert line[1] == pytest.approx(of_draws, abs=0.003)  # macro-F1 is a ratio: its expectation all but equals this


def test_two_classes_have_the_form_of_fairea():
    table = predictions(2)
    right, positive = table["y_true"].eq(table["y_pred"]), table["y_pred"].eq("student").mean()
    true = table["y_true"].eq("student").mean()
    counts, _ = count_table(table, "gender")
    p = 0.4
    (gap, score), found = replacement_line(*_of(table), p), largest(counts)
    assert gap == pytest.approx((1 - p) * found[0])
    # F1 of a class from its own true positives and those by chance; how often it is predicted stays as it is
    classes = {"student": (true, positive), "retired": (1 - true, 1 - positive)}
    f1 = []
    for name, (share_true, share_predicted) in classes.items():
        hits = (right & table["y_true"].eq(name)).mean()
        f1.append(2 * ((1 - p) * hits + p * share_true * share_predicted) / (share_true + share_predicted))
    assert score == pytest.approx(np.mean(f1))


def _of(table: pd.DataFrame) -> tuple[float, float, float]:
    counts, _ = count_table(table, "gender")
    score = f1_score(table["y_true"], table["y_pred"], average="macro")
    return largest(counts)[0], score, float(chance_scores(counts.sum(axis=0))["macro_f1"])


def cell(score: float, gap: float, floor: float = 0.02, seeds: int = 6, degenerate: bool = False, noise: float = 0.001):
    generator = np.random.default_rng(int(1000 * (score + gap)))
    observed = np.array([score, gap + floor, gap + floor]) + noise * generator.normal(size=(seeds, 3))
    runs = DesignRuns(
        observed, np.stack([observed] * 20), np.array([0, floor, floor]), np.zeros(3, dtype=int), degenerate
    )
    return Cell(tuple(range(seeds)), runs, runs)


def judged(of_method: Cell, without: Cell, chance: float = 0.25) -> pd.Series:
    study = Study(NAMES, [], {("A", "none"): without, ("A", "dfr"): of_method}, "gender")
    seeds = len(without.seeds)
    table = random_replacement(study, {"A": Chance(np.full(seeds, chance), np.full((20, seeds), chance))})
    assert table["metric"].tolist() == [name.partition("/")[0] for name in NAMES[1:]]
    return table.iloc[0]


@pytest.mark.parametrize(
    ("score", "gap", "replaced", "share", "verdict"),
    [
        (0.40, 0.10, 0.45, 0.5, "under_the_line"),
        (0.60, 0.10, 0.45, 0.5, "above_the_line"),
        (0.45, 0.10, 0.45, 0.5, "not_established"),
        (0.60, 0.30, 0.65, 0.0, "under_the_line"),  # a larger gap, and less macro-F1 than without
        (0.20, -0.01, 0.25, 1.0, "under_the_line"),
        (0.30, -0.01, 0.25, 1.0, "above_the_line"),
    ],
)
def test_a_method_is_held_against_the_line_at_its_own_gap(score, gap, replaced, share, verdict):
    row = judged(cell(score, gap), cell(0.65, 0.20))
    assert row["macro_f1_of_replacement"] == pytest.approx(replaced, abs=0.01)
    assert row["share"] == pytest.approx(share, abs=0.02)
    assert row["difference"] == pytest.approx(row["macro_f1"] - row["macro_f1_of_replacement"])
    assert row["verdict"] == verdict
    assert (row["lower"] > 0 or row["upper"] < 0) == (row["p_adjusted"] <= 0.05)


def test_a_gap_that_may_as_well_be_that_without_the_method_puts_it_nowhere():
    """Its estimate alone lies where most predictions are replaced, whose macro-F1 it exceeds by far."""
    row = judged(cell(0.64, -0.01, noise=0.02), cell(0.65, 0.02, noise=0.02))
    assert row["share"] > 0.5 and row["difference"] > 0.2
    assert row["verdict"] == "not_established"
    assert row["lower"] < 0 < row["upper"]


def test_where_there_is_no_gap_to_reduce_a_method_is_held_against_none():
    row = judged(cell(0.5, -0.03), cell(0.65, -0.01))
    assert row["share"] == 0 and row["macro_f1_of_replacement"] == pytest.approx(0.65, abs=0.01)


def test_what_allows_no_claim_has_none():
    assert judged(cell(0.1, 0.0, degenerate=True), cell(0.65, 0.2))["verdict"] == "degenerate"
    assert judged(cell(0.1, 0.1, seeds=5), cell(0.65, 0.2, seeds=5))["verdict"] == "no_claim_possible"


def test_the_error_is_that_of_a_difference_of_ratios():
    """Against the spread of the difference itself over many studies that differ by seeds alone."""
    generator = np.random.default_rng(0)
    differences, errors = [], []
    for _ in range(300):
        study, chances = Study(NAMES, [], {}, "gender"), {"A": Chance(np.full(6, 0.25), np.full((20, 6), 0.25))}
        cells = {}
        for method, means in {"none": (0.65, 0.2, 0.2), "dfr": (0.45, 0.1, 0.1)}.items():
            observed = np.array(means) + 0.02 * generator.normal(size=(6, 3))
            runs = DesignRuns(observed, np.stack([observed] * 20), np.zeros(3), np.zeros(3, dtype=int))
            cells["A", method] = Cell(tuple(range(6)), runs, runs)
        row = random_replacement(study._replace(cells=cells), chances).iloc[0]
        differences.append(row["difference"])
        errors.append((row["upper"] - row["lower"]) / 2)
    assert np.mean(np.abs(differences) <= errors) >= 0.93
    assert np.std(differences) == pytest.approx(0.02 / np.sqrt(6) * np.sqrt(1 + 0.25 + 4 + 1), rel=0.15)


def test_chance_is_resampled_with_the_images_of_all_other_quantities():
    table = predictions(4, images=300)
    runs = [table, table.assign(y_pred="worker")]
    chance = chance_replicates(runs, 50, np.random.default_rng(5))
    replicates = image_replicates(runs, 50, np.random.default_rng(5), ["gender"])
    score = replicates.names.index("macro_f1")
    counts = count_table(table, "gender")[0].sum(axis=0)
    assert chance.observed[0] == pytest.approx(float(chance_scores(counts)["macro_f1"]))
    # one class stays what it is, whatever is replaced by it: chance is the score itself, on the very same images
    np.testing.assert_allclose(chance.values[:, 1], replicates.values[:, 1, score])
    assert chance.values[:, 1].std() > 0


def test_lines_go_from_none_to_chance():
    study = Study(NAMES, [], {("A", "none"): cell(0.65, 0.2, noise=0)}, "gender")
    lines = replacement_lines(study, {"A": Chance(np.full(6, 0.25), np.full((20, 6), 0.25))})
    of_gap = lines[lines["metric"].eq("demographic_parity_difference")]
    assert of_gap["share"].iloc[[0, 5, 10]].tolist() == pytest.approx([0, 0.5, 1])
    assert of_gap["gap"].iloc[[0, 5, 10]].tolist() == pytest.approx([0.2, 0.1, 0])
    assert of_gap["macro_f1"].iloc[[0, 5, 10]].tolist() == pytest.approx([0.65, 0.45, 0.25])
