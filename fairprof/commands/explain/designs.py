"""What is told of designs: means over all seeds of a study, on images that all of its models share."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from fairprof.inference.differences import NO_CLAIM_POSSIBLE
from fairprof.inference.group_means import ALL, ImageValues, moments
from fairprof.inference.levels import ALPHA
from fairprof.inference.multiplicity import sidak, sidak_level
from fairprof.inference.over_seeds_and_images import NEW_SEEDS_AND_IMAGES, Estimates, estimates
from fairprof.inference.planning import LEAST_SEEDS
from fairprof.inference.verdicts import ESTABLISHED, NOT_ESTABLISHED

MEANS = ("design", "attribute", "group", "measure", "value", "lower", "upper", "seeds", "images")
DIFFERENCES = (
    *("design", "reference", "measure", "difference", "lower", "upper", "p_value", "p_adjusted", "verdict", "scope"),
    *("seeds", "images"),
)


def design_means(attended: ImageValues, weights: np.ndarray, designs: dict[str, dict[int, str]]) -> pd.DataFrame:
    """Every measure's mean over the seeds of each design, over all images and by group, with 95 % intervals for new
    seeds and new images (`estimates`). Columns: MEANS.

    attended: of all models. weights: of `resampled_weights`. designs: design to seed to the model's label.
    """
    everything = {ALL: (np.zeros(len(attended.strata), int), [ALL])} | attended.groups
    tables = [
        _means(attended, weights, design, list(of_seeds.values()), attribute, codes == number, group)
        for design, of_seeds in designs.items()
        for attribute, (codes, groups) in everything.items()
        for number, group in enumerate(groups)
    ]
    return pd.concat(tables, ignore_index=True)


def _means(
    attended: ImageValues,
    weights: np.ndarray,
    design: str,
    labels: list[str],
    attribute: str,
    members: np.ndarray,
    group: str,
) -> pd.DataFrame:
    own = _of_models(attended, labels)[:, members]
    found = _estimated(own, weights[:, members])
    lower, upper = found.interval()
    return pd.DataFrame(
        {
            "design": design,
            "attribute": attribute,
            "group": group,
            "measure": attended.names,
            "value": found.value,
            "lower": lower,
            "upper": upper,
            "seeds": len(labels),
            "images": int(members.sum()),
        }
    )[list(MEANS)]


def design_differences(
    attended: ImageValues, weights: np.ndarray, designs: dict[str, dict[int, str]], reference: str
) -> pd.DataFrame:
    """Every design minus the reference, paired by seed and image: told of new seeds and new images.

    p_adjusted and the intervals hold together over the designs, for one measure (`sidak`). verdict: established where
    p_adjusted <= alpha; fewer than LEAST_SEEDS seeds are no claim. Only seeds that both have are compared. The strength
    of maps is left out: it is in the units of each model's own logits. Columns: DIFFERENCES.
    """
    kept = [number for number, name in enumerate(attended.names) if name != "strength"]
    shared = {
        design: [seed for seed in of_seeds if seed in designs[reference]]
        for design, of_seeds in designs.items()
        if design != reference
    }
    shared = {design: seeds for design, seeds in shared.items() if seeds}
    tables = []
    for design, seeds in shared.items():
        one, other = (
            _of_models(attended, [designs[name][seed] for seed in seeds])[..., kept] for name in (design, reference)
        )
        found = _estimated(one - other, weights)
        lower, upper = found.interval(sidak_level(len(shared)))
        tables.append(
            pd.DataFrame(
                {
                    "design": design,
                    "reference": reference,
                    "measure": [attended.names[number] for number in kept],
                    "difference": found.value,
                    "lower": lower,
                    "upper": upper,
                    "p_value": found.p_value,
                    "scope": NEW_SEEDS_AND_IMAGES,
                    "seeds": len(seeds),
                    "images": len(attended.strata),
                }
            )
        )
    if not tables:
        return pd.DataFrame(columns=list(DIFFERENCES))
    table = pd.concat(tables, ignore_index=True)
    table["p_adjusted"] = table.groupby("measure")["p_value"].transform(sidak)
    established = np.where(table["p_adjusted"] <= ALPHA, ESTABLISHED, NOT_ESTABLISHED)
    table["verdict"] = np.where(table["seeds"] < LEAST_SEEDS, NO_CLAIM_POSSIBLE, established)
    return table[list(DIFFERENCES)]


def _of_models(attended: ImageValues, labels: list[str]) -> np.ndarray:
    """(S, N, M)."""
    return attended.values[[attended.models.index(label) for label in labels]]


def _estimated(values: np.ndarray, weights: np.ndarray) -> Estimates:
    """Of the means over images: values (S, N, M), weights (B, N)."""
    return estimates(
        np.concatenate(list(_weighted(values, np.ones((1, values.shape[1]))))),
        np.stack(list(_weighted(values, weights)), axis=1),
    )


def _weighted(values: np.ndarray, weights: np.ndarray) -> Iterator[np.ndarray]:
    """(B, M) a seed: the mean of the defined values, NaN where there are none."""
    for of_seed in values:
        yield moments(weights, of_seed).mean
