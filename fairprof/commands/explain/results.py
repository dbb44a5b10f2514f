"""All that an explanation of registered models has found, as its report, pictures and metrics need it."""

from dataclasses import dataclass

import pandas as pd

from fairprof.commands.explain.trust import TOLD, TRUSTED
from fairprof.data.regions import CENTRE_PRIOR
from fairprof.reporting.findings import finite
from fairprof.saliency.gradcam import CLASSLESS
from fairprof.store.tracking import MOST_METRICS

FACE, HAIR, CENTRE = "face", "hair", "centre"
TABLES = {  # where each lies among the artifacts
    "trust": "trust/models",
    "per_image": "attention/per_image",
    "by_group": "attention/by_group",
    "contrasts": "attention/contrasts",
    "gaps": "attention/gaps",
    "map_distances": "attention/map_distances",
    "model_differences": "attention/model_differences",
    "designs": "attention/designs",
    "design_differences": "attention/design_differences",
    "against_randomised": "attention/against_randomised",
    "faithfulness_per_image": "faithfulness/per_image",
    "faithfulness_by_group": "faithfulness/by_group",
    "faithfulness": "faithfulness/against_random_maps",
    "similarity": "randomisation/similarity",
}


@dataclass(frozen=True)
class Explanation:
    """What was explained, how, and what came of it.

    models: label to what it stands for ("fairprof-B version 3"). designs: of a study, design to seed to label; empty
    where models are named one by one. reference: the model, or the design, that the others are compared with. method,
    unit: of the maps. explained: predicted or true. data: as it was given. images: number of them; without_mask: those
    that have no region mask. kind, regions: of the masks (`RegionMasks`). areas: region to its mean share of the
    images. layer: of the networks, whose maps they are. fields: of a map,
    height and width. undefined: label to the number of maps that are zero. tables: by name,
    those of the artifacts; empty where something was not asked for; those of what maps show have the column
    `reported` of `trust.marked`. permutations, replicates, min_support: as set. created: ISO 8601. shows_faces: whether
    images may be shown in the report.
    """

    models: dict[str, str]
    designs: dict[str, dict[int, str]]
    reference: str
    method: str
    unit: str
    explained: str
    data: str
    images: int
    without_mask: int
    kind: str
    regions: tuple[str, ...]
    areas: dict[str, float]
    layer: str
    fields: tuple[int, int]
    undefined: dict[str, int]
    tables: dict[str, pd.DataFrame]
    permutations: int
    replicates: int
    min_support: int
    created: str
    shows_faces: bool

    @property
    def maps_of(self) -> str:
        """The method, and of which class its maps are."""
        which = "(the same for every class)" if self.method in CLASSLESS else f"of the {self.explained} class"
        return f"{self.method} {which}"

    @property
    def main_region(self) -> str:
        """The region that stands first in sentences: the face, or the centre where there are no masks."""
        return CENTRE if self.kind == CENTRE_PRIOR else FACE

    @property
    def trusted(self) -> tuple[str, ...]:
        """The models whose maps are trusted."""
        trust = self.tables["trust"]
        return tuple(trust[trust["trust"].eq(TRUSTED)]["model"])

    @property
    def trusted_designs(self) -> tuple[str, ...]:
        """The designs all of whose models have maps that are trusted."""
        return tuple(name for name, seeds in self.designs.items() if set(seeds.values()) <= set(self.trusted))

    @property
    def shown(self) -> tuple[str, ...]:
        """The models in pictures: all, or of a study each design's first seed, as examples."""
        return tuple(next(iter(seeds.values())) for seeds in self.designs.values()) or tuple(self.models)

    def told(self, name: str) -> pd.DataFrame:
        """A table without what is withheld."""
        return told(self.tables[name])


def told(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["reported"].eq(TOLD)].drop(columns="reported") if "reported" in table else table


def tables_of(explanation: Explanation) -> dict[str, pd.DataFrame]:
    """Every table that is not empty by artifact path, as CSV and, without what is withheld, as one for the UI."""
    found = {path: explanation.tables.get(name, pd.DataFrame()) for name, path in TABLES.items()}
    tables = {path: table for path, table in found.items() if len(table)}
    return {f"{path}.csv": table for path, table in tables.items()} | {
        f"tables/{path.replace('/', '_')}.json": told(table) for path, table in tables.items() if len(told(table))
    }


def shown_of(explanation: Explanation) -> tuple[str, ...]:
    """The names of those of `values_of` that are metrics: the first of a list for each model, as many as there is room
    for, the fewer the more models there are."""
    shown = (
        "maps_trusted",
        f"attention/{explanation.main_region}",
        "attention_gap/gender",
        "attention_gap/race",
        "randomised_head_similarity",
        "undefined_maps",
    )
    room = MOST_METRICS // len(explanation.models)
    return tuple(f"{label}/{name}" for label in explanation.models for name in shown[:room])


def values_of(explanation: Explanation) -> dict[str, dict[str, float]]:
    """The headline numbers of each model, by label; those that are defined and not withheld."""
    values = {label: {"maps_trusted": float(label in explanation.trusted)} for label in explanation.models}
    whole = explanation.told("by_group")
    for row in whole[whole["attribute"].eq("all")].itertuples():
        name = row.measure.replace("attention_", "attention/").replace("density_", "attention_density/")
        values[row.model][name] = row.value
    gaps = explanation.told("gaps")
    for row in gaps[gaps["measure"].eq(f"attention_{explanation.main_region}")].itertuples():
        values[row.model][f"attention_gap/{row.attribute}"] = row.value
        values[row.model][f"attention_gap_p_value/{row.attribute}"] = row.p_value
    distances = explanation.told("map_distances")
    for row in distances[distances["pair"].eq("largest")].itertuples():
        values[row.model][f"map_distance/{row.attribute}"] = row.distance
        values[row.model][f"map_distance_null_q95/{row.attribute}"] = row.null_q95
        values[row.model][f"map_distance_p_value/{row.attribute}"] = row.p_value
    faithful = explanation.tables["faithfulness"]
    for row in faithful[faithful["attribute"].eq("all")].itertuples() if len(faithful) else ():
        values[row.model][f"faithfulness/{row.measure}"] = row.value
        values[row.model][f"faithfulness_of_random_maps/{row.measure}"] = row.reference_value
    for row in explanation.tables["similarity"].itertuples():
        values[row.model][f"randomised_{row.randomised}_similarity"] = row.similarity
    for label, count in explanation.undefined.items():
        values[label]["undefined_maps"] = float(count)
    return {
        label: finite({f"{label}/{name}": float(value) for name, value in of_model.items()})
        for label, of_model in values.items()
    }
