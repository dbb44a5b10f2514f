"""Audits, started as a user starts them."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairprof.commands.prepare.run import run_preparation
from fairprof.config import PrepareSettings, Settings
from fairprof.data.pool import load_pool
from tests.entrypoints.runs import MLFLOW_WARNS, artifact, client, mlflow_run, runs_in, values
from tests.places import ROOT, mlflow_in
from tests.reporting.pages import needs_nothing_else

pytestmark = [pytest.mark.slow, *MLFLOW_WARNS]

QUICK = {"image_size": 32, "replicates": 100, "permutations": 99}


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """A manifest of 96 pictures of noise beside it, twelve in every cell, one of them no picture."""
    folder = tmp_path_factory.mktemp("faces")
    rows = []
    for number in range(96):
        name = f"{number:02d}.png"
        pixels = np.random.default_rng(number).integers(0, 256, (12, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((48, 48)).save(folder / name)
        cell = {
            "gender": "mf"[number % 2],
            "race": "xy"[number // 2 % 2],
            "profession": ("cook", "nurse")[number // 4 % 2],
        }
        rows.append({"image": name, **cell})
    (folder / "05.png").write_text("no image")
    pd.DataFrame(rows).to_csv(folder / "faces.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def prepared(faces, tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    settings = {"data": f"manifest:{faces / 'faces.csv'}", "cache_dir": folder / "cache", "sheet_images": 3, **QUICK}
    settings["shards"] = folder / "shards"
    done = mlflow_run(folder, str(ROOT), settings, ("-e", "prepare"))
    assert done.returncode == 0, done.stderr[-3000:]
    (run,) = runs_in(folder)
    return folder, run, done


def test_one_run_holds_the_audit(prepared):
    folder, run, done = prepared
    assert run.info.status == "FINISHED" and run.info.run_name == "prepare-manifest"
    assert run.data.tags["fairprof.role"] == "preparation" and run.data.tags["fairprof.data"] == "manifest"
    assert run.data.tags["fairprof.pool"] == run.data.params["pool_fingerprint"]
    assert {(entry.tags[0].value, len(entry.dataset.digest)) for entry in run.inputs.dataset_inputs} == {
        (context, 16) for context in ("train", "validation", "test")
    }
    measured = values(folder, run)
    assert (measured["data/rows"], measured["data/pool"], measured["data/quarantined"]) == (96, 95, 1)
    assert measured["data/train"] + measured["data/val"] + measured["data/test"] == 95
    assert measured["data/train_images/A"] == measured["data/train_images_matched/D"] > 0
    assert 0 < measured["data/equal_opportunity_difference_null_mean/race"] < 1
    assert "All four designs can be trained" in run.data.tags["mlflow.note.content"]
    assert "All four designs can be trained" in done.stdout and "Traceback" not in done.stderr


def test_the_pool_is_in_shards_as_well(prepared):
    folder, run, done = prepared
    assert f"data=shards:{folder / 'shards'}" in done.stdout
    pool = load_pool(Settings(data=f"shards:{folder / 'shards'}", cache_dir=str(folder / "cache")), QUICK["image_size"])
    assert pool.fingerprint == run.data.params["pool_fingerprint"]
    assert pool.pixel_cache.array[pool.table["pixel"].to_numpy()].shape == (95, 37, 37, 3)


def test_tables_pictures_sheets_and_one_page(prepared):
    folder, run, _ = prepared
    files = {
        entry.path for place in ("data", "sheets") for entry in client(folder).list_artifacts(run.info.run_id, place)
    }
    for name in ("sizes", "associations", "noise_floors", "quarantine_by_group", "two_way", "composition"):
        assert f"data/{name}.png" in files or f"data/{name}.csv" in files
    assert {"sheets/01-x.png", "sheets/02-y.png"} <= files
    sizes = pd.read_csv(artifact(folder, run, "data/sizes.csv"))
    assert sizes[sizes["partition"].eq("train")]["images"].min() == run.data.metrics["data/train_images/A"]
    assert pd.read_csv(artifact(folder, run, "data/quarantine.csv"))["reason"].tolist() == [
        "not an image in a known format"
    ]
    with Image.open(artifact(folder, run, "sheets/01-x.png")) as sheet:
        assert sheet.width > 700 and sheet.height > 4 * 100
    page = artifact(folder, run, "report.html").read_text()
    assert page.index("The answer") < page.index("Sizes of the designs")
    assert page.count("data:image/png;base64,") >= 5 and needs_nothing_else(page)


def test_a_data_set_that_is_refused_is_audited_all_the_same(prepared, faces, refused):
    folder, first, _ = prepared
    settings = {"data": f"manifest:{faces / 'faces.csv'}", "cache_dir": str(folder / "cache"), "sheet_images": 0}
    with mlflow_in(folder), refused("1 of 96 rows are unusable", "05.png", "report.html"):
        run_preparation(PrepareSettings(**settings | QUICK, max_quarantined_share=0))
    run = runs_in(folder)[-1]
    assert run.info.status == "FAILED" and run.data.tags["fairprof.pool"] == first.data.tags["fairprof.pool"]
    assert "nothing can be trained on this data set" in artifact(folder, run, "report.html").read_text()
    # the second audit of the same images decodes none
    assert "cache/seconds" in first.data.metrics and "cache/seconds" not in run.data.metrics
