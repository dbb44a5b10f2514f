"""The comparison of backbones, where runs have several: crossed with the designs, in the main arm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from fairprof.commands.compare.backbones.pictures import figures_of
from fairprof.commands.compare.backbones.protocol import BackboneStudy
from fairprof.commands.compare.backbones.report import findings
from fairprof.commands.compare.backbones.tables import backbone_tables
from fairprof.commands.compare.collect import RunResults, at_places_of, collect
from fairprof.commands.compare.protocol import Protocol
from fairprof.commands.compare.seed_record import record_of_runs, recorded_plan
from fairprof.reporting.findings import Findings
from fairprof.reporting.names import backbone_titles
from fairprof.reporting.style import png_of
from fairprof.runtime.progress import note
from fairprof.store.studies import seed_of
from fairprof.store.tracking import LoggedRun


@dataclass(frozen=True)
class BackboneComparison:
    """What backbones are compared in, and the tables of it."""

    study: BackboneStudy
    tables: dict[str, pd.DataFrame]

    def findings(self) -> Findings:
        """All of it, as it is logged."""
        figures = figures_of(self.tables, self.study)
        return findings(self.tables, self.study, {name: png_of(figure) for name, figure in figures.items()})


def comparison_of_backbones(
    runs: Mapping[str, Sequence[LoggedRun]], of_reference: Sequence[RunResults], protocol: Protocol
) -> BackboneComparison | None:
    """The runs of every backbone in the main arm, with the seeds that are tested of all of them; None where all runs
    have the same backbone, or those with another one are in other arms alone, which is said.

    runs: by backbone, the reference first. of_reference: what its runs have left, those of the main arm first.
    protocol: how these were made.
    """
    if len(runs) == 1:
        return None
    reference, *others = runs
    main = [run for run in of_reference if run.arm == protocol.main_arm]
    there = {name: own for name in others if (own := at_places_of(runs[name], main))}
    protocol = _tested_with_all(protocol, there)
    if not there or not protocol.seeds:
        note(
            f"no run with another backbone is in the arm {protocol.main_arm} with a seed of those with {reference} "
            "that may be tested: none is compared"
        )
        return None
    results = {reference: main} | {name: collect(own) for name, own in there.items()}
    study = BackboneStudy(
        protocol,
        tuple(results),
        backbone_titles(tuple(results)),
        {name: own[0].run.tags["fairprof.weights_sha256"] for name, own in results.items()},
        {name: own[0].run.tags.get("fairprof.weights_licence", "") for name, own in results.items()},
    )
    tested = {name: [run for run in own if run.seed in protocol.seeds] for name, own in results.items()}
    return BackboneComparison(study, backbone_tables(tested, study))


def _tested_with_all(protocol: Protocol, others: Mapping[str, Sequence[LoggedRun]]) -> Protocol:
    """The protocol with the seeds that may be tested by the plans of all backbones, and the plan that allows fewest."""
    plans = [recorded_plan(record_of_runs(own), map(seed_of, own)) for own in others.values()]
    plans = [*([protocol.seed_plan] if protocol.seed_plan else []), *plans]
    seeds = [seed for seed in protocol.seeds if all(seed in plan.tested or seed not in plan.compared for plan in plans)]
    return replace(protocol, seeds=tuple(seeds), seed_plan=min(plans, key=lambda plan: len(plan.tested), default=None))
