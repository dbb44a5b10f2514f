"""The predictions table: its columns, order and types, and what of the pool it repeats."""

import numpy as np
import pandas as pd
import pytest

from fairprof.config import Settings
from fairprof.data.pool import Pool, load_pool
from fairprof.data.predictions_table import predictions_table

PROFESSIONS = ("astronaut", "baker", "cook")
ROWS = 26


@pytest.fixture(scope="module")
def pool(tmp_path_factory) -> Pool:
    """26 rows, without pixels, of two genders, two races, three ages and three professions."""
    folder = tmp_path_factory.mktemp("faces")
    rows = [
        {
            "image": f"{number:02}.png",
            "gender": ("man", "woman")[number % 2],
            "race": "ab"[number // 2 % 2],
            "age": ("5", "25", "80")[number % 3],
            "profession": PROFESSIONS[number % 3],
            "partition": ("train", "val", "test")[number // 10],
        }
        for number in range(ROWS)
    ]
    pd.DataFrame(rows).to_csv(folder / "faces.csv", index=False)
    settings = Settings(data=f"manifest:{folder / 'faces.csv'}", cache_dir=str(folder / "cache"))
    return load_pool(settings, image_size=None)


@pytest.fixture(scope="module")
def table(pool) -> pd.DataFrame:
    """All rows, each with probabilities of its own."""
    return predictions_table(pool, np.arange(ROWS), np.random.default_rng(0).dirichlet(np.ones(3), ROWS))


def test_table_has_the_columns_of_its_contract(table):
    assert list(table.columns) == [
        "image",
        "partition",
        "y_true",
        "y_pred",
        "probability_astronaut",
        "probability_baker",
        "probability_cook",
        "gender",
        "race",
        "age",
    ]
    assert len(table) == ROWS and list(table.index) == list(range(ROWS))
    assert all(table[f"probability_{name}"].dtype == np.float64 for name in PROFESSIONS)


def test_attributes_are_categoricals_in_the_order_of_the_pool(table, pool):
    for name in ("gender", "race", "age"):
        assert isinstance(table[name].dtype, pd.CategoricalDtype)
        assert list(table[name].cat.categories) == list(pool.table[name].cat.categories)
    assert list(table["age"].cat.categories) == ["3-9", "20-29", "70+"]


def test_rows_say_what_the_manifest_says(table):
    assert table["image"].tolist() == [f"{number:02}.png" for number in range(ROWS)]
    assert table["y_true"].tolist() == [PROFESSIONS[number % 3] for number in range(ROWS)]
    assert table["gender"].tolist() == [("man", "woman")[number % 2] for number in range(ROWS)]
    assert table["partition"].tolist() == ["train"] * 10 + ["val"] * 10 + ["test"] * 6


def test_table_of_given_probabilities_by_hand(pool):
    probabilities = np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]])
    table = predictions_table(pool, np.array([4, 9]), probabilities)
    assert table["image"].tolist() == ["04.png", "09.png"]
    assert table["y_true"].tolist() == ["baker", "astronaut"]
    assert table["y_pred"].tolist() == ["baker", "astronaut"]
    assert table["probability_cook"].tolist() == [0.3, 0.1]


def test_missing_ages_stay_missing(pool):
    unknown = pool.table.assign(age=pd.Categorical([None] * ROWS, categories=["0-2"]))
    table = predictions_table(Pool(**vars(pool) | {"table": unknown}), np.array([1]), np.array([[0.2, 0.5, 0.3]]))
    assert table["age"].isna().all()


def test_persons_stand_in_the_table_where_the_pool_knows_them(pool, tmp_path):
    assert "person" not in predictions_table(pool, np.array([1]), np.array([[0.2, 0.5, 0.3]]))
    known = pool.table.assign(person=["", *(f"p{number // 2}" for number in range(1, ROWS))])
    shares = np.tile([0.2, 0.5, 0.3], (3, 1))
    table = predictions_table(Pool(**vars(pool) | {"table": known}), np.array([0, 2, 3]), shares)
    table.to_parquet(tmp_path / "predictions.parquet")
    assert pd.read_parquet(tmp_path / "predictions.parquet")["person"].tolist() == ["", "p1", "p1"]
