"""A comparison of methods on predictions whose truth is known: runs, study and selections."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from fairprof.commands.compare.collect import RunResults
from fairprof.commands.compare.mitigation.protocol import MitigationStudy
from fairprof.commands.compare.protocol import Protocol
from fairprof.metrics.fairness import in_categories
from fairprof.store.tracking import LoggedRun

CLASSES = ("retired", "student", "teacher", "worker")
RACES = ("Black", "Indian", "White")
# recalls of women and men: without a method, and with each; named by what is true of them
RECALLS = {
    "none": (0.55, 0.80),
    "group_dro": (0.78, 0.80),  # closes the gap without harm
    "reweight": (0.50, 0.53),  # levels down
    "resample": (0.63, 0.66),  # trades: women gain, men lose
    "jtt": (0.55, 0.80),  # changes nothing
    "dfr": (0.55, 0.80),
    "gap_penalty_dp": (0.25, 0.25),  # predicts one class
}
IDLE = ("group_dro", "C")  # where a method that helps elsewhere does nothing
RULES = ("val_macro_f1", "val_worst_group", "val_distance_to_ideal")


def made_mitigation(
    designs: Sequence[str] = "ABCD",
    methods: Sequence[str] = tuple(RECALLS),
    seeds: int = 6,
    images: int = 2000,
    seed: int = 0,
    **of_protocol: object,
) -> tuple[dict[str, list[RunResults]], MitigationStudy, dict[str, pd.DataFrame]]:
    """What `mitigation_tables` takes: runs by method, the study, and predictions by selection, by run id.

    A run answers an image rightly where a normal score, most of which all runs of the image share, is under the recall
    of its gender; otherwise one of the other classes is drawn, the same for all runs. Every further selection rule
    chooses a worse model.
    """
    generator = np.random.default_rng(seed)
    gender, race = generator.integers(2, size=images), generator.integers(len(RACES), size=images)
    true = generator.integers(len(CLASSES), size=images)
    wrong = (true + generator.integers(1, len(CLASSES), size=images)) % len(CLASSES)
    table = in_categories(
        pd.DataFrame(
            {
                "image": [f"{number:05d}.png" for number in range(images)],
                "partition": "test",
                "gender": np.array(["Female", "Male"])[gender],
                "race": np.array(RACES)[race],
                "y_true": np.array(CLASSES)[true],
                "y_pred": np.array(CLASSES)[true],
                **{f"probability_{name}": 1 / len(CLASSES) for name in CLASSES},
            }
        )
    )
    hard = 0.8 * generator.normal(size=images)
    results: dict[str, list[RunResults]] = {method: [] for method in methods}
    selections = {}
    for design in designs:
        of_seeds = [hard + 0.45 * generator.normal(size=images) for _ in range(seeds)]
        for method in methods:
            recalls = np.array(RECALLS["none" if (method, design) == IDLE else method])
            for number, of_seed in enumerate(of_seeds):
                score = norm.cdf((of_seed + 0.4 * generator.normal(size=images)) / np.sqrt(0.64 + 0.2025 + 0.16))
                by_rule = [np.where(score < recalls[gender] * 0.97**place, true, wrong) for place in range(len(RULES))]
                if method == "gap_penalty_dp":
                    by_rule = [np.zeros(images, dtype=int) for _ in RULES]
                run = _run(design, method, number)
                results[method].append(RunResults(run, _answered(table, by_rule[0]), *_left(number)))
                selections[run.run_id] = pd.concat(
                    [
                        pd.DataFrame(
                            {"image": table["image"], "selection": rule, "y_pred": np.array(CLASSES)[answered]}
                        )
                        for rule, answered in zip(RULES, by_rule, strict=True)
                    ],
                    ignore_index=True,
                )
    protocol = _protocol(table, designs, seeds, **of_protocol)
    values = {method: "" if method == "none" else "power=1" for method in methods}
    return results, MitigationStudy(protocol, "gender", tuple(methods), values), selections


def _answered(table: pd.DataFrame, predicted: np.ndarray) -> pd.DataFrame:
    return table.assign(y_pred=pd.Categorical.from_codes(predicted, table["y_pred"].cat.categories))


def _run(design: str, method: str, seed: int) -> LoggedRun:
    of_method = "" if method == "none" else f"-{method}"
    return LoggedRun(
        run_id=f"{design}{seed}{method}",
        name=f"{design}-seed{seed}{of_method}-matched",
        status="FINISHED",
        params={"train_size": "matched", "fraction": "1.0"},
        tags={"fairprof.design": design, "fairprof.seed": str(seed), "fairprof.mitigation": method},
        metrics={},
    )


def _left(seed: int) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, float]]:
    """History, composition and values of a run."""
    composition = pd.DataFrame(
        {
            "partition": ["train", "val"],
            "profession": "student",
            "race": "White",
            "gender": "Male",
            "count": [300 + seed, 90],
        }
    )
    return pd.DataFrame({"epoch": [1, 2], "val/loss": [0.5, 0.25]}), composition, {"best_epoch": 2.0}


def _protocol(table: pd.DataFrame, designs: Sequence[str], seeds: int, **changes: object) -> Protocol:
    values = {
        "title": "made",
        "created": "2026-01-01T00:00:00+00:00",
        "study_key": "key",
        "data": "synthetic",
        "settings": {},
        "hyperparameters_hash": "hash",
        "pool_fingerprint": "pool",
        "test_fingerprint": "test",
        "weights": "random",
        "weights_sha256": "none",
        "classes": CLASSES,
        "groups": {"gender": ("Female", "Male"), "race": RACES},
        "test_images": len(table),
        "designs": tuple(designs),
        "seeds": tuple(range(seeds)),
        "arms": ("matched",),
        "reference": "A",
        "main_arm": "matched",
        "pseudo_professions": True,
        "label_bias": "none",
        "label_bias_strength": 0.15,
        "cue_gap": 0.0,
        "ceiling": {},
        "permutations": 50,
        "replicates": 300,
        "delta": 0.05,
        "min_support": 30,
        "versions": {},
        "git_commit": "unknown",
        "machine": "made",
        "failed": (),
    }
    return Protocol(**values | changes)
