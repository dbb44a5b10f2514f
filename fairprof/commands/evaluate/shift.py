"""The images that are evaluated against those of the training: what they are, and what is predicted for them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from fairprof.inference.shift import (
    COMPARABLE,
    ExpectedAccuracy,
    composition_shift,
    confidence_shift,
    expected_accuracy,
    judged_shift,
)
from fairprof.inference.units import person_codes
from fairprof.metrics.fairness import joint_name
from fairprof.metrics.selective import confidence_of

JOINT = "gender x race x profession"
PREDICTED, CONFIDENCE = "predicted class", "confidence"
TOTAL_VARIATION, KOLMOGOROV_SMIRNOV = "total_variation", "kolmogorov_smirnov"


class Shift(NamedTuple):
    """Tables about shift.

    data: the evaluated images against the training run's own test images, a random sample of the data that it learned
    from; composition by gender, race, age, profession and their joint, the predicted class, and the confidence. Columns
    of `composition_shift` and `judged_shift`, with `distance` (total_variation or kolmogorov_smirnov) and its `value`.
    training: the composition of the evaluated images against that of the training images, which the design has made;
    `balanced` says whether the design has fixed it. accuracy: expected and observed, on either set of images,
    with and without temperature scaling. unknown_persons: the run's other images show persons several times, but of the
    training images, for which each counts as one of another person, it has recorded counts alone.
    """

    data: pd.DataFrame
    training: pd.DataFrame
    accuracy: pd.DataFrame
    unknown_persons: bool


def shift_between(
    evaluated: dict[str, pd.DataFrame],
    own_test: dict[str, pd.DataFrame],
    validation: pd.DataFrame,
    composition: pd.DataFrame,
    balanced: Sequence[str],
    permutations: int,
    generator: np.random.Generator,
) -> Shift:
    """Compares the predictions of an evaluation with those of the training run.

    evaluated, own_test: predictions tables, under "before" as the model gives them and under "after" temperature
    scaling. validation: the run's validation predictions, drawn by the design as the training images were: their ages
    stand for the training images' ages, which a run does not record. composition: the run's `data/composition.csv`.
    balanced: the axes that the design has balanced. Images of one person are no evidence each: see `category_shift`.
    """
    here, there = evaluated["before"], own_test["before"]
    data = composition_shift(
        _counts_of_persons(there, _labels(there) | _predicted(there)),
        _counts_of_persons(here, _labels(here) | _predicted(here)),
        permutations,
        generator,
    )
    data.insert(2, "distance", TOTAL_VARIATION)
    data = data.rename(columns={"total_variation": "value"})
    persons = person_codes(there), person_codes(here)
    confidence = confidence_shift(confidence_of(there), confidence_of(here), persons, permutations, generator)
    data.loc[len(data)] = {
        "attribute": CONFIDENCE,
        "status": COMPARABLE,
        "distance": KOLMOGOROV_SMIRNOV,
        "value": confidence.statistic,
        "p_value": confidence.p_value,
        "reference_images": len(there),
        "evaluated_images": len(here),
        "only_reference": "",
        "only_evaluated": "",
    }
    ages = _counts_of_persons(validation, {"age": validation["age"]})
    trained = training_counts(composition, validation) | ages
    training = composition_shift(trained, _counts_of_persons(here, _labels(here)), permutations, generator)
    training = training.rename(columns={"total_variation": "value"})
    fixed = training["attribute"].isin([*balanced, JOINT])
    records = [
        {"images": images, "scaling": stage, **_expected(table)._asdict()}
        for images, tables in (("own test", own_test), ("evaluated", evaluated))
        for stage, table in tables.items()
    ]
    return Shift(
        judged_shift(data),
        judged_shift(training).assign(balanced=fixed),
        pd.DataFrame(records),
        unknown_persons=any(person_codes(table) is not None for table in (there, validation)),
    )


def sample_counts(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Images by gender, race, age, profession and the joint of all but age, of a predictions table."""
    return {name: labels.value_counts() for name, labels in _labels(table).items()}


def _labels(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Each image's gender, race, age, profession and the joint of all but age."""
    profession = table["y_true"].astype(str)
    joint = _joint(table["gender"], table["race"], profession)
    return {
        "gender": table["gender"],
        "race": table["race"],
        "age": table["age"],
        "profession": profession,
        JOINT: joint,
    }


def _joint(*labels: pd.Series) -> pd.Series:
    return pd.Series([joint_name(of_image) for of_image in zip(*labels, strict=True)], labels[0].index, dtype=object)


def _counts_of_persons(table: pd.DataFrame, labels: dict[str, pd.Series]) -> dict[str, pd.Series | pd.DataFrame]:
    """Images by each of the labels and, where persons have several, by person, as `composition_shift` takes them."""
    person = person_codes(table)
    if person is None:
        return {name: of_images.value_counts() for name, of_images in labels.items()}
    return {name: pd.crosstab(of_images, person) for name, of_images in labels.items()}


def training_counts(composition: pd.DataFrame, validation: pd.DataFrame) -> dict[str, pd.Series]:
    """The same of a run's training images; ages are those of its validation images."""
    train = composition[composition["partition"].eq("train")]
    joint = train.assign(joint=_joint(train["gender"], train["race"], train["profession"]))
    counts = {
        name: joint.groupby(column)["count"].sum()
        for name, column in (("gender", "gender"), ("race", "race"), ("profession", "profession"), (JOINT, "joint"))
    }
    ages = sample_counts(validation)["age"]
    return {"gender": counts["gender"], "race": counts["race"], "age": ages} | {
        name: counts[name] for name in ("profession", JOINT)
    }


def _predicted(table: pd.DataFrame) -> dict[str, pd.Series]:
    return {PREDICTED: table["y_pred"].astype(str)}


def _expected(table: pd.DataFrame) -> ExpectedAccuracy:
    correct = table["y_pred"].astype(str).eq(table["y_true"].astype(str)).to_numpy()
    return expected_accuracy(confidence_of(table), correct, person_codes(table))
