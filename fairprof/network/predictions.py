"""Predictions of a classifier for rows of a pool."""

import numpy as np
import pandas as pd
import torch

from fairprof.config import DataSettings
from fairprof.data.pool import Pool
from fairprof.data.predictions_table import predictions_table
from fairprof.errors import UserError
from fairprof.metrics.fairness import joint_name
from fairprof.network.batches import Inputs, evaluation_batches
from fairprof.network.classifier import Classifier
from fairprof.runtime.hardware import channels_last
from fairprof.runtime.processes import ALONE, Processes
from fairprof.runtime.progress import progress_bar
from fairprof.serving import DecisionRule, last_layer, watched_features

BY_CHANCE = "by_chance"  # column of a predictions table: where a rule left the class to chance


def predict(
    classifier: Classifier,
    inputs: Inputs,
    pool: Pool,
    rows: np.ndarray,
    settings: DataSettings,
    description: str,
    processes: Processes = ALONE,
) -> pd.DataFrame:
    """Predictions of a classifier for rows of the pool, as `predictions_table` describes them, with the classes that
    its rule decides on; BY_CHANCE says where a rule with offsets left them to chance.

    Several processes predict a share each, and all of them return the whole table. Raises `UserError` for groups that
    the rule does not know.
    """
    images, rule = pool.table.iloc[rows], classifier.rule
    with_features = rule is not None and bool(rule.posteriors)
    probabilities, features = network_outputs(
        classifier, inputs, pool, rows, settings, description, processes, with_features
    )
    table = predictions_table(pool, rows, *decided_by(rule, probabilities, features, images))
    if rule is None or not rule.offsets:
        return table
    return table.assign(**{BY_CHANCE: rule.tied(probabilities, groups_for(rule, images), features)})


def decided_by(
    rule: DecisionRule | None, probabilities: np.ndarray, features: np.ndarray, images: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (N, K) float64, as the rule leaves them, and the classes that it decides on, (N,) int.

    images: N rows of a pool's table. Raises `UserError` for groups that the rule does not know.
    """
    if rule is None:
        return probabilities, probabilities.argmax(axis=1)
    return rule.scaled(probabilities), rule.decide(probabilities, groups_for(rule, images), features)


def network_outputs(
    classifier: Classifier,
    inputs: Inputs,
    pool: Pool,
    rows: np.ndarray,
    settings: DataSettings,
    description: str,
    processes: Processes = ALONE,
    with_features: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """The network's probabilities, (N, K) float64, for rows of the pool, and its features, (N, D) float64: what enters
    its last layer; (N, 0) where they are not asked for, since they take far more memory than the rest."""
    network = classifier.part_behind(inputs.boundary)
    device = next(network.parameters()).device
    network.eval()
    own, parts = processes.share(rows), [torch.empty(0, len(pool.professions), device=device)]
    entering_last = [torch.empty(0, last_layer(network).in_features, device=device)]
    bar = progress_bar(description, len(own), "images")
    with torch.inference_mode(), bar, watched_features(network) as features:
        for entering, _, _ in evaluation_batches(pool, own, inputs, settings):
            parts.append(network(channels_last(entering.to(device).float())).float())
            entered = features.pop()
            if with_features:
                entering_last.append(entered.float())
            bar.update(len(entered))
    logits = processes.gathered(torch.cat(parts), len(rows))
    last = processes.gathered(torch.cat(entering_last), len(rows)) if with_features else logits[:, :0]
    return logits.softmax(dim=1).double().cpu().numpy(), last.double().cpu().numpy()


def groups_for(rule: DecisionRule, table: pd.DataFrame) -> np.ndarray | None:
    """The groups of rows of a pool's table as a rule numbers them, (N,) int; None where it needs none.

    Raises `UserError` for a group that it does not know.
    """
    if not rule.attributes:
        return None
    codes = rule.group_codes({name: table[name] for name in rule.attributes})
    for row in np.flatnonzero(codes < 0)[:1]:
        unknown = joint_name(str(table[name].iloc[row]) for name in rule.attributes)
        known = ", ".join(map(joint_name, rule.groups))
        raise UserError(
            f"the model decides by {' and '.join(rule.attributes)}, and knows no {unknown} (it knows {known}): use "
            "data with these groups, merge or exclude the others, or use a model that does not need the group"
        )
    return codes
