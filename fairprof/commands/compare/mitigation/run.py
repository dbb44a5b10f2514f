"""The comparison of methods, where runs have several: crossed with the designs, in the main arm."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from fairprof.commands.compare.collect import RunResults, at_places_of, collect, selections_of
from fairprof.commands.compare.mitigation.pictures import figures_of
from fairprof.commands.compare.mitigation.protocol import MitigationStudy
from fairprof.commands.compare.mitigation.report import findings
from fairprof.commands.compare.mitigation.tables import mitigation_tables
from fairprof.commands.compare.protocol import Protocol
from fairprof.config import MITIGATIONS, NO_MITIGATION
from fairprof.reporting.findings import Findings
from fairprof.reporting.style import png_of
from fairprof.runtime.progress import note
from fairprof.store.studies import method_of
from fairprof.store.tracking import LoggedRun


@dataclass(frozen=True)
class MethodComparison:
    """What methods are compared in, and the tables of it."""

    study: MitigationStudy
    tables: dict[str, pd.DataFrame]

    def findings(self) -> Findings:
        """All of it, as it is logged."""
        figures = figures_of(self.tables, self.study)
        return findings(self.tables, self.study, {name: png_of(figure) for name, figure in figures.items()})


def comparison_of_methods(
    runs: Sequence[LoggedRun], without: Sequence[RunResults], protocol: Protocol
) -> MethodComparison | None:
    """The runs of every method against those without one, in the main arm and with the seeds that are tested; None
    where all runs have the same method, or those with one are in other arms alone, which is said.

    without: what the runs without a method have left, those of the main arm first. protocol: how these were made.
    """
    methods = [name for name in MITIGATIONS if name in set(map(method_of, runs))]
    if len(methods) == 1:
        return None
    main = [run for run in without if run.arm == protocol.main_arm]
    mitigated = at_places_of((run for run in runs if method_of(run) != NO_MITIGATION), main)
    if not mitigated:
        note(
            f"no run with a method is in the arm {protocol.main_arm} with a seed of those without one: none is compared"
        )
        return None
    results = {NO_MITIGATION: main} | {
        method: collect(of_method)
        for method in methods[1:]
        if (of_method := [run for run in mitigated if method_of(run) == method])
    }
    study = MitigationStudy(
        protocol,
        mitigated[0].params["mitigate"],
        tuple(results),
        {name: found[0].run.params["mitigation_values"] for name, found in results.items()},
    )
    selections = selections_of([result for found in results.values() for result in found])
    return MethodComparison(study, mitigation_tables(results, study, selections))
