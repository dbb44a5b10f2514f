"""Sentences on gaps that are split by age."""

import pandas as pd

from fairprof.inference.standardised_gaps import COLUMNS
from fairprof.reporting.blocks import Paragraph, Sentences
from fairprof.reporting.standardised_gap import standardised_blocks


def table(**changes) -> pd.DataFrame:
    women = ("gender", "retired", "Female", 300, 0.05, 0.03, 0.01, 0.05, 0.02, -0.01, 0.05, 0, 0)
    men = ("gender", "retired", "Male", 300, -0.05, -0.03, -0.05, -0.01, -0.02, -0.05, 0.01, 0, 0)
    cooks = ("gender", "cook", "Female", 300, 0.01, 0.0, -0.01, 0.01, 0.01, -0.01, 0.03, 0, 0)
    return pd.DataFrame([cooks, women, men], columns=COLUMNS).assign(**changes)


def sentences(found: pd.DataFrame) -> tuple[str, ...]:
    (block,) = [block for block in standardised_blocks(found) if isinstance(block, Sentences)]
    return block.items


def test_the_largest_difference_is_told_with_both_parts():
    assert sentences(table()) == (
        "By gender: retired is predicted for Female minus all others +.050; ages make +.030 [+.010, +.050] of it, and "
        "+.020 [−.010, +.050] remains at equal ages.",
    )


def test_models_are_named():
    both = pd.concat([table(arm="matched", design=design) for design in "AB"], ignore_index=True)
    assert [told.split(":")[0] for told in sentences(both)] == [
        f"Design {design} (arm matched), by gender" for design in "AB"
    ]


def test_what_cannot_be_split_is_said():
    (told,) = sentences(table(empty_strata=2, composition=float("nan"), remaining=float("nan"), without_age=1))
    assert told.endswith("this cannot be split, as 2 ages occur on one side only; 1 image without age left out.")
    (block,) = standardised_blocks(table().head(0))
    assert isinstance(block, Paragraph) and "No image has an age" in block.text
