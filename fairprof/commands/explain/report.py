"""The answer of an explanation in words, and its report as one HTML page."""

from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd

from fairprof.commands.explain.results import Explanation, tables_of
from fairprof.commands.explain.seen import (
    attention_seen,
    faithfulness_seen,
    mean_maps_seen,
    model_differences_seen,
    randomisation_seen,
    side_by_side_seen,
)
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
from fairprof.inference.over_seeds_and_images import NEW_SEEDS_AND_IMAGES, THESE_MODELS
from fairprof.inference.planning import LEAST_SEEDS
from fairprof.inference.verdicts import ESTABLISHED
from fairprof.plain_text import in_markdown
from fairprof.reporting.blocks import Block, Cell, Column, Heading, Paragraph, Picture, Section, Sentences, Table
from fairprof.reporting.faces import left_out
from fairprof.reporting.findings import Findings
from fairprof.reporting.glossary import terms
from fairprof.reporting.names import name_of
from fairprof.reporting.tables import properties, table_of
from fairprof.reporting.wording import (
    counted,
    designs_named,
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
from fairprof.saliency.gradcam import CLASSLESS, IN_LOGIT_UNITS, PRINCIPAL_COMPONENTS
from fairprof.saliency.randomisation import CHANGED, EVERYTHING, FLAGGED, HEAD, THRESHOLD, UNCERTAIN

SYMMETRIC = 2  # fields along an edge, of which none lies nearer to the middle than another
COARSE = 4  # fields of a map: with fewer along an edge it is said that they are few


def findings(explanation: Explanation, pictures: dict[str, bytes]) -> Findings:
    """All of an explanation, as it is logged; pictures: name to PNG."""
    verb = "looks" if len(explanation.models) == 1 else "look"
    who = designs_named(list(explanation.designs)) if explanation.designs else _named_models(explanation.models)
    return Findings(
        title=f"What {who} {'look' if explanation.designs else verb} at",
        subtitle=f"{explanation.maps_of}, "
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
        "\n\n".join(map(in_markdown, answer(explanation)))
        + f"\n\n{explanation.maps_of} in {explanation.images:,} test images; "
        f"{in_markdown(versions)}. The whole report is the artifact `report.html`; tables are in `faithfulness/`, "
        "`randomisation/` and `attention/`, pictures in `pictures/`, the raw maps in `saliency/maps.npz`."
    )


# The answer.


def answer(explanation: Explanation) -> tuple[str, ...]:
    """Whether the maps can be trusted; then, of those that can, where each model looks and whether groups differ beyond
    chance. Of a study this is told of its designs, over all their seeds."""
    if explanation.designs:
        return (*_of_designs(explanation), *_undefined(explanation))
    said = [_trusted(explanation, label) for label in explanation.models]
    said += [*_withheld(explanation), *(_where(explanation, label) for label in explanation.trusted)]
    said += [*_groups(explanation), *_between_models(explanation)]
    return (*said, ONE_TRAINING, *_undefined(explanation))


def _of_designs(explanation: Explanation) -> list[str]:
    said = []
    for design, seeds in explanation.designs.items():
        trusted = [str(seed) for seed, label in seeds.items() if label in explanation.trusted]
        can = "can" if design in explanation.trusted_designs else "cannot"
        said.append(
            f"The maps of design {design} {can} be trusted: they pass against random maps and randomised weights in "
            f"{len(trusted):,} of {counted(len(seeds), 'seed')}"
            + (f" ({enumerated(trusted)})." if trusted and can == "cannot" else ".")
        )
    said += _withheld(explanation)
    means = explanation.told("designs")
    for design in explanation.trusted_designs:
        whole = means[means["design"].eq(design) & means["attribute"].eq(ALL)].set_index("measure")
        said.append(
            f"Of design {design}'s attention lie {_shares_told(explanation, whole)}, over "
            f"{counted(int(whole['seeds'].iloc[0]), 'seed')} ({NEW_SEEDS_AND_IMAGES})."
        )
    said += _between_designs(explanation)
    distances = explanation.told("map_distances")
    for attribute in CONFIRMATORY_ATTRIBUTES:
        family = distances[distances["family"].eq(CONFIRMATORY) & distances["attribute"].eq(attribute)]
        if len(family):
            found = int(family["p_adjusted"].le(ALPHA).sum())
            said.append(
                f"Mean maps differ by {name_of(attribute)} beyond chance in {found:,} of {len(family):,} models whose "
                f"maps can be trusted ({THESE_MODELS}, Holm)."
            )
    return said


def _between_designs(explanation: Explanation) -> list[str]:
    table = explanation.told("design_differences")
    chosen = table[table["measure"].eq(f"attention_{explanation.main_region}")]
    if len(chosen) == 0:
        return []
    few = f" (fewer than {LEAST_SEEDS} seeds are no claim)" if chosen["seeds"].min() < LEAST_SEEDS else ""
    parts = [
        f"{row.design} {estimate(row.difference, row.lower, row.upper, signed)}"
        for row in chosen[chosen["verdict"].eq(ESTABLISHED)].itertuples()
    ]
    same = list(chosen[~chosen["verdict"].eq(ESTABLISHED)]["design"])
    parts += [f"not established to differ: {enumerated(same)}{few}"] if same else []
    return [
        f"Against design {explanation.reference}, the share on the {explanation.main_region} is, at the same seeds and "
        f"on the same images ({NEW_SEEDS_AND_IMAGES}): {'; '.join(parts)}."
    ]


ONE_TRAINING = (
    "Each model is one training, and all of this is said of these models, not of the designs of their training data; "
    "models=study:RUN explains every seed of a study."
)


def _whole(table: pd.DataFrame, label: str) -> pd.DataFrame:
    """The rows of all images of one model, by measure."""
    return table[table["attribute"].eq(ALL) & table["model"].eq(label)].set_index("measure")


AGAINST = {BETTER: "better than", WORSE: "worse than", ALIKE: "not distinguished from"}


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
            parts.append(f"they are {AGAINST[kind]} random maps by {enumerated(scores)}")
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
    models = f"{len(untold):,} of {len(explanation.models):,} models" if explanation.designs else _named_models(untold)
    untold_designs = [name for name in explanation.designs if name not in explanation.trusted_designs]
    of_designs = f" and, as some of their seeds fail, for {designs_named(untold_designs)}" if untold_designs else ""
    return [
        f"Shares of attention, and what groups and models differ in, are withheld for {models}"
        f"{of_designs}; the tables in attention/ keep them, marked {WITHHELD}."
    ]


def _where(explanation: Explanation, label: str) -> str:
    whole = _whole(explanation.told("by_group"), label)
    return f"Of model {label}'s attention lie {_shares_told(explanation, whole)}."


def _shares_told(explanation: Explanation, whole: pd.DataFrame) -> str:
    """whole: value, lower, upper by measure."""
    order = sorted(explanation.regions, key=lambda region: (region != explanation.main_region, region != "hair"))
    shares = [
        f"{estimate(row['value'], row['lower'], row['upper'], percent)} on the {region}"
        + ("" if np.isnan(density) else f" ({number(density, '.2f')} times its share of the image)")
        for region in order
        for row, density in [(whole.loc[f"attention_{region}"], whole.loc[f"density_{region}", "value"])]
    ]
    prior = f" ({CENTRE_PRIOR}: an ellipse; nothing is known of any face)" if explanation.kind == CENTRE_PRIOR else ""
    return f"{enumerated(shares)}{prior}"


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
        Section("Do the designs differ", tuple(_designs_differ(explanation)))
        if explanation.designs
        else Section("Do the models differ", tuple(_models_differ(explanation, pictures))),
        Section("How it was made", tuple(_made(explanation))),
        Section("Terms", (terms(*TERMS),)),
    )


def _looks(explanation: Explanation, pictures: dict[str, bytes]) -> Iterable[Block]:
    yield from _what_is_withheld(explanation)
    untold = [label for label in explanation.shown if label not in explanation.trusted]
    if not explanation.shows_faces:
        yield left_out("pictures/side_by_side.png")
    else:
        yield Picture(
            "side_by_side",
            "The same images through every model",
            "Each image, then the map of every model over it, on one scale of raw values"
            + (": a model with larger logits is brighter" if explanation.method in IN_LOGIT_UNITS else "")
            + ". The light line is where the regions meet."
            + (" Of each design its first seed, as an example." if explanation.designs else "")
            + (f" Maps of {_named_models(untold)}: no evidence of where it looks." if untold else ""),
            side_by_side_seen(explanation),
            photographic=True,
        )
    if "attention" in pictures:
        yield Picture(
            "attention",
            "Share of attention by region",
            "Shares do not depend on the scale of a model's logits. The dotted line is the share that a map without "
            "any preference would have.",
            attention_seen(explanation),
        )
        yield _shares(explanation)


def _shares(explanation: Explanation) -> Table:
    """Of designs where there are any, else of models."""
    if explanation.designs:
        means, who = explanation.told("designs"), "design"
        names = dict.fromkeys(explanation.trusted_designs, "")
    else:
        means, who = explanation.told("by_group"), "model"
        names = {label: explanation.models[label] for label in explanation.trusted}
    columns = [who, *(f"{region}: share" for region in explanation.regions)]
    columns += [f"{region}: density" for region in explanation.regions] + ["Gini index", "effective area"]
    measures = [f"{kind}_{region}" for kind in ("attention", "density") for region in explanation.regions]
    rows = []
    for label, note in names.items():
        whole = means[means["attribute"].eq(ALL) & means[who].eq(label)].set_index("measure")
        cells = [
            Cell(number(row["value"]), interval(row["lower"], row["upper"]))
            for row in (whole.loc[name] for name in [*measures, "gini", "effective_area"])
        ]
        rows.append((Cell(label, note), *cells))
    scope = f"means over seeds with 95 % intervals, {NEW_SEEDS_AND_IMAGES}" if explanation.designs else BOOTSTRAPPED
    title = f"Means over all images: {scope} ({explanation.kind})"
    return Table(title, tuple(Column(name, index > 0) for index, name in enumerate(columns)), tuple(rows))


BOOTSTRAPPED = "95 % bootstrap intervals"


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
                mean_maps_seen(explanation, attribute),
                photographic=True,
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


def _designs_differ(explanation: Explanation) -> Iterable[Block]:
    yield from _what_is_withheld(explanation)
    differences = explanation.told("design_differences")
    if len(differences):
        yield table_of(
            "Every design minus the reference, paired by seed and image; intervals hold together over the designs",
            differences,
            {"difference"},
        )
        yield Paragraph(
            f"Established: of {NEW_SEEDS_AND_IMAGES} (Sidak over the designs), with at least {LEAST_SEEDS} seeds. "
            f"Every measure but the share on the {explanation.main_region} is exploratory."
        )
    else:
        yield Paragraph(
            "There are no two designs, the reference among them, the maps of all whose seeds can be trusted."
        )
    means = explanation.told("designs")
    if len(means):
        yield table_of("Means over the seeds of each design, over all images and by group", means)


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
                model_differences_seen(explanation, attribute),
                photographic=True,
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
            faithfulness_seen(explanation),
        )
        whole = faithful[faithful["attribute"].eq(ALL)]
        columns = ["model", "measure", "value", "reference_value", "difference", "lower", "upper", "differs", "images"]
        table = whole[columns].rename(columns={"reference_value": "random maps", "differs": "differs from random maps"})
        yield table_of("All images: the method, random maps, and the paired difference", table, {"difference"})
    else:
        yield Paragraph("It was not measured: faithfulness_images=0.")
    yield Heading("Randomised weights")
    yield Picture(
        "randomisation",
        "Maps after weights were randomised",
        "A map that shows what was learned changes when what was learned is taken away. From the head backwards ever "
        f"more weights are initialised anew. Flagged is what lies wholly above {short(THRESHOLD)}.",
        randomisation_seen(explanation),
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
            (
                "explained class",
                explanation.explained
                + ("; the maps themselves are the same for every class" if explanation.method in CLASSLESS else ""),
            ),
            (
                "method",
                f"{explanation.method} at {explanation.layer}, raw maps of {explanation.fields[0]} x "
                f"{explanation.fields[1]} fields in {explanation.unit}",
            ),
            ("regions", masks),
            ("permutations, bootstrap replicates", f"{explanation.permutations:,}, {explanation.replicates:,}"),
        ],
    )
    limits = [
        "A saliency map says where a network's evidence lies, not why; it is coarse, and no proof of what is used.",
        "Intervals are those of the sampling of the test images; each model is one training."
        if not explanation.designs
        else f"What is said of designs is told of {NEW_SEEDS_AND_IMAGES}; what is said of a model, of that model.",
    ]
    if explanation.method in PRINCIPAL_COMPONENTS:
        limits.append(
            "The sign of a principal component is arbitrary: it is chosen so that the largest value is positive."
        )
    if explanation.method in CLASSLESS:
        limits.append(
            f"{explanation.method} does not depend on the head: its maps stay as they are when the head is randomised, "
            "which flags them for every model."
        )
    yield Sentences("Limits", tuple(limits))


TERMS = (
    *("established", "confirmatory, exploratory", "adjusted p", "Grad-CAM", "share of attention", "density"),
    *("Gini index", "effective area", "strength", "ROAD", "deletion", "insertion", "trusted", "withheld", "flagged"),
)
