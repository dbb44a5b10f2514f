"""An explanation of made maps' numbers, for tests: nothing is trained."""

import numpy as np
import pandas as pd

from fairprof.commands.explain import designs as of_designs
from fairprof.commands.explain.results import Explanation
from fairprof.commands.explain.trust import marked, trust_of
from fairprof.inference import attention_tests, group_means
from fairprof.inference.group_means import ALL
from fairprof.inference.multiplicity import adjusted_in_families
from fairprof.saliency.faithfulness import HIGHER_IS_BETTER, SCORES
from fairprof.saliency.randomisation import CHANGED, EVERYTHING, HEAD
from tests.inference.made_tables import generator, people

REGIONS = ("background", "face")
MEASURES = ("attention_background", "attention_face", "density_background", "density_face", "gini", "effective_area")


def faithful_table(better: dict[str, int], measured: bool = True) -> pd.DataFrame:
    """better: model to how many of the scores are established better than random maps' (negative: worse)."""
    rows = [
        {
            "model": model,
            "attribute": ALL,
            "group": ALL,
            "measure": score,
            "value": 0.3,
            "reference_value": 0.2,
            "difference": 0.1 * np.sign(count) * (1 if HIGHER_IS_BETTER[score] else -1),
            "lower": 0.0,
            "upper": 0.2,
            "differs": place < abs(count),
            "images": 60,
        }
        for model, count in better.items()
        for place, score in enumerate(SCORES)
    ]
    return pd.DataFrame(rows if measured else [], columns=list(rows[0]))


def similarity_table(models: tuple[str, ...], head: str = CHANGED, everything: str = CHANGED) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"model": model, "randomised": part, "networks": 3, "similarity": 0.1, "lower": 0.0, "upper": 0.2}
            | {"images": 60, "undefined": 0, "verdict": verdict}
            for model in models
            for part, verdict in ((HEAD, head), (EVERYTHING, everything))
        ]
    )


def explanation(
    better: dict[str, int], designs: dict[str, dict[int, str]] | None = None, shift: float = 0.0, measured: bool = True
) -> Explanation:
    """Models with 120 images; shift: of the attention on the face by race, and of the models of designs but A."""
    designs, models = designs or {}, tuple(better)
    rows = people(120, 1)
    noise = generator(2).normal(size=(len(models), 120, len(MEASURES))) * 0.05
    values = {model: 0.4 + noise[place] for place, model in enumerate(models)}
    for model in models:
        values[model] += shift * (rows[["race"]].eq("z").to_numpy(float) + (not model.startswith("A")))
    found = group_means.image_values(rows, values, MEASURES)
    weights = group_means.resampled_weights(120, 100, generator(3))
    gaps = attention_tests.attention_gap_tests(found, 99, generator(4))
    maps = {model: generator(5).random((120, 4, 4)) for model in models}
    distances = attention_tests.map_distances(found, maps, rows["image"], 99, generator(6))
    trust = trust_of(models, faithful_table(better, measured), similarity_table(models))
    shown = {
        "by_group": group_means.by_group(found, weights, 5),
        "contrasts": attention_tests.group_contrasts(found, 99, generator(4)),
        "gaps": adjusted_in_families(gaps, np.zeros(len(gaps), dtype=bool)),
        "map_distances": attention_tests.judged_distances(distances),
        "model_differences": pd.DataFrame(columns=list(group_means.DIFFERENCE_COLUMNS)),
        "against_randomised": pd.DataFrame(columns=list(group_means.DIFFERENCE_COLUMNS)),
    }
    if designs:
        shown["designs"] = of_designs.design_means(found, weights, designs)
        shown["design_differences"] = of_designs.design_differences(found, weights, designs, "A")
    tables = {name: marked(table.assign(masks="regions"), trust, designs) for name, table in shown.items()}
    tables |= {"trust": trust, "faithfulness": faithful_table(better, measured), "similarity": similarity_table(models)}
    tables |= {name: pd.DataFrame() for name in ("per_image", "faithfulness_per_image", "faithfulness_by_group")}
    return Explanation(
        models={model: f"fairprof-{model[0]} version 1" for model in models},
        designs=designs,
        reference="A",
        method="GradCAM",
        unit="logits",
        explained="predicted",
        data="synthetic",
        images=120,
        without_mask=0,
        kind="regions",
        regions=REGIONS,
        areas={"background": 0.6, "face": 0.4},
        layer="layer2.1",
        fields=(4, 4),
        undefined=dict.fromkeys(models, 0),
        tables=tables,
        permutations=99,
        replicates=100,
        min_support=5,
        created="2026-11-25T12:00:00+00:00",
        shows_faces=True,
    )


def study(seeds: int) -> dict[str, dict[int, str]]:
    return {design: {seed: f"{design}-seed{seed}" for seed in range(seeds)} for design in ("A", "B")}
