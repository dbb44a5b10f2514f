"""What is to be seen in the pictures of an explanation, in words: what is drawn is told, and nothing is claimed."""

from fairprof.commands.explain.results import Explanation
from fairprof.inference.group_means import ALL
from fairprof.reporting.names import name_of
from fairprof.reporting.wording import enumerated, estimate, number, percent, short
from fairprof.saliency.faithfulness import SCORES
from fairprof.saliency.randomisation import EVERYTHING, HEAD, THRESHOLD


def side_by_side_seen(explanation: Explanation) -> str:
    """Of the picture of single images."""
    return f"A row for each image: the image, then the map of {_models(explanation.shown)}, with outlines of regions."


def mean_maps_seen(explanation: Explanation, attribute: str) -> str:
    """Of the mean maps by an attribute."""
    shown = tuple(label for label in explanation.shown if label in explanation.trusted)
    return (
        f"For {_models(shown)} a row of mean maps, and one of what sets each group apart; a column for each "
        f"{name_of(attribute)}."
    )


def model_differences_seen(explanation: Explanation, attribute: str) -> str:
    """Of the differences from the reference's mean maps."""
    return f"A row for each model but {explanation.reference}; a column for all images and each {name_of(attribute)}."


def attention_seen(explanation: Explanation) -> str:
    """Of `attention_figure`."""
    kind = "design" if explanation.designs else "model"
    table = explanation.told("designs" if explanation.designs else "by_group")
    region = explanation.main_region
    shown = table[table["attribute"].eq(ALL) & table["measure"].eq(f"attention_{region}")]
    said = [f"{kind} {getattr(row, kind)} {_estimate(row)}" for row in shown.itertuples()]
    area = percent(explanation.areas[region])
    return (
        f"Share of attention on the {region}, all images: {enumerated(said)}; it fills {area} of an image."
        if said
        else ""
    )


def faithfulness_seen(explanation: Explanation) -> str:
    """Of `faithfulness_figure`."""
    table = explanation.tables["faithfulness"]
    whole = table[table["attribute"].eq(ALL) & table["model"].isin(explanation.shown)]
    said = []
    for score in SCORES:
        of_score = whole[whole["measure"].eq(score)]
        values = [
            f"model {row.model} {estimate(row.difference, row.lower, row.upper)}" for row in of_score.itertuples()
        ]
        if values:
            said.append(f"{name_of(score)} {enumerated(values)}")
    return f"Difference from random maps, all images: {'; '.join(said)}."


def randomisation_seen(explanation: Explanation) -> str:
    """Of `randomisation_figure`."""
    table = explanation.tables["similarity"]
    table = table[table["model"].isin(explanation.shown)]
    said = []
    for step, words in ((HEAD, "the head alone"), (EVERYTHING, "everything")):
        rows = table[table["randomised"].eq(step)]
        values = [f"model {row.model} {number(row.similarity)}" for row in rows.itertuples()]
        if values:
            said.append(f"with {words} randomised {enumerated(values)}")
    return f"Rank correlation {'; '.join(said)}; above {short(THRESHOLD)} is flagged."


def _models(labels: tuple[str, ...]) -> str:
    return f"model{'' if len(labels) == 1 else 's'} {enumerated(labels)}"


def _estimate(row) -> str:
    return estimate(row.value, row.lower, row.upper)
