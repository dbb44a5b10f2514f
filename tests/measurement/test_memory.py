"""Measurements that would not fit into memory are refused."""

from types import SimpleNamespace

import pandas as pd
import psutil
import pytest

from fairprof.config import Settings
from fairprof.measurement.memory import require_memory


@pytest.fixture
def pool(monkeypatch):
    """Two genders, three races and four professions, on a machine with a GiB of memory."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=2**30))
    table = pd.DataFrame({"gender": pd.Categorical(list("mfm")), "race": pd.Categorical(list("xyz"))})
    return SimpleNamespace(table=table, professions=tuple("abcd"))


def test_replicates_that_do_not_fit_into_memory_are_refused_before_the_training(pool, refused):
    # 8 bytes of 12 copies of 6 groups x 4 x 4 counts: 9,216 bytes a replicate, 116,508 of which fit
    require_memory(Settings(replicates=116_508), pool)
    with refused("replicates=116509 and permutations=999 of 1 run need about 1.0 GiB", "has 1.0 GiB: lower them"):
        require_memory(Settings(replicates=116_509), pool)


def test_so_are_more_seeds_than_a_comparison_can_hold(pool, refused):
    # of 4 designs 6 copies of every run's: 18,432 bytes a replicate and seed
    require_memory(Settings(replicates=1000), pool, designs=4, seeds=58)
    with refused("replicates=1000", "of 236 runs need about 1.0 GiB", "lower them or seeds"):
        require_memory(Settings(replicates=1000), pool, designs=4, seeds=59)
