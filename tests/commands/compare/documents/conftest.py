"""A small comparison of designs A and B: tables with the contract's columns, every value different from the others."""

import itertools

import numpy as np
import pandas as pd
import pytest

from fairprof.commands.compare.protocol import Protocol

CLASSES = ("student", "retired")
GROUPS = {
    "gender": ("Male", "Female"),
    "race": ("White", "Black"),
    "gender_x_race": ("Male x White", "Male x Black", "Female x White", "Female x Black"),
}
SUPPORT = dict(zip(itertools.chain(*GROUPS.values()), (210, 190, 320, 80, 150, 60, 170, 20), strict=True))
SCORES = ("accuracy", "balanced_accuracy", "macro_f1")
DIFFERENCES = ("demographic_parity_difference", "equal_opportunity_difference", "equalized_odds_difference")
RATES = ("selection_rate", "true_positive_rate", "false_positive_rate")


@pytest.fixture
def protocol() -> Protocol:
    return Protocol(
        title="A small study",
        created="2026-03-01T12:00:00+00:00",
        study_key="0123456789abcdef",
        data="synthetic",
        settings={
            "architecture": "resnet50",
            "finetune": "head",
            "image_size": "64",
            "epochs": "6",
            "batch_size": "32",
            "learning_rate": "0.003",
            "selection": "val_loss",
        },
        hyperparameters_hash="aaaabbbbcccc",
        pool_fingerprint="1111222233334444",
        test_fingerprint="5555666677778888",
        weights="imagenet",
        weights_sha256="f" * 64,
        classes=CLASSES,
        groups=GROUPS,
        test_images=400,
        designs=("A", "B"),
        seeds=(0, 1, 2),
        arms=("natural", "matched"),
        reference="A",
        main_arm="natural",
        pseudo_professions=True,
        label_bias="none",
        label_bias_strength=0.15,
        cue_gap=0.0,
        ceiling={"accuracy": 0.704, "macro_f1": 0.617},
        permutations=999,
        replicates=1000,
        delta=0.05,
        min_support=30,
        versions={"fairprof": "0.1.0", "torch": "2.15.0"},
        git_commit="0a1b2c3d",
        machine="2 x86-64 cores, no GPU",
        failed=(),
    )


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    """Values rise by .001 from cell to cell, so that no number of a document can be in the wrong place unnoticed.

    The matched arm has other values (9 is added). Of the k-th group's n images, three seeds get 2 (n + k) of 3 n right
    in the confusion table. In design B the equal opportunity difference by
    race is established, the demographic parity difference by gender is equivalent, and the equalized odds difference by
    gender_x_race is undefined.
    """
    numbers = itertools.count(101)

    def value() -> float:
        return next(numbers) / 1000

    both_arms = list(itertools.product(("natural", "matched"), "AB"))
    performance = [
        {
            **{"arm": arm, "design": design, "metric": metric, "seeds": 3, "value": value()},
            **{"lower": value(), "upper": value(), "seed_sd": value(), "image_se": value()},
            **{"chance": value(), "ceiling": value(), "share_of_ceiling": value(), "share_above_chance": value()},
        }
        for (arm, design), metric in itertools.product(both_arms, SCORES)
    ]
    gaps = [
        {
            **{"arm": arm, "design": design, "attribute": attribute, "metric": metric, "class": of, "seeds": 3},
            **{"value": value(), "seed_sd": value(), "null_mean": value(), "null_q95": value(), "excess": value()},
            **{"p_value": value(), "family": "exploratory", "p_adjusted": value(), "upper": value(), "delta": 0.05},
            **{"verdict": "not_established", "undefined_cells": 0, "insufficient_cells": 2},
        }
        for (arm, design), attribute, metric, of in itertools.product(
            both_arms, GROUPS, DIFFERENCES, (*CLASSES, "max_over_classes", "mean_over_classes")
        )
    ]
    group_changes = [
        {
            **{"arm": arm, "design": "B", "reference": "A", "attribute": attribute, "group": group},
            **{"support": SUPPORT[group], "accuracy": value(), "reference_accuracy": value(), "change": value()},
            **{"lower": value(), "upper": value()},
        }
        for arm in ("natural", "matched")
        for attribute, names in GROUPS.items()
        for group in names
    ]
    contrasts = [
        {
            **{"arm": arm, "design": design, "attribute": attribute, "rate": rate, "class": of, "group": group},
            **{"value": value(), "rest": value(), "contrast": value(), "lower": value(), "upper": value()},
            **{"support": 40, "rest_support": 60, "standard_error": 0.1},
            **{"p_adjusted": 1.0, "differs": False, "evidence": "sufficient"},
        }
        for (arm, design), (attribute, names), rate, of in itertools.product(both_arms, GROUPS.items(), RATES, CLASSES)
        for group in names
    ]
    runs = [
        {
            **{"run_id": f"{design}{seed}", "run_name": f"{design}-seed{seed}", "arm": arm, "design": design},
            **{"seed": seed, "train_size": arm, "fraction": 1.0, "best_epoch": 4},
            "training_images": 1200 if arm == "matched" or design == "A" else 2400 + seed,
            **{name: value() for name in SCORES},
        }
        for (arm, design), seed in itertools.product(both_arms, range(3))
    ]
    composition = [
        {"design": design, "profession": profession, "race": race, "gender": gender, "partition": partition, "count": n}
        for design, profession, race, gender, partition in itertools.product(
            "AB", CLASSES, GROUPS["race"], GROUPS["gender"], ("train", "val", "test")
        )
        for n in [next(numbers) + (0.5 if partition == "train" else 0)]
    ]
    confusion = [
        {
            **{"design": design, "attribute": attribute, "group": group, "y_true": true, "y_pred": predicted},
            "count": SUPPORT[group] + place if true == predicted else SUPPORT[group] // 2 - place,
        }
        for design, (attribute, names) in itertools.product("AB", GROUPS.items())
        for group, true, predicted in itertools.product(names, CLASSES, CLASSES)
        for place in [list(SUPPORT).index(group) + 1]
    ]
    found = {
        "performance": pd.DataFrame(performance),
        "gaps": pd.DataFrame(gaps),
        "group_changes": pd.DataFrame(group_changes),
        "confusion": pd.DataFrame(confusion),
        "contrasts": pd.DataFrame(contrasts),
        "runs": pd.DataFrame(runs),
        "composition": pd.DataFrame(composition),
    }
    for name in ("performance", "gaps", "group_changes", "contrasts"):
        table = found[name]
        measured = table.columns.intersection(["value", "accuracy", "reference_accuracy", "contrast"])
        table.loc[table["arm"].eq("matched"), measured] += 9
    _mark(found["gaps"], {"attribute": "race", "metric": DIFFERENCES[1]}, verdict="established", p_adjusted=0.0002)
    _mark(found["gaps"], {"attribute": "gender", "metric": DIFFERENCES[0]}, verdict="equivalent")
    undefined = dict.fromkeys(("value", "null_mean", "null_q95", "p_value", "p_adjusted"), np.nan)
    _mark(found["gaps"], {"attribute": "gender_x_race", "metric": DIFFERENCES[2]}, verdict="undefined", **undefined)
    _mark(found["contrasts"], {"group": "Female x Black", "rate": RATES[1]}, evidence="insufficient_evidence")
    return found


def _mark(table: pd.DataFrame, where: dict[str, str], **values) -> None:
    """Sets columns of design B's rows in the main arm, in the row over the classes where there is one."""
    rows = table["arm"].eq("natural") & table["design"].eq("B")
    for column, value in where.items():
        rows &= table[column].eq(value)
    if "class" in table and table["class"].eq("max_over_classes").any():
        rows &= table["class"].eq("max_over_classes")
    for column, value in values.items():
        table.loc[rows, column] = value
