"""Layers by which several processes compute on their shares of a batch what one process computes on all of it."""

import torch
from torch import distributed, nn
from torch.nn import functional

from fairprof.network.batches import TrainingBatch


class SumOverProcesses(torch.autograd.Function):
    """The sum of a tensor over all processes; each one's gradient is the sum of all gradients of that sum."""

    @staticmethod
    def forward(context, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context, gradient: torch.Tensor) -> torch.Tensor:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total


class GlobalBatchNorm(nn.BatchNorm2d):
    """Batch norm over the images of all processes, on CPUs too, for which PyTorch's `SyncBatchNorm` is not made."""

    momentum: float  # and running statistics: the study's networks have both
    running_mean: torch.Tensor
    running_var: torch.Tensor
    num_batches_tracked: torch.Tensor

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> the same shape; N may differ between processes, and be 0."""
        if not self.training:
            return super().forward(values)
        mean, variance, count = self._statistics(values.double())
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
            self.running_var.lerp_((variance * count / (count - 1)).to(self.running_var), self.momentum)
        scale = self.weight / torch.sqrt(variance + self.eps)
        shift = self.bias - mean * scale
        return values * scale[:, None, None].to(values) + shift[:, None, None].to(values)

    def _statistics(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Mean and biased variance of every channel, (C,) float64 each, and the number of values in a channel."""
        count = values.new_tensor([values.numel() / values.shape[1]])
        sums = torch.cat((values.sum(dim=(0, 2, 3)), values.square().sum(dim=(0, 2, 3)), count))
        total = SumOverProcesses.apply(sums)
        sum_of_values, sum_of_squares = total[:-1].chunk(2)
        mean = sum_of_values / total[-1]
        return mean, sum_of_squares / total[-1] - mean.square(), total[-1].detach()


class GlobalDropout(nn.Dropout):
    """Dropout that draws the mask of the whole batch, as a single process would, and uses its own images' part."""

    batch: TrainingBatch  # the one that comes next, as it was announced

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, ...) -> the same shape, where N is the number of the process's own images of the batch."""
        if not self.training:
            return values
        mask = functional.dropout(values.new_ones(self.batch.size, *values.shape[1:]), self.p)
        return values * mask[self.batch.first : self.batch.first + len(values)]


def synchronised(network: nn.Module, on_gpu: bool) -> nn.Module:
    """The network with its batch norm and dropout replaced by layers that work on the batch of all processes."""
    if on_gpu:
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    replacements = {
        path: GlobalDropout(module.p) if isinstance(module, nn.Dropout) else _global_batch_norm(module)
        for path, module in network.named_modules()
        if isinstance(module, nn.Dropout) or (isinstance(module, nn.BatchNorm2d) and not on_gpu)
    }
    for path, module in replacements.items():
        parent, _, name = path.rpartition(".")
        setattr(network.get_submodule(parent), name, module)
    return network


def _global_batch_norm(module: nn.BatchNorm2d) -> GlobalBatchNorm:
    replacement = GlobalBatchNorm(module.num_features, module.eps, module.momentum)
    replacement.load_state_dict(module.state_dict())
    for name, parameter in module.named_parameters():
        replacement.get_parameter(name).requires_grad_(parameter.requires_grad)
    return replacement


def announce(network: nn.Module, batch: TrainingBatch) -> None:
    """Tells the network's layers which images of which batch come next."""
    for module in network.modules():
        if isinstance(module, GlobalDropout):
            module.batch = batch
