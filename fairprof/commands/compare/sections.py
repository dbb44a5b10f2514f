"""What a report says, section by section; how it is laid out is no matter here."""

import shlex
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from fairprof.commands.compare.answer import verdict_table
from fairprof.commands.compare.claims import Claim, Claims
from fairprof.commands.compare.collect import LATER_SEEDS
from fairprof.commands.compare.protocol import Protocol
from fairprof.commands.compare.seen import PHOTOGRAPHIC, seen
from fairprof.config import of_this_machine
from fairprof.data.designs import DESIGNS
from fairprof.data.sources.kinds import to_be_named
from fairprof.inference.levels import ALPHA
from fairprof.inference.planning import LEAST_SEEDS
from fairprof.reporting.blocks import (
    Answer,
    Block,
    Cell,
    Column,
    Commands,
    Fold,
    Heading,
    Paragraph,
    Picture,
    Section,
    Sentences,
    Table,
)
from fairprof.reporting.faces import left_out
from fairprof.reporting.glossary import terms
from fairprof.reporting.groups import groups_told
from fairprof.reporting.names import CLASS_NAMES, GAP_NAMES, METRIC_NAMES, VERDICT_NAMES, name_of
from fairprof.reporting.standardised_gap import standardised_blocks
from fairprof.reporting.tables import COUNTED, column_title, properties, table_of
from fairprof.reporting.wording import (
    NOTHING,
    count,
    interval,
    number,
    percent,
    seeds_named,
    short,
    span,
)

WEIGHTS = "WEIGHTS"  # stands for a file
MANY = 4  # sentences: more of them that claim nothing are folded
VERY_MANY = 8  # more than so many are folded whatever they claim: the verdicts in four rows have them all


def sections(
    tables: dict[str, pd.DataFrame],
    protocol: Protocol,
    said: Claims,
    picture_names: Collection[str],
    explored: tuple[Block, ...] = (),
) -> tuple[Section, ...]:
    """What both layouts show, in order; see `findings`. said: the claims of these tables."""
    present = {name: table for name, table in tables.items() if len(table)}
    return (
        Section("The answer", tuple(_answer(present, protocol, said))),
        Section("Summary by design", tuple(_summary(present, protocol))),
        Section("Evidence", tuple(_evidence(present, protocol, said, picture_names))),
        *((Section("Explore", explored),) if explored else ()),
        Section("How sure this is", tuple(_certainty(present, protocol, said))),
        Section("Protocol", tuple(_protocol(present, protocol))),
        Section("Limits", tuple(_limits(protocol))),
        Section("Terms", (terms(*TERMS),)),
    )


# The answer.


def _answer(tables: dict[str, pd.DataFrame], protocol: Protocol, said: Claims) -> Iterable[Block]:
    yield Answer(said.answer)
    if "gaps" in tables:
        yield verdict_table(tables, protocol)
    yield Sentences("In full", said.in_full)


# Summary.


def _summary(tables: dict[str, pd.DataFrame], protocol: Protocol) -> Iterable[Block]:
    performance = tables["performance"]
    scores = performance[performance["metric"].eq("macro_f1")]
    titles = ["design", "arm", "seeds", "macro-F1 [95 % interval]", "share of the ceiling", "share above chance"]
    rows = tuple(_summary_row(row) for row in scores.itertuples(index=False))
    yield Table("Macro-F1 of every design and arm", tuple(map(Column, titles)), rows)
    yield Paragraph(
        f"Each design with what it leaves natural, all else being balanced. Arm {protocol.main_arm} is the "
        "confirmatory one, of the verdicts above; verdicts in other arms are exploratory. A gap within a design says "
        "nothing about differences between designs: these have tests of their own."
    )


def _summary_row(score) -> tuple[Cell, ...]:
    return (
        Cell(score.design, f"{DESIGNS[score.design].natural or 'nothing'} natural"),
        Cell(score.arm),
        Cell(f"{score.seeds}"),
        Cell(number(score.value), interval(score.lower, score.upper)),
        Cell(percent(score.share_of_ceiling)),
        Cell(percent(score.share_above_chance)),
    )


# Evidence.


@dataclass(frozen=True)
class Evidence:
    """A picture, how to read it, and what belongs to it: blocks, a function of the tables and the claims."""

    title: str
    caption: str
    blocks: Callable[[dict[str, pd.DataFrame], Claims], Iterable[Block]]


def _evidence(
    tables: dict[str, pd.DataFrame], protocol: Protocol, said: Claims, names: Collection[str]
) -> Iterable[Block]:
    for name, evidence in EVIDENCE.items():
        blocks = list(evidence.blocks(tables, said))
        if name in names:
            hidden = name in OF_PEOPLE and not protocol.shows_faces
            picture = Picture(name, evidence.title, evidence.caption, seen(name, tables), name in PHOTOGRAPHIC)
            blocks.insert(0, left_out(f"comparison/{name}.png") if hidden else picture)
        if blocks:
            yield Heading(evidence.title)
            yield from blocks
    for name in names:
        if name not in EVIDENCE:
            yield Heading(name)
            yield Picture(name, name, "A further picture of this comparison.")


def _grouped(said: Sequence[Claim]) -> Iterable[Sentences]:
    for verdict, name in VERDICT_NAMES.items():
        sentences = tuple(claim.sentence for claim in said if claim.verdict == verdict)
        if sentences:
            claiming = verdict in ("established", "equivalent")
            folded = len(sentences) > (VERY_MANY if claiming else MANY)
            yield Sentences(f"{name.capitalize()}: {len(sentences)} of {len(said)}", sentences, folded)


def _performance_blocks(tables: dict[str, pd.DataFrame], said: Claims) -> Iterable[Block]:
    yield table_of("Performance on the test set", tables["performance"])
    if said.scores:
        sentences = tuple(claim.sentence for claim in said.scores)
        yield Sentences("Scores against the reference (exploratory)", sentences, len(sentences) > MANY)


def _gaps_blocks(tables: dict[str, pd.DataFrame], said: Claims) -> Iterable[Block]:
    yield Paragraph(said.gap_scope)
    yield from _grouped(said.gaps)
    if "gaps" in tables:
        gaps = tables["gaps"]
        yield table_of("Gaps, over all classes", gaps[gaps["class"].isin(CLASS_NAMES)])
    if "standardised_gaps" in tables:
        yield from standardised_blocks(tables["standardised_gaps"])


def _class_blocks(tables: dict[str, pd.DataFrame], said: Claims) -> Iterable[Block]:
    if "gaps" in tables:
        single = tables["gaps"][~tables["gaps"]["class"].isin(CLASS_NAMES)]
        if len(single):
            yield table_of("Gaps of each class", single)
    if "contrasts" in tables:
        yield table_of(
            "Which groups differ: each group minus the rest", tables["contrasts"], ("contrast", "lower", "upper")
        )


def _differences_blocks(tables: dict[str, pd.DataFrame], said: Claims) -> Iterable[Block]:
    yield Paragraph(said.difference_scope)
    yield Paragraph(said.possibility)
    yield from _grouped(said.differences)
    if said.other_arms:
        yield Sentences("The established differences in other arms", said.other_arms)
    if "differences" in tables:
        signed_columns = ("value", "lower", "upper", "uncorrected")
        yield table_of("Design minus reference, mean over paired seeds", tables["differences"], signed_columns)
    if "seed_differences" in tables:
        yield table_of("Design minus reference, by seed", tables["seed_differences"], ("value",))


def _tradeoff_blocks(tables: dict[str, pd.DataFrame], said: Claims) -> Iterable[Block]:
    if "runs" in tables:
        runs = tables["runs"]
        gaps = [name for name in runs.columns if name.partition("/")[0] in GAP_NAMES]
        yield table_of("Every run", runs.drop(columns=gaps))
        yield table_of("Gaps of every run, the largest over the classes", runs[["run_name", "arm", *gaps]])


def _group_blocks(tables: dict[str, pd.DataFrame], said: Claims) -> Iterable[Block]:
    if said.levelling_down:
        yield Sentences("Levelling down", said.levelling_down)
    if "group_changes" in tables:
        changes = ("change", "lower", "upper")
        yield table_of("Accuracy by group against the reference", tables["group_changes"], changes)


def _size_blocks(tables: dict[str, pd.DataFrame], said: Claims) -> Iterable[Block]:
    if "training_size" in tables:
        sizes = tables["training_size"]
        names = sizes["metric"].map(column_title)
        # a score has no noise floor, which is not the same as an undefined one
        floors = sizes["null_mean"].map(number).where(~sizes["metric"].isin(METRIC_NAMES), NOTHING)
        yield table_of("Metrics by the size of the training set", sizes.assign(metric=names, null_mean=floors))


def _epoch_blocks(tables: dict[str, pd.DataFrame], said: Claims) -> Iterable[Block]:
    if "epochs" in tables:
        yield table_of("Validation by epoch", _spread(tables["epochs"], "metric", "value"))


def _confusion_blocks(*attributes: str) -> Callable[[dict[str, pd.DataFrame], Claims], Iterable[Block]]:
    def blocks(tables: dict[str, pd.DataFrame], said: Claims) -> Iterable[Block]:
        if "confusion" not in tables:
            return
        for attribute in attributes:
            rows = tables["confusion"][tables["confusion"]["attribute"].eq(attribute)].drop(columns="attribute")
            if len(rows):
                title = f"Images by group, true and predicted class, by {name_of(attribute)}"
                predicted = rows["y_pred"].map("predicted {}".format)
                yield table_of(f"{title}: sums over seeds", _spread(rows.assign(y_pred=predicted), "y_pred", "count"))

    return blocks


def _no_blocks(tables: dict[str, pd.DataFrame], said: Claims) -> Iterable[Block]:
    return ()


def _spread(table: pd.DataFrame, name: str, value: str) -> pd.DataFrame:
    """A long table with a column for each value of `name`, in order of appearance."""
    rows = [column for column in table.columns if column not in (name, value)]
    return table.set_index([*rows, name])[value].unstack(sort=False).rename_axis(columns=None).reset_index()


OF_PEOPLE = ("gradcam",)  # pictures that show images
EVIDENCE = {
    "performance": Evidence(
        "Performance",
        "Large marks are means over seeds, their lines the 95 % intervals over seeds and test images, small marks "
        "single seeds; the dashed line is the ceiling, the score expected of the best rule. Further right is better. "
        "Whether two intervals overlap is no test: designs are compared seed by seed, below.",
        _performance_blocks,
    ),
    "gaps": Evidence(
        "Gaps between groups within each design",
        "A mark is a gap, the largest over the classes, mean over seeds; its line ends at the upper end of its band. "
        "The bar behind it is what groups that are served alike would show: their mean (the noise floor) and their 95 "
        "% quantile. Filled marks are established, hollow ones not; the dotted line is the margin of equivalence. "
        "Further left is better.",
        _gaps_blocks,
    ),
    "gaps_by_class": Evidence(
        "Gaps of each class, and the groups behind them",
        "As the picture before, for each class on its own; all of it is exploratory. The tables say which groups "
        "differ from the rest.",
        _class_blocks,
    ),
    "differences": Evidence(
        "Differences between designs",
        "A mark is the mean over seeds of a design minus the reference at the same seed, gaps each less their noise "
        "floor; its line the adjusted interval for new seeds and new images, small marks single seeds; zero means "
        "equal on average. Filled marks are established. For scores right is better, for gaps left.",
        _differences_blocks,
    ),
    "tradeoff": Evidence(
        "Performance against gaps",
        "Macro-F1 against each gap: large marks are means over seeds, small ones single runs; the dashed line joins "
        "the designs that no other beats in both. Lower right is better. Positions closer than the intervals mean "
        "little.",
        _tradeoff_blocks,
    ),
    "group_changes": Evidence(
        "What each design changes for every group",
        "The accuracy of each group minus that with the reference design, with intervals that hold together for the "
        "groups of an attribute. Right of zero the group is served better. Shaded: a gap is smaller, which is "
        "established, and no group is served better for it.",
        _group_blocks,
    ),
    "training_size": Evidence(
        "The size of the training set",
        "Macro-F1 and gaps against the number of training images: means over seeds, with one standard deviation; "
        "dashed is the noise floor. Designs are comparable where they have equally many images.",
        _size_blocks,
    ),
    "epochs": Evidence(
        "Validation over the epochs",
        "Mean over seeds, with their range as a band, on each design's own validation images. It shows whether "
        "training was stable; it is no comparison of designs.",
        _epoch_blocks,
    ),
    "confusion_gender": Evidence(
        "Confusion by gender",
        "Each row is a true class, its cells the share of its images that was taken for each class, in percent. "
        "Compare a row between groups: what differs is whom the model takes for what.",
        _confusion_blocks("gender"),
    ),
    "confusion_race": Evidence(
        "Confusion by race", "As the picture before, by race.", _confusion_blocks("race", "gender_x_race")
    ),
    "gradcam": Evidence(
        "Grad-CAM of the same test images",
        "Where the network looked for its predicted class: the stronger the colour, the more a region raised the "
        "class. The images are the same for all designs. Single images are examples, not evidence.",
        _no_blocks,
    ),
    **{
        name: Evidence(
            f"Mean Grad-CAM by {group}",
            "Mean raw maps of each group's test images and what differs between them, on scales that all groups and "
            "designs share, so that their strength can be compared. They show where, not why.",
            _no_blocks,
        )
        for name, group in (("mean_maps", "group"), ("mean_maps_gender", "gender"), ("mean_maps_race", "race"))
    },
}


# How sure, protocol, limits.


def _certainty(tables: dict[str, pd.DataFrame], protocol: Protocol, said: Claims) -> Iterable[Block]:
    yield Paragraph(
        "The largest minus the smallest of several rates is above zero even where all groups are served alike, the "
        "more so the more groups and the fewer images there are (Lum, Zhang and Bower 2022, arXiv:2205.05770). Each "
        "gap is therefore shown beside the same gap after the groups of the test images were permuted "
        f"{protocol.permutations:,} times: among all images for demographic parity, within each true class for the "
        "others. The mean of these is the noise floor, the gap minus it the excess, and p = (1 + permuted gaps at "
        f"least as large) / ({protocol.permutations:,} + 1).",
        "Noise floor.",
    )
    yield Paragraph(said.gap_scope, "Within designs.")
    yield Paragraph(f"{said.difference_scope} {said.possibility}", "Between designs.")
    yield Paragraph(_multiplicity(protocol), "Many tests.")
    yield Paragraph(_number_of_seeds(protocol, said), "Number of seeds.")
    yield Paragraph(
        f"Established: the adjusted p-value is at most {short(ALPHA)}; between designs, that of new seeds and new "
        "images. Established on this test set only: further seeds on these images would show it, other images may "
        "not. Not established: this study cannot tell; that is no evidence of equality. Equivalent: not established, "
        f"and the upper end of the gap's 95 % band lies below the margin delta = {short(protocol.delta)}, or the "
        "interval of a difference between designs lies within that margin on both sides. No claim possible: fewer "
        f"than {LEAST_SEEDS} seeds.",
        "Verdicts.",
    )
    yield Paragraph(
        "They are 95 % intervals for new seeds and new images: value -+ t times the standard error, which takes in "
        f"what varies between seeds, between test images (over {protocol.replicates:,} resamples, the same ones for "
        "all designs) and with both, with as few degrees of freedom as few seeds leave. An interval of a difference "
        "excludes zero exactly where its test rejects: those of the confirmatory family hold together, the others are "
        "adjusted as their p-values are. Intervals of the groups of an attribute hold together. More seeds reduce the "
        "deviation between seeds, more test images the error that they leave.",
        "Intervals.",
    )
    yield Paragraph(
        f"{said.weak_rates} An undefined rate is left out of its gap and never counted as zero; one on few images "
        "is kept.",
        "Small groups.",
    )
    size = _size_caution(tables, protocol)
    if size:
        yield Paragraph(size, "Size.")
    columns = ["arm", "design", "metric", "seeds", "value", "seed_sd", "image_se"]
    yield table_of("Deviation between seeds, and error left by the test images", tables["performance"][columns])


def _multiplicity(protocol: Protocol) -> str:
    return (
        "The confirmatory family was fixed beforehand: demographic parity and equal opportunity differences, by gender "
        f"and by race, the largest over the classes, in the arm {protocol.main_arm}. Within designs it is adjusted by "
        "Holm's method; between designs by Sidak's, for new seeds and new images, and by max-T, for sign flips on this "
        "test set: both control the chance of any false claim in the family. All else is exploratory, adjusted by "
        "Benjamini and Hochberg's method: it suggests, it does not show."
    )


def _number_of_seeds(protocol: Protocol, said: Claims) -> str:
    plan = protocol.seed_plan
    if plan is None or not plan.recorded:
        return (
            "No plan was recorded before these runs were trained: whether seeds were added until something was "
            "established cannot be known here. A study records its seeds before its first run."
        )
    if said.seeds:
        return said.seeds
    return f"{seeds_named(plan.planned).capitalize()} {'was' if len(plan.planned) == 1 else 'were'} planned beforehand."


def _size_caution(tables: dict[str, pd.DataFrame], protocol: Protocol) -> str:
    if "runs" not in tables:
        return ""
    runs = tables["runs"]
    counts = runs[runs["arm"].eq(protocol.main_arm)].groupby("design")["training_images"].mean()
    if len(counts) < 2:
        return ""
    if counts.nunique() == 1:
        return "All designs have equally many training images, so that composition is compared without size."
    sizes = f"In the arm {protocol.main_arm} the designs have {span(counts, count)} training images: "
    if protocol.main_arm.startswith("matched"):
        return f"{sizes}as many as the smallest, rounded down to equal cells. Composition is compared at that size."
    return (
        f"{sizes}size and composition change together. train_size=matched,natural would compare composition at equal "
        "size as well, and make that the confirmatory arm."
    )


def _protocol(tables: dict[str, pd.DataFrame], protocol: Protocol) -> Iterable[Block]:
    yield Heading("Data and designs")
    yield properties("Data", data_facts(protocol))
    yield designs_table(protocol)
    if "composition" in tables:
        composition = tables["composition"]
        counts = composition.assign(profession=composition["profession"].astype(str).map(f"{COUNTED}{{}}".format))
        yield table_of("Images by design, mean over seeds", _spread(counts, "profession", "count"))
    yield Heading("Training and analysis")
    yield properties("Study", _study(protocol))
    yield properties("Settings that all runs share", protocol.settings.items())
    yield Fold("Versions", (properties("Versions", protocol.versions.items()),))
    if protocol.run_id:
        yield Fold("Registered models, and the files of this comparison", (_places(tables, protocol),))
    yield Heading("Failed runs")
    if protocol.failed:
        yield properties("Runs that are missing, and why", protocol.failed)
    else:
        yield Paragraph("None: every run that was asked for is in this report.")
    yield Heading("How to repeat it")
    yield Paragraph(
        "In a clone of the project: the first command trains, the second compares again what has been trained."
        + "".join(f" {word} stands for {meaning}." for word, meaning in _stand_ins(protocol).items())
    )
    yield Commands(commands(protocol))


def _places(tables: dict[str, pd.DataFrame], protocol: Protocol) -> Table:
    """Where models and tables are in MLflow."""
    models = [
        (Cell(f"model of {run}"), Cell(f"models:/{name}/{number}", page=f"models/{name}/versions/{number}"))
        for run, name, number in protocol.models
    ]
    artifacts = f"runs/{protocol.run_id}/artifacts"
    files = [
        (Cell(f"table {name}"), Cell(f"comparison/{name}.csv", page=f"{artifacts}/comparison/{name}.csv"))
        for name in tables
    ]
    return Table("Models and files", (Column("what"), Column("where, in MLflow")), (*models, *files))


def data_facts(protocol: Protocol) -> Iterable[tuple[str, str]]:
    """What is known of the data, as names and values."""
    yield "data", protocol.data_shown
    yield "test images, common to all designs", f"{protocol.test_images:,}"
    yield "classes", ", ".join(protocol.classes)
    for attribute, groups in protocol.groups.items():
        yield f"groups by {name_of(attribute)}", ", ".join(groups)
    told = groups_told(protocol.merge, protocol.exclude)
    if told:
        yield "groups merged or left out", told
    yield "professions", "drawn at random given the age bin" if protocol.pseudo_professions else "from the data set"
    biased = f"{protocol.label_bias}, strength {short(protocol.label_bias_strength)}: labels were biased on purpose"
    yield "label bias", "none" if protocol.label_bias == "none" else biased
    if protocol.cue_gap:
        yield "cue gap", f"{short(protocol.cue_gap)}: age was drawn more faintly on dark skin on purpose"
    ceiling = ", ".join(f"{name_of(metric)} {number(value)}" for metric, value in protocol.ceiling.items())
    yield "ceiling: expected of the best rule on these labels", ceiling or "unknown"
    yield "fingerprint of the pool", protocol.pool_fingerprint
    yield "fingerprint of the test set", protocol.test_fingerprint


def _study(protocol: Protocol) -> Iterable[tuple[str, str]]:
    yield "study key", protocol.study_key
    yield "seeds", ", ".join(map(str, protocol.seeds))
    if protocol.seed_plan and protocol.seed_plan.later:
        yield "seeds that were added later", ", ".join(map(str, protocol.seed_plan.later))
    yield "arms (training sets)", "; ".join(protocol.arms)
    yield "main arm, of the confirmatory family", protocol.main_arm
    yield "reference design", protocol.reference if protocol.reference == "A" else f"{protocol.reference}, without A"
    yield "initial weights", protocol.weights
    yield "SHA-256 of the weights", protocol.weights_sha256
    if protocol.weights_loaded:
        yield "licence that the weights state", protocol.weights_licence
        yield "where the weights were published", protocol.weights_origin or "not known"
        yield "what the weights gave the backbone", protocol.weights_loaded
    yield "hash of the shared hyperparameters", protocol.hyperparameters_hash
    yield "permutations", f"{protocol.permutations:,}"
    yield "bootstrap replicates", f"{protocol.replicates:,}"
    yield "margin of equivalence delta", short(protocol.delta)
    yield "a rate is on few images below", f"{protocol.min_support:,}"
    yield "git commit", protocol.git_commit
    yield "machine", protocol.machine
    yield "made", protocol.created


WHY = {
    None: "the reference",
    "race": "race imbalance",
    "gender": "gender imbalance",
    "profession": "natural target mix",
}


def designs_table(protocol: Protocol) -> Table:
    """What each design balances, and what it is for."""
    titles = ("design", "equally many images in every cell of", "left as in the pool", "why")
    rows = []
    for name in protocol.designs:
        design = DESIGNS[name]
        rows.append((name, " x ".join(design.balanced), design.natural or "nothing", WHY[design.natural]))
    return Table("Designs", tuple(map(Column, titles)), tuple(tuple(map(Cell, row)) for row in rows))


def commands(protocol: Protocol, more: Mapping[str, object] = MappingProxyType({})) -> str:
    """The command lines that train and compare the study, for a shell; more: settings that the study has besides."""
    analysis = {name: getattr(protocol, name) for name in ("permutations", "replicates", "delta", "min_support")}
    arms = [arm for arm in protocol.arms if not arm.endswith(LATER_SEEDS)]
    sizes, fractions = zip(*map(_size_and_fraction, arms), strict=True)
    seeds = protocol.seed_plan.compared if protocol.seed_plan else protocol.seeds
    study = {
        "experiments": ",".join(protocol.designs),
        "seeds": _seeds(seeds),
        "train_size": ",".join(dict.fromkeys(sizes)),
        "fractions": ",".join(dict.fromkeys(fractions)),
    }
    # where hyperparameters came from is another machine's matter: all of them stand here
    elsewhere = {"data": to_be_named(protocol.data), "hparams": "default"}
    if WEIGHTS in _stand_ins(protocol):
        elsewhere["weights"] = WEIGHTS
    lines = [
        _command("study", study | dict(more) | protocol.settings | elsewhere | analysis),
        _command("compare", analysis),
    ]
    if protocol.git_commit != "unknown":
        lines.insert(0, f"git checkout {protocol.git_commit}")
    return "\n".join(lines)


def _stand_ins(protocol: Protocol) -> dict[str, str]:
    """What stands in the commands for files of this machine, and its meaning."""
    named = to_be_named(protocol.data)
    found = {} if named == protocol.data else {named.partition(":")[2]: "where the data set lies"}
    return found | {WEIGHTS: "the file of the weights"} if of_this_machine(protocol.weights) else found


def _size_and_fraction(arm: str) -> tuple[str, str]:
    """`train_size` and `fraction` of an arm's name, for example "natural, fraction 0.25"."""
    size, _, fraction = arm.partition(", fraction ")
    return size, fraction or "1"


def _seeds(seeds: Sequence[int]) -> str:
    """As the setting `seeds` takes them: a number stands for the first so many, a comma makes a list."""
    if tuple(seeds) == tuple(range(len(seeds))):
        return str(len(seeds))
    return ",".join(map(str, seeds)) + ("," if len(seeds) == 1 else "")


def _command(entry_point: str, settings: dict[str, object]) -> str:
    options = [f"-P {shlex.quote(f'{name}={value}')}" for name, value in settings.items()]
    lines = (" ".join(options[start : start + 4]) for start in range(0, len(options), 4))
    return " \\\n  ".join((f"mlflow run . -e {entry_point}", *lines))


def _limits(protocol: Protocol) -> Iterable[Block]:
    items = [
        "This is a research artefact for studying data sets and methods. It must not be used to judge, sort or select "
        "people.",
        f"What it says holds for this data ({protocol.data_shown}), this network and these settings; other data may "
        "say other things.",
        "Gender and race are taken as the data set labels them, which is coarse and often wrong.",
        "Differences between groups that no attribute here describes are not seen.",
    ]
    if protocol.pseudo_professions:
        items.insert(
            1,
            "The professions are pseudo-professions, drawn at random given the age bin: nobody's occupation is known "
            "or inferred, and a model that predicts them knows nothing about anybody's work.",
        )
    if protocol.label_bias != "none":
        items.insert(1, "The labels were biased on purpose: no result here describes the unaltered data set.")
    if protocol.cue_gap:
        items.insert(1, "Age was drawn more faintly on dark skin on purpose: gaps by race were put there.")
    yield Sentences("", tuple(items))
    yield Sentences(
        "In the European Union, Regulation (EU) 2024/1689",
        (
            "makes systems for recruitment and other employment decisions high-risk (Annex III, point 4);",
            "prohibits biometric categorisation that infers race from faces (Article 5(1)(g)). No race predictor is "
            "shipped with this project, and none may be made with it.",
        ),
    )


TERMS = (
    *(
        "pool",
        "design",
        "seed",
        "arm",
        "macro-F1",
        "ceiling",
        "share above chance",
        "selection rate",
        "true positive rate",
    ),
    *("false positive rate", "demographic parity difference, DP", "equal opportunity difference, EO"),
    *("equalized odds difference", "noise floor", "excess", "contrast", "undefined", "insufficient evidence"),
    *("established", "equivalent", "delta", "confirmatory, exploratory", "adjusted p", "Holm, Sidak, max-T"),
    *("Benjamini-Hochberg", "scope", "sign-flip test", "levelling down", "Grad-CAM"),
)
