"""`python -m benchmarks`: prints a table of ratios, each with its baseline from the same run, and writes it as JSON."""

import argparse
import json
import platform
import sys
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import psutil
import safetensors.torch
import torch
import torchvision

from benchmarks.gradcam import measure_gradcam
from benchmarks.inference import measure_inference
from benchmarks.opening import measure_opening
from benchmarks.pool import measure_fairface, measure_pool
from benchmarks.prefix import measure_prefix
from benchmarks.recording import measure_recording
from benchmarks.scale import FULL, QUICK, Scale, image_folder, settings_of
from benchmarks.shards import measure_shards
from benchmarks.starting import measure_starting
from benchmarks.training import measure_gpu, measure_training
from fairprof.config import Settings
from fairprof.data.pool import load_pool
from fairprof.errors import UserError, shown_in_one_line
from fairprof.runtime.cache import Cache
from fairprof.runtime.files import cache_folder

GPU_BATCH = 256


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--data", default="synthetic", help="the faces, as in the setting `data`")
    parser.add_argument("--weights", help="as in the setting `weights`; by default one file of random ones for all")
    parser.add_argument("--fairface", type=Path, help="folder with FairFace's two label files")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"which of {', '.join(PARTS)}")
    parser.add_argument("--output", type=Path, default=Path("benchmarks.json"), help="where the JSON goes")
    parser.add_argument("--folder", type=Path, help="where a temporary folder is made, for caches and runs")
    parser.add_argument("--quick", action="store_true", help="a small network and few steps: shows only that it runs")
    arguments = parser.parse_args()
    parts = arguments.parts.split(",")
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise UserError(f"--parts: {unknown[0]} is not one of {', '.join(PARTS)}")
    if arguments.folder and not arguments.folder.is_dir():
        raise UserError(f"--folder: no folder {arguments.folder.absolute()}")
    scale = QUICK if arguments.quick else FULL
    result = {"machine": machine(), "scale": vars(scale), "data": arguments.data.partition(":")[0]}
    with TemporaryDirectory(dir=arguments.folder) as folder:
        weights = arguments.weights or random_weights(scale, Path(folder))
        settings = settings_of(scale, arguments.data, weights, Path(folder).absolute() / "cache", finetune="layer2")
        for part in parts:
            result[part] = PARTS[part](scale, settings, arguments)
            # after every part: the later ones take long
            written = json.dumps(result | {"ratios": ratios(result)}, indent=2)
            arguments.output.write_text(written, encoding="utf-8")
    print(pd.DataFrame(ratios(result)).to_string(index=False, float_format="{:,.3g}".format, na_rep=""))


def random_weights(scale: Scale, folder: Path) -> str:
    """A file with random weights: all seeds start from the same ones, as they do from pretrained ones."""
    path = folder / "backbone.safetensors"
    safetensors.torch.save_file(torchvision.models.get_model(scale.architecture, weights=None).state_dict(), path)
    return str(path)


def pool(scale: Scale, settings: Settings, arguments: argparse.Namespace) -> dict:
    measured = {f"manifest of {rows:,}": measure_pool(rows) for rows in scale.pool_rows}
    measured[f"Parquet manifest of {scale.parquet_rows:,}"] = measure_pool(scale.parquet_rows, ".parquet")
    if arguments.fairface:
        measured["FairFace"] = measure_fairface(arguments.fairface)
    return measured


def opening(scale: Scale, settings: Settings, arguments: argparse.Namespace) -> dict:
    return measure_opening(settings)


def gradcam(scale: Scale, settings: Settings, arguments: argparse.Namespace) -> dict:
    return measure_gradcam(scale)


def inference(scale: Scale, settings: Settings, arguments: argparse.Namespace) -> dict:
    return measure_inference(arguments.quick)


def recording(scale: Scale, settings: Settings, arguments: argparse.Namespace) -> dict:
    return measure_recording(scale, settings, load_pool(settings, None))


def training(scale: Scale, settings: Settings, arguments: argparse.Namespace) -> dict:
    images = image_folder(settings, Cache.of(settings))
    return measure_training(scale, settings, load_pool(settings, settings.image_size), images)


def prefix(scale: Scale, settings: Settings, arguments: argparse.Namespace) -> dict:
    settings = settings.model_copy(update={"finetune": "head", "learning_rate": 1e-3})
    return measure_prefix(scale, settings, image_folder(settings, Cache.of(settings)))


def starting(scale: Scale, settings: Settings, arguments: argparse.Namespace) -> dict:
    settings = settings.model_copy(update={"finetune": "head", "learning_rate": 1e-3})
    with TemporaryDirectory(dir=arguments.folder) as folder:
        return measure_starting(scale, settings, load_pool(settings, settings.image_size), Path(folder).absolute())


def shards(scale: Scale, settings: Settings, arguments: argparse.Namespace) -> dict:
    with TemporaryDirectory(dir=arguments.folder) as folder:
        return measure_shards(scale, settings, load_pool(settings, settings.image_size), Path(folder))


def gpu(scale: Scale, settings: Settings, arguments: argparse.Namespace) -> dict:
    if not torch.cuda.is_available():
        return {"not measured": "PyTorch finds no GPU on this machine"}
    settings = settings.model_copy(update={"batch_size": GPU_BATCH})
    return measure_gpu(scale, settings, load_pool(settings, settings.image_size))


PARTS = {
    "pool": pool,
    "opening": opening,
    "inference": inference,
    "gradcam": gradcam,
    "recording": recording,
    "training": training,
    "prefix": prefix,
    "starting": starting,
    "shards": shards,
    "gpu": gpu,
}


def ratios(measured: dict[str, dict]) -> list[dict]:
    """A row per claim: what was measured, its baseline, their ratio, and the ratio that is asked for."""
    rows = []

    def row(claim: str, value: float, baseline: float, wanted: str, holds: bool, unit: str) -> None:
        rows.append(
            {
                "claim": claim,
                "measured": value,
                "baseline": baseline,
                "unit": unit,
                "ratio": value / baseline,
                "wanted": wanted,
                "holds": "yes" if holds else "NO",
            }
        )

    for name, pool in measured.get("pool", {}).items():
        seconds, peak = pool["load_seconds"] + pool["draw_seconds"], pool["peak_gib"]
        limit, most = (60, 4) if pool["rows"] > 1e6 else (10, 2)
        row(f"read and drawn four times, {name}", seconds, limit, "<= 1 (limit)", seconds <= limit, "s")
        row(f"peak memory, {name}", peak, most, "<= 1 (limit)", peak <= most, "GiB")
    if opening := measured.get("opening"):
        opened, decoded = opening["open_seconds"], opening["decode_seconds"]
        row("pixels opened, checksums compared / decoded", opened, decoded, "<= 0.05", 20 * opened <= decoded, "s")
    if inference := measured.get("inference"):
        seconds, fairlearn = inference["gaps_seconds"], inference["fairlearn_seconds"]
        row("1,000 bootstraps and permutations of gaps", seconds, 1, "<= 1 (limit)", seconds <= 1, "s")
        row("the same / fairlearn", seconds, fairlearn, "<= 0.0002", 5000 * seconds <= fairlearn, "s")
        tested = inference["tested_seconds"]
        row("tests, bands and verdicts of one run", tested, 1, "<= 1 (limit)", tested <= 1, "s")
        for case, shares in inference["rejected"].items():
            worst = max(shares.values())
            row(f"rejected without a gap: {case}", worst, 0.05, "<= 0.06", worst <= 0.06, "of tables")
        for case, shares in inference["found"].items():
            found = shares["equal_opportunity_difference"]
            row(f"found in 100 rows a group: rates {case}", found, 0.9, ">= 0.9", found >= 0.9, "of tables")
        for case, shares in inference["covered"].items():
            worst = min(shares.values())
            row(f"bands and bounds hold: {case}", worst, 0.95, ">= 0.93", worst >= 0.93, "of tables")
    if gradcam := measured.get("gradcam"):
        value, baseline = gradcam["gradcam"], gradcam["forward"] + gradcam["layer4_backward"]
        row("Grad-CAM / forward + layer4 backward", value, baseline, "<= 1.6", value <= 1.6 * baseline, "s")
        row("Grad-CAM / pytorch-grad-cam, not cut", value, gradcam["library"], "< 1", value < gradcam["library"], "s")
    if recording := measured.get("recording"):
        epoch, table = recording["epoch_seconds"], recording["table_seconds"]
        row("validation of an epoch, on counts / from a table", epoch, table, "<= 0.5", 2 * epoch <= table, "s")
        tables, pictures = recording["measure_seconds"], recording["picture_seconds"]
        row("tables and metrics of a run", tables, 0.8, "<= 1 (limit)", tables <= 0.8, "s")
        row("pictures of a run", pictures, 2, "<= 1 (limit)", pictures <= 2, "s")
        each = recording["comparison_seconds"] / recording["runs"]
        row(f"comparison of {recording['runs']} runs, a run", each, 0.6, "<= 1 (limit)", each <= 0.6, "s")
    if training := measured.get("training"):
        ours, plain, memory = training["fairprof"], training["plain"], training["in_memory"]
        row("training, layer2 / plain loop", ours, plain, ">= 1.8", ours >= 1.8 * plain, "images/s")
        workers = training["plain_workers"]
        row("training, layer2 / plain loop, 2 workers", ours, workers, ">= 1.8", ours >= 1.8 * workers, "images/s")
        row("training, layer2 / batch in memory", ours, memory, ">= 0.95", ours >= 0.95 * memory, "images/s")
    if prefix := measured.get("prefix"):
        for design, run in prefix["cached_runs"].items():
            took, plain = run["seconds"], run["plain_seconds"]
            claim = f"cached run of {design} ({run['images']:,.0f} images), head / plain loop"
            row(claim, took, plain, "< 0.02", took < plain / 50, "s")
        study, fill = prefix["study_seconds"], prefix["fill_seconds"]
        row(f"{prefix['runs']} runs, head / filling the cache", study, fill, "< 1.5", study < 1.5 * fill, "s")
        computed, distinct = prefix["computed"], prefix["distinct"]
        row("outputs computed / distinct ones", computed, distinct, "== 1", computed == distinct, "images")
    if starting := measured.get("starting"):
        refusal, run, study = starting["refusal_seconds"], starting["run"], starting["study"]
        row("a wrong setting is refused", refusal, 2, "<= 1 (limit)", refusal <= 2, "s")
        took, trained, left = run["seconds"], run["training_seconds"], run["bytes"] / 1e6
        row("a run from the cache, head: all of it", took, 12, "<= 1 (limit)", took <= 12, "s")
        row("that run / its training alone", took, trained, "<= 6", took <= 6 * trained, "s")
        row("what that run leaves", left, 110, "<= 1 (limit)", left <= 110, "MB")
        took, trained, left = study["seconds"], study["training_seconds"], study["bytes"] / 1e6
        row(
            f"{study['runs']} runs from the cache, head, compared: all of it",
            took,
            150,
            "<= 1 (limit)",
            took <= 150,
            "s",
        )
        each = (took - trained) / study["runs"]
        row("a run of these, beyond its training", each, 4, "<= 1 (limit)", each <= 4, "s")
        row("what these runs leave", left, 700, "<= 1 (limit)", left <= 700, "MB")
    if shards := measured.get("shards"):
        for part, claim in (("training", "training, layer2"), ("inputs", "augmented images")):
            ours, cached = shards[f"shards_{part}"], shards[f"cache_{part}"]
            row(f"{claim}, shards / cache", ours, cached, ">= 0.95", ours >= 0.95 * cached, "images/s")
    if "fairprof" in (gpu_rates := measured.get("gpu", {})):
        ours, memory = gpu_rates["fairprof"], gpu_rates["in_memory"]
        row("GPU, layer2, bf16 / batch in memory", ours, memory, ">= 2,000 images/s", ours >= 2000, "images/s")
    elif gpu_rates:
        rows.append({"claim": f"GPU, layer2, bf16: not measured, {gpu_rates['not measured']}"})
    return rows


def machine() -> dict[str, str | int]:
    return {
        "measured": datetime.now().isoformat(timespec="seconds"),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": psutil.cpu_count(logical=False) or psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
    }


if __name__ == "__main__":
    with shown_in_one_line(cache_folder("auto") / "logs"):
        main()
