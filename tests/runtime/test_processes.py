"""Processes of one training know who they are, share rows, and put together what each has computed."""

import os
import subprocess
import time

import numpy as np
import pytest
import torch

from fairprof.runtime.processes import ALONE, Processes, process_group
from tests.conftest import TORCHRUN
from tests.places import ROOT


@pytest.fixture
def started_by_torchrun(monkeypatch):
    """Says in the environment what torchrun says to the third of four processes, on the second machine of two."""
    for name, value in {"RANK": 2, "WORLD_SIZE": 4, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))


def test_a_process_alone_leads_and_is_given_everything():
    assert Processes.of_environment() == ALONE == Processes(rank=0, count=1, local_rank=0, local_count=1)
    assert ALONE.leads
    assert ALONE.share(np.arange(5)).tolist() == [0, 1, 2, 3, 4]
    values = torch.arange(6.0).reshape(3, 2)
    assert torch.equal(ALONE.gathered(values, 3), values)
    assert ALONE.total(torch.tensor(2.5)) == 2.5
    ALONE.wait_for_all()


def test_a_process_of_torchrun_is_who_the_environment_says(started_by_torchrun):
    processes = Processes.of_environment()
    assert processes == Processes(rank=2, count=4, local_rank=0, local_count=2)
    assert not processes.leads


def test_half_of_what_torchrun_says_is_not_believed(started_by_torchrun, monkeypatch):
    monkeypatch.delenv("LOCAL_RANK")  # as a batch system may set only some of these names
    assert Processes.of_environment() == ALONE


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shares_are_disjoint_and_together_all_rows(count):
    rows = np.array([50, 3, 8, 21, 6])
    shares = [Processes(rank=rank, count=count).share(rows) for rank in range(count)]
    assert sorted(np.concatenate(shares)) == [3, 6, 8, 21, 50]
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1 and sizes == sorted(sizes, reverse=True)


def test_every_other_row_is_the_share_of_the_second_of_two():
    assert Processes(rank=1, count=2).share(np.array([50, 3, 8, 21, 6])).tolist() == [3, 21]


def test_a_single_process_joins_no_group():
    with process_group(on_gpu=False) as processes:
        assert processes == ALONE
        assert not torch.distributed.is_initialized()


TOGETHER = """
import json, os, sys, time
import numpy as np
import torch
from fairprof.runtime.processes import process_group
from fairprof.runtime.progress import note, progress_bar

torch.set_num_threads(1)
with process_group(on_gpu=False) as processes:
    seen = {}
    for total in (0, 1, 2, 3, 4, 7, 9):
        rows = np.arange(total) * 10
        own = torch.from_numpy(processes.share(rows))
        seen[f"numbers of {total}"] = processes.gathered(own, total).tolist()
        vectors = torch.stack((own, own + 1), dim=1).float().reshape(len(own), 2)
        seen[f"vectors of {total}"] = processes.gathered(vectors, total).tolist()
    own = torch.tensor(10.0 ** processes.rank)
    seen["total"], seen["own"] = processes.total(own).item(), own.item()
    note("said once")
    with progress_bar("shown once", 2, "steps") as bar:
        bar.update(2)
        bar.refresh()
    order = []
    with processes.leader_first():
        order.append(os.path.exists(f"{sys.argv[1]}/first"))
        if processes.leads:
            time.sleep(0.5)
            open(f"{sys.argv[1]}/first", "w").close()
    with open(f"{sys.argv[1]}/{processes.rank}.json", "w") as file:
        json.dump({"count": processes.count, "leads": processes.leads, "order": order, **seen}, file)
"""


@pytest.fixture(scope="module", params=[pytest.param(count, marks=pytest.mark.slow) for count in (2, 3)])
def together(request, torchrun):
    """What each of two or three processes has seen, and all that they have said."""
    return request.param, *torchrun(TOGETHER, request.param)


def test_what_is_gathered_is_in_the_order_of_the_rows_for_every_process(together):
    count, seen, _ = together
    assert [values["count"] for values in seen] == [count] * count
    assert [values["leads"] for values in seen] == [True] + [False] * (count - 1)
    for values in seen:
        for total in (0, 1, 2, 3, 4, 7, 9):  # with one row, all processes but the first have none
            rows = [10 * number for number in range(total)]
            assert values[f"numbers of {total}"] == rows
            assert values[f"vectors of {total}"] == [[row, row + 1] for row in rows]


def test_a_total_is_the_sum_over_all_and_leaves_the_own_value_as_it_is(together):
    count, seen, _ = together
    assert [values["total"] for values in seen] == [int("1" * count)] * count  # 1 + 10 + 100
    assert [values["own"] for values in seen] == [10.0**rank for rank in range(count)]


def test_the_leading_process_goes_first_where_it_is_asked_to(together):
    count, seen, _ = together
    assert [values["order"] for values in seen] == [[False]] + [[True]] * (count - 1)


def test_only_the_leading_process_talks(together):
    _, _, said = together
    assert said.count("fairprof: said once") == 1
    assert said.count("shown once: 100%") == 1


FAILING = """
import signal, sys, time
from pathlib import Path
import torch
from fairprof.errors import UserError, shown_in_one_line
from fairprof.runtime.processes import process_group

with shown_in_one_line(Path(sys.argv[1])), process_group(on_gpu=False) as processes:
    processes.wait_for_all()
    if processes.rank == 0:
        Path(sys.argv[2]).write_text(str(time.monotonic()))
        raise UserError("there are no such data")
    if processes.rank == 1:
        processes.total(torch.ones(1))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as if it waited for what no signal interrupts
    time.sleep(300)
"""


@pytest.mark.slow
def test_an_error_of_the_leading_process_ends_the_others_without_a_word(tmp_path):
    (tmp_path / "script.py").write_text(FAILING)
    done = subprocess.run(
        [
            *TORCHRUN,
            "--standalone",
            "--nproc_per_node=3",
            tmp_path / "script.py",
            tmp_path / "logs",
            tmp_path / "failed",
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    seconds = time.monotonic() - float((tmp_path / "failed").read_text())  # of one clock for all processes
    assert done.returncode != 0
    assert [line for line in done.stdout.split("\n") if "fairprof: " in line] == [
        "fairprof: error: there are no such data"
    ]
    assert not (tmp_path / "logs").exists()
    assert seconds < 28  # torchrun itself kills after 30 s what a signal does not end
