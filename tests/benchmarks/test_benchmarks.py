"""`python -m benchmarks` measures every part on a machine like this one; whether claims hold is not asked here."""

import json
import operator
import os
import subprocess
import sys

import pytest

from benchmarks.__main__ import main
from tests.places import ROOT

COMPARED = {"<=": operator.le, "<": operator.lt, ">=": operator.ge, "==": operator.eq}


@pytest.fixture(scope="module")
def quick(tmp_path_factory, synthetic_cache):
    """What the quick benchmarks have printed and written; the embedded data set is given as a manifest of its files."""
    folder = tmp_path_factory.mktemp("benchmarks")
    (faces,) = synthetic_cache.glob("synthetic-*/labels.csv")
    (folder / "cache").mkdir()
    arguments = ["--quick", "--data", f"manifest:{faces}", "--output", "result.json", "--folder", folder / "cache"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, done.stdout, json.loads((folder / "result.json").read_text())


@pytest.mark.slow
def test_every_claim_has_a_measured_value_a_baseline_and_their_ratio(quick):
    _, printed, result = quick
    claims = {row["claim"]: row for row in result["ratios"]}
    measured = {name: row for name, row in claims.items() if not name.startswith("GPU")}
    cached = [name for name in measured if name.startswith("cached run of ")]
    assert [name[14] for name in cached] == ["B", "A"]
    simulated = [name for name in measured if name.startswith(("rejected ", "found ", "bands "))]
    assert len(simulated) == sum(len(result["inference"][part]) for part in ("rejected", "found", "covered")) > 2
    assert set(measured) - set(cached) - set(simulated) == {
        "1,000 bootstraps and permutations of gaps",
        "the same / fairlearn",
        "tests, bands and verdicts of one run",
        "read and drawn four times, manifest of 2,000",
        "peak memory, manifest of 2,000",
        "read and drawn four times, Parquet manifest of 3,000",
        "peak memory, Parquet manifest of 3,000",
        "pixels opened, checksums compared / decoded",
        "Grad-CAM / forward + layer4 backward",
        "Grad-CAM / pytorch-grad-cam, not cut",
        "validation of an epoch, on counts / from a table",
        "tables and metrics of a run",
        "pictures of a run",
        "comparison of 2 runs, a run",
        "training, layer2 / plain loop",
        "training, layer2 / plain loop, 2 workers",
        "training, layer2 / batch in memory",
        "2 runs, head / filling the cache",
        "outputs computed / distinct ones",
        "a wrong setting is refused",
        "a run from the cache, head: all of it",
        "that run / its training alone",
        "what that run leaves",
        "2 runs from the cache, head, compared: all of it",
        "a run of these, beyond its training",
        "what these runs leave",
        "training, layer2, shards / cache",
        "augmented images, shards / cache",
    }
    for row in measured.values():
        assert row["measured"] > 0 and row["baseline"] > 0
        assert row["ratio"] == pytest.approx(row["measured"] / row["baseline"])
        assert row["holds"] in ("yes", "NO") and row["wanted"] and row["unit"]
    assert len(claims) == len(measured) + 1  # the GPU's, whether there is one or not
    assert all(name in printed for name in claims)


@pytest.mark.slow
def test_what_does_not_depend_on_speed_holds(quick):
    _, _, result = quick
    prefix = result["prefix"]
    assert prefix["runs"] == 2
    assert prefix["computed"] == prefix["distinct"] > 0
    assert prefix["second_reused"] > 0
    assert [run["computed"] for run in prefix["cached_runs"].values()] == [0, 0]
    assert 0 < prefix["cached_runs"]["B"]["test_macro_f1_of_ceiling"] < 1
    assert result["pool"]["manifest of 2,000"]["rows"] == 2000


@pytest.mark.slow
def test_gaps_are_measured_and_are_faster_than_fairlearn_s(quick):
    measured = quick[2]["inference"]
    assert (measured["rows"], measured["replicates"]) == (2_000, 1_000)
    assert 0 < measured["gaps_seconds"] < measured["fairlearn_seconds"] / 100
    assert measured["gaps_seconds"] < measured["tested_seconds"] and measured["six_runs_seconds"] > 0


@pytest.mark.slow
def test_simulations_give_shares(quick):
    measured = {name: quick[2]["inference"][name] for name in ("rejected", "found", "covered")}
    assert {name: len(cases) for name, cases in measured.items()} == {"rejected": 2, "found": 3, "covered": 7}
    shares = {name: [share for case in cases.values() for share in case.values()] for name, cases in measured.items()}
    assert all(0 <= share <= 1 for of_name in shares.values() for share in of_name)
    # Of so few tables it is seen only that they are not upside down.
    assert max(shares["rejected"]) < 0.3
    assert min(case["equal_opportunity_difference"] for case in measured["found"].values()) > 0.7
    assert min(shares["covered"]) > 0.7


@pytest.mark.slow
def test_a_claim_holds_where_its_value_is_within_the_limit(quick):
    result = quick[2]
    rows = {row["claim"]: row for row in result["ratios"] if not row["claim"].startswith("GPU")}
    measured = result["inference"]
    assert rows["the same / fairlearn"]["ratio"] == measured["gaps_seconds"] / measured["fairlearn_seconds"]
    for row in rows.values():
        sign, limit, *_ = row["wanted"].split()
        value = row["measured"] if row["unit"] == "of tables" else row["ratio"]
        assert row["holds"] == ("yes" if COMPARED[sign](value, float(limit)) else "NO")


@pytest.mark.slow
def test_the_result_says_on_what_and_how_large_it_was_measured(quick):
    _, _, result = quick
    assert {"cores", "memory_gib", "gpu", "torch", "measured", "processor"} <= set(result["machine"])
    assert (result["scale"]["architecture"], result["scale"]["image_size"]) == ("resnet18", 32)
    assert result["data"] == "manifest"  # and not where it lies


@pytest.mark.slow
def test_nothing_else_is_left(quick):
    folder, _, _ = quick
    assert sorted(path.name for path in folder.iterdir()) == ["cache", "result.json"]
    assert list((folder / "cache").iterdir()) == []


def test_a_folder_that_is_not_there_is_one_line(tmp_path, monkeypatch, refused):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--quick", "--folder", str(tmp_path / "nowhere")])
    with refused(f"--folder: no folder {tmp_path / 'nowhere'}"):
        main()


def test_an_unknown_part_is_one_line(tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--quick", "--parts", "pool,speed"])
    with refused(
        "--parts: speed is not one of pool, opening, inference, gradcam, recording, training, prefix, starting, "
        "shards, gpu"
    ):
        main()
    assert list(tmp_path.iterdir()) == []
