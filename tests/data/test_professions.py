"""Pseudo-professions: the study's table, its label bias, reproducible draws, and the ceilings of the study."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fairprof.data.attributes import AGE_BINS
from fairprof.data.professions import (
    PROFESSION_GIVEN_AGE,
    PROFESSIONS,
    LabelBias,
    draw_professions,
    profession_probabilities,
)
from fairprof.data.sources import fairface, utkface
from fairprof.metrics.best_rules import best_scores


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
    return best_scores(probabilities), best_scores(probabilities, equal)


def test_the_ceilings_of_fairface_are_the_study_s(shared):
    natural, balanced = ceilings(fairface.read(shared / "data" / "fairface"))
    assert (round(natural["accuracy"], 3), round(natural["macro_f1"], 3)) == (0.625, 0.546)
    assert (round(balanced["balanced_accuracy"], 3), round(balanced["macro_f1"], 3)) == (0.532, 0.538)
    assert balanced["accuracy"] == pytest.approx(balanced["balanced_accuracy"])


def test_the_ceilings_of_utkface_are_the_study_s(shared):
    natural, balanced = ceilings(utkface.read(shared / "data" / "utkface"))
    assert round(natural["accuracy"], 3) == 0.704
    assert (round(balanced["balanced_accuracy"], 3), round(balanced["macro_f1"], 3)) == (
        0.626,
        0.618,
    )  # .617 without randomised rules
