"""The tables of a comparison: every one a function of the runs' prediction tables.

Runs of one seed are a pair: they share what the seed decides, and all runs share the test images. Both are kept in
every interval and every test: seeds are resampled together, and so are images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from fairprof.commands.compare.collect import LATER_SEEDS, RunResults
from fairprof.commands.compare.protocol import Protocol
from fairprof.inference import intervals, multiplicity, over_runs, over_seeds, verdicts
from fairprof.inference.levels import ALPHA, CONFIDENCE
from fairprof.inference.standardised_gaps import standardised_gaps
from fairprof.inference.verdicts import CONFIRMATORY_GAPS
from fairprof.metrics import fairness
from fairprof.metrics.best_rules import share_above_chance
from fairprof.metrics.fairness import ATTRIBUTES, DIFFERENCES, MAX_OVER_CLASSES, SCORES
from fairprof.metrics.performance import chance_scores, confusion_table
from fairprof.seeds import numpy_generator

RESAMPLING_SEED = 0  # of permutations and bootstrap: a comparison of the same runs gives the same numbers
CONFIRMATORY_QUANTITIES = tuple(f"{metric}/{attribute}" for metric, attribute in CONFIRMATORY_GAPS)
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
        place = {(run.design, run.seed): number for number, run in enumerate(self.runs)}
        chosen = [place[design, seed] for seed in seeds]
        return self.replicates.observed[chosen], self.replicates.values[:, chosen]

    def resampled_means(self, designs: Sequence[str], seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Means over the seeds, observed (D, M), and resampled (B, D, M) over seeds and images together."""
        found = [self.metrics(design, seeds) for design in designs]
        observed = np.stack([values for values, _ in found])
        resampled = np.stack([values for _, values in found], axis=1)
        generator = numpy_generator(RESAMPLING_SEED, "seeds", self.name)
        return observed.mean(axis=1), over_seeds.two_level_bootstrap(observed, resampled, generator)


def comparison_tables(results: Sequence[RunResults], protocol: Protocol) -> dict[str, pd.DataFrame]:
    """Every table by its name: runs, performance, gaps, differences, seed_differences, group_changes, contrasts,
    standardised_gaps, epochs, training_size, confusion, composition.

    results: runs that share their test images, at most one of every arm, design and seed.
    """
    arms = [Arm(name, tuple(run for run in results if run.arm == name), protocol.replicates) for name in protocol.arms]
    main = next(arm for arm in arms if arm.name == protocol.main_arm)
    runs = pd.concat([_runs(arm) for arm in arms], ignore_index=True)
    gaps, contrasts = _gaps_and_contrasts(arms, protocol)
    differences, seed_differences = _differences(arms, protocol)
    return {
        "runs": runs,
        "performance": pd.concat([_performance(arm, protocol) for arm in arms], ignore_index=True),
        "gaps": gaps,
        "differences": differences,
        "seed_differences": seed_differences,
        "group_changes": _group_changes(arms, protocol),
        "contrasts": contrasts,
        "standardised_gaps": pd.concat([_standardised_gaps(arm, protocol) for arm in arms], ignore_index=True),
        "epochs": pd.concat([_epochs(run) for run in results], ignore_index=True),
        "training_size": _training_size(runs, gaps),
        "confusion": _confusion(main),
        "composition": _composition(main),
    }


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
                "best_epoch": int(run.run.metrics["best_epoch"]),
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
        (mean,), draws = arm.resampled_means([design], seeds)
        lower, upper = intervals.centred_interval(draws[:, 0], mean, CONFIDENCE)
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
                    "value": mean[place],
                    "lower": lower[place],
                    "upper": upper[place],
                    "seed_sd": between_seeds[place],
                    "image_se": of_images[place],
                    "chance": chance,
                    "ceiling": ceiling,
                    "share_of_ceiling": mean[place] / ceiling,
                    "share_above_chance": share_above_chance(mean[place], chance, ceiling),
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
    gaps, contrasts = [], []
    for arm in arms:
        for design in arm.designs:
            predictions = [run.test for run in arm.of(design)]
            place = {"arm": arm.name, "design": design}
            bands = over_runs.contrasts_over_runs(
                predictions,
                protocol.replicates,
                numpy_generator(RESAMPLING_SEED, "contrasts", arm.name),
                CONFIDENCE,
                min_support=protocol.min_support,
            )
            contrasts.append(_placed(bands, place))
            tested = over_runs.gap_tests_over_runs(
                predictions, protocol.permutations, numpy_generator(RESAMPLING_SEED, "groups", arm.name)
            )
            tested = tested.merge(
                _upper_bounds(predictions, arm.name, protocol),
                on=["attribute", "metric", "class"],
                validate="1:1",
            ).merge(_cell_counts(predictions[0], protocol.min_support), on=["attribute", "metric", "class"])
            gaps.append(_placed(tested, place | {"seeds": len(predictions)}))
    return _judged_gaps(pd.concat(gaps, ignore_index=True), protocol), pd.concat(contrasts, ignore_index=True)


def _upper_bounds(predictions: Sequence[pd.DataFrame], arm: str, protocol: Protocol) -> pd.DataFrame:
    generator = numpy_generator(RESAMPLING_SEED, "upper bounds", arm)
    return over_runs.gap_upper_bounds_over_runs(predictions, protocol.replicates, generator, CONFIDENCE)


def _placed(table: pd.DataFrame, place: dict) -> pd.DataFrame:
    """The table with constant columns before its own."""
    return pd.concat([pd.DataFrame(place, index=table.index), table], axis=1)


def _cell_counts(predictions: pd.DataFrame, min_support: int) -> pd.DataFrame:
    """Undefined and insufficient cells of every gap; they depend on labels and groups, which all runs share."""
    gaps = fairness.gaps(fairness.rates_by_group(predictions, min_support))
    return gaps[["attribute", "metric", "class", "undefined_cells", "insufficient_cells"]]


def _judged_gaps(gaps: pd.DataFrame, protocol: Protocol) -> pd.DataFrame:
    """Families, adjusted p-values and verdicts: the confirmatory family is that of the main arm, over its designs."""
    of_main_arm = gaps["arm"].eq(protocol.main_arm).to_numpy()
    return verdicts.judged(gaps, verdicts.is_confirmatory(gaps) & of_main_arm, protocol.delta)


# Differences between designs.


def _differences(arms: Sequence[Arm], protocol: Protocol) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every design minus the reference, paired by seed, and the single seeds behind it."""
    tables, points = [], []
    for arm in arms:
        others = [design for design in arm.designs if design != protocol.reference]
        if protocol.reference not in arm.designs or not others:
            continue
        seeds = arm.seeds(*arm.designs)
        if not seeds:
            continue
        table, point = _differences_of_arm(arm, others, seeds, protocol)
        tables.append(table)
        points.append(point)
    if not tables:
        return pd.DataFrame(columns=DIFFERENCE_COLUMNS), pd.DataFrame(columns=POINT_COLUMNS)
    return _judged_differences(pd.concat(tables, ignore_index=True)), pd.concat(points, ignore_index=True)


PLACE_COLUMNS = ["arm", "design", "reference", "metric", "attribute", "class"]
DIFFERENCE_COLUMNS = [
    *PLACE_COLUMNS,
    *("seeds", "value", "lower", "upper", "seed_sd", "p_value", "smallest_p"),
    *("family", "p_adjusted", "p_holm", "verdict"),
]
POINT_COLUMNS = [*PLACE_COLUMNS, "seed", "value"]


def _differences_of_arm(
    arm: Arm, others: Sequence[str], seeds: Sequence[int], protocol: Protocol
) -> tuple[pd.DataFrame, pd.DataFrame]:
    names = list(arm.replicates.names)
    compared = [*SCORES, *(f"{metric}/{attribute}" for metric in DIFFERENCES for attribute in ATTRIBUTES)]
    columns = [names.index(name) for name in compared]
    reference = arm.metrics(protocol.reference, seeds)[0][:, columns]
    rows, points, paired_values = [], [], []
    for design in others:
        values = arm.metrics(design, seeds)[0][:, columns] - reference  # (S, M)
        means, draws = arm.resampled_means([design, protocol.reference], seeds)
        mean = (means[0] - means[1])[columns]
        lower, upper = intervals.centred_interval((draws[:, 0] - draws[:, 1])[:, columns], mean, CONFIDENCE)
        deviation = over_seeds.seed_sd(values)
        paired_values.append(values)
        for number, name in enumerate(compared):
            place = _difference_place(arm.name, design, protocol.reference, name)
            rows.append(
                place
                | {
                    "seeds": len(seeds),
                    "value": mean[number],
                    "lower": lower[number],
                    "upper": upper[number],
                    "seed_sd": deviation[number],
                    "family": "confirmatory"
                    if arm.name == protocol.main_arm and name in CONFIRMATORY_QUANTITIES
                    else "exploratory",
                }
            )
            points += [
                place | {"seed": seed, "value": value} for seed, value in zip(seeds, values[:, number], strict=True)
            ]
    table = pd.DataFrame(rows)
    return _tested(table, np.concatenate(paired_values, axis=1)), pd.DataFrame(points)[POINT_COLUMNS]


def _difference_place(arm: str, design: str, reference: str, name: str) -> dict[str, str]:
    metric, _, attribute = name.partition("/")
    of_classes = MAX_OVER_CLASSES if attribute else ""
    return dict(zip(PLACE_COLUMNS, (arm, design, reference, metric, attribute, of_classes), strict=True))


def _tested(table: pd.DataFrame, values: np.ndarray) -> pd.DataFrame:
    """The rows with their sign-flip tests, family by family; values: (S, rows) per-seed differences.

    Within the confirmatory family signs are flipped together, so that the adjusted p-value keeps what can be reached
    with few seeds: Holm's multiplies the smallest possible p-value by the size of the family.
    """
    confirmatory = table["family"].eq("confirmatory").to_numpy()
    family, others = (over_seeds.sign_flip_tests(values[:, rows]) for rows in (confirmatory, ~confirmatory))
    p_value, joint, holm = np.full((3, len(table)), np.nan)
    p_value[confirmatory], p_value[~confirmatory] = family.p_value, others.p_value
    joint[confirmatory], holm[confirmatory] = family.p_max_t, multiplicity.holm(family.p_value)
    return table.assign(p_value=p_value, smallest_p=family.smallest_p, p_adjusted=joint, p_holm=holm)


def _judged_differences(table: pd.DataFrame) -> pd.DataFrame:
    exploratory = table["family"].eq("exploratory").to_numpy()
    adjusted = table["p_adjusted"].to_numpy().copy()
    adjusted[exploratory] = multiplicity.benjamini_hochberg(table["p_value"].to_numpy()[exploratory])
    verdict = np.select(
        [np.isnan(adjusted), table["smallest_p"].to_numpy() > ALPHA, adjusted <= ALPHA],
        ["undefined", "no_claim_possible", "established"],
        "not_established",
    )
    return table.assign(p_adjusted=adjusted, verdict=verdict)[DIFFERENCE_COLUMNS]


GROUP_COLUMNS = [
    *("arm", "design", "reference", "attribute", "group", "support"),
    *("accuracy", "reference_accuracy", "change", "lower", "upper"),
]


def _group_changes(arms: Sequence[Arm], protocol: Protocol) -> pd.DataFrame:
    """Each group's accuracy against the reference design's: whether a gap closed upwards or downwards."""
    rows = [
        row
        for arm in arms
        for design in arm.designs
        if design != protocol.reference and protocol.reference in arm.designs
        for row in _group_changes_of(arm, design, protocol.reference)
    ]
    return pd.DataFrame(rows, columns=GROUP_COLUMNS)


def _group_changes_of(arm: Arm, design: str, reference: str) -> list[tuple]:
    seeds = arm.seeds(design, reference)
    if not seeds:
        return []
    names = list(arm.replicates.names)
    means, draws = arm.resampled_means([design, reference], seeds)
    change = means[0] - means[1]
    lower, upper = intervals.centred_interval(draws[:, 0] - draws[:, 1], change, CONFIDENCE)
    support = fairness.performance_by_group(arm.runs[0].test).set_index(["attribute", "group"])["support"]
    rows = []
    for (attribute, group), count in support.items():
        place = names.index(f"accuracy/{attribute}/{group}")
        numbers = (array[place] for array in (means[0], means[1], change, lower, upper))
        rows.append((arm.name, design, reference, attribute, group, count, *numbers))
    return rows


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
