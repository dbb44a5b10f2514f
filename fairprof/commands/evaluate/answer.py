"""What an evaluation says first: two or three sentences to be quoted, and a sentence or two for each question."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from fairprof.commands.evaluate.corruptions import CORRUPTIONS, SEVERITIES
from fairprof.commands.evaluate.results import Evaluation, Robustness
from fairprof.commands.evaluate.robustness import ALL, ALL_CORRUPTIONS, CLEAN
from fairprof.commands.evaluate.shift import CONFIDENCE
from fairprof.inference.calibration_by_group import OVERCONFIDENCE
from fairprof.inference.levels import ALPHA
from fairprof.inference.multiplicity import CONFIRMATORY
from fairprof.inference.shift import DIFFERENT_VOCABULARY
from fairprof.inference.verdicts import DEGENERATE, ESTABLISHED, NOT_ESTABLISHED
from fairprof.metrics.calibration import AT_BOUND, ERROR, UNDETERMINED
from fairprof.metrics.fairness import MAX_OVER_CLASSES
from fairprof.reporting.names import gap_name
from fairprof.reporting.verdicts import few_images, gaps_told
from fairprof.reporting.who import who_differs
from fairprof.reporting.wording import (
    counted,
    enumerated,
    estimate,
    number,
    of_ceiling,
    p_value,
    percent,
    short,
    signed,
)

HALF = 0.5  # coverage that the answer speaks of
UNKNOWN_PERSONS = (
    "Whose images the training images are was not recorded: each counts as one of another person, and chance may make "
    "more of a difference than the test allows for."
)
LONGEST_LIST = 200  # letters of categories in a sentence
LEADS = ("How good", "How fair", "Calibrated", "Refusing", "Robust", "Shift", "How fast")


def quotable(evaluation: Evaluation) -> tuple[str, ...]:
    """The answer in two or three sentences: how well the model classifies, whether it treats groups alike, and what
    else is established."""
    family = confirmatory_gaps(evaluation)
    fair = family["verdict"].ne(DEGENERATE).all()
    sentences = (
        _how_good(evaluation),
        gaps_told(family, "This model treats") if fair else "",
        _besides(evaluation),
    )
    return tuple(sentence for sentence in sentences if sentence)


def confirmatory_gaps(evaluation: Evaluation) -> pd.DataFrame:
    """The gaps whose verdicts are told first: the largest over the classes."""
    gaps = evaluation.fairness.gaps
    return gaps[gaps["family"].eq(CONFIRMATORY) & gaps["class"].eq(MAX_OVER_CLASSES)]


def banners(evaluation: Evaluation) -> tuple[str, ...]:
    """What has to be known before the answer is read: a model of one answer, few images."""
    family = confirmatory_gaps(evaluation)
    degenerate = _how_fair(evaluation) if family["verdict"].eq(DEGENERATE).any() else ""
    return tuple(text for text in (degenerate, few_images(family, evaluation.min_support)) if text)


def _besides(evaluation: Evaluation) -> str:
    """Calibration, corruption and shift in a sentence."""
    after = evaluation.calibration.overall[ERROR].loc["after"]
    parts = [
        f"after temperature scaling {_calibration_verdict(after['p_value'])}",
        *_corrupted(evaluation),
        *_shifted(evaluation),
    ]
    return f"On these images, {'; '.join(parts)}."


def _corrupted(evaluation: Evaluation) -> Iterable[str]:
    robustness = evaluation.robustness
    if robustness is not None:
        yield (
            f"accuracy {number(_clean_accuracy(robustness))} on clean images, {number(robustness.mean_accuracy)} on "
            "corrupted ones"
        )


def _shifted(evaluation: Evaluation) -> Iterable[str]:
    if not evaluation.subject.same_images:
        established = evaluation.shift.data["verdict"].eq(ESTABLISHED).any()
        yield f"shift from the model's own test images {'' if established else 'not '}established"


def answer(evaluation: Evaluation) -> dict[str, str]:
    """The whole in a sentence or two for each question: how good, how fair, calibrated, refusing, robust, shift, how
    fast."""
    sentences = (
        _how_good(evaluation),
        _how_fair(evaluation),
        _calibrated(evaluation),
        _refusing(evaluation),
        _robust(evaluation),
        shift_sentence(evaluation),
        _how_fast(evaluation),
    )
    return dict(zip(LEADS, sentences, strict=True))


def _how_good(evaluation: Evaluation) -> str:
    scores, subject = evaluation.fairness.scores.set_index("metric"), evaluation.subject
    share, above_chance = (
        evaluation.fairness.values.get(f"test/macro_f1_{name}", np.nan) for name in ("of_ceiling", "share_above_chance")
    )
    told = f", {of_ceiling(share, above_chance)}" if of_ceiling(share, above_chance) else ""
    return (
        f"On {counted(subject.images, 'image')} of {subject.data} ({subject.partition}), "
        f"accuracy is {_with_interval(scores.loc['accuracy'])} and macro-F1 {_with_interval(scores.loc['macro_f1'])}"
        f"{told} (95 % intervals)."
    )


def _how_fair(evaluation: Evaluation) -> str:
    family, contrasts = confirmatory_gaps(evaluation), evaluation.fairness.contrasts
    if family["verdict"].eq(DEGENERATE).any():
        return (
            "The model predicts one class for every image: it is equal between groups whatever it is shown, and "
            "nothing is said of its gaps."
        )
    established = family[family["verdict"].eq(ESTABLISHED)]
    others = [gap_name(row.metric, row.attribute) for row in family[~family["verdict"].eq(ESTABLISHED)].itertuples()]
    said = [
        f"{gap_name(row.metric, row.attribute)} {number(row.value)} ({p_value(row.p_adjusted)}; "
        f"{who_differs(contrasts, row.metric, row.attribute)}"
        f"{f'; yet below {short(row.delta)}' if row.below_delta else ''}{_weak_rates(row, evaluation)})"
        for row in established.itertuples()
    ]
    parts = [f"Gaps that are established for this model: {'; '.join(said)}." if said else "No gap is established."]
    if said and others:
        parts.append(f"Not established: {enumerated(others)}.")
    return " ".join([*parts, "What is not established is not shown to be fair."])


def _weak_rates(row, evaluation: Evaluation) -> str:
    if not row.insufficient_cells:
        return ""
    return f"; {counted(int(row.insufficient_cells), 'rate')} behind it under {evaluation.min_support} images"


def _calibrated(evaluation: Evaluation) -> str:
    overall = evaluation.calibration.overall
    error, over = overall[ERROR], overall[OVERCONFIDENCE]
    before, after = error.loc["before"], error.loc["after"]
    said = (
        f"As the model gives its probabilities, the expected calibration error is {number(before['value'])} and "
        f"confidence minus accuracy {signed(over.loc['before', 'value'])}. {scaling_sentence(evaluation)} A calibrated "
        f"model would then show an error up to {number(after['null_q95'])}: {_calibration_verdict(after['p_value'])}."
    )
    return f"{said} {_calibration_between_groups(evaluation)}"


def scaling_sentence(evaluation: Evaluation) -> str:
    """What temperature scaling has improved, and what it has made worse, on the evaluated images."""
    changes = evaluation.calibration.changes
    if changes["before"].equals(changes["after"]):
        return f"Temperature scaling ({temperature_text(evaluation)}) changes nothing."
    told = [
        f"{SCALED[row.metric]} {_change(row, signed if row.metric == OVERCONFIDENCE else number)}"
        for row in changes.itertuples()
    ]
    verdicts = [
        f"{word} in {enumerated([SCALED[name] for name in changes.loc[chosen, 'metric']])}"
        for word, chosen in (
            ("better", changes["change"] < 0),
            ("worse", changes["change"] > 0),
            ("no different", changes["change"] == 0),
        )
        if chosen.any()
    ]
    if len(verdicts) == 1 and (changes["change"] < 0).all():
        verdicts = ["better in all of them"]
    return (
        f"On these images temperature scaling ({temperature_text(evaluation)}) changes {enumerated(told)}: "
        f"{enumerated(verdicts)}."
    )


SCALED = {ERROR: "calibration error", "log_loss": "log loss", OVERCONFIDENCE: "confidence minus accuracy"}


def _change(row, writing: Callable[[float], str]) -> str:
    return f"from {writing(row.before)} to {writing(row.after)}"


def _calibration_verdict(p: float) -> str:
    if np.isnan(p):
        return "undefined"
    return f"miscalibration {'established' if p <= ALPHA else 'not established'} ({p_value(p)})"


def temperature_text(evaluation: Evaluation) -> str:
    """The temperature, and what its fit came to."""
    temperature = evaluation.calibration.temperature
    images = counted(evaluation.subject.validation_images, "validation image")
    if temperature.status == UNDETERMINED:
        return f"none could be fitted: every prediction on {images} is right"
    bound = ", at the bound of what is tried" if temperature.status == AT_BOUND else ""
    return f"T = {number(temperature.value)}, fitted on {images}{bound}"


def _calibration_between_groups(evaluation: Evaluation) -> str:
    gaps = evaluation.calibration.gaps
    after = gaps[gaps["stage"].eq("after") & gaps["family"].eq(CONFIRMATORY)]
    established, others = after[after["verdict"].eq(ESTABLISHED)], after[after["verdict"].eq(NOT_ESTABLISHED)]
    said = []
    if len(established):
        named = [_calibration_gap(row, evaluation) for row in established.itertuples()]
        said.append(f"Overconfidence then differs between groups {enumerated(named)}.")
    if len(others):
        named = [f"by {row.attribute} ({p_value(row.p_adjusted)})" for row in others.itertuples()]
        said.append(f"That overconfidence differs between groups is not established {enumerated(named)}.")
    return " ".join(said) or "Too few images to compare groups."


def _calibration_gap(row, evaluation: Evaluation) -> str:
    """Which group is calibrated differently from the rest, and in what."""
    table = evaluation.calibration.table
    own = table[
        table["stage"].eq(row.stage) & table["attribute"].eq(row.attribute) & table["metric"].eq(OVERCONFIDENCE)
    ]
    over = own.set_index("group")["value"]
    how = (
        f"{row.differs} from the rest"
        if row.differs_in == OVERCONFIDENCE
        else f"{row.differs} from the rest in how it changes with confidence"
    )
    return (
        f"by {row.attribute}, {how} ({p_value(row.p_adjusted)}; confidence minus accuracy from "
        f"{signed(over[row.lowest_group])} for {row.lowest_group} to {signed(over[row.highest_group])} for "
        f"{row.highest_group})"
    )


def _refusing(evaluation: Evaluation) -> str:
    scores = evaluation.selective.scores.set_index("coverage")
    everyone, half = scores.loc[1.0], scores.loc[HALF]
    kept = f"{number(half['accuracy'])} of the most confident {percent(half['covered'], '.0f')} of them"
    said = f"Accuracy is {number(everyone['accuracy'])} of all images and {kept}"
    if half["p_value"] <= ALPHA:
        change = "raises" if half["accuracy"] > everyone["accuracy"] else "lowers"
        said += f": refusing the others {change} it ({p_value(half['p_value'])})."
    elif half["covered"] == 1:
        said += ": confidences are so alike that none is refused."
    else:
        said += f"; that refusing the others changes it is not established ({p_value(half['p_value'])})."
    gaps = evaluation.selective.gaps
    refused = gaps[gaps["coverage"].eq(HALF) & gaps["metric"].eq("coverage_difference")]
    return f"{said} {_by_verdict('The share that is answered differs between groups', refused)}"


def _by_verdict(claim: str, gaps: pd.DataFrame, more: Callable[..., str] = lambda row: "") -> str:
    """The claim for the attributes for which it is established, and that it is not for the others.

    more: what is added for a row (of attribute, value, null_q95, p_adjusted and verdict) that is established.
    """
    texts: dict[str, list[str]] = {ESTABLISHED: [], NOT_ESTABLISHED: []}
    for row in gaps.itertuples():
        if row.verdict in texts:
            added = more(row) if row.verdict == ESTABLISHED else ""
            floor = f"permuted groups reach {number(row.null_q95)}"
            texts[row.verdict].append(
                f"by {row.attribute} ({number(row.value)}; {floor}, {p_value(row.p_adjusted)}{added})"
            )
    said = [f"{claim} {enumerated(texts[ESTABLISHED])}."] if texts[ESTABLISHED] else []
    if texts[NOT_ESTABLISHED]:
        claim = claim[0].lower() + claim[1:]
        said.append(f"That {claim} is not established {enumerated(texts[NOT_ESTABLISHED])}.")
    return " ".join(said) or "Groups cannot be compared."


def _robust(evaluation: Evaluation) -> str:
    robustness = evaluation.robustness
    if robustness is None:
        return "Not measured: robustness_images=0."
    everyone = robustness.accuracy[robustness.accuracy["attribute"].eq(ALL)]
    drops = everyone[everyone["corruption"].ne(CLEAN)].groupby("corruption", sort=False)["drop"].mean()
    largest = f"most under {drops.idxmax()} (by {number(drops.max())})" if drops.max() > 0 else "under none of them"
    gaps = robustness.gaps[robustness.gaps["corruption"].eq(ALL_CORRUPTIONS)]
    between = _by_verdict("The mean drop differs between groups", gaps, _who_differs)
    return (
        f"Accuracy is {number(_clean_accuracy(robustness))} on {counted(robustness.images, 'clean image')} and "
        f"{number(robustness.mean_accuracy)} on the same under {len(CORRUPTIONS)} corruptions at {len(SEVERITIES)} "
        f"severities; on these images it drops {largest}. {between}"
    )


def _clean_accuracy(robustness: Robustness) -> float:
    everyone = robustness.accuracy[robustness.accuracy["attribute"].eq(ALL)]
    return everyone.loc[everyone["corruption"].eq(CLEAN), "accuracy"].iloc[0]


def _who_differs(row) -> str:
    return f"; {row.differs} {'more' if row.contrast > 0 else 'less'} than the rest"


def shift_sentence(evaluation: Evaluation) -> str:
    """The verdict on shift, by which measure, with its numbers; then how the training images were composed."""
    data, subject = evaluation.shift.data, evaluation.subject
    established = data[data["verdict"].eq(ESTABLISHED)]
    if len(established):
        verdict = (
            f"Shift established between {subject.trained_data}, which the model has learned from, and the "
            f"evaluated images of {subject.data}: {'; '.join(_shift_text(row) for row in established.itertuples())}."
        )
    else:
        reason = ": they are the training run's own test images" if subject.same_images else ""
        verdict = f"No shift is established between the model's own test images and the evaluated ones{reason}."
    return " ".join([verdict, training_text(evaluation)]).strip()


def _shift_text(row) -> str:
    if row.status == DIFFERENT_VOCABULARY:
        names = f"training data: {row.only_reference}; evaluation: {row.only_evaluated}"
        said = f" ({names})" if len(names) <= LONGEST_LIST else ""
        return f"{row.attribute} is not comparable, different vocabulary{said}"
    distance = "Kolmogorov-Smirnov" if row.attribute == CONFIDENCE else "total variation"
    return f"{row.attribute} ({distance} {number(row.value)}, {_floor(row)}{p_value(row.p_adjusted)})"


def _floor(row) -> str:
    return "" if pd.isna(row.null_q95) else f"by chance up to {number(row.null_q95)}, "


def training_text(evaluation: Evaluation) -> str:
    training = evaluation.shift.training
    differing = training[training["verdict"].eq(ESTABLISHED) & training["status"].ne(DIFFERENT_VOCABULARY)]
    single = differing[differing["attribute"].isin(["gender", "race", "age", "profession"])]
    if single.empty:
        return ""
    named = [f"{row.attribute} (total variation {number(row.value)})" for row in single.itertuples()]
    said = (
        f"The training images, which design {evaluation.subject.design} has balanced over "
        f"{' x '.join(evaluation.subject.balanced)}, were composed otherwise in {enumerated(named)}."
    )
    return f"{said} {UNKNOWN_PERSONS}" if evaluation.shift.unknown_persons else said


def _how_fast(evaluation: Evaluation) -> str:
    speed, times = evaluation.speed, evaluation.speed.times
    network = times[times["part"].eq("network")].set_index("batch")
    return (
        f"The network takes {number(network.loc[1, 'median_ms'], ',.1f')} ms for one image (95 % of the time at most "
        f"{number(network.loc[1, 'p95_ms'], ',.1f')}) and predicts "
        f"{number(network.loc[32, 'images_per_second'], ',.0f')} images a second in batches of 32, at "
        f"{evaluation.subject.image_size} px, with {speed.parameters:,} parameters "
        f"({number(speed.weights_mib, ',.0f')} MiB) and {number(speed.resident_mib, ',.0f')} MiB of resident memory; "
        f"measured on {speed.machine}."
    )


def _with_interval(row) -> str:
    return estimate(row["value"], row["lower"], row["upper"])
