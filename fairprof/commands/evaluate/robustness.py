"""What corruption does to accuracy, and whether it does so to some groups more than to others.

Every number is a function of the table of outcomes: a row per image, corruption and severity. Drops compare the same
images, clean and corrupted.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import torch
from scipy.stats import norm
from torch import nn

from fairprof.commands.evaluate.corruptions import CORRUPTIONS, SEVERITIES, corrupted
from fairprof.inference.intervals import design_effects, wilson_interval
from fairprof.inference.levels import ALPHA, CONFIDENCE, check_number
from fairprof.inference.multiplicity import adjusted_in_families
from fairprof.inference.studentised import contrast_tests
from fairprof.inference.units import PERSON, person_codes
from fairprof.inference.verdicts import ESTABLISHED, NOT_ESTABLISHED
from fairprof.metrics.fairness import ATTRIBUTES, INSUFFICIENT, MIN_SUPPORT, SUFFICIENT, UNDEFINED, group_labels
from fairprof.metrics.performance import scores_from_counts
from fairprof.network.batches import EVALUATION_BATCH
from fairprof.network.predictions import decided_by
from fairprof.runtime.hardware import channels_last
from fairprof.runtime.progress import progress_bar
from fairprof.serving import IMAGENET, DecisionRule, Preprocessing, watched_features

CLEAN = "clean"
ALL = "all"
ALL_CORRUPTIONS = "all_corruptions"


# Outcomes.


def probabilities_of(
    network: nn.Module, pixels: np.ndarray, preprocessing: Preprocessing
) -> tuple[np.ndarray, np.ndarray]:
    """(N, K) float64 probabilities of images as the network sees them, (N, S, S, 3) uint8, and its features, (N, D)
    float64: what enters its last layer."""
    device, parts = next(network.parameters()).device, []
    network.eval()
    with torch.inference_mode(), watched_features(network) as features:
        for start in range(0, len(pixels), EVALUATION_BATCH):
            images = torch.from_numpy(np.ascontiguousarray(pixels[start : start + EVALUATION_BATCH])).movedim(-1, 1)
            entering = channels_last(preprocessing.normalise(images).to(device))
            parts.append(network(entering).float().softmax(dim=1).double().cpu())
    return torch.cat(parts).numpy(), torch.cat(features).double().cpu().numpy()


def outcomes(
    network: nn.Module,
    classes: tuple[str, ...],
    images: pd.DataFrame,
    pixels: np.ndarray,
    seed: int,
    rule: DecisionRule | None = None,
    preprocessing: Preprocessing = IMAGENET,
) -> pd.DataFrame:
    """Predictions for images, clean and under every corruption at every severity, with a progress bar.

    images: N rows with image, gender, race, profession and, where it is known, person. pixels: (N, S, S, 3) uint8, as
    the network sees them. rule: by which classes are decided on; None: the most probable one.

    Returns a data frame with a row per corruption ("clean" first), severity (0 for clean) and image: corruption,
    severity, image, gender, race, y_true, y_pred, confidence, correct and, where it is known, person.
    """
    levels = [(CLEAN, 0)] + [(name, severity) for name in CORRUPTIONS for severity in SEVERITIES]
    person = {PERSON: images[PERSON].to_numpy()} if PERSON in images else {}
    names, true = images["image"].to_numpy(), images["profession"].astype(str).to_numpy()
    tables = []
    with progress_bar("predicting corrupted images", len(levels) * len(images), "images") as bar:
        for corruption, severity in levels:
            distorted = corrupted(pixels, names, corruption, severity, seed)
            probabilities, features = probabilities_of(network, distorted, preprocessing)
            probabilities, decided = decided_by(rule, probabilities, features, images)
            predicted = np.array(classes)[decided]
            tables.append(
                pd.DataFrame(
                    {
                        "corruption": corruption,
                        "severity": severity,
                        "image": names,
                        "gender": images["gender"].to_numpy(),
                        "race": images["race"].to_numpy(),
                        "y_true": true,
                        "y_pred": predicted,
                        "confidence": probabilities[np.arange(len(decided)), decided],
                        "correct": predicted == true,
                        **person,
                    }
                )
            )
            bar.update(len(images))
    table = pd.concat(tables, ignore_index=True)
    for attribute in ("gender", "race"):
        table[attribute] = pd.Categorical(table[attribute], images[attribute].astype("category").cat.categories)
    return table


# Accuracy and its drop.


def accuracy_under_corruption(
    outcomes: pd.DataFrame, min_support: int = MIN_SUPPORT, attributes: Iterable[str] = ATTRIBUTES
) -> pd.DataFrame:
    """Accuracy of all images (attribute and group "all") and of every group under every corruption and severity.

    Columns: corruption, severity, attribute, group, accuracy, lower and upper (Wilson), drop (accuracy of the same
    images when clean minus this one), drop_lower and drop_upper (`paired_interval`), macro_f1 (of all images alone),
    images and evidence ("insufficient_evidence" under `min_support`). Intervals grow with the `design_effects` of
    several images of one person.
    """
    right, first = _by_image(outcomes)
    levels, correct, person = right.columns, right.to_numpy(), person_codes(first)
    change = correct[:, [levels.get_loc((CLEAN, 0))]].astype(int) - correct
    everything = np.ones(correct.shape, dtype=bool)
    tables = []
    for attribute in (ALL, *attributes):
        labels = pd.Series(ALL, first.index) if attribute == ALL else group_labels(first, attribute)
        labels = labels.astype("category")
        codes, groups = labels.cat.codes.to_numpy(), labels.cat.categories
        effects, of_drops = (
            design_effects(values, everything, codes, len(groups), person) for values in (correct, change)
        )
        for code, group in enumerate(groups):
            own = correct[codes == code]
            hits, images = own.sum(axis=0), len(own)
            lower, upper = wilson_interval(hits, images, design_effect=effects[code])
            lost, won = ((change[codes == code] == sign).sum(axis=0) for sign in (1, -1))
            drop_lower, drop_upper = paired_interval(lost, won, images, design_effect=of_drops[code])
            tables.append(
                pd.DataFrame(
                    {
                        "corruption": levels.get_level_values(0),
                        "severity": levels.get_level_values(1),
                        "attribute": attribute,
                        "group": group,
                        "accuracy": hits / images,
                        "lower": lower,
                        "upper": upper,
                        "drop": (lost - won) / images,
                        "drop_lower": drop_lower,
                        "drop_upper": drop_upper,
                        "macro_f1": _macro_f1(outcomes, levels) if attribute == ALL else np.nan,
                        "images": images,
                        "evidence": SUFFICIENT if images >= min_support else INSUFFICIENT,
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def paired_interval(
    lost: np.ndarray,
    won: np.ndarray,
    images: int,
    confidence: float = CONFIDENCE,
    design_effect: np.ndarray | float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Interval of a difference of two proportions of the same images: lost and won are those that differ, either way.

    The Wald interval after adding half an image to each of the four cells (Agresti, Min 2005). In [-1, 1]. Where
    none differ it has a width, too. Where persons have several images, counts are divided by the design effect (of
    `design_effects`), and one is added to both lost and won (Bonett, Price 2012), which covers with few persons, too.
    """
    lost, won, rows = (count / np.asarray(design_effect) for count in (np.asarray(lost), np.asarray(won), images))
    added = np.where(np.asarray(design_effect) > 1, 1, 0.5)
    lost, won, rows = lost + added, won + added, rows + 2
    centre = (lost - won) / rows
    half = norm.ppf((1 + confidence) / 2) * np.sqrt(lost + won - (lost - won) ** 2 / rows) / rows
    return np.maximum(centre - half, -1), np.minimum(centre + half, 1)


def _by_image(outcomes: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Whether each image is right, (N, levels) bool, and the clean rows in the same order."""
    first = outcomes[outcomes["corruption"].eq(CLEAN)].reset_index(drop=True)
    levels = pd.MultiIndex.from_frame(outcomes[["corruption", "severity"]].drop_duplicates())
    right = outcomes.pivot(index="image", columns=["corruption", "severity"], values="correct")
    return right.loc[first["image"], levels].astype(bool), first


def _macro_f1(outcomes: pd.DataFrame, levels: pd.MultiIndex) -> np.ndarray:
    classes = sorted(set(outcomes["y_true"]) | set(outcomes["y_pred"]))
    codes = {name: number for number, name in enumerate(classes)}
    counts = np.zeros((len(levels), len(classes), len(classes)))
    level = levels.get_indexer(pd.MultiIndex.from_frame(outcomes[["corruption", "severity"]]))
    np.add.at(counts, (level, outcomes["y_true"].map(codes), outcomes["y_pred"].map(codes)), 1)
    return scores_from_counts(counts)["macro_f1"]


def drop_gaps(
    outcomes: pd.DataFrame,
    permutations: int,
    generator: np.random.Generator,
    min_support: int = MIN_SUPPORT,
    attributes: Iterable[str] = ("gender", "race"),
    alpha: float = ALPHA,
) -> pd.DataFrame:
    """Whether corruption costs one group more than another: max - min over the groups of their mean drop.

    A drop is the accuracy on clean images minus that on the same images corrupted, mean over the severities; of
    "all_corruptions", mean over the corruptions too. Groups are permuted among the images, all outcomes of an image
    staying together; the test is that of the largest contrast between a group and the rest in `contrast_tests`, so that
    groups may differ in how much their drops vary. Where the outcomes have a column `person`, a person's images in a
    group are permuted as one, and the contrast is that of persons' mean drops. A group that is served well has more to
    lose.

    Columns: attribute, corruption, value, highest_group (it loses most) and lowest_group, null_mean, null_q95, excess,
    differs (the group of the largest contrast), contrast (its mean drop minus that of the rest), p_value, family
    (confirmatory: all_corruptions, Holm over the attributes; exploratory: single ones, Benjamini-Hochberg), p_adjusted,
    verdict, and insufficient_groups (under `min_support`, which are in the gap).
    """
    check_number(permutations, "permutations")
    right, first = _by_image(outcomes)
    clean = right[(CLEAN, 0)].to_numpy(dtype=float)[:, None]
    corruptions = [name for name in dict.fromkeys(right.columns.get_level_values(0)) if name != CLEAN]
    drops = np.column_stack([(clean - right[name].to_numpy(dtype=float)).mean(axis=1) for name in corruptions])
    drops = np.column_stack([drops.mean(axis=1), drops])
    order = np.argsort(first["image"].to_numpy())  # of the images, which the order of rows does not change
    person = person_codes(first)
    person = (np.arange(len(first)) if person is None else person)[order]
    tables = []
    for attribute in attributes:
        labels = group_labels(first, attribute)
        codes, groups = labels.cat.codes.to_numpy(), labels.cat.categories
        means = _group_means(codes[None], drops, len(groups))[0]
        unit = pd.factorize(pd.MultiIndex.from_arrays([person, codes[order]]))[0]
        of_unit = np.unique(unit, return_index=True)[1]  # a person's first image in the group
        nameless = _codes_without_names(codes[order])[of_unit]
        shuffled = generator.permuted(np.tile(nameless, (permutations, 1)), axis=1)
        null = np.ptp(_group_means(shuffled[:, unit], drops[order], len(groups)), axis=1)
        value = np.ptp(means, axis=0)
        tests = contrast_tests(
            pd.DataFrame(drops[order]).groupby(unit).mean().to_numpy(),
            nameless,
            len(groups),
            np.zeros(len(of_unit), dtype=int),
            permutations,
            generator,
        )
        p_values = np.where(np.isnan(tests.p_value), np.inf, tests.p_value)
        # of two groups, which have the same p-value, the one that loses more
        differs = np.where(p_values == p_values.min(axis=0), tests.contrast, -np.inf).argmax(axis=0)
        places = np.arange(drops.shape[1])
        named = groups[_names_of(codes[order])]
        tables.append(
            pd.DataFrame(
                {
                    "attribute": attribute,
                    "corruption": [ALL_CORRUPTIONS, *corruptions],
                    "value": value,
                    "highest_group": groups[means.argmax(axis=0)],
                    "lowest_group": groups[means.argmin(axis=0)],
                    "null_mean": null.mean(axis=0),
                    "null_q95": np.quantile(null, 0.95, axis=0),
                    "excess": value - null.mean(axis=0),
                    "differs": named[differs],
                    "contrast": tests.contrast[differs, places],
                    "p_value": tests.p_value[differs, places],
                    "insufficient_groups": int((np.bincount(codes) < min_support).sum()),
                }
            )
        )
    return _judged(pd.concat(tables, ignore_index=True), alpha)


def _codes_without_names(codes: np.ndarray) -> np.ndarray:
    """Codes by size and then by first appearance, so that renaming groups changes no permutation."""
    number, first = np.unique(codes, return_index=True)
    order = np.lexsort((first, np.bincount(codes)[number]))
    return np.argsort(order)[np.searchsorted(number, codes)]


def _names_of(codes: np.ndarray) -> np.ndarray:
    """The code behind each code of `_codes_without_names`."""
    found = np.zeros(len(np.unique(codes)), dtype=int)
    found[_codes_without_names(codes)] = codes
    return found


def _group_means(codes: np.ndarray, values: np.ndarray, groups: int) -> np.ndarray:
    """(B, G, M): means of values (N, M) over the rows of every group, for codes (B, N)."""
    of_group = np.stack([(codes == group) @ values for group in range(groups)], axis=1)
    sizes = np.stack([(codes == group).sum(axis=1) for group in range(groups)], axis=1)
    return of_group / sizes[:, :, None]


def _judged(table: pd.DataFrame, alpha: float) -> pd.DataFrame:
    table = adjusted_in_families(table, table["corruption"].eq(ALL_CORRUPTIONS).to_numpy())
    undefined = table["p_value"].isna()
    verdict = np.select([undefined, table["p_adjusted"] <= alpha], [UNDEFINED, ESTABLISHED], NOT_ESTABLISHED)
    return table.assign(verdict=verdict, insufficient_groups=table.pop("insufficient_groups"))


def mean_corruption_accuracy(table: pd.DataFrame) -> float:
    """The mean accuracy of all images over all corruptions and severities, from `accuracy_under_corruption`."""
    return float(table.loc[table["attribute"].eq(ALL) & table["corruption"].ne(CLEAN), "accuracy"].mean())
