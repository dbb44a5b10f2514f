"""The verdict on a method: every one of them by hand."""

import pandas as pd
import pytest

from fairprof.inference.mitigation_verdicts import mitigation_verdicts

DP, EO = "demographic_parity_difference", "equal_opportunity_difference"


def verdict(
    changed: dict[str, float], groups: dict[str, tuple[float, float]], said: str = "established", mitigate="gender"
) -> pd.Series:
    """changed: what is established, by quantity. groups: lower and upper ends of their changes; without 0:
    established."""
    names = ["macro_f1", *(f"{metric}/{attribute}" for metric in (DP, EO) for attribute in ("gender", "race"))]
    parts = [name.partition("/") for name in names]
    effects = pd.DataFrame(
        {
            "design": "B",
            "method": "dfr",
            "metric": [metric for metric, _, _ in parts],
            "attribute": [attribute for _, _, attribute in parts],
            "class": ["max_over_classes" if attribute else "" for _, _, attribute in parts],
            "value": [changed.get(name, 0.0) for name in names],
            "p_adjusted": 0.01,
            "family": "confirmatory",
            "verdict": [said if name in changed else "not_established" for name in names],
        }
    )
    of_groups = pd.DataFrame(
        [
            {
                "design": "B",
                "method": "dfr",
                "attribute": "gender",
                "group": group,
                "change": (lower + upper) / 2,
                "lower": lower,
                "upper": upper,
                "verdict": "established" if lower > 0 or upper < 0 else "not_established",
            }
            for group, (lower, upper) in groups.items()
        ]
    )
    return mitigation_verdicts(effects, of_groups, mitigate, margin=0.05).iloc[0]


SAFE = {"Female": (0.01, 0.1), "Male": (-0.04, 0.03)}
UNSURE = {"Female": (0.01, 0.1), "Male": (-0.06, 0.03)}
HARMED = {"Female": (-0.01, 0.1), "Male": (-0.2, -0.06)}
LEVELLED = {"Female": (-0.06, 0.009), "Male": (-0.2, -0.06)}


@pytest.mark.parametrize(
    ("changed", "groups", "expected"),
    [
        ({f"{EO}/gender": -0.2}, SAFE, "fairer_without_harm"),
        ({f"{EO}/gender": -0.2}, UNSURE, "fairer_harm_not_ruled_out"),
        ({f"{EO}/gender": -0.2}, HARMED, "trade_off"),
        ({f"{EO}/gender": -0.2}, LEVELLED, "levelled_down"),
        ({f"{EO}/gender": -0.2, "macro_f1": -0.1}, SAFE, "trade_off"),
        ({f"{EO}/gender": -0.2, "macro_f1": 0.1}, SAFE, "fairer_without_harm"),
        ({f"{EO}/gender": -0.2, f"{DP}/race": 0.1}, SAFE, "trade_off"),
        ({f"{EO}/race": -0.2}, SAFE, "fairer_harm_not_ruled_out"),  # not the gap it is for
        ({f"{EO}/gender": 0.2}, SAFE, "worse"),
        ({"macro_f1": -0.2}, SAFE, "worse"),
        ({"macro_f1": 0.2}, SAFE, "nothing_established"),
        ({}, HARMED, "worse"),
        ({}, SAFE, "nothing_established"),
    ],
)
def test_every_verdict(changed, groups, expected):
    assert verdict(changed, groups)["verdict"] == expected


def test_what_it_rests_on_is_named():
    row = verdict({f"{EO}/gender": -0.2, f"{DP}/race": 0.1, "macro_f1": -0.1}, HARMED)
    assert (row["reduced"], row["enlarged"], row["harmed"]) == (f"{EO}/gender", f"{DP}/race", "gender/Male")
    assert row["lost"] and row["lowest"] == -0.2 and row["margin"] == 0.05


@pytest.mark.parametrize("said", ["degenerate", "no_claim_possible"])
def test_what_allows_no_claim_has_no_other_verdict(said):
    assert verdict({f"{EO}/gender": -0.2}, SAFE, said)["verdict"] == said


def test_a_group_whose_change_is_unknown_rules_out_that_nobody_is_harmed():
    row = verdict({f"{EO}/gender": -0.2}, SAFE | {"Other": (float("nan"), float("nan"))})
    assert row["verdict"] == "fairer_harm_not_ruled_out"
