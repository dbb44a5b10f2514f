"""Categories, their order and their encodings."""

import pandas as pd
import pytest

from fairprof.data.attributes import (
    AGE_BINS,
    FAIRFACE_RACES,
    GENDERS,
    UTKFACE_RACES,
    age_bin,
    age_bins,
    categorical,
    count_mangled_ages,
    decoded,
)


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        ("0", "0-2"),
        ("2", "0-2"),
        ("3", "3-9"),
        ("9", "3-9"),
        ("10", "10-19"),
        ("19", "10-19"),
        ("20", "20-29"),
        ("29", "20-29"),
        ("30", "30-39"),
        ("39", "30-39"),
        ("40", "40-49"),
        ("49", "40-49"),
        ("50", "50-59"),
        ("59", "50-59"),
        ("60", "60-69"),
        ("69", "60-69"),
        ("70", "70+"),
        ("116", "70+"),
        ("130", "70+"),
        (34, "30-39"),
        (" 7 ", "3-9"),
        ("007", "3-9"),
        ("34.0", "30-39"),
        ("more than 70", "70+"),
        ("9-Mar", "3-9"),
        ("03-Sep", "3-9"),
        ("Mar-09", "3-9"),
        ("19-Oct", "10-19"),
        ("Oct-19", "10-19"),
        *((name, name) for name in AGE_BINS),
    ],
)
def test_years_bins_and_spreadsheet_dates_have_their_bin(age, expected):
    assert age_bin(age) == expected


@pytest.mark.parametrize("age", ["", "-1", "131", "999", "34.5", "1e1", "abc", "nan", "3 - 9", "70-", "9-Apr", "0x10"])
def test_what_is_no_age_has_no_bin(age):
    assert age_bin(age) is None


def test_columns_of_ages_keep_their_index_and_count_what_a_spreadsheet_did():
    ages = pd.Series(["9-Mar", "x", "19-Oct", "5", "9-Mar"], index=[7, 3, 5, 1, 9])
    binned = age_bins(ages)
    assert binned.index.tolist() == [7, 3, 5, 1, 9]
    assert binned.fillna("missing").tolist() == ["3-9", "missing", "10-19", "3-9", "3-9"]
    assert count_mangled_ages(ages) == 3
    assert age_bins(pd.Series(["x", "y"])).isna().all()


@pytest.mark.parametrize(
    ("names", "codes", "meaning"),
    [
        (GENDERS, [0, 1], ["Male", "Female"]),
        (UTKFACE_RACES, [0, 1, 2, 3, 4], ["White", "Black", "Asian", "Indian", "Others"]),
        (
            FAIRFACE_RACES,
            [0, 1, 2, 3, 4, 5, 6],
            ["East Asian", "Indian", "Black", "White", "Middle Eastern", "Latino_Hispanic", "Southeast Asian"],
        ),
    ],
)
def test_codes_mean_what_the_data_sets_document(names, codes, meaning):
    assert decoded(pd.Series(codes), names).tolist() == meaning
    assert decoded(pd.Series([str(code) for code in codes]), names).tolist() == meaning
    assert decoded(pd.Series(meaning), names).tolist() == meaning
    assert decoded(pd.Series([len(codes), -1, "", "3.5", meaning[0].lower()], dtype=object), names).isna().all()


def test_categories_are_listed_ones_in_their_order_then_others_sorted_and_only_those_that_occur():
    values = pd.Series(["b", "z", "a", None, "c"])
    assert categorical(values, ("c", "missing", "b")).categories.tolist() == ["c", "b", "a", "z"]
    assert categorical(values, ("c", "b")).codes.tolist() == [1, 3, 2, -1, 0]
    assert categorical(pd.Series([None, None], dtype=object)).categories.tolist() == []
