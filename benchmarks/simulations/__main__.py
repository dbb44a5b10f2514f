"""Simulates every verdict, prints shares with standard errors, and writes them as JSON."""

import argparse
import os
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pandas as pd

import benchmarks.simulations
from benchmarks.simulations.simulation import Simulation, simulated
from fairprof.errors import UserError, shown_in_one_line
from fairprof.runtime.files import cache_folder

MODULES: dict[str, tuple[Simulation, ...]] = {
    module.name: import_module(f"benchmarks.simulations.{module.name}").SIMULATIONS
    for module in iter_modules(benchmarks.simulations.__path__)
    if module.name not in ("__main__", "simulation")
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulations", description=__doc__)
    parser.add_argument("--parts", default=",".join(MODULES), help=f"which of {', '.join(MODULES)}")
    parser.add_argument("--output", type=Path, default=Path("simulations.json"), help="where the JSON goes")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many processes compute")
    parser.add_argument("--quick", action="store_true", help="few data sets: shows only that it runs")
    arguments = parser.parse_args()
    parts = arguments.parts.split(",")
    unknown = [part for part in parts if part not in MODULES]
    if unknown:
        raise UserError(f"--parts: {unknown[0]} is not one of {', '.join(MODULES)}")
    tables = []
    for part in parts:
        for simulation in MODULES[part]:
            tables.append(simulated(simulation, arguments.quick, arguments.processes).assign(part=part))
            # after every one: the later ones take long
            table = pd.concat(tables, ignore_index=True)
            table.to_json(arguments.output, orient="records", indent=2)
    print(pd.concat(tables).to_string(index=False, float_format="{:.3f}".format))


if __name__ == "__main__":
    with shown_in_one_line(cache_folder("auto") / "logs"):
        main()
