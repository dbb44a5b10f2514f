"""The tables of a comparison: every one a function of the runs' prediction tables.

Runs of one seed are a pair: they share what the seed decides, and all runs share the test images. Both are samples in
every interval and every test of a difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pandas as pd

from fairprof.commands.compare.collect import LATER_SEEDS, RunResults
from fairprof.commands.compare.protocol import Protocol
from fairprof.config import BASELINES
from fairprof.inference import differences, over_runs, over_seeds, verdicts
from fairprof.inference.levelling_down import group_changes
from fairprof.inference.over_seeds_and_images import estimates
from fairprof.inference.standardised_gaps import standardised_gaps
from fairprof.inference.verdicts import CONFIRMATORY_GAPS
from fairprof.metrics import fairness
from fairprof.metrics.best_rules import share_above_chance
from fairprof.metrics.fairness import ATTRIBUTES, DIFFERENCES, MAX_OVER_CLASSES, SCORES
from fairprof.metrics.performance import chance_scores, confusion_table
from fairprof.seeds import numpy_generator

RESAMPLING_SEED = 0  # of permutations and bootstrap: a comparison of the same runs gives the same numbers
CONFIRMATORY_QUANTITIES = tuple(f"{metric}/{attribute}" for metric, attribute in CONFIRMATORY_GAPS)
COMPARED = differences.quantities(ATTRIBUTES)
EPOCH_METRICS = ("loss", "macro_f1", *CONFIRMATORY_QUANTITIES)


@dataclass(frozen=True)
class Arm:
    """The runs of one training size, by design and seed, and their resampled metrics."""

    name: str
    runs: tuple[RunResults, ...]
    replicate_count: int

    @property
    def designs(self) -> list[str]:
        return sorted({run.design for run in self.runs})

    def of(self, design: str) -> list[RunResults]:
        return sorted((run for run in self.runs if run.design == design), key=lambda run: run.seed)

    def seeds(self, *designs: str) -> list[int]:
        """The seeds that all the designs have."""
        return sorted(set.intersection(*({run.seed for run in self.of(design)} for design in designs)))

    @cached_property
    def replicates(self) -> over_runs.Replicates:
        """Every run's metrics, observed and under resampled test images, the same for all runs."""
        generator = numpy_generator(RESAMPLING_SEED, "test images", self.name)
        return over_runs.image_replicates([run.test for run in self.runs], self.replicate_count, generator)

    def metrics(self, design: str, seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Observed (S, M) and resampled (B, S, M) metrics of a design's runs with these seeds."""
        chosen = self.numbers(design, seeds)
        return self.replicates.observed[chosen], self.replicates.values[:, chosen]

    def numbers(self, design: str, seeds: Sequence[int]) -> list[int]:
        """The numbers, among all runs of the arm, of a design's runs with these seeds."""
        place = {(run.design, run.seed): number for number, run in enumerate(self.runs)}
        return [place[design, seed] for seed in seeds]


def comparison_tables(results: Sequence[RunResults], protocol: Protocol) -> dict[str, pd.DataFrame]:
    """Every table by its name: runs, performance, gaps, differences, seed_differences, group_changes, contrasts,
    standardised_gaps, training_size, confusion, composition, and epochs, which baselines do not have.

    results: runs that share their test images, at most one of every arm, design and seed.
    """
    arms = [Arm(name, tuple(run for run in results if run.arm == name), protocol.replicates) for name in protocol.arms]
    main = next(arm for arm in arms if arm.name == protocol.main_arm)
    runs = pd.concat([_runs(arm) for arm in arms], ignore_index=True)
    gaps, contrasts = _gaps_and_contrasts(arms, protocol)
    of_designs, seed_differences = _differences(arms, gaps, protocol)
    tables = {
        "runs": runs,
        "performance": pd.concat([_performance(arm, protocol) for arm in arms], ignore_index=True),
        "gaps": gaps,
        "differences": of_designs,
        "seed_differences": seed_differences,
        "group_changes": _group_changes(arms, protocol),
        "contrasts": contrasts,
        "standardised_gaps": pd.concat([_standardised_gaps(arm, protocol) for arm in arms], ignore_index=True),
        "training_size": _training_size(runs, gaps),
        "confusion": _confusion(main),
        "composition": _composition(main),
    }
    if protocol.settings.get("finetune") in BASELINES:
        return tables
    return tables | {"epochs": pd.concat([_epochs(run) for run in results], ignore_index=True)}


# Runs and performance.


def _runs(arm: Arm) -> pd.DataFrame:
    names = list(arm.replicates.names)
    shown = [*SCORES, *(name for name in names if name.partition("/")[0] in DIFFERENCES)]
    rows = []
    for run, values in zip(arm.runs, arm.replicates.observed, strict=True):
        training = run.composition.loc[run.composition["partition"].eq("train"), "count"].sum()
        rows.append(
            {
                "run_id": run.run.run_id,
                "run_name": run.run.name,
                "arm": arm.name,
                "design": run.design,
                "seed": run.seed,
                "train_size": run.train_size,
                "fraction": run.fraction,
                "training_images": int(training),
                "best_epoch": int(run.values["best_epoch"]),
                **{name: values[names.index(name)] for name in shown},
            }
        )
    return pd.DataFrame(rows)


def _performance(arm: Arm, protocol: Protocol) -> pd.DataFrame:
    names = list(arm.replicates.names)
    rows = []
    for design in arm.designs:
        seeds = arm.seeds(design)
        by_chance = chance_scores(np.stack([confusion_table(run.test).to_numpy() for run in arm.of(design)]))
        observed, resampled = arm.metrics(design, seeds)
        found = estimates(observed, resampled)
        lower, upper = found.interval()
        between_seeds, of_images = over_seeds.seed_sd(observed), over_seeds.image_se(resampled)
        for score in SCORES:
            place, ceiling = names.index(score), protocol.ceiling.get(score, np.nan)
            chance = by_chance[score].mean()
            rows.append(
                {
                    "arm": arm.name,
                    "design": design,
                    "metric": score,
                    "seeds": len(seeds),
                    "value": found.value[place],
                    "lower": max(lower[place], 0.0),
                    "upper": min(upper[place], 1.0),
                    "seed_sd": between_seeds[place],
                    "image_se": of_images[place],
                    "chance": chance,
                    "ceiling": ceiling,
                    "share_of_ceiling": found.value[place] / ceiling,
                    "share_above_chance": share_above_chance(found.value[place], chance, ceiling),
                }
            )
    return pd.DataFrame(rows)


# Gaps within designs.


def _standardised_gaps(arm: Arm, protocol: Protocol) -> pd.DataFrame:
    return pd.concat(
        [
            _placed(
                standardised_gaps(
                    [run.test for run in arm.of(design)],
                    protocol.replicates,
                    numpy_generator(RESAMPLING_SEED, "standardised gaps", arm.name),
                ),
                {"arm": arm.name, "design": design},
            )
            for design in arm.designs
        ],
        ignore_index=True,
    )


def _gaps_and_contrasts(arms: Sequence[Arm], protocol: Protocol) -> tuple[pd.DataFrame, pd.DataFrame]:
    gaps: list[pd.DataFrame] = []
    contrasts: list[pd.DataFrame] = []
    for arm in arms:
        for design in arm.designs:
            found = over_runs.gaps_and_contrasts_over_runs(
                [run.test for run in arm.of(design)],
                protocol.permutations,
                protocol.replicates,
                partial(_generator, arm.name),
                min_support=protocol.min_support,
            )
            for tables, table in zip((gaps, contrasts), found, strict=True):
                tables.append(_placed(table, {"arm": arm.name, "design": design}))
    return _judged_gaps(pd.concat(gaps, ignore_index=True), protocol), pd.concat(contrasts, ignore_index=True)


def _generator(arm: str, purpose: str) -> np.random.Generator:
    return numpy_generator(RESAMPLING_SEED, purpose, arm)


def _placed(table: pd.DataFrame, place: dict) -> pd.DataFrame:
    """The table with constant columns before its own."""
    return pd.concat([pd.DataFrame(place, index=table.index), table], axis=1)


def _judged_gaps(gaps: pd.DataFrame, protocol: Protocol) -> pd.DataFrame:
    """Families, adjusted p-values and verdicts: the confirmatory family is that of the main arm, over its designs.

    A design one of whose models predicts one class only has no verdicts.
    """
    confirmatory = verdicts.is_confirmatory(gaps) & gaps["arm"].eq(protocol.main_arm).to_numpy()
    degenerate = gaps.pop("degenerate").to_numpy()
    return verdicts.judged(gaps, confirmatory, protocol.delta, degenerate=degenerate)


# Differences between designs.


def _differences(arms: Sequence[Arm], gaps: pd.DataFrame, protocol: Protocol) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every design minus the reference, paired by seed, and the single seeds behind it."""
    found = {arm.name: _differences_of_arm(arm, gaps[gaps["arm"].eq(arm.name)], protocol) for arm in arms}
    # a table without rows has no types, and would take those of the others away
    found = {name: each for name, each in found.items() if len(each.table)} or dict([*found.items()][:1])
    table = pd.concat([_placed(each.table, {"arm": name}) for name, each in found.items()])
    points = pd.concat([_placed(each.points, {"arm": name}) for name, each in found.items()])
    judged = differences.judged_differences(table.reset_index(drop=True), protocol.delta)
    return judged[["arm", *differences.DIFFERENCE_COLUMNS]], points.reset_index(drop=True)


def _differences_of_arm(arm: Arm, gaps: pd.DataFrame, protocol: Protocol) -> differences.Differences:
    designs = arm.designs if protocol.reference in arm.designs else []
    seeds = arm.seeds(*designs) if designs else []
    compared = {
        design: differences.design_runs(
            arm.replicates, arm.numbers(design, seeds), COMPARED, gaps[gaps["design"].eq(design)]
        )
        for design in (designs if seeds else [])
    }
    confirmatory = CONFIRMATORY_QUANTITIES if arm.name == protocol.main_arm else ()
    return differences.paired_differences(COMPARED, compared, seeds, protocol.reference, confirmatory)


GROUP_COLUMNS = [
    *("arm", "design", "reference", "attribute", "group", "support"),
    *("accuracy", "reference_accuracy", "change", "lower", "upper"),
]


def _group_changes(arms: Sequence[Arm], protocol: Protocol) -> pd.DataFrame:
    """Each group's accuracy against the reference design's, with intervals for new seeds and new images that hold
    together for all groups of an attribute."""
    tables = [
        _group_changes_of(arm, design, protocol.reference)
        for arm in arms
        for design in arm.designs
        if design != protocol.reference and protocol.reference in arm.designs and arm.seeds(design, protocol.reference)
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=GROUP_COLUMNS)


def _group_changes_of(arm: Arm, design: str, reference: str) -> pd.DataFrame:
    seeds = arm.seeds(design, reference)
    support = fairness.performance_by_group(arm.runs[0].test)[["attribute", "group", "support"]]
    groups = [(row.attribute, row.group) for row in support.itertuples()]
    places = [arm.replicates.names.index(f"accuracy/{attribute}/{group}") for attribute, group in groups]
    of_design, of_reference = (
        (observed[:, places], values[..., places])
        for observed, values in (arm.metrics(name, seeds) for name in (design, reference))
    )
    table = group_changes(groups, of_design, of_reference).merge(support, on=["attribute", "group"], validate="1:1")
    return _placed(table, {"arm": arm.name, "design": design, "reference": reference})[GROUP_COLUMNS]


# What the pictures need besides.


def _epochs(run: RunResults) -> pd.DataFrame:
    history = run.history.set_index("epoch")
    values = history[[f"val/{name}" for name in EPOCH_METRICS]].set_axis(list(EPOCH_METRICS), axis=1)
    long = values.reset_index().melt("epoch", var_name="metric")
    return _placed(long, {"arm": run.arm, "design": run.design, "seed": run.seed})


def _training_size(runs: pd.DataFrame, gaps: pd.DataFrame) -> pd.DataFrame:
    floors = gaps[gaps["class"].eq(MAX_OVER_CLASSES)].assign(metric=gaps["metric"] + "/" + gaps["attribute"])
    floors = floors.set_index(["arm", "design", "metric"])["null_mean"]
    rows = []
    planned = runs[~runs["arm"].str.endswith(LATER_SEEDS)]
    for (arm, design), of_arm in planned.groupby(["arm", "design"], sort=False):
        for metric in ("macro_f1", *CONFIRMATORY_QUANTITIES):
            rows.append(
                {
                    "arm": arm,
                    "train_size": of_arm["train_size"].iloc[0],
                    "fraction": of_arm["fraction"].iloc[0],
                    "design": design,
                    "training_images": of_arm["training_images"].mean(),
                    "metric": metric,
                    "seeds": len(of_arm),
                    "value": of_arm[metric].mean(),
                    "seed_sd": of_arm[metric].std(),
                    "null_mean": floors.get((arm, design, metric), np.nan),
                }
            )
    return pd.DataFrame(rows)


def _confusion(arm: Arm) -> pd.DataFrame:
    tables = []
    for design in arm.designs:
        for attribute in ATTRIBUTES:
            counts, groups = zip(*(fairness.count_table(run.test, attribute) for run in arm.of(design)), strict=True)
            classes = fairness.class_names(arm.runs[0].test)
            index = pd.MultiIndex.from_product([groups[0], classes, classes], names=["group", "y_true", "y_pred"])
            table = pd.Series(np.sum(counts, axis=0).ravel().astype(int), index, name="count").reset_index()
            tables.append(_placed(table, {"design": design, "attribute": attribute}))
    return pd.concat(tables, ignore_index=True)


def _composition(arm: Arm) -> pd.DataFrame:
    cells = ["partition", "profession", "race", "gender"]
    tables = []
    for design in arm.designs:
        counts = pd.concat([run.composition for run in arm.of(design)])
        mean = counts.groupby(cells, sort=False)["count"].mean().reset_index()
        tables.append(_placed(mean, {"design": design}))
    return pd.concat(tables, ignore_index=True)
