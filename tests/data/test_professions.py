"""Pseudo-professions: the study's table, its label bias, reproducible draws, and the ceiling of what is possible."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, f1_score

from fairprof.data.attributes import AGE_BINS
from fairprof.data.professions import (
    PROFESSION_GIVEN_AGE,
    PROFESSIONS,
    LabelBias,
    bayes_ceiling,
    ceiling_rule,
    draw_professions,
    profession_probabilities,
)
from fairprof.data.sources import fairface, utkface


def series(*values: str) -> pd.Series:
    return pd.Series(values, dtype=object)


def probabilities_of(age: str, gender: str = "Male", race: str = "White", bias: LabelBias | None = None) -> np.ndarray:
    # the second row is of everybody's concern: every mode affects it
    return profession_probabilities(
        series(age, age), series(gender, "Female"), series(race, "Black"), bias or LabelBias()
    )[0]


def test_the_table_is_the_study_s(shared):
    rows = [
        line.split("|")[1:-1]
        for line in (shared / "seed.md").read_text().splitlines()
        if line.startswith("| ") and line.split("|")[1].strip() in AGE_BINS
    ]
    assert [row[0].strip() for row in rows] == list(AGE_BINS)
    np.testing.assert_array_equal(np.array([row[1:] for row in rows], dtype=float), PROFESSION_GIVEN_AGE)


def test_every_age_s_probabilities_sum_to_one():
    np.testing.assert_allclose(PROFESSION_GIVEN_AGE.sum(axis=1), 1, rtol=0, atol=1e-12)
    ages = pd.Series(AGE_BINS)
    same = pd.Series(["Female"] * 9)
    for mode in ("none", "gender"):
        rows = profession_probabilities(ages, same, same, LabelBias(mode, 0.4))
        np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=0, atol=1e-12)
    np.testing.assert_allclose(probabilities_of("70+"), [0, 0.10, 0.15, 0.75])


# 30-39: .05 .30 .60 .05; at strength .15 blue_collar .345, white_collar .51: the row's sum is .955
BIASED = np.array([0.05, 0.345, 0.51, 0.05]) / 0.955
FAIR = [0.05, 0.30, 0.60, 0.05]


@pytest.mark.parametrize(
    ("mode", "gender", "race", "expected"),
    [
        ("none", "Female", "Black", FAIR),
        ("gender", "Female", "White", BIASED),
        ("gender", "Male", "Black", FAIR),
        ("race", "Male", "Black", BIASED),
        ("race", "Male", "Latino_Hispanic", BIASED),
        ("race", "Female", "Indian", FAIR),
        ("race", "Male", "Monk 8-10", BIASED),
        ("intersectional", "Female", "Black", BIASED),
        ("intersectional", "Male", "Black", FAIR),
        ("intersectional", "Female", "White", FAIR),
    ],
)
def test_label_bias_changes_the_probabilities_of_those_whom_it_names(mode, gender, race, expected):
    np.testing.assert_allclose(probabilities_of("30-39", gender, race, LabelBias(mode)), expected, rtol=1e-12)


def test_the_strength_is_that_of_the_setting_and_zero_is_no_bias():
    # 20-29: .15 .35 .45 .05; at .4: blue_collar .49, white_collar .27; sum .96
    expected = np.array([0.15, 0.49, 0.27, 0.05]) / 0.96
    np.testing.assert_allclose(probabilities_of("20-29", "Female", bias=LabelBias("gender", 0.4)), expected)
    np.testing.assert_allclose(
        probabilities_of("20-29", "Female", bias=LabelBias("gender", 0.0)), [0.15, 0.35, 0.45, 0.05]
    )


def test_a_bias_that_affects_nobody_is_refused(refused):
    ages, genders, races = series("30-39", "30-39"), series("x", "y"), series("White", "Asian")
    for mode in ("gender", "race", "intersectional"):
        with refused(f"label_bias={mode}", "'x', 'y'", "'Asian', 'White'"):
            profession_probabilities(ages, genders, races, LabelBias(mode))


IMAGES = pd.Series([f"{number}.jpg" for number in range(20_000)])


def test_labels_depend_on_the_name_and_the_label_seed_alone():
    probabilities = np.tile(PROFESSION_GIVEN_AGE[3], (len(IMAGES), 1))
    labels = pd.Series(draw_professions(IMAGES, probabilities, 0), index=IMAGES)
    some = IMAGES.sample(500, random_state=1)
    assert draw_professions(some, probabilities[:500], 0).tolist() == labels[some].tolist()
    other = draw_professions(IMAGES, probabilities, 1)
    agreement = (other == labels).mean()  # by chance: the sum of squares .15, .35, .45, .05
    assert agreement == pytest.approx(0.35, abs=0.02)


@pytest.mark.parametrize("age", range(len(AGE_BINS)))
def test_labels_are_as_frequent_as_their_probabilities_say(age):
    probabilities = np.tile(PROFESSION_GIVEN_AGE[age], (len(IMAGES), 1))
    labels = pd.Series(draw_professions(IMAGES + AGE_BINS[age], probabilities, 0))
    counts = labels.value_counts().reindex(PROFESSIONS, fill_value=0).to_numpy()
    possible = PROFESSION_GIVEN_AGE[age] > 0
    assert counts[~possible].sum() == 0
    assert stats.chisquare(counts[possible], PROFESSION_GIVEN_AGE[age][possible] * len(IMAGES)).pvalue > 0.01


def ceilings(listing) -> tuple[dict, dict]:
    """The ceilings at the natural mix of professions and at an equal one."""
    rows = listing.rows
    probabilities = profession_probabilities(rows["age"], rows["gender"], rows["race"])
    equal = np.broadcast_to(1 / probabilities.mean(axis=0), probabilities.shape)
    return bayes_ceiling(probabilities), bayes_ceiling(probabilities, equal)


def test_the_ceilings_of_fairface_are_the_study_s(shared):
    natural, balanced = ceilings(fairface.read(shared / "data" / "fairface"))
    assert (round(natural["accuracy"], 3), round(natural["macro_f1"], 3)) == (0.625, 0.546)
    assert (round(balanced["balanced_accuracy"], 3), round(balanced["macro_f1"], 3)) == (0.532, 0.538)
    assert balanced["accuracy"] == pytest.approx(balanced["balanced_accuracy"])


def test_the_ceilings_of_utkface_are_the_study_s(shared):
    natural, balanced = ceilings(utkface.read(shared / "data" / "utkface"))
    assert round(natural["accuracy"], 3) == 0.704
    assert (round(balanced["balanced_accuracy"], 3), round(balanced["macro_f1"], 3)) == (0.626, 0.617)


def best_by_trying_everything(joint: np.ndarray) -> tuple[float, float, float]:
    """Accuracy, balanced accuracy and macro-F1 of the best rules kind -> class, by scikit-learn."""
    kinds, classes = joint.shape
    kind, truth = (numbers.ravel() for numbers in np.indices(joint.shape))
    weights = joint.ravel()
    scores = []
    for rule in product(range(classes), repeat=kinds):
        predicted = np.array(rule)[kind]
        scores.append(
            (
                weights[predicted == truth].sum() / weights.sum(),
                balanced_accuracy_score(truth, predicted, sample_weight=weights),
                f1_score(truth, predicted, average="macro", sample_weight=weights, zero_division=0),
            )
        )
    return tuple(np.max(scores, axis=0))


@pytest.mark.parametrize("seed", range(8))
def test_the_ceiling_is_that_of_the_best_of_all_rules(seed):
    generator = np.random.default_rng(seed)
    joint = generator.dirichlet(np.full(12, [0.3, 1.0][seed % 2])).reshape(4, 3)
    probabilities = joint / joint.sum(axis=1, keepdims=True)
    weights = np.broadcast_to(joint.sum(axis=1, keepdims=True), joint.shape)
    ceiling = bayes_ceiling(probabilities, weights)
    assert tuple(ceiling.values()) == pytest.approx(best_by_trying_everything(joint), rel=1e-9)


def macro_f1_of_all_rules(joint: np.ndarray) -> float:
    kinds, classes = joint.shape
    chosen = np.eye(classes)[np.array(list(product(range(classes), repeat=kinds)))]  # (rules, kinds, classes)
    hits, predicted = np.einsum("rik,ik->rk", chosen, joint), np.einsum("rik,i->rk", chosen, joint.sum(axis=1))
    return float((2 * hits / (predicted + joint.sum(axis=0))).mean(axis=1).max())


def test_macro_f1_is_the_best_of_all_rules_for_every_age_and_mix_of_ages():
    generator = np.random.default_rng(0)
    for concentration in (0.3, 1.0, 5.0):
        shares = generator.dirichlet(np.full(9, concentration))
        weights = np.broadcast_to(shares[:, None], (9, 4))
        best = macro_f1_of_all_rules(PROFESSION_GIVEN_AGE * weights)
        assert bayes_ceiling(PROFESSION_GIVEN_AGE, weights)["macro_f1"] == pytest.approx(best, rel=1e-9)


def test_macro_f1_is_the_best_of_all_rules_for_hundreds_of_small_problems():
    generator = np.random.default_rng(1)
    for _ in range(300):
        kinds, classes = generator.integers(2, 6), generator.integers(2, 5)
        joint = generator.dirichlet(np.full(kinds * classes, generator.choice([0.2, 1.0, 3.0]))).reshape(kinds, classes)
        ceiling = bayes_ceiling(np.full(joint.shape, 1 / classes) + 1e-6 * np.arange(kinds)[:, None], joint)
        joint = (1 / classes + 1e-6 * np.arange(kinds)[:, None]) * joint
        assert ceiling["macro_f1"] == pytest.approx(macro_f1_of_all_rules(joint / joint.sum()), rel=1e-9)


def test_the_ceiling_ignores_classes_that_cannot_occur_and_does_not_depend_on_the_order():
    sure = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert bayes_ceiling(sure) == {"accuracy": 1.0, "balanced_accuracy": 1.0, "macro_f1": 1.0}
    rows = PROFESSION_GIVEN_AGE[np.random.default_rng(0).integers(0, 9, 500)]
    expected = tuple(bayes_ceiling(rows).values())
    assert tuple(bayes_ceiling(rows[::-1, ::-1]).values()) == pytest.approx(expected)
    assert tuple(bayes_ceiling(np.repeat(rows, 3, axis=0)).values()) == pytest.approx(expected)


def test_the_ceiling_s_rule_reaches_the_ceiling_of_balanced_accuracy():
    probabilities = profession_probabilities(
        pd.Series(AGE_BINS * 50), pd.Series(["Male"] * 450), pd.Series(["x"] * 450)
    )
    rule = ceiling_rule(probabilities)
    hits = probabilities[np.arange(len(rule)), rule]
    recalls = [hits[rule == k].sum() / probabilities[:, k].sum() for k in range(4)]
    assert np.mean(recalls) == pytest.approx(bayes_ceiling(probabilities)["balanced_accuracy"])


def test_the_ceiling_s_rule_is_as_worked_by_hand():
    # the first class is rare: its totals are .5 and 2.5, so .2 / .5 beats .8 / 2.5, and 0 loses
    probabilities = np.array([[0.2, 0.8], [0.3, 0.7], [0.0, 1.0]])
    assert ceiling_rule(probabilities).tolist() == [0, 0, 1]
