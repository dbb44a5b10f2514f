"""Which seeds of several backbones are compared."""

from fairprof.commands.compare.backbones.run import _tested_with_all
from fairprof.commands.compare.seed_record import log_seeds, recorded_plan
from fairprof.store import tracking
from fairprof.store.tracking import LoggedRun
from tests.commands.compare.test_claims import protocol


def runs(study_key: str, seeds) -> list[LoggedRun]:
    tags = {"fairprof.study_key": study_key}
    return [
        LoggedRun(
            f"{study_key}{seed}", "A", "FINISHED", {"imbalance": "natural"}, tags | {"fairprof.seed": str(seed)}, {}
        )
        for seed in seeds
    ]


def test_only_seeds_that_the_plans_of_all_backbones_allow_are_tested(store):
    with tracking.started_run("comparison", {"fairprof.role": "comparison"}):
        log_seeds(["seen before"], range(6))
    planned = protocol(seeds=tuple(range(10)), seed_plan=recorded_plan("new", range(10)))
    alone = _tested_with_all(planned, {"vit@random": runs("also new", range(10))})
    assert alone.seeds == tuple(range(10)) and not alone.seed_plan.left_out
    found = _tested_with_all(planned, {"vit@random": runs("seen before", range(10))})
    assert found.seeds == tuple(range(6))
    assert found.seed_plan.later == found.seed_plan.left_out == (6, 7, 8, 9)
