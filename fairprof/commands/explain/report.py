"""The answer of an explanation in words, and its report as one HTML page."""

from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd

from fairprof.commands.explain.results import Explanation, tables_of
from fairprof.commands.explain.trust import (
    ALIKE,
    BETTER,
    LEAST_BETTER,
    NOT_MEASURED,
    NOT_TRUSTED,
    TRUSTED,
    WITHHELD,
    WORSE,
)
from fairprof.data.regions import CENTRE_HALF_HEIGHT, CENTRE_HALF_WIDTH, CENTRE_PRIOR
from fairprof.inference.attention_tests import LARGEST
from fairprof.inference.group_means import ALL
from fairprof.inference.levels import ALPHA
from fairprof.inference.multiplicity import CONFIRMATORY, CONFIRMATORY_ATTRIBUTES
from fairprof.reporting.blocks import Block, Cell, Column, Heading, Paragraph, Picture, Section, Sentences, Table
from fairprof.reporting.findings import Findings
from fairprof.reporting.glossary import terms
from fairprof.reporting.names import name_of
from fairprof.reporting.tables import properties, table_of
from fairprof.reporting.wording import (
    counted,
    enumerated,
    estimate,
    interval,
    number,
    p_value,
    percent,
    short,
    signed,
)
from fairprof.saliency.faithfulness import PERCENTILES, SCORES
from fairprof.saliency.gradcam import PRINCIPAL_COMPONENTS
from fairprof.saliency.randomisation import CHANGED, EVERYTHING, FLAGGED, HEAD, THRESHOLD, UNCERTAIN

SYMMETRIC = 2  # fields along an edge, of which none lies nearer to the middle than another
COARSE = 4  # fields of a map: with fewer along an edge it is said that they are few


def findings(explanation: Explanation, pictures: dict[str, bytes]) -> Findings:
    """All of an explanation, as it is logged; pictures: name to PNG."""
    verb = "looks" if len(explanation.models) == 1 else "look"
    return Findings(
        title=f"What {_named_models(explanation.models)} {verb} at",
        subtitle=f"{explanation.method} of the {explanation.explained} class, "
        f"{counted(explanation.images, 'test image')} of {explanation.data.partition(':')[0]}; "
        f"made {explanation.created}",
        sections=_sections(explanation, pictures),
        tables=tables_of(explanation),
        pictures=pictures,
        folder="pictures/",
        description=description(explanation),
        printed=answer(explanation),
    )


def _named_models(labels: Collection[str]) -> str:
    return f"model{'' if len(labels) == 1 else 's'} {enumerated(labels)}"


def description(explanation: Explanation) -> str:
    """The run's description, Markdown."""
    versions = ", ".join(f"{label}: {name}" for label, name in explanation.models.items())
    return (
        "\n\n".join(answer(explanation))
        + f"\n\n{explanation.method} of the {explanation.explained} class in {explanation.images:,} test images; "
        f"{versions}. The whole report is the artifact `report.html`; tables are in `faithfulness/`, `randomisation/` "
        "and `attention/`, pictures in `pictures/`, the raw maps in `saliency/maps.npz`."
    )


# The answer.


def answer(explanation: Explanation) -> tuple[str, ...]:
    """Whether the maps of each model can be trusted; then, of those that can, where it looks and whether groups differ
    beyond chance."""
    said = [_trusted(explanation, label) for label in explanation.models]
    said += [*_withheld(explanation), *(_where(explanation, label) for label in explanation.trusted)]
    said += [*_groups(explanation), *_between_models(explanation)]
    return (*said, ONE_TRAINING, *_undefined(explanation))


ONE_TRAINING = (
    "Each model is one training, and all of this is said of these models, not of the designs of their training data; "
    "models=study:RUN explains every seed of a study."
)


def _whole(table: pd.DataFrame, label: str) -> pd.DataFrame:
    """The rows of all images of one model, by measure."""
    return table[table["attribute"].eq(ALL) & table["model"].eq(label)].set_index("measure")


def _trusted(explanation: Explanation, label: str) -> str:
    trust = explanation.tables["trust"].set_index("model").loc[label]
    faithful = _whole(explanation.tables["faithfulness"], label) if len(explanation.tables["faithfulness"]) else None
    parts = []
    for kind in (BETTER, WORSE, ALIKE):
        scores = [
            f"{name_of(score)} {number(row['value'])} against {number(row['reference_value'])}"
            for score in SCORES
            if trust[score] == kind and faithful is not None
            for row in [faithful.loc[score]]
        ]
        if scores:
            parts.append(f"they are {kind} random maps by {enumerated(scores)}")
    if faithful is None:
        parts.append("their faithfulness was not measured (faithfulness_images=0)")
    similarity = explanation.tables["similarity"]
    rows = similarity[similarity["model"].eq(label)].set_index("randomised")
    verdicts = {
        FLAGGED: "FLAGGED, they hardly change",
        CHANGED: "they change",
        UNCERTAIN: "it is uncertain whether they change",
    }
    parts += [
        f"with {'the head' if part == HEAD else 'everything'} randomised {verdicts[trust[part]]} (rank correlation "
        f"{number(rows.loc[part, 'similarity'])})"
        for part in (HEAD, EVERYTHING)
    ]
    begun = {
        TRUSTED: f"The maps of model {label} can be trusted",
        NOT_TRUSTED: f"The maps of model {label} cannot be trusted",
        NOT_MEASURED: f"Whether the maps of model {label} can be trusted is not known",
    }
    return f"{begun[trust['trust']]}: {'; '.join(parts)}."


def _withheld(explanation: Explanation) -> list[str]:
    untold = [label for label in explanation.models if label not in explanation.trusted]
    if not untold:
        return []
    return [
        f"Shares of attention, and what groups and models differ in, are withheld for {_named_models(untold)}; the "
        f"tables in attention/ keep them, marked {WITHHELD}."
    ]


def _where(explanation: Explanation, label: str) -> str:
    whole = _whole(explanation.told("by_group"), label)
    order = sorted(explanation.regions, key=lambda region: (region != explanation.main_region, region != "hair"))
    shares = [
        f"{estimate(row['value'], row['lower'], row['upper'], percent)} on the {region}"
        + ("" if np.isnan(density) else f" ({number(density, '.2f')} times its share of the image)")
        for region in order
        for row, density in [(whole.loc[f"attention_{region}"], whole.loc[f"density_{region}", "value"])]
    ]
    prior = f" ({CENTRE_PRIOR}: an ellipse; nothing is known of any face)" if explanation.kind == CENTRE_PRIOR else ""
    return f"Of model {label}'s attention lie {enumerated(shares)}{prior}."


def _groups(explanation: Explanation) -> list[str]:
    distances = explanation.told("map_distances")
    family = distances[distances["family"].eq(CONFIRMATORY)]
    established = family[family["p_adjusted"].le(ALPHA)]
    said = [
        f"Model {row.model} looks at other places by {name_of(row.attribute)}, within true classes: most of all "
        f"between {row.first_group} (n = {row.first_images}) and {row.second_group} (n = {row.second_images}), where "
        f"{percent(row.distance)} of the attention would have to move (chance alone: {percent(row.null_mean)}, 95 % of "
        f"the time at most {percent(row.null_q95)}; {p_value(row.p_adjusted)}, Holm)."
        for row in established.itertuples()
    ]
    others = family[~family["p_adjusted"].le(ALPHA)]
    if len(others):
        named = enumerated(f"{row.model} by {name_of(row.attribute)}" for row in others.itertuples())
        said.append(
            f"No difference between the mean maps of groups is established beyond chance for {named}; that is not "
            "evidence of none."
        )
    gaps = explanation.told("gaps")
    found_gaps = gaps[
        gaps["measure"].eq(f"density_{explanation.main_region}")
        & gaps["attribute"].isin(CONFIRMATORY_ATTRIBUTES)
        & gaps["p_adjusted"].le(ALPHA)
    ]
    if len(found_gaps):
        differing = [
            f"{row.model} by {name_of(row.attribute)} ({p_value(row.p_adjusted)}, Benjamini-Hochberg; from the rest of "
            f"the same classes differ {row.differing})"
            for row in found_gaps.itertuples()
        ]
        said.append(
            f"The mean attention on the {explanation.main_region}, as a multiple of its share of the image, differs "
            f"between groups (exploratory) with model {enumerated(differing)}."
        )
    return said


def _between_models(explanation: Explanation) -> list[str]:
    table = explanation.told("model_differences")
    if len(table) == 0:
        return []
    chosen = table[table["attribute"].eq(ALL) & table["measure"].eq(f"attention_{explanation.main_region}")]
    said = [
        f"{row.model} {estimate(row.difference, row.lower, row.upper, signed)}"
        for row in chosen.itertuples()
        if row.differs
    ]
    same = [row.model for row in chosen.itertuples() if not row.differs]
    text = f"Against model {explanation.reference}, the share on the {explanation.main_region} is, on the same images: "
    parts = said + ([f"not established to differ: {enumerated(same)}"] if same else [])
    return [f"{text}{'; '.join(parts)}."]


def _undefined(explanation: Explanation) -> list[str]:
    said = []
    zero = {label: count for label, count in explanation.undefined.items() if count}
    if zero:
        counts = ", ".join(f"{label} {count:,}" for label, count in zero.items())
        said.append(
            f"Maps of zeros, in which nothing speaks for the class, have no shares and are left out: {counts} of "
            f"{explanation.images:,}."
        )
    if explanation.without_mask:
        said.append(
            f"{counted(explanation.without_mask, 'image')} of {explanation.images:,} have no region mask and no shares."
        )
    if explanation.kind == CENTRE_PRIOR and max(explanation.fields) <= SYMMETRIC:
        said.append(
            f"With {explanation.fields[0]} x {explanation.fields[1]} fields every map has the same share on the "
            "centre, by symmetry: these shares say nothing about the models."
        )
    if min(explanation.fields) < COARSE:
        said.append(
            f"A map has only {explanation.fields[0]} x {explanation.fields[1]} fields: shares of small regions are "
            "blurred. A larger image_size in training gives finer maps."
        )
    return said


# The sections.


def _sections(explanation: Explanation, pictures: dict[str, bytes]) -> tuple[Section, ...]:
    return (
        Section("The answer", (Sentences("", answer(explanation)),)),
        Section("Can the maps be trusted", tuple(_trust(explanation))),
        Section("Where each model looks", tuple(_looks(explanation, pictures))),
        Section("Do groups differ", tuple(_differences(explanation, pictures))),
        Section("Do the models differ", tuple(_models_differ(explanation, pictures))),
        Section("How it was made", tuple(_made(explanation))),
        Section("Terms", (terms(*TERMS),)),
    )


def _looks(explanation: Explanation, pictures: dict[str, bytes]) -> Iterable[Block]:
    yield from _what_is_withheld(explanation)
    untold = [label for label in explanation.models if label not in explanation.trusted]
    yield Picture(
        "side_by_side",
        "The same images through every model",
        "Each image, then the map of every model over it, on one scale of raw values: a model with larger logits is "
        "brighter. The light line is where the regions meet."
        + (f" Maps of {_named_models(untold)}: no evidence of where it looks." if untold else ""),
    )
    if "attention" not in pictures:
        return
    yield Picture(
        "attention",
        "Share of attention by region",
        "Shares do not depend on the scale of a model's logits. The dotted line is the share that a map without any "
        "preference would have.",
    )
    yield _shares(explanation)


def _shares(explanation: Explanation) -> Table:
    columns = ["model", *(f"{region}: share" for region in explanation.regions)]
    columns += [f"{region}: density" for region in explanation.regions] + ["Gini index", "effective area"]
    rows = []
    by_group = explanation.told("by_group")
    for label in explanation.trusted:
        whole = _whole(by_group, label)
        names = [f"attention_{region}" for region in explanation.regions] + [
            f"density_{region}" for region in explanation.regions
        ]
        cells = [
            Cell(number(row["value"]), interval(row["lower"], row["upper"]))
            for row in (whole.loc[name] for name in [*names, "gini", "effective_area"])
        ]
        rows.append((Cell(label, explanation.models[label]), *cells))
    title = f"Means over all images with 95 % bootstrap intervals ({explanation.kind})"
    return Table(title, tuple(Column(name, index > 0) for index, name in enumerate(columns)), tuple(rows))


def _differences(explanation: Explanation, pictures: dict[str, bytes]) -> Iterable[Block]:
    yield from _what_is_withheld(explanation)
    if not explanation.trusted:
        return
    distances = explanation.told("map_distances")
    family = distances[distances["pair"].eq(LARGEST)].drop(columns=["pair", "masks"])
    yield table_of("The pair of groups whose mean maps stand out most", _named(family))
    yield Paragraph(
        "The distance is the total variation between the means of the normalised maps: the share of attention that "
        f"would have to move. p is that of a Welch statistic within true classes, with groups permuted "
        f"{explanation.permutations:,} times: groups may differ in number and in how much their maps vary. "
        f"Confirmatory: by {enumerated(CONFIRMATORY_ATTRIBUTES)}, every model (Holm)."
    )
    for attribute in ("gender", "race", "gender_x_race"):
        name = f"mean_maps_{attribute}"
        if name in pictures:
            yield Picture(
                name,
                f"Mean maps by {name_of(attribute)}",
                "Above, each group's mean raw map; below, what sets it apart from all other images.",
            )
    columns = ["model", "attribute", "measure", "value", "null_mean", "null_q95", "p_value", "p_adjusted"]
    gaps = explanation.told("gaps")[[*columns, "highest_group", "lowest_group", "differing"]]
    yield table_of("Largest differences of the means between groups, and who differs (Benjamini-Hochberg)", gaps)
    columns = ["model", "attribute", "group", "measure", "value", "lower", "upper", "images", "undefined", "evidence"]
    yield table_of("Means by group with 95 % intervals", explanation.told("by_group")[columns])
    contrasts = explanation.told("contrasts").drop(columns="masks")
    yield table_of(
        "Each group minus all other images of the same true class, simultaneous 95 % bands", contrasts, {"contrast"}
    )
    pairs = distances[~distances["pair"].eq(LARGEST)].drop(columns=["pair", "masks", "family"])
    yield table_of("Distances between the mean maps of all pairs of groups", _named(pairs))


def _named(distances: pd.DataFrame) -> pd.DataFrame:
    return distances.rename(columns={"first_group": "one group", "second_group": "the other"})


def _models_differ(explanation: Explanation, pictures: dict[str, bytes]) -> Iterable[Block]:
    table = explanation.told("model_differences")
    if len(table) == 0:
        yield from _what_is_withheld(explanation)
        yield Paragraph(
            "There is only one model."
            if len(explanation.models) == 1
            else "There are no two models, the reference among them, whose maps can be trusted."
        )
        return
    for attribute in ("gender", "race"):
        name = f"model_differences_{attribute}"
        if name in pictures:
            yield Picture(
                name,
                f"Mean maps minus those of model {explanation.reference}, by {name_of(attribute)}",
                "Of normalised maps, so that the models' logits may have different scales.",
            )
    whole = table[table["attribute"].eq(ALL)].drop(columns=["attribute", "group", "masks"])
    yield table_of("On the same images, paired; 95 % bands over the models", whole, {"difference"})
    rest = table[~table["attribute"].eq(ALL)].drop(columns=["masks"])
    yield table_of("The same by group", rest, {"difference"})


def _what_is_withheld(explanation: Explanation) -> Iterable[Block]:
    yield from (Paragraph(text, lead="Withheld.") for text in _withheld(explanation))


def _trust(explanation: Explanation) -> Iterable[Block]:
    faithful = explanation.tables["faithfulness"]
    yield table_of(
        "Each model's maps against random ones, and after weights were randomised", explanation.tables["trust"]
    )
    yield Paragraph(
        f"Maps are trusted where at least {LEAST_BETTER} of the three scores are established better than those of "
        "random maps and none worse, where they change when everything is randomised, and are not flagged when the "
        "head is. Of other models nothing is told that rests on their maps."
    )
    yield Heading("Faithfulness")
    if len(faithful):
        images = int(faithful[faithful["attribute"].eq(ALL)]["images"].max())
        yield Picture(
            "faithfulness",
            "Faithfulness against random maps",
            "How much more the probability of the explained class depends on what a map marks than on what a random "
            f"map of the same resolution marks, on at most {images:,} images. ROAD is taken at "
            f"{enumerated(map(str, PERCENTILES))} % of the pixels.",
        )
        whole = faithful[faithful["attribute"].eq(ALL)]
        columns = ["model", "measure", "value", "reference_value", "difference", "lower", "upper", "differs", "images"]
        table = whole[columns].rename(columns={"reference_value": "random maps"})
        yield table_of("All images: the method, random maps, and the paired difference", table, {"difference"})
    else:
        yield Paragraph("It was not measured: faithfulness_images=0.")
    yield Heading("Randomised weights")
    yield Picture(
        "randomisation",
        "Maps after weights were randomised",
        "A map that shows what was learned changes when what was learned is taken away. From the head backwards ever "
        f"more weights are initialised anew. Flagged is what lies wholly above {short(THRESHOLD)}.",
    )
    yield table_of(
        "Rank correlation with the model's own maps",
        explanation.tables["similarity"].rename(columns={"verdict": "maps are"}),
    )
    against = explanation.told("against_randomised")
    whole = against[against["attribute"].eq(ALL)].drop(columns=["attribute", "group", "masks", "reference"])
    if len(whole):
        whole = whole.rename(columns={"reference_value": "randomised"})
        yield table_of("Each model against the same network with all weights randomised", whole, {"difference"})


def _made(explanation: Explanation) -> Iterable[Block]:
    masks = (
        f"{CENTRE_PRIOR}: an ellipse of {short(2 * CENTRE_HALF_WIDTH)} x {short(2 * CENTRE_HALF_HEIGHT)} of the edge"
        if explanation.kind == CENTRE_PRIOR
        else f"region masks: {', '.join(explanation.regions)}"
    )
    yield properties(
        "What was explained",
        [
            *((f"model {label}", name) for label, name in explanation.models.items()),
            ("data", explanation.data.partition(":")[0]),
            ("images", f"{explanation.images:,} of the test partition, balanced over gender x race x profession"),
            ("explained class", explanation.explained),
            (
                "method",
                f"{explanation.method}, raw maps of {explanation.fields[0]} x {explanation.fields[1]} fields in "
                f"{explanation.unit}",
            ),
            ("regions", masks),
            ("permutations, bootstrap replicates", f"{explanation.permutations:,}, {explanation.replicates:,}"),
        ],
    )
    limits = [
        "A saliency map says where a network's evidence lies, not why; it is coarse, and no proof of what is used.",
        "Intervals are those of the sampling of the test images; each model is one training.",
    ]
    if explanation.method in PRINCIPAL_COMPONENTS:
        limits.append(
            "The sign of a principal component is arbitrary: it is chosen so that the largest value is positive."
        )
    yield Sentences("Limits", tuple(limits))


TERMS = (
    *("established", "confirmatory, exploratory", "adjusted p", "Grad-CAM", "share of attention", "density"),
    *("Gini index", "effective area", "strength", "ROAD", "deletion", "insertion", "flagged"),
)
