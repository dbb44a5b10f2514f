"""How a comparison was made: everything that its runs have in common, and what was asked of it."""

from dataclasses import dataclass, field

from fairprof.config import EVERYBODY
from fairprof.inference.planning import SeedPlan
from fairprof.network.records import NOT_STATED
from fairprof.runtime.files import without_folders

COMPARISON = "comparison.html"  # the page of the designs, where the report is on methods or backbones


@dataclass(frozen=True)
class Protocol:
    """What a reader needs to judge, and to repeat, a comparison.

    title: of the study. created: ISO 8601 date and time with time zone. study_key: equal for all its runs. data: the
    data set as it was given. settings: every setting that all runs share, name to text. hyperparameters_hash,
    pool_fingerprint, test_fingerprint: digests. weights, weights_sha256: what the networks started from ("none" for
    random). classes: in order. groups: attribute to its group names. test_images: in the common test set. designs,
    seeds (of the main arm), arms: what was trained; reference: the design that the others are compared with; main_arm:
    the arm of the confirmatory family. pseudo_professions: labels were drawn given the age bin. label_bias: "none" or
    its mode, with its strength. cue_gap: how much fainter age was drawn on the darkest skin tone, on purpose. ceiling:
    metric to the score expected of the best rule on these labels, empty where unknown. permutations, replicates: of the
    tests and of the bootstrap. delta: margin of equivalence. min_support: rows below which a rate is marked. versions:
    package to version. git_commit: "unknown" where there is none. machine: what it was computed on. failed: name and
    reason of runs that are missing. gaps_in_the_data: "<difference>/<attribute>" to the smallest and the largest gap of
    rules that are nearly the best on these labels; empty where they are unknown. seed_plan: what the record says of the
    seeds, None where it was not read. merge, exclude: the settings by which groups count as one or are left out.
    shows_faces: whether images may be shown in the report. run_id: of the comparison, among whose artifacts its files
    are. models: of every run that has registered one, the run's name and its model's name and version. weights_licence,
    weights_origin, weights_loaded: the licence that the weights state ("not stated" where they state none), where they
    were published, and what of the backbone they gave; "" for random ones and where the runs do not say.
    """

    title: str
    created: str
    study_key: str
    data: str
    settings: dict[str, str]
    hyperparameters_hash: str
    pool_fingerprint: str
    test_fingerprint: str
    weights: str
    weights_sha256: str
    classes: tuple[str, ...]
    groups: dict[str, tuple[str, ...]]
    test_images: int
    designs: tuple[str, ...]
    seeds: tuple[int, ...]
    arms: tuple[str, ...]
    reference: str
    main_arm: str
    pseudo_professions: bool
    label_bias: str
    label_bias_strength: float
    cue_gap: float
    ceiling: dict[str, float]
    permutations: int
    replicates: int
    delta: float
    min_support: int
    versions: dict[str, str]
    git_commit: str
    machine: str
    failed: tuple[tuple[str, str], ...]
    gaps_in_the_data: dict[str, tuple[float, float]] = field(default_factory=dict)
    seed_plan: SeedPlan | None = None
    merge: str = EVERYBODY
    exclude: str = EVERYBODY
    shows_faces: bool = False
    run_id: str = ""
    models: tuple[tuple[str, str, str], ...] = ()
    weights_licence: str = ""
    weights_origin: str = ""
    weights_loaded: str = ""

    @property
    def data_shown(self) -> str:
        """The data set as others may read it: without the folders that lead to it."""
        return without_folders(self.data)

    @property
    def stated_licence(self) -> str:
        """The licence that the initial weights state; "" where they state none, or are random."""
        return "" if self.weights_licence == NOT_STATED else self.weights_licence
