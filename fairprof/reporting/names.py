"""Metrics, classes and verdicts as a reader sees them: one name for each, everywhere."""

SCORE_NAMES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro-F1"}
GAP_NAMES = {
    "demographic_parity_difference": "demographic parity difference",
    "equal_opportunity_difference": "equal opportunity difference",
    "equalized_odds_difference": "equalized odds difference",
}
METRIC_NAMES = SCORE_NAMES | GAP_NAMES
CLASS_NAMES = {"max_over_classes": "largest over classes", "mean_over_classes": "mean over classes"}
VERDICT_NAMES = {
    "established": "established",
    "equivalent": "equivalent",
    "not_established": "not established",
    "no_claim_possible": "no claim possible",
    "undefined": "undefined",
}
