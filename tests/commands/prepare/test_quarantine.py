"""What is lost, by reason and by group, and whether it hits the groups alike."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency

from fairprof.commands.prepare.quarantine import by_group, by_reason, kinds_of_reasons
from fairprof.inference.intervals import wilson_interval


@pytest.fixture
def losing(screened_of, cells_of):
    """Screened rows of two genders and races, so many of which have no profession."""

    def screen(lost: dict[tuple[str, str], int], rows_each: int = 40, unknown: int = 0):
        rows = cells_of({("test", g, r, p): rows_each // 2 for g in "mf" for r in "xy" for p in "sw"})
        for (gender, race), count in lost.items():
            for row in [row for row in rows if (row["gender"], row["race"]) == (gender, race)][:count]:
                row["profession"] = ""
        return screened_of(rows + [rows[-1] | {"image": f"u{number}", "gender": ""} for number in range(unknown)])

    return screen


def groups(screened, permutations: int = 999) -> pd.DataFrame:
    found = by_group(screened, permutations, np.random.default_rng(0))
    return found.set_index(["attribute", "group"])


def test_shares_and_intervals_by_hand(losing):
    found = groups(losing({("f", "y"): 10, ("m", "y"): 2}, unknown=3))
    assert found.loc[("gender", "f"), ["rows", "quarantined"]].tolist() == [80, 10]
    assert found.loc[("gender_x_race", "f x y"), "share"] == 10 / 40
    lower, upper = map(float, wilson_interval(15, 83))  # of the three whose gender is unknown, the race is known
    assert found.loc[("race", "y"), ["share", "lower", "upper"]].tolist() == pytest.approx([15 / 83, lower, upper])
    assert found.loc[("gender", "unknown"), ["rows", "quarantined", "share"]].tolist() == [3, 3, 1]
    for _, table in found.groupby("attribute"):
        assert table["rows"].sum() == 163 and table["quarantined"].sum() == 15


def test_unequal_losses_are_found_and_equal_ones_are_not(losing):
    unequal = groups(losing({("f", "y"): 10, ("m", "y"): 2}))
    # by the chi-square test, as an outside oracle
    by_race = chi2_contingency([[12, 68], [0, 80]], correction=False).pvalue
    assert unequal.loc[("race", "x"), "p_value"] == pytest.approx(by_race, abs=0.005)
    assert unequal.loc[("race", "x"), "p_holm"] <= 0.01
    equal = groups(losing({(g, r): 3 for g in "mf" for r in "xy"}))
    assert (equal["p_value"] == 1).all() and (equal["p_holm"] == 1).all()


def test_where_nothing_is_lost_there_is_nothing_to_test(losing):
    assert groups(losing({}))["p_holm"].isna().all()


def test_rows_by_reason_and_group_the_most_frequent_first(losing):
    found = by_reason(losing({("f", "y"): 3, ("m", "x"): 1}, unknown=2).quarantine)
    assert found.values.tolist() == [
        ["empty cell", "f", "y", 3],
        ["empty cell", "unknown", "y", 2],
        ["empty cell", "m", "x", 1],
    ]


def test_reasons_are_told_apart_but_for_names():
    reasons = {
        "duplicate: same file as a, b.png": "same file",
        "duplicate: same file under different labels, see b.png": "same file under different labels",
        "duplicate: same person or nearly the same image as a test image": (
            "same person or nearly the same image as a test image"
        ),
        "duplicate: the image is listed on an earlier line": "the image is listed on an earlier line",
        "unknown age: -3": "unknown age",
        "truncated image (12 bytes)": "truncated image",
        "missing image": "missing image",
    }
    assert kinds_of_reasons(pd.Series(list(reasons))).tolist() == list(reasons.values())
