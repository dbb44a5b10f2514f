"""What methods minimise, in terms of the class-weighted cross-entropy that every training minimises.

A batch is mixed of images and their partners. Every one of these two terms has classes, groups and a share; a batch
that is not mixed has one, with share 1. Whatever couples the images of a batch is computed over all processes.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from fairprof.data.pool import Pool
from fairprof.mitigation.rows import GroupedRows
from fairprof.runtime.processes import Processes


class Term(NamedTuple):
    """What a process's images of a batch are by one share: classes, groups, (N,) int64, and weights, (N,) float32."""

    share: float
    classes: torch.Tensor
    groups: torch.Tensor
    weights: torch.Tensor


class Place(NamedTuple):
    """Where a process's images lie in the batch of all: that has `size` images, of which its own begin at `first`."""

    first: int
    size: int


def class_weights(pool: Pool, rows: np.ndarray) -> torch.Tensor:
    """Inverse frequency of every class among the rows, (K,) float32, 1 on average; 0 for an absent class."""
    counts = np.bincount(pool.table["profession"].cat.codes.to_numpy()[rows], minlength=len(pool.professions))
    weights = np.divide(len(rows), len(pool.professions) * counts, out=np.zeros(len(counts)), where=counts > 0)
    return torch.tensor(weights, dtype=torch.float32)


def mean_loss(
    logits: torch.Tensor, classes: torch.Tensor, weights: torch.Tensor, label_smoothing: float
) -> torch.Tensor:
    """The class-weighted mean cross-entropy of images, whatever a method minimises; logits: (N, K), classes: (N,)
    int64, weights: (K,) of the classes."""
    summed = functional.cross_entropy(logits, classes, weights, reduction="sum", label_smoothing=label_smoothing)
    return summed / weights[classes].sum()


class Loss(nn.Module):
    """The class-weighted cross-entropy with label smoothing, times the weights of the images; methods change parts of
    it.

    class_weights: (K,) float32. values: the method's own. For each term, sum over images of factor x cross-entropy,
    divided by the sum of their classes' weights.
    """

    class_weights: torch.Tensor

    def __init__(
        self,
        rows: GroupedRows,
        class_weights: torch.Tensor,
        label_smoothing: float,
        values: Mapping[str, float],
        processes: Processes,
    ):
        super().__init__()
        self.group_names, self.values = rows.group_names, values
        self.label_smoothing, self.processes = label_smoothing, processes
        self.mistakes = None if rows.wrong is None else float(rows.wrong.mean())
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.prepare(rows)

    def prepare(self, rows: GroupedRows) -> None:
        """What a method reads from the draw once, before the first batch."""

    def forward(self, logits: torch.Tensor, terms: Sequence[Term], place: Place) -> torch.Tensor:
        """The loss of a process, of which the mean over all processes has the gradients of the batch's loss; logits:
        (N, K) of its images."""
        losses = [self.cross_entropy(logits, term) for term in terms]
        factors = self.factors([loss.detach() for loss in losses], terms, place)
        parts = [
            term.share * ((factor * loss).sum() / self._weight_of(term))
            for term, factor, loss in zip(terms, factors, losses, strict=True)
        ]
        return torch.stack(parts).sum() + self.penalty(logits, terms)

    def cross_entropy(self, logits: torch.Tensor, term: Term) -> torch.Tensor:
        """The class-weighted cross-entropy of every image, (N,)."""
        return functional.cross_entropy(
            logits, term.classes, self.class_weights, reduction="none", label_smoothing=self.label_smoothing
        )

    def factors(self, losses: Sequence[torch.Tensor], terms: Sequence[Term], place: Place) -> list[torch.Tensor]:
        """By what the losses, (N,) of each term, are multiplied, (N,) of each term."""
        return [term.weights for term in terms]

    def penalty(self, logits: torch.Tensor, terms: Sequence[Term]) -> torch.Tensor | float:
        """What is added to the loss."""
        return 0.0

    def epoch_values(self) -> dict[str, float]:
        """What is worth knowing of the method after an epoch, by name."""
        return {} if self.mistakes is None else {"train/mistakes_of_first_training": self.mistakes}

    def _weight_of(self, term: Term) -> torch.Tensor:
        """The weights of a term's classes, summed over all processes and divided by their number."""
        return self.processes.total(self.class_weights[term.classes].sum()) / self.processes.count


class BalancedSoftmax(Loss):
    """Cross-entropy of logits to which strength * log(K P(class | group)) is added (Ren et al. 2020), instead of class
    weights; predictions are made of the logits as they are.

    A class of which a group has no image counts as half an image there, so that label smoothing stays finite.
    """

    offsets: torch.Tensor

    def prepare(self, rows: GroupedRows) -> None:
        self.class_weights = torch.ones_like(self.class_weights)
        counts = torch.from_numpy(rows.counts).double().clamp(min=0.5)
        frequency = rows.class_count * counts / counts.sum(dim=1, keepdim=True)  # 1 where classes are equal
        self.register_buffer("offsets", (self.values["strength"] * frequency.log()).float(), persistent=False)

    def cross_entropy(self, logits: torch.Tensor, term: Term) -> torch.Tensor:
        return super().cross_entropy(logits + self.offsets[term.groups], term)


class GroupDRO(Loss):
    """Groups weigh q_g, their losses' weights in a game against the network: with every batch q_g <- q_g exp(eta
    loss_g), divided by the sum (Sagawa et al. 2020).

    q begins at the groups' shares of the draw, so that the loss begins as it is without the method. scores: log of q_g
    over that share, but for a constant, (G,) float64; kept with the checkpoints, and the same in all processes.
    """

    scores: torch.Tensor
    counts: torch.Tensor

    def prepare(self, rows: GroupedRows) -> None:
        counts = torch.from_numpy(rows.counts.sum(axis=1)).double()
        self.register_buffer("counts", counts, persistent=False)
        self.register_buffer("scores", torch.zeros_like(counts))

    def factors(self, losses: Sequence[torch.Tensor], terms: Sequence[Term], place: Place) -> list[torch.Tensor]:
        sums = torch.zeros(2, len(self.counts), dtype=torch.float64, device=self.scores.device)
        for loss, term in zip(losses, terms, strict=True):
            sums[0].index_add_(0, term.groups, term.share * loss.double())
            sums[1].index_add_(0, term.groups, term.share * self.class_weights[term.classes].double())
        loss_of_group, weight = self.processes.total(sums)
        self.scores += self.values["eta"] * torch.where(weight > 0, loss_of_group / weight, 0.0)
        self.scores -= self.scores.max()
        return [self._relative()[term.groups].float() for term in terms]

    def _relative(self) -> torch.Tensor:
        """q_g over the group's share of the draw, (G,) float64: exactly 1 where all scores are 0."""
        raised = self.scores.exp()
        return raised * (self.counts.sum() / (self.counts * raised).sum())

    def epoch_values(self) -> dict[str, float]:
        q = self._relative() * self.counts / self.counts.sum()
        return {f"train/group_dro_q/{name}": value for name, value in zip(self.group_names, q.tolist(), strict=True)}


class CVaR(Loss):
    """The largest losses of a batch alone: of n images the alpha n with the largest ones weigh 1 / alpha, the one at
    the boundary by the part of it that belongs to them, the rest 0 (Levy et al. 2020)."""

    def factors(self, losses: Sequence[torch.Tensor], terms: Sequence[Term], place: Place) -> list[torch.Tensor]:
        own = torch.stack([term.share * loss for term, loss in zip(terms, losses, strict=True)]).sum(dim=0)
        mine = slice(place.first, place.first + len(own))
        everybody = own.new_zeros(place.size)
        everybody[mine] = own
        order = self.processes.total(everybody).argsort(descending=True, stable=True)
        alpha = self.values["alpha"]
        factors = torch.empty_like(everybody)
        ranks = torch.arange(place.size, dtype=torch.float64, device=own.device)
        factors[order] = ((alpha * place.size - ranks).clamp(0, 1) / alpha).to(factors)
        return [factors[mine]] * len(terms)


class ParityPenalty(Loss):
    """The loss, and weight x how far groups are apart in the mean probability of each class: the mean over classes of
    the mean absolute difference between two groups.

    Of two groups and two classes that is |E[p | group 0] - E[p | group 1]| of the batch (Chuang and Mroueh 2021). An
    image counts for its group by its share of the mixed image. Groups that are not in the batch are left out.
    """

    def penalty(self, logits: torch.Tensor, terms: Sequence[Term]) -> torch.Tensor:
        probabilities = logits.float().softmax(dim=1)
        shape = (len(self.group_names), probabilities.shape[1])
        sums, weights = probabilities.new_zeros(shape), probabilities.new_zeros(shape)
        for term in terms:
            counted, weight = self.counted(probabilities, term)
            sums = sums.index_add(0, term.groups, term.share * counted)
            weights = weights.index_add(0, term.groups, term.share * weight)
        sums, weights = self._of_all(sums), self.processes.total(weights)
        present = weights > 0
        means = torch.where(present, sums / torch.where(present, weights, 1.0), 0.0)
        return self.values["weight"] * _dispersion(means, present)

    def counted(self, probabilities: torch.Tensor, term: Term) -> tuple[torch.Tensor, torch.Tensor]:
        """What the images add to the sums of their groups, and to the counts by which these are divided, (N, K)
        each."""
        return probabilities, torch.ones_like(probabilities)

    def _of_all(self, sums: torch.Tensor) -> torch.Tensor:
        """Sums over all processes. The gradient of each one's own part counts as often as there are processes, over
        which gradients are averaged."""
        own = sums.detach()
        return self.processes.total(own) + self.processes.count * (sums - own)


class OpportunityPenalty(ParityPenalty):
    """As `ParityPenalty`, of the mean probability of each class among the images of that class alone."""

    def counted(self, probabilities: torch.Tensor, term: Term) -> tuple[torch.Tensor, torch.Tensor]:
        of_class = functional.one_hot(term.classes, probabilities.shape[1]).to(probabilities)
        return probabilities * of_class, of_class


def _dispersion(means: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """The mean absolute difference between two groups, averaged over the classes in which two are present; means: (G,
    K), present: (G, K) bool. 0 where no class has two."""
    first, second = torch.triu_indices(len(means), len(means), offset=1, device=means.device)
    both = (present[first] & present[second]).to(means)
    pairs = both.sum(dim=0)
    of_class = ((means[first] - means[second]).abs() * both).sum(dim=0) / pairs.clamp(min=1)
    return of_class.sum() / (pairs > 0).sum().clamp(min=1)
