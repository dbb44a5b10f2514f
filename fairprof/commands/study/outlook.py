"""What a study can show with its seeds and test images, told before it trains."""

from collections.abc import Iterator, Sequence

import numpy as np

from fairprof.commands.compare.collect import RunResults, collect
from fairprof.commands.compare.tables import CONFIRMATORY_QUANTITIES, Arm
from fairprof.config import StudySettings
from fairprof.data.designs import smallest_design
from fairprof.data.pool import Pool
from fairprof.inference.planning import ErrorParts, parts_of_pilot
from fairprof.measurement.detectable import (
    ASSUMED,
    NUMBERS_OF_SEEDS,
    SEEDS_TOLD,
    assumed_classifier,
    assumed_differences,
    detectable_table,
    detectable_told,
)
from fairprof.runtime.progress import note
from fairprof.store import tracking
from fairprof.store.tracking import LoggedRun

DETECTABLE = "study/detectable_differences.csv"
PILOT_REPLICATES = 200


def designs_told(settings: StudySettings, pool: Pool) -> Iterator[str]:
    """What is unusual about the designs of a study, a sentence each: it has no reference, or another one than A is the
    smallest, to which sizes are matched."""
    designs = settings.listed("experiments")
    if "A" not in designs:
        yield f"no reference A was asked for: designs are compared with {min(designs)}"
    if "matched" in settings.listed("train_size"):
        smallest = smallest_design(pool, settings.imbalance, "train")
        if smallest != "A":
            yield f"train_size=matched: all are as large as design {smallest}, the smallest that can be drawn"


def tell_outlook(settings: StudySettings, pool: Pool, trained: Sequence[LoggedRun]) -> None:
    """Prints and logs the smallest differences between designs that the study can show; trained: those of its runs in
    the main arm that have ended before."""
    designs, planned = settings.listed("experiments"), len(settings.listed("seeds"))
    if len(designs) < 2:
        return
    seeds = sorted({*NUMBERS_OF_SEEDS, planned} - {1})
    pilot = pilot_parts(collect(trained), designs)
    rows = pool.table.iloc[pool.rows_of("test")]
    if pilot:
        table = detectable_table(pilot, len(designs), seeds)
        basis = "That is read off the seeds that have been trained, of which two tell little."
    else:
        table = assumed_differences(rows, assumed_classifier(pool, "auto").confusion, len(designs), seeds)
        basis = ASSUMED
    tracking.log_table(table.assign(basis="pilot" if pilot else "assumed"), DETECTABLE)
    for sentence in (detectable_told(table, len(designs), len(rows)), basis, SEEDS_TOLD):
        note(sentence)


def pilot_parts(results: Sequence[RunResults], designs: Sequence[str]) -> dict[tuple[str, str], list[ErrorParts]]:
    """The parts of the errors of every confirmatory difference; empty without two seeds of every design."""
    if {run.design for run in results} != set(designs):
        return {}
    arm = Arm("pilot", tuple(results), PILOT_REPLICATES)
    seeds = arm.seeds(*designs)
    if len(seeds) < 2:
        return {}
    reference = "A" if "A" in designs else min(designs)
    base, base_values = arm.metrics(reference, seeds)
    others = [arm.metrics(design, seeds) for design in designs if design != reference]
    observed = np.stack([found - base for found, _ in others])
    values = np.stack([found - base_values for _, found in others])
    return {
        _gap(name): [parts_of_pilot(observed[:, :, place], values[:, :, :, place])]
        for place, name in enumerate(arm.replicates.names)
        if name in CONFIRMATORY_QUANTITIES
    }


def _gap(name: str) -> tuple[str, str]:
    metric, _, attribute = name.partition("/")
    return metric, attribute
