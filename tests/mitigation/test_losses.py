"""The losses of methods, by hand and against the published forms."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from fairprof.mitigation.losses import (
    BalancedSoftmax,
    CVaR,
    GroupDRO,
    Loss,
    OpportunityPenalty,
    ParityPenalty,
    Place,
    Term,
    class_weights,
    mean_loss,
)
from fairprof.mitigation.rows import GroupedRows
from fairprof.runtime.processes import ALONE
from tests.mitigation.test_sampling import rows_of


def loss_of(kind: type[Loss], counts: list[list[int]], smoothing: float = 0.0, **values: float) -> Loss:
    rows: GroupedRows = rows_of(counts)
    return kind(rows, torch.ones(rows.class_count), smoothing, values, ALONE)


def whole(classes: list[int], groups: list[int]) -> list[Term]:
    return [Term(1.0, torch.tensor(classes), torch.tensor(groups), torch.ones(len(classes)))]


def value(loss: Loss, logits: torch.Tensor, terms: list[Term]) -> float:
    return loss(logits, terms, Place(0, len(logits))).item()


LOGITS = torch.tensor([[2.0, -1.0], [0.5, 0.25], [-3.0, 1.0], [0.1, 0.2]])
CLASSES, GROUPS = [0, 1, 0, 1], [0, 0, 1, 1]


def pool_of(*professions: str) -> SimpleNamespace:
    """Of a pool, what class weights are read from."""
    names = pd.Categorical(professions, categories=["baker", "driver"])
    return SimpleNamespace(table=pd.DataFrame({"profession": names}), professions=("baker", "driver"))


def test_class_weights_are_inverse_frequencies_with_mean_one_over_the_images():
    pool = pool_of(*["baker"] * 6, *["driver"] * 2)
    weights = class_weights(pool, np.arange(8))
    assert weights.tolist() == pytest.approx([8 / (2 * 6), 8 / (2 * 2)])
    assert weights.dtype == torch.float32
    assert class_weights(pool, np.array([0, 1, 6, 7])).tolist() == [1.0, 1.0]


def test_class_without_an_image_weighs_nothing():
    assert class_weights(pool_of("baker", "driver", "driver"), np.array([1, 2])).tolist() == pytest.approx([0.0, 0.5])


def test_the_mean_loss_weighs_every_image_by_its_class():
    weights = torch.tensor([3.0, 0.5])
    each = functional.cross_entropy(LOGITS, torch.tensor(CLASSES), reduction="none")
    expected = (3 * each[0] + each[1] / 2 + 3 * each[2] + each[3] / 2) / 7
    assert mean_loss(LOGITS, torch.tensor(CLASSES), weights, 0.0).item() == pytest.approx(expected.item())


def test_images_weigh_what_they_are_given():
    terms = [Term(1.0, torch.tensor(CLASSES), torch.tensor(GROUPS), torch.tensor([2.0, 0.5, 0.5, 1.0]))]
    each = functional.cross_entropy(LOGITS, torch.tensor(CLASSES), reduction="none")
    expected = (2 * each[0] + each[1] / 2 + each[2] / 2 + each[3]) / 4
    assert value(loss_of(Loss, [[4, 4]]), LOGITS, terms) == pytest.approx(expected.item())


# --- balanced softmax -------------------------------------------------------------------------------------------


def test_balanced_softmax_is_as_published():
    """Ren et al. 2020: the softmax's exponentials are weighted by the classes' counts, here of the image's group."""
    counts = np.array([[30, 10], [5, 15]])
    probabilities = counts[GROUPS] * np.exp(LOGITS.numpy())
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    expected = -np.log(probabilities[range(4), CLASSES]).mean()
    loss = loss_of(BalancedSoftmax, counts.tolist(), strength=1.0)
    assert value(loss, LOGITS, whole(CLASSES, GROUPS)) == pytest.approx(expected, rel=1e-6)


def test_a_class_that_a_group_lacks_counts_as_half_an_image():
    loss = loss_of(BalancedSoftmax, [[8, 0], [4, 4]], smoothing=0.1, strength=1.0)
    assert loss.offsets[0].tolist() == pytest.approx([math.log(2 * 8 / 8.5), math.log(2 * 0.5 / 8.5)])
    assert loss.offsets[1].tolist() == [0.0, 0.0]
    assert math.isfinite(value(loss, LOGITS, whole([0, 0, 0, 1], GROUPS)))


# --- group DRO --------------------------------------------------------------------------------------------------


def test_weights_of_groups_grow_as_published():
    loss = loss_of(GroupDRO, [[3, 3], [1, 1]], eta=0.5)
    terms, share = whole(CLASSES, GROUPS), np.array([0.75, 0.25])
    each = functional.cross_entropy(LOGITS, torch.tensor(CLASSES), reduction="none").numpy()
    of_group = np.array([each[:2].mean(), each[2:].mean()])
    q = share
    for _ in range(3):
        q = q * np.exp(0.5 * of_group)
        q /= q.sum()
        # of the batch's images of a group each weighs q / share, which is right on average over batches
        expected = (q / share) @ of_group / 2
        assert value(loss, LOGITS, terms) == pytest.approx(expected, rel=1e-5)
        assert list(loss.epoch_values().values()) == pytest.approx(q.tolist())
    assert list(loss.epoch_values()) == ["train/group_dro_q/g0", "train/group_dro_q/g1"]


def test_a_group_that_is_not_in_the_batch_does_not_grow():
    loss = loss_of(GroupDRO, [[2, 2], [1, 1], [1, 1]], eta=0.5)
    value(loss, LOGITS, whole(CLASSES, [0, 0, 0, 0]))
    _, second, third = loss.epoch_values().values()
    assert second == third < 0.25


def test_of_a_mixed_image_each_group_has_its_share():
    loss, by_hand = (loss_of(GroupDRO, [[2, 2], [2, 2]], eta=1.0) for _ in range(2))
    one = torch.ones(1)
    mixed = [
        Term(0.75, torch.tensor([0]), torch.tensor([0]), one),
        Term(0.25, torch.tensor([1]), torch.tensor([1]), one),
    ]
    value(loss, LOGITS[:1], mixed)
    first, second = (functional.cross_entropy(LOGITS[:1], torch.tensor([k])).item() for k in (0, 1))
    raised = np.exp([first, second])
    assert list(loss.epoch_values().values()) == pytest.approx((raised / raised.sum()).tolist(), rel=1e-5)
    assert by_hand.scores.tolist() == [0.0, 0.0]


# --- CVaR -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [(1.0, [1, 1, 1, 1]), (0.5, [0, 2, 2, 0]), (0.375, [0, 4 / 3, 8 / 3, 0]), (0.25, [0, 0, 4, 0])],
)
def test_the_largest_losses_weigh_and_the_boundary_by_its_part(alpha, expected):
    loss = loss_of(CVaR, [[4, 4]], alpha=alpha)
    losses = torch.tensor([0.1, 0.7, 0.9, 0.2])
    (factors,) = loss.factors([losses], whole(CLASSES, GROUPS), Place(0, 4))
    assert factors.tolist() == pytest.approx(expected)


def test_cvar_is_the_smallest_bound_over_thresholds():
    """Rockafellar and Uryasev 2000: CVaR is min over c of c + mean(max(loss - c, 0)) / alpha."""
    losses = torch.tensor(np.random.default_rng(0).exponential(size=13))
    terms = whole([0] * 13, [0] * 13)
    for alpha in (0.1, 0.33, 0.8):
        (factors,) = loss_of(CVaR, [[4, 4]], alpha=alpha).factors([losses], terms, Place(0, 13))
        bounds = [float(c + (losses - c).clamp(min=0).mean() / alpha) for c in losses]
        assert float((factors * losses).mean()) == pytest.approx(min(bounds))


# --- penalties --------------------------------------------------------------------------------------------------


def penalty_of(kind, groups, classes, logits, group_count=2, weight=1.0) -> torch.Tensor:
    counts = [[1] * logits.shape[1]] * group_count
    return loss_of(kind, counts, weight=weight).penalty(logits, whole(classes, groups))


def test_parity_penalty_of_two_groups_and_classes_is_the_published_one():
    """Chuang and Mroueh 2021: |E[f | group 0] - E[f | group 1]|, with its gradient."""
    logits = LOGITS.clone().requires_grad_()
    f = logits.softmax(dim=1)[:, 1]
    published = (f[:2].mean() - f[2:].mean()).abs()
    ours = penalty_of(ParityPenalty, GROUPS, CLASSES, logits)
    assert ours.item() == pytest.approx(published.item())
    expected, got = (torch.autograd.grad(each, logits, retain_graph=True)[0] for each in (published, ours))
    torch.testing.assert_close(got, expected)
    assert penalty_of(ParityPenalty, GROUPS, CLASSES, LOGITS, weight=3.0).item() == pytest.approx(3 * published.item())


def test_opportunity_penalty_of_two_groups_and_classes_is_half_the_published_sum_over_classes():
    classes = [0, 1, 0, 1]
    f = LOGITS.softmax(dim=1)[:, 1]
    published = sum((f[place] - f[place + 2]).abs().item() for place in (0, 1))
    assert penalty_of(OpportunityPenalty, GROUPS, classes, LOGITS).item() == pytest.approx(published / 2)


def test_penalties_of_many_groups_and_classes_by_loops():
    generator = np.random.default_rng(5)
    logits = torch.tensor(generator.normal(size=(40, 4)), dtype=torch.float32)
    groups, classes = generator.integers(0, 5, 40), generator.integers(0, 3, 40)  # class 3 and group 5 do not occur
    p = logits.softmax(dim=1).numpy()
    for kind in (ParityPenalty, OpportunityPenalty):
        of_class = []
        for k in range(4):
            rows = classes == k if kind is OpportunityPenalty else np.ones(40, dtype=bool)
            means = [p[rows & (groups == g), k].mean() for g in range(6) if (rows & (groups == g)).any()]
            pairs = [abs(a - b) for place, a in enumerate(means) for b in means[place + 1 :]]
            if pairs:
                of_class.append(np.mean(pairs))
        got = penalty_of(kind, groups.tolist(), classes.tolist(), logits, group_count=6)
        assert got.item() == pytest.approx(np.mean(of_class), rel=1e-5)


@pytest.mark.parametrize("kind", [ParityPenalty, OpportunityPenalty])
def test_one_group_alone_has_no_gap(kind):
    logits = LOGITS.clone().requires_grad_()
    penalty = penalty_of(kind, [1, 1, 1, 1], CLASSES, logits)
    assert penalty.item() == 0
    assert torch.autograd.grad(penalty, logits)[0].abs().sum() == 0
