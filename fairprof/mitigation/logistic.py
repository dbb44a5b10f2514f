"""Multinomial logistic regression on standardised features, as weights of the features as they are."""

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

MOST_ITERATIONS = 5000


def regression(features: np.ndarray, labels: np.ndarray, scaler: StandardScaler, **options: Any) -> np.ndarray:
    """The weights of a logistic regression of labels on features, (L, D + 1) float64, the last column the intercept:
    the softmax of `linear(weights, features)` are its probabilities of the L labels.

    features: (N, D). labels: (N,) int, from 0 to L - 1, all of which occur. scaler: standardises the features, which is
    folded into the weights. options: of scikit-learn's `LogisticRegression`.
    """
    fitted = LogisticRegression(max_iter=MOST_ITERATIONS, **options).fit(scaler.transform(features), labels)
    weights, intercepts = fitted.coef_, fitted.intercept_
    if len(weights) == 1:  # of two labels there is one row, the logit of the second
        weights, intercepts = (np.concatenate((-part / 2, part / 2)) for part in (weights, intercepts))
    weights = weights / scaler.scale_
    return np.column_stack((weights, intercepts - weights @ scaler.mean_))


def linear(weights: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Logits, (N, L), of weights (L, D + 1), the last column the intercept, for features (N, D)."""
    return features @ weights[:, :-1].T + weights[:, -1]
