"""The benchmark of the inference in small; its simulations serve the tests of the metrics, too."""

import json
import sys

import pytest

from benchmarks.__main__ import main

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def quick(tmp_path_factory) -> dict:
    """What `python -m benchmarks --quick --parts inference` has written."""
    output = tmp_path_factory.mktemp("benchmarks") / "result.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["benchmarks", "--quick", "--parts", "inference", "--output", str(output)])
        main()
    return json.loads(output.read_text())


def test_gaps_are_measured_and_are_faster_than_fairlearn_s(quick):
    measured = quick["inference"]
    assert (measured["rows"], measured["replicates"]) == (2_000, 1_000)
    assert 0 < measured["gaps_seconds"] < measured["fairlearn_seconds"] / 100
    assert measured["gaps_seconds"] < measured["tested_seconds"] and measured["six_runs_seconds"] > 0


def test_simulations_give_shares(quick):
    measured = {name: quick["inference"][name] for name in ("rejected", "found", "covered")}
    assert {name: len(cases) for name, cases in measured.items()} == {"rejected": 2, "found": 3, "covered": 7}
    shares = {name: [share for case in cases.values() for share in case.values()] for name, cases in measured.items()}
    assert all(0 <= share <= 1 for of_name in shares.values() for share in of_name)
    # Of so few tables it is seen only that they are not upside down.
    assert max(shares["rejected"]) < 0.3
    assert min(case["equal_opportunity_difference"] for case in measured["found"].values()) > 0.7
    assert min(shares["covered"]) > 0.7


def test_every_claim_is_a_row(quick):
    rows = {row["claim"]: row for row in quick["ratios"]}
    assert len(rows) == 3 + 2 + 3 + 7
    measured = quick["inference"]
    assert rows["the same / fairlearn"]["ratio"] == measured["gaps_seconds"] / measured["fairlearn_seconds"]
    for row in rows.values():
        limit = float(row["wanted"].split()[1])
        value = row["measured"] if row["unit"] == "of tables" else row["ratio"]
        assert row["holds"] == (
            "yes" if (value <= limit if row["wanted"].startswith("<=") else value >= limit) else "NO"
        )
