"""Tables of a comparison of methods, by hand: rows with usual values, and whole studies made from a seed."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fairprof.commands.compare.mitigation.protocol import MitigationStudy
from fairprof.config import MITIGATIONS, Settings, method_values_text
from tests.commands.compare.test_claims import DP, EO, MAX, protocol

SCOPE = "new seeds and new images"
GAPS = tuple((metric, attribute) for metric in (DP, EO) for attribute in ("gender", "race"))
QUANTITIES = (("macro_f1", ""), *GAPS)
GROUPS = ("Black", "White", "East Asian", "Indian", "Middle Eastern", "Latino_Hispanic", "Southeast Asian")


def made_study(methods: Sequence[str] = ("none", "group_dro"), mitigate: str = "race", **changes) -> MitigationStudy:
    values = {
        name: method_values_text(name, Settings(mitigation=name, mitigate=mitigate).method_values()) for name in methods
    }
    return MitigationStudy(protocol(**changes), mitigate, tuple(methods), values)


def compared(metric: str = EO, attribute: str = "race", **changes) -> dict:
    row = {"metric": metric, "attribute": attribute, "class": MAX if attribute else "", "seeds": 6, "value": -0.041}
    row |= dict(lower=-0.07, upper=-0.012, uncorrected=-0.05, standard_error=0.01, degrees_of_freedom=5.0, seed_sd=0.02)
    row |= dict(image_se=0.01, p_value=0.001, undefined_cells=0, family="confirmatory", p_adjusted=0.012)
    return row | dict(verdict="established", scope=SCOPE) | changes


def effect(metric: str = EO, attribute: str = "race", **changes) -> dict:
    return dict(design="B", method="group_dro") | compared(metric, attribute) | changes


def score_effect(**changes) -> dict:
    return effect("macro_f1", "", **dict(value=0.003, verdict="not_established") | changes)


def group_effect(group: str = "Black", **changes) -> dict:
    row = dict(design="B", method="group_dro", attribute="race", group=group, seeds=6, accuracy=0.5)
    row |= dict(accuracy_without=0.49, change=0.01, lower=-0.02, upper=0.04, p_value=0.5, p_adjusted=0.9, support=100)
    return row | dict(family="confirmatory", verdict="not_established", scope=SCOPE) | changes


def verdict(name: str, **changes) -> dict:
    row = dict(design="B", method="group_dro", verdict=name, reduced="", enlarged="", harmed="", lost=False)
    return row | dict(lowest=-0.02, margin=0.05) | changes


def interaction(metric: str = EO, attribute: str = "race", **changes) -> dict:
    return dict(design="B", reference="A", method="group_dro") | compared(metric, attribute) | changes


def substitution(metric: str = EO, attribute: str = "race", **changes) -> dict:
    row = dict(design_without="A", design_with="B", method="group_dro") | compared(metric, attribute)
    return row | dict(chosen=True) | changes


def cell(design: str = "B", method: str = "none", **changes) -> dict:
    row = dict(design=design, method=method, seeds=6, macro_f1=0.45, accuracy=0.5, worst_group_accuracy=0.4)
    for place, (metric, attribute) in enumerate(GAPS):
        value = 0.1 + 0.01 * place
        row |= {
            f"{metric}/{attribute}": value,
            f"floor/{metric}/{attribute}": 0.04,
            f"corrected/{metric}/{attribute}": value - 0.04,
        }
    return row | dict(degenerate=False, training_images=280) | changes


def against_chance(**changes) -> dict:
    row = dict(design="B", method="group_dro", metric=EO, attribute="race", seeds=6, gap=0.05, gap_without=0.09)
    row |= dict(share=0.44, macro_f1=0.44, macro_f1_of_replacement=0.36, difference=0.08, lower=0.02, upper=0.14)
    return row | dict(p_value=0.001, p_adjusted=0.02, verdict="above_the_line") | changes


def line_point(**changes) -> dict:
    return dict(design="B", metric=EO, attribute="race", share=0.0, gap=0.09, macro_f1=0.45) | changes


def selection(rule: str = "val_macro_f1", **changes) -> dict:
    row = dict(design="B", method="group_dro", selection=rule, verdict="nothing_established", macro_f1=0.45)
    return row | {f"{EO}/race": 0.05} | changes


EXAMPLES = {
    "cells": cell(),
    "effects": effect(),
    "group_effects": group_effect(),
    "verdicts": verdict("worse"),
    "interactions": interaction(),
    "substitutions": substitution(),
    "random_replacement": against_chance(),
    "replacement_line": line_point(),
    "selections": selection(),
}


def made_tables(**rows: Sequence[dict]) -> dict[str, pd.DataFrame]:
    """Every table, with these rows; one without keeps its columns."""
    return {name: pd.DataFrame(list(rows.get(name, ())), columns=list(example)) for name, example in EXAMPLES.items()}


def whole_study(designs: str = "ABCD", seed: int = 0) -> tuple[dict[str, pd.DataFrame], MitigationStudy]:
    """Tables of all methods that agree in form, not in arithmetic; of one combination a model is degenerate."""
    generator = np.random.default_rng(seed)
    methods = tuple(MITIGATIONS)
    study = made_study(methods, designs=tuple(designs), weights_sha256="ab", seeds=tuple(range(6)))
    rows: dict[str, list[dict]] = {name: [] for name in EXAMPLES}
    for design in designs:
        for method in methods:
            rows["cells"].append(_drawn_cell(generator, design, method))
            if method == "none":
                continue
            place = dict(design=design, method=method)
            judged = [effect(*quantity, **place | _drawn(generator)) for quantity in QUANTITIES]
            rows["effects"] += judged
            rows["group_effects"] += [group_effect(group, **place) for group in GROUPS]
            reduced = [row for row in judged if row["attribute"] and _smaller(row)]
            names = ", ".join(f"{row['metric']}/{row['attribute']}" for row in reduced)
            kinds = ("fairer_without_harm", "fairer_harm_not_ruled_out", "trade_off", "levelled_down")
            name = kinds[int(generator.integers(4))] if reduced else "nothing_established"
            rows["verdicts"].append(verdict(name, **place, reduced=names))
            asked = [quantity for quantity in QUANTITIES if quantity[1] != "gender"]
            if design != designs[0]:
                rows["interactions"] += [interaction(*quantity, **place | _drawn(generator)) for quantity in asked]
            for other in designs:
                if other != design:
                    pair = dict(design_without=other, design_with=design, method=method)
                    chosen = (other, design, method) == (designs[0], designs[-1], "dfr")
                    rows["substitutions"] += [
                        substitution(*quantity, **pair | _drawn(generator), chosen=chosen) for quantity in asked
                    ]
            for metric in (DP, EO):
                kind = str(generator.choice(["under_the_line", "not_established", "not_established", "above_the_line"]))
                rows["random_replacement"].append(against_chance(**place, metric=metric, verdict=kind))
            rules = ("val_macro_f1", "val_worst_group", "val_distance_to_ideal")
            rows["selections"] += [selection(rule, **place) for rule in rules]
    without = {row["design"]: row for row in rows["cells"] if row["method"] == "none"}
    for design, row in without.items():
        for metric in (DP, EO):
            gap = row[f"corrected/{metric}/race"]
            rows["replacement_line"] += [
                line_point(
                    design=design,
                    metric=metric,
                    share=share,
                    gap=gap * (1 - share),
                    macro_f1=row["macro_f1"] - share / 5,
                )
                for share in np.linspace(0, 1, 11)
            ]
    rows["cells"][-1]["degenerate"] = True
    rows["verdicts"][-1] = verdict("degenerate", design=designs[-1], method=methods[-1])
    return made_tables(**rows), study


def _drawn(generator: np.random.Generator) -> dict:
    value, half = generator.normal(-0.02, 0.04), generator.uniform(0.02, 0.05)
    name = "established" if abs(value) > half else "not_established"
    return dict(value=value, lower=value - half, upper=value + half, verdict=name)


def _smaller(row: dict) -> bool:
    return row["verdict"] == "established" and row["value"] < 0


def _drawn_cell(generator: np.random.Generator, design: str, method: str) -> dict:
    row = cell(design, method, macro_f1=0.45 + generator.normal(0, 0.02))
    for metric, attribute in GAPS:
        row[f"corrected/{metric}/{attribute}"] += generator.normal(0, 0.02)
    return row
