"""The report of an evaluation as one HTML page, and all of it as findings."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from fairprof.commands.evaluate.answer import (
    UNKNOWN_PERSONS,
    answer,
    banners,
    confirmatory_gaps,
    quotable,
    scaling_sentence,
    shift_sentence,
    temperature_text,
    training_text,
)
from fairprof.commands.evaluate.corruptions import CORRUPTIONS, SEVERITIES
from fairprof.commands.evaluate.results import SHOWN, Evaluation, Robustness, curves_of, tables_of, values_of
from fairprof.commands.evaluate.seen import (
    calibration_seen,
    corruptions_seen,
    robustness_seen,
    selective_seen,
    shift_seen,
)
from fairprof.inference.multiplicity import CONFIRMATORY
from fairprof.measurement.seen import rates_seen
from fairprof.metrics.best_rules import share_above_chance
from fairprof.metrics.calibration import ERROR
from fairprof.metrics.fairness import MAX_OVER_CLASSES, PARITY_DIFFERENCES
from fairprof.plain_text import in_code, in_markdown
from fairprof.reporting.blocks import Answer, Block, Cell, Column, Paragraph, Picture, Section, Sentences, Table
from fairprof.reporting.faces import left_out
from fairprof.reporting.findings import Findings
from fairprof.reporting.glossary import terms
from fairprof.reporting.names import gap_name
from fairprof.reporting.standardised_gap import standardised_blocks
from fairprof.reporting.tables import table_of
from fairprof.reporting.verdicts import verdict_table
from fairprof.reporting.wording import (
    counted,
    enumerated,
    number,
    p_value,
)


def description(evaluation: Evaluation) -> str:
    """The run's description in Markdown: the answer and the headline numbers."""
    subject = evaluation.subject
    first = "\n\n".join(map(in_markdown, (*banners(evaluation), *quotable(evaluation))))
    said = "\n".join(f"- **{lead}**: {in_markdown(sentence)}" for lead, sentence in answer(evaluation).items())
    return (
        f"**{subject.model}** evaluated on {in_code(subject.data)} ({subject.partition}).\n\n{first}\n\n{said}\n\n"
        "The whole report is the artifact `report.html`; tables are in `metrics/`, `calibration/`, `selective/`, "
        "`robustness/`, `shift/` and `speed/`."
    )


def findings(evaluation: Evaluation, pictures: dict[str, bytes]) -> Findings:
    """All of an evaluation, as it is logged; pictures: PNG by artifact path without its ending."""
    subject, robustness = evaluation.subject, evaluation.robustness
    return Findings(
        title=f"{subject.model} on {subject.data}",
        subtitle=f"Evaluation of a registered model, trained on {subject.trained_data} by design {subject.design}; "
        f"{counted(subject.images, 'image')}, {subject.image_size} px; made {subject.created}",
        sections=(
            Section("The answer", tuple(_answer(evaluation))),
            Section("Performance and fairness", tuple(_fairness(evaluation))),
            Section("Calibration", tuple(_calibration(evaluation))),
            Section("Selective prediction", tuple(_selective(evaluation))),
            *([Section("Robustness", tuple(robustness_blocks(robustness, subject.shows_faces)))] if robustness else []),
            Section("Shift", tuple(_shift(evaluation))),
            Section("Speed and size", tuple(_speed(evaluation))),
            Section("How to read it", tuple(_how_to_read(evaluation))),
        ),
        tables=tables_of(evaluation),
        pictures=pictures,
        description=description(evaluation),
        printed=(*quotable(evaluation), *banners(evaluation)),
        banners=banners(evaluation),
        values=values_of(evaluation),
        shown=SHOWN,
        curves=curves_of(evaluation),
    )


def _answer(evaluation: Evaluation) -> Iterable[Block]:
    yield Answer(quotable(evaluation))
    yield verdict_table(confirmatory_gaps(evaluation), evaluation.fairness.contrasts, evaluation.subject.images)
    yield Sentences("In full", tuple(f"{lead}: {sentence}" for lead, sentence in answer(evaluation).items()))
    yield _caution(evaluation)


def _caution(evaluation: Evaluation) -> Paragraph:
    pseudo = (
        "The labels are pseudo-professions, drawn at random given the age: nobody's occupation is known or inferred. "
        if evaluation.subject.pseudo_professions
        else ""
    )
    return Paragraph(f"{pseudo}For research on data set composition; not for decisions about people.")


def _fairness(evaluation: Evaluation) -> Iterable[Block]:
    values, scores = evaluation.fairness.values, evaluation.fairness.scores
    chance, ceilings = (
        [values.get(f"{kind}/{name}", np.nan) for name in scores["metric"]] for kind in ("chance", "ceiling")
    )
    above = [share_above_chance(*each) for each in zip(scores["value"], chance, ceilings, strict=True)]
    scores = scores.drop(columns="standard_error").assign(chance=chance, ceiling=ceilings, share_above_chance=above)
    yield table_of("Performance, with 95 % intervals", scores)
    gaps = evaluation.fairness.gaps
    yield _gap_table(gaps[gaps["class"].eq(MAX_OVER_CLASSES) & gaps["metric"].isin(PARITY_DIFFERENCES)])
    if evaluation.fairness.measurements.one_class:
        yield Paragraph("One class is predicted for every image: there is no picture of rates, which are all 0 or 1.")
    else:
        yield Picture(
            "metrics/rates_by_group",
            "Rates by group",
            "Selection rate and true positive rate of every group and class with 95 % intervals; hollow marks rest on "
            "too few images. A gap is the distance between the outermost marks under a heading.",
            rates_seen(evaluation.fairness.measurements.natural("by_group")),
        )
    yield from standardised_blocks(evaluation.fairness.measurements.table("standardised_gaps"))
    own = gaps[~gaps["class"].str.contains("_over_classes")]
    columns = ["attribute", "metric", "class", "value", "highest_group", "lowest_group", "null_mean", "null_q95"]
    yield table_of(
        "Gaps of each class (exploratory)", own[[*columns, "p_adjusted", "verdict"]].dropna(subset="verdict")
    )


def _gap_table(gaps: pd.DataFrame) -> Table:
    rows = tuple(
        (
            Cell(gap_name(row.metric, row.attribute)),
            Cell(number(row.value)),
            Cell(f"{number(row.null_mean)}, {number(row.null_q95)}"),
            Cell(p_value(row.p_adjusted), "Holm" if row.family == CONFIRMATORY else "exploratory"),
            Cell("" if pd.isna(row.highest_group) else f"{row.highest_group} / {row.lowest_group}"),
            Cell("", verdict=row.verdict),
        )
        for row in gaps.itertuples()
    )
    heads = ("gap, the largest over the classes", "value", "noise floor: mean, 95 %", "adjusted p", "highest / lowest")
    return Table(
        "Gaps between groups: 0 is ideal",
        (*(Column(head, numeric=place == 1) for place, head in enumerate(heads)), Column("verdict")),
        rows,
    )


def _calibration(evaluation: Evaluation) -> Iterable[Block]:
    yield Paragraph(
        f"Temperature scaling divides the logits by one number, {temperature_text(evaluation)}; it changes no "
        "prediction. The calibration error is biased upward in small samples, and the more the less sure a model is, "
        "so the errors of an attribute's groups are taken at the same number of images, and beside each stands what a "
        "calibrated model with the same confidences would show. What is tested between groups is overconfidence, "
        "confidence minus accuracy: for a calibrated group it is 0 in expectation, however confident it is."
    )
    yield Picture(
        "calibration/reliability",
        "Reliability before and after temperature scaling, and by group",
        "A point is a bin of equally many images, with a 95 % interval (Wilson). Of groups, every image is shown, in "
        "equally many bins.",
        calibration_seen(evaluation.calibration),
    )
    yield Paragraph(scaling_sentence(evaluation))
    yield table_of("Before and after temperature scaling", evaluation.calibration.changes, ("change",))
    table = evaluation.calibration.table
    errors = table[table["metric"].eq(ERROR)].drop(columns=["metric"])
    yield table_of("Expected calibration error by group, at equal numbers of images", errors)
    yield table_of("Differences of overconfidence between groups", evaluation.calibration.gaps)
    others = table[~table["metric"].eq(ERROR)].drop(columns=["null_q95", "p_value", "images", "bins"])
    yield table_of("Log loss, Brier score and overconfidence by group", others, ("value", "lower", "upper"))


def _selective(evaluation: Evaluation) -> Iterable[Block]:
    yield Paragraph(
        "Predictions are refused whose confidence is under a threshold, common to all groups; images of equal "
        "confidence are answered or refused together. Refusing leaves fewer images, and fewer images make larger gaps "
        "by chance: every gap has the noise floor of its own coverage. A gap is undefined from the coverage on at "
        f"which a rate behind it rests on fewer than {evaluation.min_support} images: what it does there is no "
        "consequence of refusing, but of too few images."
    )
    yield Picture(
        "selective/curves",
        "Accuracy, coverage and gaps against coverage",
        "Further right, more is refused. A gap within the grey is what shuffled groups show. A line ends where a rate "
        f"behind it rests on fewer than {evaluation.min_support} images. Hollow marks: such rates at full coverage.",
        selective_seen(evaluation.selective),
    )
    yield table_of("Accuracy against coverage", evaluation.selective.scores)
    yield table_of("Area under the risk-coverage curve: lower is better", evaluation.selective.areas)
    yield table_of("Gaps against coverage (exploratory)", evaluation.selective.gaps)
    yield table_of("Coverage and accuracy by group", evaluation.selective.by_group)


def robustness_blocks(robustness: Robustness, shows_faces: bool) -> Iterable[Block]:
    """What corruption costs, and whom; shows_faces: whether the image that is shown as an example may be."""
    yield Paragraph(
        f"{counted(robustness.images, 'image')}, balanced over gender, race and profession, under "
        f"{enumerated(CORRUPTIONS)} at {len(SEVERITIES)} severities. A drop compares the same images, clean and "
        "corrupted. A group that is served well has more to lose."
    )
    for attribute in ("race", "gender"):
        title = f"Accuracy under corruption by {attribute}"
        told = robustness_seen(robustness, attribute)
        yield Picture(f"robustness/{attribute}", title, "The black line is all images.", told)
    yield table_of("Does corruption cost one group more? Mean drop, largest minus smallest", robustness.gaps)
    if shows_faces:
        yield Picture(
            "robustness/corruptions",
            "One image under every corruption",
            "Rows: corruptions; columns: severities.",
            corruptions_seen(robustness),
            photographic=True,
        )
    else:
        yield left_out("robustness/corruptions.png")
    groups = robustness.accuracy[robustness.accuracy["attribute"].ne("gender_x_race")]
    yield table_of("Accuracy by corruption, severity and group", groups.drop(columns="macro_f1"), ("drop",))


def _shift(evaluation: Evaluation) -> Iterable[Block]:
    yield Paragraph(shift_sentence(evaluation))
    yield Picture(
        "shift/composition",
        "Composition and predictions of the evaluated images and those of the training",
        "Ages of the training images are those of the validation images, which were drawn alike.",
        shift_seen(evaluation.shift),
    )
    columns = ["attribute", "status", "value", "null_mean", "null_q95", "p_value", "p_adjusted", "verdict"]
    more = [
        "jensen_shannon",
        "chi_square_p",
        "reference_images",
        "evaluated_images",
        "only_reference",
        "only_evaluated",
    ]
    yield table_of("The evaluated images against the model's own test images", evaluation.shift.data[[*columns, *more]])
    if evaluation.shift.unknown_persons and not training_text(evaluation):  # which says so
        yield Paragraph(UNKNOWN_PERSONS)
    yield table_of(
        "The evaluated images against the training images, which the design has composed",
        evaluation.shift.training[[*columns, "balanced", *more]],
    )
    yield table_of(
        "Accuracy that the confidences promise, and that is found", evaluation.shift.accuracy, ("difference",)
    )


def _speed(evaluation: Evaluation) -> Iterable[Block]:
    yield Paragraph(f"Measured on {evaluation.speed.machine}. Another machine, or a busy one, gives other numbers.")
    yield table_of("Milliseconds a batch and images a second", evaluation.speed.times)
    speed = evaluation.speed
    sizes = pd.DataFrame(
        {
            "what": ["parameters", "weights, MiB", "resident memory at batch 32, MiB", "that came with it, MiB"],
            "number": [
                f"{speed.parameters:,}",
                *(number(size, ",.0f") for size in (speed.weights_mib, speed.resident_mib, speed.working_mib)),
            ],
        }
    )
    yield table_of("Size", sizes)


def _how_to_read(evaluation: Evaluation) -> Iterable[Block]:
    yield Paragraph(
        f"Noise floors are of {evaluation.permutations:,} permutations. Confirmatory (Holm) are DP and EO by gender "
        "and by race, the measures of shift, and the mean drop by gender and by race; all else is exploratory. "
        "Where the data name persons, images of one person are permuted and resampled together, and intervals allow "
        f"for them. Classes: {enumerated(evaluation.subject.classes)}."
    )
    yield terms(*TERMS)


TERMS = (
    *("demographic parity difference, DP", "equal opportunity difference, EO", "noise floor", "insufficient evidence"),
    *(
        "established",
        "confirmatory, exploratory",
        "adjusted p",
        "expected calibration error",
        "overconfidence",
        "coverage",
        "ceiling",
    ),
    "share above chance",
    "total variation",
)
