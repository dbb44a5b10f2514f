"""What earlier looks at a study have left, and what is told of it."""

import pandas as pd
import pytest

from fairprof.commands.compare.claims import seeds_told
from fairprof.commands.compare.seed_record import log_seeds, record_name, recorded_plan
from fairprof.inference.planning import Look, seed_plan
from fairprof.store import tracking


def compared(record: str, seeds, *others: str) -> None:
    with tracking.started_run("comparison", {"fairprof.role": "comparison"}):
        log_seeds([record, *others], seeds)


def started(record: str, seeds, ended: int) -> None:
    """A start of a study, of whose first seeds so many have ended."""
    with tracking.started_run("study-A", {"fairprof.role": "study"}):
        log_seeds([record], seeds)
        rows = [{"seed": seed, "status": "finished" if seed < ended else "waiting"} for seed in seeds]
        tracking.log_table(pd.DataFrame(rows), "study/runs.csv")
        tracking.set_tags({"fairprof.runs": str(len(rows))})


def test_the_record_is_that_of_the_study_whatever_its_designs():
    assert record_name("key", ["natural", "4.0", "4.0"]) == "key-4.0"
    assert record_name("key", ["natural"]) == "key"


def test_the_first_look_at_a_study_is_its_plan(store, refused):
    assert not recorded_plan("key", range(6)).recorded
    started("key", range(6), ended=0)
    assert not recorded_plan("key", range(10)).recorded
    started("key", range(6), ended=6)
    compared("other", [0])
    started("key", range(10), ended=10)
    compared("key", range(10))
    plan = recorded_plan("key", range(10))
    assert (plan.planned, plan.tested, plan.looked_at) == (tuple(range(6)), tuple(range(6)), 6)
    assert not recorded_plan("key-4.0", range(10)).recorded
    with refused("seeds 20 to 29: none of them was planned", "rest on seeds 0 to 5", "another MLflow experiment"):
        recorded_plan("key", range(20, 30))


def test_a_look_at_several_backbones_is_one_at_each(store):
    as_before_there_were_any = {"fairprof.seed_record": "reference", "fairprof.seeds": "0,1,2,3,4,5,6"}
    with tracking.started_run("comparison", {"fairprof.role": "comparison"} | as_before_there_were_any):
        pass
    compared("reference", range(10), "second")
    compared("second", range(12))
    assert recorded_plan("reference", range(12)).planned == tuple(range(7))
    assert recorded_plan("second", range(12)).planned == tuple(range(10))


@pytest.mark.parametrize(
    ("looks", "seeds", "texts"),
    [
        ([range(6)], range(6), ()),
        ([range(6)], range(7), ("Seed 6 was added after 6 seeds had been looked at.", "rest on seeds 0 to 5 alone")),
        (
            [range(6)],
            range(10),
            ("Seeds 6 to 9 were added after 6 seeds had been looked at.", "What the others add is exploratory."),
        ),
        ([[0]], [0, 1], ("Seed 1 was added after 1 seed had been looked at. So few allow no claim", "use both seeds.")),
        ([range(2)], range(10), ("Seeds 2 to 9 were added after 2 seeds", "the tests use all 10 seeds.")),
        ([range(8)], range(6), ("Seeds 6 and 7 were planned and were not compared.",)),
    ],
)
def test_what_was_not_planned_is_told(looks, seeds, texts):
    told = seeds_told(seed_plan([Look(tuple(look), frozenset(look)) for look in looks], seeds))
    assert bool(told) == bool(texts)
    for text in texts:
        assert text in told
