"""The categories, their order and their encodings: nobody else knows that UTKFace's 1 is Female."""

import re

import numpy as np
import pandas as pd

AGE_BINS = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70+")
GENDERS = ("Male", "Female")
UTKFACE_RACES = ("White", "Black", "Asian", "Indian", "Others")
FAIRFACE_RACES = ("East Asian", "Indian", "Black", "White", "Middle Eastern", "Latino_Hispanic", "Southeast Asian")
SYNTHETIC_RACES = {"Monk 1-4": (1, 2, 3, 4), "Monk 5-7": (5, 6, 7), "Monk 8-10": (8, 9, 10)}

# Whom the label bias of seed.md disadvantages, under the names of every supported vocabulary.
BIASED_GENDERS = frozenset({"female", "woman", "women", "f"})
BIASED_RACES = frozenset({"Black", "Latino_Hispanic", "Monk 8-10"})

LAST_YEARS = (2, 9, 19, 29, 39, 49, 59, 69)  # of every bin but the open last one
OLDEST = 130

# Spreadsheets read 3-9 and 10-19 as dates; every spelling they write back for these two.
MANGLED_AGES = {
    **dict.fromkeys(("9-Mar", "09-Mar", "Mar-9", "Mar-09", "3-Sep", "03-Sep", "Sep-3", "Sep-03"), "3-9"),
    **dict.fromkeys(("19-Oct", "Oct-19"), "10-19"),
}
AGE_SYNONYMS = {"more than 70": "70+"}


def age_bin(value: str) -> str | None:
    """The bin of an age in whole years (``"34"``) or of a bin's name in any known spelling; None if it is neither."""
    text = str(value).strip()
    text = MANGLED_AGES.get(text, AGE_SYNONYMS.get(text, text))
    if text in AGE_BINS:
        return text
    if re.fullmatch(r"\d{1,3}(\.0*)?", text) and int(float(text)) <= OLDEST:
        return AGE_BINS[sum(int(float(text)) > last for last in LAST_YEARS)]
    return None


def age_bins(values: pd.Series) -> pd.Series:
    """`age_bin` of every value, with missing where a value is no age."""
    codes, found = pd.factorize(values)
    return pd.Series(
        pd.array([age_bin(value) for value in found], dtype="str").take(codes, allow_fill=True), values.index
    )


def count_mangled_ages(values: pd.Series) -> int:
    """How many ages a spreadsheet had turned into dates."""
    return int(values.isin(MANGLED_AGES).sum())


def decoded(codes: pd.Series, names: tuple[str, ...]) -> pd.Series:
    """Names of integer codes (``0`` is ``names[0]``); names pass through, anything else becomes missing."""
    meaning = {str(code): name for code, name in enumerate(names)} | {name: name for name in names}
    return codes.astype(str).str.strip().map(meaning)


def categorical(values: pd.Series, order: tuple[str, ...] = ()) -> pd.Categorical:
    """Values as a categorical of those that occur: in the given order, then unlisted ones sorted."""
    codes, found = pd.factorize(values)
    listed = [name for name in order if name in set(found)]
    categories = listed + sorted(set(found) - set(listed))
    places = pd.Index(categories).get_indexer(found)
    return pd.Categorical.from_codes(np.append(places, -1)[codes], categories)
