"""Tables as people have them, for tests of the functions that take them."""

import numpy as np
import pandas as pd

GROUP_SIZES = {"north": 300, "east": 300, "south": 300, "west": 300, "isle": 60, "rock": 8, "buoy": 3}


def predictions(seed: int, rows: int = 400, classes: tuple = ("a", "b", "c"), right: float = 0.7) -> pd.DataFrame:
    """Columns "What it is", "What it says", "Sex" (0, 1) and "Where" (three places); no group is served worse."""
    generator = np.random.default_rng(seed)
    true = generator.choice(np.array(classes), rows)
    other = generator.choice(np.array(classes), rows)
    return pd.DataFrame(
        {
            "What it is": true,
            "What it says": np.where(generator.random(rows) < right, true, other),
            "Sex": generator.integers(0, 2, rows),
            "Where": generator.choice(["north", "south", "west"], rows),
        }
    )


COLUMNS = {"groups": ["Sex", "Where"], "y_true": "What it is", "y_pred": "What it says"}


def one_large_group_is_served_worse(seed: int) -> pd.DataFrame:
    """Columns group, label, prediction: true positive rates .7, but .5 in the large group "west"."""
    generator = np.random.default_rng(seed)
    group = np.repeat(list(GROUP_SIZES), list(GROUP_SIZES.values()))
    right = generator.random(len(group)) < np.where(group == "west", 0.5, 0.7)
    return pd.DataFrame({"group": group, "label": "yes", "prediction": np.where(right, "yes", "no")})


def runs(seed: int, gap: float, seeds: int, rows: int = 400) -> list[pd.DataFrame]:
    """A table per seed on the same images, those of Sex 1 rightly predicted less often by `gap`; shuffled."""
    base, tables = predictions(0, rows), []
    base.insert(0, "image", [f"{number}.png" for number in range(rows)])
    for number in range(seeds):
        generator = np.random.default_rng([seed, number])
        right = generator.random(rows) < 0.8 - gap * base["Sex"]
        wrong = base["What it is"].map({"a": "b", "b": "c", "c": "a"})
        says = np.where(right, base["What it is"], wrong)
        tables.append(base.assign(**{"What it says": says}).sample(frac=1, random_state=generator.integers(2**31)))
    return tables
