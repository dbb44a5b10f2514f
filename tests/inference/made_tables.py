"""Small tables of predictions with known counts, for tests."""

import itertools

import numpy as np
import pandas as pd

from fairprof.inference.group_means import ImageValues, image_values


def predictions_of(counts: dict[tuple[str, str], list[list[int]]]) -> pd.DataFrame:
    """A predictions table with so many rows by (gender, race), true class (rows) and predicted class (columns)."""
    classes = list("xyzw")[: len(next(iter(counts.values())))]
    rows = [
        (gender, race, true, predicted)
        for (gender, race), block in counts.items()
        for true, line in zip(classes, block, strict=True)
        for predicted, count in zip(classes, line, strict=True)
        for _ in range(count)
    ]
    table = pd.DataFrame(rows, columns=["gender", "race", "y_true", "y_pred"])
    for name in classes:
        table[f"probability_{name}"] = (table["y_pred"] == name).astype(float)
    return table


def two_genders(female: list[list[int]], male: list[list[int]]) -> pd.DataFrame:
    return predictions_of({("Female", "Green"): female, ("Male", "Green"): male})


def random_counts(seed: int, genders: int = 2, races: int = 3, classes: int = 3, rows: int = 600) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    shape = (genders, races, classes, classes)
    shares = generator.dirichlet(np.ones(np.prod(shape)) * 2)
    counts = generator.multinomial(rows, shares).reshape(shape)
    return predictions_of(
        {(f"g{i}", f"r{j}"): counts[i, j].tolist() for i, j in itertools.product(range(genders), range(races))}
    )


def row_of(table: pd.DataFrame, **values: str) -> pd.Series:
    found = table[np.logical_and.reduce([table[name] == value for name, value in values.items()])]
    assert len(found) == 1, values
    return found.iloc[0]


def renamed(table: pd.DataFrame) -> pd.DataFrame:
    """The same predictions in another order, of groups whose names sort the other way around."""
    return table.assign(
        gender=table["gender"].map({"g0": "z", "g1": "a"}), race=table["race"].map({"r0": "m", "r1": "p", "r2": "b"})
    ).sample(frac=1, random_state=3)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def people(count: int, seed: int = 0) -> pd.DataFrame:
    drawn = generator(seed)
    return pd.DataFrame(
        {
            "image": [f"{number:04d}" for number in range(count)],
            "gender": drawn.choice(["man", "woman"], count),
            "race": drawn.choice(["x", "y", "z"], count),
            "y_true": drawn.choice(["a", "b"], count),
        }
    )


def numbers_of(rows: pd.DataFrame, values: np.ndarray, models: tuple[str, ...] = ("A",)) -> ImageValues:
    names = tuple(f"m{number}" for number in range(values.shape[-1]))
    return image_values(rows, dict.fromkeys(models, values), names)
