"""Layers for several processes: on their shares of a batch they compute what PyTorch's own do on all of it."""

import pytest
import torch
from torch import nn

from fairprof.network.batches import TrainingBatch
from fairprof.network.synchronised import GlobalBatchNorm, GlobalDropout, announce, synchronised

WHOLE_AND_SHARED = """
import copy, json, sys
import torch
from torch import distributed, nn
from torch.testing import assert_close
from fairprof.network.batches import TrainingBatch
from fairprof.runtime.processes import process_group
from fairprof.network.synchronised import announce, synchronised

torch.set_num_threads(1)
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
norm = nn.BatchNorm2d(3, eps=1e-4, momentum=0.3)
with torch.no_grad():
    norm.weight.copy_(torch.tensor([0.5, -1.0, 2.0]))
    norm.bias.copy_(torch.tensor([0.1, 0.2, -0.3]))
    norm.running_mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
whole = nn.Sequential(norm, nn.Dropout(0.4), nn.Flatten(), nn.Dropout(0.2)).train()

with process_group(on_gpu=False) as processes:
    shared, seen = synchronised(copy.deepcopy(whole), on_gpu=False).train(), []
    for step, sizes in enumerate([(3, 3, 2), (1, 0, 7), (0, 8, 0)]):  # how many of eight images each process has
        torch.manual_seed(step)
        batch, wanted = (torch.randn(8, 3, 4, 5) * 3 + 1).requires_grad_(True), torch.randn(8, 60)
        torch.manual_seed(100 + step)
        expected = whole(batch)
        (expected * wanted).sum().backward()

        first = sum(sizes[:processes.rank])
        own = slice(first, first + sizes[processes.rank])
        values = batch.detach()[own].clone().requires_grad_(True)
        announce(shared, TrainingBatch(values, *[None] * 5, 1.0, first, 8))
        torch.manual_seed(100 + step)
        outputs = shared(values)
        (outputs * wanted[own]).sum().backward()

        assert_close(outputs, expected[own], **CLOSE)
        assert_close(values.grad, batch.grad[own], **CLOSE)
        for mine, reference in zip(shared.parameters(), whole.parameters(), strict=True):
            total = mine.grad.clone()
            distributed.all_reduce(total)
            assert_close(total, reference.grad, **CLOSE)
        for mine, reference in zip(shared.buffers(), whole.buffers(), strict=True):
            assert_close(mine, reference, **CLOSE)
        seen.append([len(outputs), int((expected == 0).sum()), int((expected[own] == 0).sum())])
        shared.zero_grad(), whole.zero_grad()
    images = torch.randn(2, 3, 4, 5)
    assert_close(shared.eval()(images), whole.eval()(images), **CLOSE)
    with open(f"{sys.argv[1]}/{processes.rank}.json", "w") as file:
        json.dump(seen, file)
"""


@pytest.mark.slow
def test_batch_norm_and_dropout_are_those_of_the_whole_batch_however_it_is_shared(torchrun):
    seen, _ = torchrun(WHOLE_AND_SHARED, 3)  # each process compares its share with the whole batch
    for step in range(3):
        compared, dropped, own_dropped = zip(*(values[step] for values in seen), strict=True)
        assert sum(compared) == 8
        assert dropped[0] == dropped[1] == dropped[2] == sum(own_dropped)
        assert 0.4 < dropped[0] / (8 * 60) < 0.65  # expected: 1 - 0.6 x 0.8


def test_every_batch_norm_and_dropout_is_replaced_with_its_state_and_what_is_frozen_stays_so():
    network = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, eps=0.01, momentum=0.2)), nn.Dropout(0.3), nn.BatchNorm2d(4)
    )
    network[2].requires_grad_(False)
    nn.init.constant_(network[0][1].running_mean, 5.0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    convolution = network[0][0]
    replaced = synchronised(network, on_gpu=False)
    norms = [replaced[0][1], replaced[2]]
    assert [type(module) for module in norms] == [GlobalBatchNorm] * 2
    assert [(norm.eps, norm.momentum) for norm in norms] == [(0.01, 0.2), (1e-5, 0.1)]
    assert [norm.weight.requires_grad for norm in norms] == [True, False]
    assert type(replaced[1]) is GlobalDropout and replaced[1].p == 0.3
    assert replaced[0][0] is convolution
    assert before.keys() == replaced.state_dict().keys()
    assert all(torch.equal(value, before[name]) for name, value in replaced.state_dict().items())


def test_dropout_takes_its_own_part_of_the_mask_of_the_batch():
    dropout = GlobalDropout(0.5).train()
    announce(nn.Sequential(dropout), TrainingBatch(*[None] * 6, 1.0, first=3, size=8))
    torch.manual_seed(7)
    own = dropout(torch.full((2, 5), 3.0))
    torch.manual_seed(7)
    assert torch.equal(own, nn.Dropout(0.5).train()(torch.full((8, 5), 3.0))[3:5])
    values = torch.randn(4, 5)
    assert torch.equal(dropout.eval()(values), values)
