"""A comparison of made runs whose tables and maps are real files in a store: what its report lets readers explore."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from fairprof.commands.compare.collect import RunResults
from fairprof.commands.compare.explore import explore_blocks
from fairprof.commands.compare.protocol import Protocol
from fairprof.commands.compare.report import findings
from fairprof.commands.compare.tables import comparison_tables
from fairprof.config import AnalysisSettings
from fairprof.measurement.measures import Measurements, measure
from fairprof.metrics.fairness import in_categories
from fairprof.saliency.thumbnails import packed_thumbnails
from fairprof.store import tracking
from tests.commands.compare.test_report import PROTOCOL

CLASSES = ("student", "blue_collar", "white_collar", "retired")
GROUPS = {"gender": ("Female", "Male"), "race": ("Indian", "White", "</script><b>")}
IMAGES, EXPLAINED = 300, 24
SETTINGS = AnalysisSettings(permutations=99, replicates=100)


@dataclass(frozen=True)
class Explored:
    """results: of the runs. tables: of their comparison. measured: of each run, by its name. page: the report."""

    results: list[RunResults]
    tables: dict[str, pd.DataFrame]
    protocol: Protocol
    measured: dict[str, Measurements]
    page: str


def made_comparison(persons: bool = False, images: int = IMAGES) -> Explored:
    """Designs A and B, three seeds each, logged to the store that is open, with its files.

    The answers are uneven between groups; race "</script><b>" has few images, and one class none of them.
    """
    people = _people(images, persons)
    results, measured = [], {}
    for seed in range(3):
        for design in "AB":
            predictions = _predictions(people, design, seed)
            name = f"{design}-seed{seed}"
            with tracking.started_run(name, {"fairprof.design": design, "fairprof.seed": str(seed)}) as run_id:
                measured[name] = measure(predictions, SETTINGS, seed)
                tracking.log_table(measured[name].table("gaps"), "metrics/gaps.csv")
                _log_maps(predictions, seed)
            run = replace(tracking.get_run(run_id), params={"train_size": "natural", "fraction": "1"})
            values = {"best_epoch": 1.0}
            results.append(RunResults(run, in_categories(predictions), _history(), _composition(), values))
    protocol = replace(
        PROTOCOL,
        classes=CLASSES,
        groups=GROUPS,
        test_images=images,
        designs=("A", "B"),
        arms=("natural",),
        permutations=SETTINGS.permutations,
        replicates=SETTINGS.replicates,
        ceiling={},
        shows_faces=True,
        run_id="c0ffee",
        models=(("B-seed1", "fairprof-B", "3"),),
    )
    tables = comparison_tables(results, protocol)
    explored = explore_blocks(results, tables, protocol)
    return Explored(results, tables, protocol, measured, findings(tables, protocol, {}, {}, explored).html())


def _people(images: int, persons: bool) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    race = generator.choice(GROUPS["race"], images, p=[0.45, 0.47, 0.08])
    truth = generator.choice(CLASSES, images)
    truth[(race == GROUPS["race"][2]) & (truth == "retired")] = "student"
    table = pd.DataFrame(
        {
            "image": [f"{number:04}.jpg" for number in generator.permutation(images)],
            "y_true": truth,
            "gender": pd.Categorical(generator.choice(GROUPS["gender"], images), GROUPS["gender"]),
            "race": pd.Categorical(race, GROUPS["race"]),
        }
    )
    return (
        table.assign(person=[f"p{number}" for number in generator.integers(0, images // 3, images)])
        if persons
        else table
    )


def _predictions(people: pd.DataFrame, design: str, seed: int) -> pd.DataFrame:
    generator = np.random.default_rng([seed, ord(design)])
    scores = generator.normal(0, 1, (len(people), len(CLASSES)))
    scores[np.arange(len(people)), people["y_true"].map(CLASSES.index)] += 1.2
    scores[:, 0] += 0.9 * people["gender"].eq("Female") + (0.8 if design == "B" else 0.1) * people["race"].eq("White")
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    named = {f"probability_{name}": probabilities[:, place] for place, name in enumerate(CLASSES)}
    return people.assign(y_pred=np.array(CLASSES)[probabilities.argmax(axis=1)], **named)


def _log_maps(predictions: pd.DataFrame, seed: int) -> None:
    generator = np.random.default_rng(seed)
    first = predictions[:EXPLAINED]
    tracking.log_arrays(
        {
            "maps": generator.random((EXPLAINED, 7, 7), dtype=np.float32),
            "image": first["image"].to_numpy(dtype=str),
            **packed_thumbnails(generator.integers(0, 256, (EXPLAINED, 32, 32, 3), dtype=np.uint8)),
        },
        "gradcam/maps.npz",
    )


def _history() -> pd.DataFrame:
    names = (
        "loss",
        "macro_f1",
        *(
            f"{gap}_difference/{group}"
            for gap in ("demographic_parity", "equal_opportunity")
            for group in ("gender", "race")
        ),
    )
    return pd.DataFrame({"epoch": [1], **{f"val/{name}": [0.5] for name in names}})


def _composition() -> pd.DataFrame:
    return pd.DataFrame(
        {"partition": ["train"], "profession": ["student"], "race": ["White"], "gender": ["Female"], "count": [100]}
    )
