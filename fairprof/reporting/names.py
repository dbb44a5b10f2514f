"""Metrics, attributes, classes, evidence and verdicts as a reader sees them: one name for each, everywhere.

Tables call them by identifiers, such as `macro_f1`. The names that a data set gives to its groups and classes are no
identifiers: they are shown as they are.
"""

from collections.abc import Sequence

SCORE_NAMES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro-F1"}
GAP_NAMES = {
    "demographic_parity_difference": "demographic parity difference",
    "equal_opportunity_difference": "equal opportunity difference",
    "equalized_odds_difference": "equalized odds difference",
}
GAP_ABBREVIATIONS = {"demographic_parity_difference": "DP", "equal_opportunity_difference": "EO"}
METRIC_NAMES = SCORE_NAMES | GAP_NAMES
CLASS_NAMES = {"max_over_classes": "largest over classes", "mean_over_classes": "mean over classes"}
VERDICT_NAMES = {
    "established": "established",
    "established_on_this_test_set": "established on this test set only",
    "equivalent": "equivalent",
    "not_established": "not established",
    "no_claim_possible": "no claim possible",
    "undefined": "undefined",
    "degenerate": "degenerate",
    # of a method within a design
    "fairer_without_harm": "fairer without harm",
    "fairer_harm_not_ruled_out": "fairer, harm not ruled out",
    "trade_off": "trade-off",
    "levelled_down": "levelled down",
    "worse": "worse",
    "nothing_established": "nothing established",
    # of backbones and composition
    "backbone_moves_more": "the backbone moves it more",
    "composition_moves_more": "the composition moves it more",
    # of a method against random replacement
    "under_the_line": "under the line",
    "above_the_line": "above the line",
}
KNOWN_TO_RULES = {  # by the mode of label bias: what the probabilities of a label depend on
    "none": "the age alone",
    "gender": "age and group (whose labels are biased, by gender)",
    "race": "age and group (whose labels are biased, by race)",
    "intersectional": "age and group (whose labels are biased, by gender and race)",
}
SAMPLES = {"train": "training", "val": "validation", "test": "test"}  # begin the names of metrics
# what is called otherwise than its identifier without underscores
IRREGULAR = (
    SCORE_NAMES
    | CLASS_NAMES
    | VERDICT_NAMES
    | {
        "val_macro_f1": "macro-F1",
        "val_loss": "loss",
        "val_worst_group": "worst group",
        "val_distance_to_ideal": "distance to the ideal",
        "distance_to_ideal": "distance to the ideal",
        "calibration_error": "expected calibration error",
        "jensen_shannon": "Jensen-Shannon distance",
        "kolmogorov_smirnov": "Kolmogorov-Smirnov distance",
        "gini": "Gini index",
        "road": "ROAD",
    }
)


def backbone_titles(backbones: Sequence[str]) -> dict[str, str]:
    """Short names that tell backbones apart, by their names, ARCHITECTURE@WEIGHTS: the architecture alone where that is
    enough, without the mark and the tag that timm's have; otherwise with the tag, with the weights, or all of it."""
    forms = {name: _forms(name) for name in backbones}
    titles = {}
    for name in backbones:
        alike = zip(*(forms[other] for other in backbones if other != name), strict=True)
        titles[name] = next((form for form, taken in zip(forms[name], alike, strict=False) if form not in taken), name)
    return titles if len(backbones) > 1 else {name: forms[name][0] for name in backbones}


def _forms(backbone: str) -> tuple[str, ...]:
    """Names of a backbone, the shortest first."""
    architecture, _, weights = backbone.partition("@")
    tagged = architecture.removeprefix("timm:")
    return tagged.partition(".")[0], tagged, f"{tagged.partition('.')[0]}@{weights}", backbone


def name_of(identifier: str) -> str:
    """What an identifier is called: "macro-F1" for macro_f1, "gender x race" for gender_x_race."""
    return IRREGULAR.get(identifier, identifier.replace("_", " "))


def metric_name(metric: str) -> str:
    """What a metric of MLflow or of a table is called: "validation macro-F1" for val/macro_f1, "equal opportunity
    difference by race" for equal_opportunity_difference/race."""
    sample, _, rest = metric.partition("/")
    if sample in SAMPLES:
        return f"{SAMPLES[sample]} {metric_name(rest)}"
    return gap_name(sample, rest) if rest else name_of(metric)


def gap_name(metric: str, attribute: str) -> str:
    """ "demographic parity difference by gender"."""
    return f"{name_of(metric)} by {name_of(attribute)}"


def short_gap_name(metric: str, attribute: str) -> str:
    """ "DP by gender"; for demographic parity and equal opportunity."""
    return f"{GAP_ABBREVIATIONS[metric]} by {name_of(attribute)}"
