"""The refitted last layer against scikit-learn on the same features."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairprof.mitigation.dfr import STRENGTHS, TOLERANCE, refitted_head
from fairprof.mitigation.halves import Halves
from fairprof.seeds import derive_seed


def images(per_cell: int, class_count: int, features: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray, Halves]:
    """Features that lean on the group, classes and groups, with the same number of images of every cell and half."""
    generator = np.random.default_rng(3)
    classes, groups = np.arange(2 * per_cell * class_count * 2) % class_count, None
    groups = np.arange(len(classes)) // class_count % 2
    means = generator.normal(size=(class_count, features)), generator.normal(size=(2, features))
    values = 5 + 3 * (generator.normal(size=(len(classes), features)) + means[0][classes] * 0.5 + means[1][groups])
    half = np.arange(len(classes)) < len(classes) // 2
    return values, classes, groups, Halves(np.flatnonzero(half), np.flatnonzero(~half))


@pytest.mark.parametrize("class_count", [2, 4])
def test_the_head_is_scikit_learns_regression_on_the_same_standardised_features(class_count):
    values, classes, groups, halves = images(10, class_count)
    head = refitted_head(values, classes, groups, halves, seed=0)
    models = {}
    for strength in STRENGTHS:
        regression = LogisticRegression(
            C=strength,
            l1_ratio=1.0,
            solver="saga",
            tol=TOLERANCE,
            max_iter=5000,
            random_state=derive_seed(0, "dfr", "solver") % 2**32,
        )
        models[strength] = make_pipeline(StandardScaler(), regression).fit(values[halves.fit], classes[halves.fit])

    def worst(model) -> float:
        right = model.predict(values[halves.choose]) == classes[halves.choose]
        cells = [
            right[(classes[halves.choose] == k) & (groups[halves.choose] == g)]
            for k in range(class_count)
            for g in range(2)
        ]
        return min(cell.mean() for cell in cells)

    best = max(models, key=lambda strength: worst(models[strength]))  # of equal ones the first
    assert head.strength == best
    assert head.worst_accuracy == worst(models[best])
    logits = values @ head.weight.T + head.bias
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(probabilities, models[best].predict_proba(values), atol=1e-10)


def test_every_group_of_a_class_counts_with_as_many_images_as_the_rarest_has():
    values, classes, groups, halves = images(10, 3)
    rare = (classes[halves.fit] == 1) & (groups[halves.fit] == 0)
    fit = np.concatenate((halves.fit[~rare], halves.fit[rare][:4]))
    head = refitted_head(values, classes, groups, Halves(np.sort(fit), halves.choose), seed=0)
    assert head.images == 4 * 6
    again = refitted_head(values, classes, groups, Halves(np.sort(fit), halves.choose), seed=0)
    assert (head.weight == again.weight).all()
    other = refitted_head(values, classes, groups, Halves(np.sort(fit), halves.choose), seed=1)
    assert (head.weight != other.weight).any()


def test_scaled_features_give_a_head_of_the_same_predictions():
    values, classes, groups, halves = images(10, 3)
    head = refitted_head(values, classes, groups, halves, seed=0)
    scaled = refitted_head(values * 100, classes, groups, halves, seed=0)
    assert np.allclose(scaled.weight * 100, head.weight)
