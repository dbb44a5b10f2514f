"""What a method fits on validation images once a training has ended: the last layer, or how classes are decided on."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from fairprof.config import CHOSEN, Settings
from fairprof.data.designs import Draw
from fairprof.data.pool import Pool
from fairprof.metrics.fairness import GAP_METRICS, count_codes, rates
from fairprof.metrics.performance import scores_from_counts
from fairprof.mitigation.class_scaling import class_factors
from fairprof.mitigation.dfr import refitted_head
from fairprof.mitigation.halves import Groups, Halves, require_fittable, validation_halves
from fairprof.mitigation.linear_post import TOLERANCES, membership_weights, solved
from fairprof.mitigation.methods import METHODS
from fairprof.network.predictions import network_outputs
from fairprof.network.records import Refit, Trained, Training, distance_to_ideal
from fairprof.network.weights import arrays_of
from fairprof.runtime.processes import ALONE, Processes
from fairprof.seeds import derive_seed
from fairprof.serving import OPPORTUNITY, PARITY, DecisionRule, chances, last_layer

GAPS = {PARITY: "demographic_parity_difference", OPPORTUNITY: "equal_opportunity_difference"}


@dataclass(frozen=True)
class Validation:
    """What methods are fitted on: of N validation images the probabilities (N, K) float64, features (N, D) float64,
    classes (N,) int, their groups and halves; seed: of what is random in the fit."""

    probabilities: np.ndarray
    features: np.ndarray
    classes: np.ndarray
    groups: Groups
    halves: Halves
    seed: int

    def distance_to_ideal(self, predicted: np.ndarray, gap: str) -> float:
        """Of predictions (N,) int, among the second half: the root of (1 - macro-F1)^2 + gap^2; the gap between groups,
        the largest over classes."""
        rows = self.halves.choose
        counts = count_codes(
            self.groups.codes[rows],
            self.classes[rows],
            predicted[rows],
            len(self.groups.names),
            self.probabilities.shape[1],
        )
        macro_f1 = scores_from_counts(counts.sum(axis=0))["macro_f1"]
        largest = np.nan_to_num(GAP_METRICS[gap].of_rates(rates(counts))).max()
        return distance_to_ideal(float(macro_f1), float(largest))


def require_refittable(settings: Settings, pool: Pool, drawn: Draw) -> None:
    """Raises `UserError` where the validation images of a draw lack what the method has to be fitted on; before a
    training."""
    if METHODS[settings.mitigation].refits:
        criterion = str(settings.method_values().get("criterion", ""))
        groups = Groups.of(pool.table, settings.mitigate)
        require_fittable(settings.mitigation, criterion, pool, drawn.val, groups, _seed(settings))


def refitted(training: Training, trained: Trained, processes: Processes = ALONE) -> tuple[Training, Trained]:
    """The training and what it leaves once its method was fitted on validation images; both as they are for a method
    that is none of these.

    A last layer takes the place of the network's, in the best epoch's weights too. A rule goes with the classifier.
    """
    settings, pool, rows = training.settings, training.pool, training.drawn.val
    if not METHODS[settings.mitigation].refits:
        return training, trained
    probabilities, features = network_outputs(
        training.classifier, training.inputs, pool, rows, settings, "fitting on validation", processes
    )
    groups = Groups.of(pool.table, settings.mitigate)
    validation = Validation(
        probabilities,
        features,
        pool.table["profession"].cat.codes.to_numpy(np.int64)[rows],
        replace(groups, codes=groups.codes[rows]),
        validation_halves(pool, rows, groups, _seed(settings)),
        _seed(settings),
    )
    if settings.mitigation == "dfr":
        return training, _with_head(training, trained, validation)
    refit = RULES[settings.mitigation](settings, validation)
    return replace(training, classifier=replace(training.classifier, rule=refit.rule)), replace(trained, refit=refit)


def _seed(settings: Settings) -> int:
    return derive_seed(settings.seed, "mitigation")


def _with_head(training: Training, trained: Trained, validation: Validation) -> Trained:
    halves = validation.halves
    head = refitted_head(validation.features, validation.classes, validation.groups.codes, halves, validation.seed)
    network = training.classifier.network
    layer = last_layer(network)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(head.weight))
        layer.bias.copy_(torch.from_numpy(head.bias))
    (name,) = (name for name, module in network.named_modules() if module is layer)
    fitted = {f"{name}.{part}": value.copy() for part, value in arrays_of(layer.state_dict()).items()}
    refit = Refit(
        None,
        validation.halves,
        {"strength": head.strength, "worst_accuracy": head.worst_accuracy, "images": head.images},
    )
    return replace(trained, best_weights=trained.best_weights | fitted, refit=refit)


def _shifted(settings: Settings, validation: Validation) -> Refit:
    """Offsets that are fitted on the first half; the tolerance, where none was given, is the one that brings the second
    half nearest to the ideal, of equal ones the smallest."""
    values, halves = settings.method_values(), validation.halves
    blind = DecisionRule(criterion=str(values["criterion"]), groups=validation.groups.names)
    if settings.mitigation == "linear_post":
        rule = replace(blind, attributes=validation.groups.attributes)
    else:
        rule = replace(blind, posteriors=_posteriors(blind.criterion, validation))
    given = values["tolerance"]
    tolerances = TOLERANCES if given == CHOSEN else (float(given),)
    candidates = [_with_offsets(rule, validation, tolerance) for tolerance in tolerances]
    distances = [
        validation.distance_to_ideal(
            each.decide(validation.probabilities, validation.groups.codes, validation.features), GAPS[rule.criterion]
        )
        for each in candidates
    ]
    best = int(np.argmin(distances))
    return Refit(candidates[best], halves, {"tolerance": tolerances[best], "distance_to_ideal": distances[best]})


def _posteriors(criterion: str, validation: Validation) -> tuple[tuple[float, ...], ...]:
    labels, count = validation.groups.codes, len(validation.groups.names)
    if criterion == OPPORTUNITY:
        classes = validation.probabilities.shape[1]
        labels, count = labels * classes + validation.classes, count * classes
    weights = membership_weights(validation.features, labels, validation.halves, count)
    return tuple(tuple(float(f"{value:.9g}") for value in row) for row in weights)


def _with_offsets(rule: DecisionRule, validation: Validation, tolerance: float) -> DecisionRule:
    fit = validation.halves.fit
    probabilities = validation.probabilities[fit]
    memberships = rule.memberships(probabilities, validation.groups.codes[fit], validation.features[fit])
    offsets = solved(probabilities + chances(probabilities), memberships, tolerance).values
    if rule.criterion == PARITY:  # what is added to all classes of a group changes nothing
        offsets = offsets - offsets.mean(axis=1, keepdims=True)
    return replace(rule, offsets=tuple(map(tuple, offsets.tolist())))


def _scaled(settings: Settings, validation: Validation) -> Refit:
    found = class_factors(validation.probabilities, validation.classes, validation.groups.codes, validation.halves)
    values = {"worst_balanced_accuracy": found.value, "worst_balanced_accuracy_without": found.value_without}
    return Refit(DecisionRule(factors=tuple(found.factors.tolist())), validation.halves, values)


RULES: dict[str, Callable[[Settings, Validation], Refit]] = {
    "linear_post": _shifted,
    "linear_post_blind": _shifted,
    "class_scaling": _scaled,
}
