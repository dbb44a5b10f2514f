"""What is to be seen in the pictures of an evaluation, in words: what is drawn is told, and nothing is claimed."""

from fairprof.commands.evaluate.corruptions import SEVERITIES
from fairprof.commands.evaluate.results import Calibration, Robustness, Selective, Shift
from fairprof.commands.evaluate.robustness import ALL, CLEAN
from fairprof.metrics.calibration import ERROR
from fairprof.reporting.names import name_of
from fairprof.reporting.wording import UNDEFINED, enumerated, number, percent, short


def calibration_seen(calibration: Calibration) -> str:
    """Of `calibration_figure`."""
    table = calibration.table
    of_all = table[table["attribute"].eq(ALL) & table["metric"].eq(ERROR)].set_index("stage")["value"]
    errors = [
        f"{number(of_all[stage])} {stage} temperature scaling" for stage in ("before", "after") if stage in of_all
    ]
    return f"Expected calibration error {enumerated(errors)}." if errors else ""


def selective_seen(selective: Selective) -> str:
    """Of `selective_figure`."""
    scores = selective.scores.dropna(subset="accuracy").sort_values("coverage", ascending=False)
    if scores.empty:
        return f"Accuracy is {UNDEFINED}."
    first, last = scores.iloc[0], scores.iloc[-1]
    gaps = selective.gaps.dropna(subset=["value", "null_q95"])
    above = int(gaps["value"].gt(gaps["null_q95"]).sum())
    return (
        f"Accuracy is {number(first['accuracy'])} at a coverage of {short(first['coverage'])} and "
        f"{number(last['accuracy'])} at {short(last['coverage'])}. {above:,} of {len(gaps):,} marks of gaps lie above "
        "the grey."
    )


def robustness_seen(robustness: Robustness, attribute: str) -> str:
    """Of `robustness_figure`."""
    table = robustness.accuracy
    everyone = table[table["attribute"].eq(ALL)]
    clean = everyone.loc[everyone["corruption"].eq(CLEAN), "accuracy"].iloc[0]
    worst = everyone[everyone["severity"].eq(max(SEVERITIES))]
    said = "; ".join(f"{number(row.accuracy)} under {row.corruption}" for row in worst.itertuples())
    groups = table[table["attribute"].eq(attribute) & table["severity"].eq(max(SEVERITIES))].dropna(subset="accuracy")
    lowest = ""
    if len(groups):
        row = groups.loc[groups["accuracy"].idxmin()]
        lowest = f" The lowest mark is {number(row['accuracy'])}, {row['group']} under {row['corruption']}."
    return f"Accuracy of all images: {number(clean)} clean; at severity {max(SEVERITIES)} {said}.{lowest}"


def corruptions_seen(robustness: Robustness) -> str:
    """Of `corruption_sheet`."""
    names = list(dict.fromkeys(name for name, _ in robustness.example if name != CLEAN))
    return f"One image, clean and under {', '.join(names)}, each at {len(SEVERITIES)} severities."


def shift_seen(shift: Shift) -> str:
    """Of `shift_figure`."""
    compared = shift.data.dropna(subset="value")
    said = [f"{name_of(row.attribute)} {percent(row.value)} ({name_of(row.distance)})" for row in compared.itertuples()]
    return f"Distance of the evaluated images from the own test images: {enumerated(said)}." if said else ""
