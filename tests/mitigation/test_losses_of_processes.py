"""Two processes, each with its share of a batch, have the loss, gradients and weights of groups of a single one."""

import json

import pytest
import torch

SCRIPT = """
import json, sys
from pathlib import Path
import torch
from torch import distributed
from fairprof.mitigation.losses import BalancedSoftmax, CVaR, GroupDRO, Loss, OpportunityPenalty, ParityPenalty, Place
from fairprof.mitigation.losses import Term
from fairprof.mitigation.rows import GroupedRows
from fairprof.runtime.processes import ALONE, process_group

KINDS = {
    Loss: {}, BalancedSoftmax: {"strength": 1.0}, GroupDRO: {"eta": 0.7}, CVaR: {"alpha": 0.3},
    ParityPenalty: {"weight": 2.0}, OpportunityPenalty: {"weight": 2.0},
}

def outcome(kind, values, processes):
    generator = torch.Generator().manual_seed(0)
    classes, groups = (torch.randint(0, 3, (2, 9), generator=generator) for _ in range(2))
    weights, logits = torch.rand(2, 9, generator=generator), torch.randn(9, 3, generator=generator).requires_grad_()
    rows = GroupedRows(classes[0].numpy(), classes[0].numpy(), groups[0].numpy(), 3, ("f", "g", "h"))
    loss = kind(rows, torch.tensor([0.5, 1.0, 1.5]), 0.1, values, processes)
    mine = slice(0, 9) if processes.count == 1 else (slice(0, 5), slice(5, 9))[processes.rank]
    for _ in range(2):  # the second time with what was learned in the first
        terms = [Term(s, classes[t, mine], groups[t, mine], weights[t, mine]) for t, s in enumerate((0.6, 0.4))]
        value = loss(logits[mine], terms, Place(mine.start, 9))
    (gradient,) = torch.autograd.grad(value, logits)
    return value.detach(), gradient, loss.epoch_values()

if __name__ == "__main__":
    torch.set_num_threads(1)
    found = {}
    with process_group(on_gpu=False) as processes:
        for kind, values in KINDS.items():
            alone = outcome(kind, values, ALONE)
            value, gradient, state = outcome(kind, values, processes)
            value, gradient = (processes.total(each) / processes.count for each in (value, gradient))
            found[kind.__name__] = {
                "value": [value.item(), alone[0].item()],
                "gradient": [gradient.tolist(), alone[1].tolist()],
                "state": [state, alone[2]],
            }
        (Path(sys.argv[1]) / f"{processes.rank}.json").write_text(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(torchrun) -> list[dict]:
    return torchrun(SCRIPT, 2)[0]


@pytest.mark.parametrize("kind", ["Loss", "BalancedSoftmax", "GroupDRO", "CVaR", "ParityPenalty", "OpportunityPenalty"])
def test_two_processes_compute_as_one(kind, found):
    for process in found:
        for together, alone in (process[kind]["value"], process[kind]["gradient"]):
            torch.testing.assert_close(torch.tensor(together), torch.tensor(alone), atol=1e-6, rtol=1e-5)
    first, second = (json.dumps(process[kind]["state"][0]) for process in found)
    assert first == second  # to the last bit
    assert found[0][kind]["state"][0] == pytest.approx(found[0][kind]["state"][1])
