"""Small tables of a comparison that agree with each other, made from a seed."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

SCORES = ("accuracy", "balanced_accuracy", "macro_f1")
GAPS = ("demographic_parity_difference", "equal_opportunity_difference", "equalized_odds_difference")
ATTRIBUTES = ("gender", "race", "gender_x_race")
MAIN_GAPS = [(gap, attribute) for gap in GAPS[:2] for attribute in ATTRIBUTES[:2]]
MAX = "max_over_classes"
IMAGES = {"A": 280, "B": 1752, "C": 360, "D": 840, "E": 500}
RACES = ("East Asian", "Indian", "Black", "White", "Middle Eastern", "Latino_Hispanic", "Southeast Asian")
CLASSES = ("student", "blue_collar", "white_collar", "retired")
LONG = "senior assistant manager of regional warehouse operations"


def make_tables(
    designs: Sequence[str] = "ABCD",
    seeds: int = 6,
    arms: Sequence[str] = ("natural",),
    races: Sequence[str] = RACES,
    classes: Sequence[str] = CLASSES,
    epochs: int = 6,
    seed: int = 0,
) -> dict[str, pd.DataFrame]:
    """Every table that is drawn, by name. The first design is the reference, the first arm the main one."""
    generator = np.random.default_rng(seed)
    groups = {"gender": ["Male", "Female"], "race": list(races)}
    groups["gender_x_race"] = [f"{gender} x {race}" for gender in groups["gender"] for race in races]
    by_class = _gaps_by_class(generator, designs, seeds, arms, classes)
    runs = _runs(generator, designs, seeds, arms, by_class)
    performance, gaps = _performance(runs), _gaps(by_class, seeds, arms[0])
    seed_differences = _seed_differences(runs, designs[0])
    return {
        "runs": runs,
        "performance": performance,
        "gaps": gaps,
        "seed_differences": seed_differences,
        "differences": _differences(seed_differences, arms[0]),
        "group_changes": _group_changes(generator, designs, arms, groups),
        "epochs": _epochs(generator, designs, seeds, arms, epochs),
        "training_size": _training_size(runs, gaps),
        "confusion": _confusion(generator, designs, seeds, groups, classes),
    }


def _frame(rows: list[dict], columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns))


def _gaps_by_class(generator, designs, seeds, arms, classes) -> pd.DataFrame:
    """arm, design, seed, metric, attribute, class, value."""
    keys = [
        (arm, design, number, metric, attribute, name)
        for arm in arms
        for design in designs
        for number in range(seeds)
        for metric in GAPS
        for attribute in ATTRIBUTES
        for name in classes
    ]
    table = pd.DataFrame(keys, columns=["arm", "design", "seed", "metric", "attribute", "class"])
    level = table["attribute"].map({"gender": 0.03, "race": 0.09, "gender_x_race": 0.14})
    level += table["metric"].map({GAPS[0]: 0.0, GAPS[1]: 0.03, GAPS[2]: 0.04})
    unbalanced = table["design"].map({"B": "race", "C": "gender"})
    level += 0.08 * unbalanced.eq(table["attribute"])
    return table.assign(value=(level + generator.normal(0, 0.015, len(table))).clip(0.002))


def _runs(generator, designs, seeds, arms, by_class) -> pd.DataFrame:
    wide = (
        by_class.assign(name=by_class["metric"] + "/" + by_class["attribute"])
        .groupby(["arm", "design", "seed", "name"], sort=False)["value"]
        .max()
        .unstack("name")
    )
    rows = []
    for arm in arms:
        size, _, fraction = arm.partition(", fraction ")
        for place, design in enumerate(designs):
            images = {"natural": IMAGES[design], "matched": min(IMAGES.values())}.get(size) or int(size)
            for number in range(seeds):
                accuracy = 0.50 - 0.02 * place + 0.0001 * images + generator.normal(0, 0.012)
                rows.append(
                    {
                        "run_id": f"{arm}-{design}-{number}",
                        "run_name": f"{design}-seed{number}",
                        "arm": arm,
                        "design": design,
                        "seed": number,
                        "train_size": size,
                        "fraction": float(fraction or 1),
                        "training_images": int(images * float(fraction or 1)),
                        "best_epoch": 4,
                        "accuracy": accuracy,
                        "balanced_accuracy": accuracy - 0.03,
                        "macro_f1": accuracy - 0.05 + generator.normal(0, 0.005),
                    }
                )
    return pd.DataFrame(rows).join(wide, on=["arm", "design", "seed"])


def _performance(runs: pd.DataFrame) -> pd.DataFrame:
    ceilings = {"accuracy": 0.74, "balanced_accuracy": 0.70, "macro_f1": 0.69}
    rows = []
    for (arm, design), part in runs.groupby(["arm", "design"], sort=False):
        for metric in SCORES:
            value = part[metric].mean()
            rows.append(
                {
                    "arm": arm,
                    "design": design,
                    "metric": metric,
                    "seeds": len(part),
                    "value": value,
                    "lower": value - 0.025,
                    "upper": value + 0.022,
                    "seed_sd": part[metric].std(),
                    "image_se": 0.01,
                    "chance": 0.25,
                    "ceiling": ceilings[metric],
                    "share_of_ceiling": value / ceilings[metric],
                    "share_above_chance": (value - 0.25) / (ceilings[metric] - 0.25),
                }
            )
    return pd.DataFrame(rows)


def _gaps(by_class: pd.DataFrame, seeds: int, main_arm: str) -> pd.DataFrame:
    keys = ["arm", "design", "attribute", "metric"]
    over = by_class.groupby([*keys, "seed"], sort=False)["value"].agg(["max", "mean"]).reset_index()
    parts = [by_class]
    for name in ("max", "mean"):
        parts.append(over.assign(**{"class": f"{name}_over_classes", "value": over[name]}))
    values = pd.concat(parts).groupby([*keys, "class"], sort=False)["value"].agg(["mean", "std"]).reset_index()
    table = values.rename(columns={"mean": "value", "std": "seed_sd"}).assign(seeds=seeds)
    largest = table["class"].eq(MAX)
    table["null_mean"] = table["attribute"].map({"gender": 0.02, "race": 0.06, "gender_x_race": 0.11}) + 0.02 * largest
    table["null_q95"] = table["null_mean"] * 1.5
    table["excess"] = table["value"] - table["null_mean"]
    table["p_value"] = np.exp(-60 * table["excess"].clip(0)).round(4)
    main = np.array([pair in MAIN_GAPS for pair in zip(table["metric"], table["attribute"], strict=True)], bool)
    confirmatory = table["arm"].eq(main_arm) & largest & main
    table["family"] = np.where(confirmatory, "confirmatory", "exploratory")
    table["p_adjusted"] = (2 * table["p_value"]).clip(upper=1)
    table["upper"] = table["value"] + 0.03
    table["delta"] = 0.05
    table["verdict"] = np.select(
        [table["p_adjusted"] <= 0.05, table["upper"] < 0.05], ["established", "equivalent"], "not_established"
    )
    below = table["verdict"].eq("established") & (table["upper"] < 0.05)
    return table.assign(undefined_cells=0, insufficient_cells=0, below_delta=below, scope="these models")


def _seed_differences(runs: pd.DataFrame, reference: str) -> pd.DataFrame:
    names = [(score, "") for score in SCORES] + [(gap, attribute) for gap in GAPS for attribute in ATTRIBUTES]
    rows = []
    for arm, part in runs.groupby("arm", sort=False):
        base = part[part["design"].eq(reference)].set_index("seed")
        for design in part["design"].unique():
            if design == reference:
                continue
            own = part[part["design"].eq(design)].set_index("seed")
            for metric, attribute in names:
                column = f"{metric}/{attribute}" if attribute else metric
                for number, value in (own[column] - base[column]).items():
                    rows.append(
                        {
                            "arm": arm,
                            "design": design,
                            "reference": reference,
                            "seed": number,
                            "metric": metric,
                            "attribute": attribute,
                            "class": MAX if attribute else "",
                            "value": value,
                        }
                    )
    return _frame(rows, ["arm", "design", "reference", "seed", "metric", "attribute", "class", "value"])


def _differences(seed_differences: pd.DataFrame, main_arm: str) -> pd.DataFrame:
    keys = ["arm", "design", "reference", "metric", "attribute", "class"]
    table = seed_differences.groupby(keys, sort=False)["value"].agg(["size", "mean", "std"]).reset_index()
    table = table.rename(columns={"size": "seeds", "mean": "value", "std": "seed_sd"})
    table["lower"], table["upper"] = table["value"] - 0.02, table["value"] + 0.025
    table["smallest_p"] = 2.0 / 2.0 ** table["seeds"].astype(float)
    table["p_value"] = np.exp(-60 * table["value"].abs()).clip(lower=table["smallest_p"])
    main = np.array([pair in MAIN_GAPS for pair in zip(table["metric"], table["attribute"], strict=True)], bool)
    table["family"] = np.where(table["arm"].eq(main_arm) & main, "confirmatory", "exploratory")
    table["p_adjusted"] = (1.2 * table["p_value"]).clip(upper=1)
    table["p_sign_flip"], table["p_sign_flip_adjusted"] = table["p_value"], table["p_adjusted"]
    table["uncorrected"], table["undefined_cells"], table["image_se"] = table["value"], 0, 0.01
    table["standard_error"], table["degrees_of_freedom"] = 0.01, 7.5
    table["scope"] = "new seeds and new images"
    table["verdict"] = np.select(
        [table["seeds"] < 6, table["p_adjusted"] <= 0.05],
        ["no_claim_possible", "established"],
        "not_established",
    ).astype(object)
    return table


def _group_changes(generator, designs, arms, groups) -> pd.DataFrame:
    rows = []
    for arm in arms:
        for attribute, names in groups.items():
            reference = np.linspace(0.45, 0.55, len(names))
            for design in designs[1:]:
                change = generator.normal(0.01, 0.02, len(names))
                if design == "B" and attribute == "race" and len(names) > 1:
                    change = np.linspace(-0.01, -0.09, len(names))  # the better a group, the more it loses
                for place, name in enumerate(names):
                    rows.append(
                        {
                            "arm": arm,
                            "design": design,
                            "reference": designs[0],
                            "attribute": attribute,
                            "group": name,
                            "support": 2000 // len(names),
                            "accuracy": reference[place] + change[place],
                            "reference_accuracy": reference[place],
                            "change": change[place],
                            "lower": change[place] - 0.01 * len(names) ** 0.5,
                            "upper": change[place] + 0.01 * len(names) ** 0.5,
                        }
                    )
    columns = ["arm", "design", "reference", "attribute", "group", "support", "accuracy", "reference_accuracy"]
    return _frame(rows, [*columns, "change", "lower", "upper"])


def _epochs(generator, designs, seeds, arms, epochs) -> pd.DataFrame:
    levels = {"macro_f1": 0.45, "loss": 1.0} | {f"{gap}/{attribute}": 0.1 for gap, attribute in MAIN_GAPS}
    rows = []
    for arm in arms:
        for place, design in enumerate(designs):
            for number in range(seeds):
                for epoch in range(1, epochs + 1):
                    for metric, level in levels.items():
                        learnt = 1 - 0.6 * np.exp(-epoch / 2)
                        trend = level / learnt if metric == "loss" else level * learnt
                        value = trend + 0.02 * place + generator.normal(0, 0.01)
                        rows.append((arm, design, number, epoch, metric, value))
    return _frame(rows, ["arm", "design", "seed", "epoch", "metric", "value"])


def _training_size(runs: pd.DataFrame, gaps: pd.DataFrame) -> pd.DataFrame:
    largest = gaps[gaps["class"].eq(MAX)].set_index(["arm", "design", "metric", "attribute"])
    rows = []
    for keys, part in runs.groupby(["arm", "train_size", "fraction", "design", "training_images"], sort=False):
        arm, train_size, fraction, design, images = keys
        for metric, attribute in [("macro_f1", ""), *MAIN_GAPS]:
            column = f"{metric}/{attribute}" if attribute else metric
            rows.append(
                {
                    "arm": arm,
                    "train_size": train_size,
                    "fraction": fraction,
                    "design": design,
                    "training_images": images,
                    "metric": column,
                    "seeds": len(part),
                    "value": part[column].mean(),
                    "seed_sd": part[column].std(),
                    "null_mean": largest.loc[(arm, design, metric, attribute), "null_mean"] if attribute else np.nan,
                }
            )
    return pd.DataFrame(rows)


def _confusion(generator, designs, seeds, groups, classes) -> pd.DataFrame:
    rows = []
    for design in designs:
        for attribute, names in groups.items():
            for group in names:
                for place, true in enumerate(classes):
                    shares = np.full(len(classes), 0.5 / len(classes))
                    shares[place] += 0.5
                    counts = generator.multinomial(2000 // len(names) // len(classes) * seeds, shares)
                    for predicted, count in zip(classes, counts, strict=True):
                        rows.append((design, attribute, group, true, predicted, count))
    return _frame(rows, ["design", "attribute", "group", "y_true", "y_pred", "count"])
