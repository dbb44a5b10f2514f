"""Every setting: type, default, bounds, search law, help text and what it identifies, in one place.

The command line, `MLproject`, docs/settings.md and the tuner are held to this model by tests.
"""

import difflib
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, Self, cast, get_args

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from fairprof.errors import UserError


class Identifies(Enum):
    """What is another one where a setting has another value."""

    RUN = "the run, study or search itself: its designs, seeds, sizes and models"
    STUDY = "what all runs of a study start from: data, labels, initial weights"
    SHARED = "the hyperparameters, the same for designs A-D: `hyperparameters_hash` says whether two runs trained alike"
    METHOD = "what is done against unfairness: `method_hash` says whether two runs did the same"
    ANALYSIS = "how much is looked at, and how that is judged: what was trained stays, and a search goes on"
    MACHINE = "where and how it runs: what comes out is the same"


@dataclass(frozen=True)
class LogUniform:
    """Search law: uniform in the logarithm, between `low` and `high`."""

    low: float
    high: float


@dataclass(frozen=True)
class Uniform:
    """Search law: uniform between `low` and `high`."""

    low: float
    high: float


@dataclass(frozen=True)
class Choice:
    """Search law: one of `options`."""

    options: tuple


SearchLaw = LogUniform | Uniform | Choice


@dataclass(frozen=True)
class MethodValue:
    """A value of a mitigation method's own: its published default, the law by which a search proposes it, and its
    bounds, both included; of the words of a choice all are valid, and numbers only where there are some among them.
    whole: whether it has to be a whole number."""

    default: float | str
    search: SearchLaw
    low: float = 0.0
    high: float = 1.0
    whole: bool = False


NO_MITIGATION = "none"
CHOSEN = "chosen"  # of a tolerance: on the validation images that the method is not fitted on
# every method with the values of its own by name; what a method does and needs is in `fairprof/mitigation/methods.py`
MITIGATIONS: dict[str, dict[str, MethodValue]] = {
    NO_MITIGATION: {},
    "resample": {"power": MethodValue(1.0, Uniform(0.0, 1.0))},
    "reweight": {"power": MethodValue(1.0, Uniform(0.0, 1.0))},
    "balanced_softmax": {"strength": MethodValue(1.0, Uniform(0.0, 1.5), high=10.0)},
    "group_dro": {"eta": MethodValue(0.01, LogUniform(1e-3, 1.0), high=100.0)},
    "cvar_dro": {"alpha": MethodValue(0.1, LogUniform(0.05, 1.0), low=0.01)},
    "jtt": {
        "weight": MethodValue(50.0, LogUniform(1.0, 100.0), low=1.0, high=1000.0),
        "identification_epochs": MethodValue(1.0, Choice((1.0, 2.0, 5.0)), low=1.0, high=1000.0, whole=True),
    },
    "gap_penalty_dp": {"weight": MethodValue(1.0, LogUniform(0.1, 10.0), high=1000.0)},
    "gap_penalty_eo": {"weight": MethodValue(1.0, LogUniform(0.1, 10.0), high=1000.0)},
    "lisa": {
        "probability": MethodValue(0.5, Uniform(0.0, 1.0)),
        "alpha": MethodValue(2.0, Uniform(0.2, 4.0), low=0.01, high=100.0),
    },
    "strong_augmentation": {
        "probability": MethodValue(1.0, Uniform(0.0, 1.0)),
        "magnitude": MethodValue(9.0, Choice((5.0, 9.0, 13.0)), low=0.0, high=30.0, whole=True),
    },
    "dfr": {},
    "linear_post": {
        "criterion": MethodValue("demographic_parity", Choice(("demographic_parity", "equal_opportunity"))),
        "tolerance": MethodValue(CHOSEN, Choice((CHOSEN, 0.0, 0.02, 0.05, 0.1, 0.2))),
    },
    "linear_post_blind": {
        "criterion": MethodValue("demographic_parity", Choice(("demographic_parity", "equal_opportunity"))),
        "tolerance": MethodValue(CHOSEN, Choice((CHOSEN, 0.0, 0.02, 0.05, 0.1, 0.2))),
    },
    "class_scaling": {},
}
MITIGATED = ("gender", "race", "gender_x_race")  # attributes between whose groups a method mitigates


@dataclass(frozen=True)
class Merge:
    """Groups of an attribute (gender or race) that count as one: their names as labelled, and that of all together."""

    attribute: str
    groups: tuple[str, ...]
    name: str


@dataclass(frozen=True)
class Backbone:
    """A network and the weights that it starts from, as the settings `architecture` and `weights` name them."""

    architecture: str
    weights: str

    def __str__(self) -> str:
        return f"{self.architecture}@{self.weights}"


# those of pytorch-grad-cam whose maps, of one layer and for a class, can be had raw, and two of attention. Not
# RandomCAM, which is no explanation (and draws from NumPy's global generator); nor FullGrad, which adds up layers
# scaled image by image; nor FEM, whose threshold of two standard deviations nothing exceeds in 2 x 2 fields
SaliencyMethod = Literal[
    "GradCAM",
    "GradCAMPlusPlus",
    "GradCAMElementWise",
    "HiResCAM",
    "XGradCAM",
    "LayerCAM",
    "FinerCAM",
    "ShapleyCAM",
    "EigenCAM",
    "EigenGradCAM",
    "SegEigenCAM",
    "KPCA_CAM",
    "ScoreCAM",
    "AblationCAM",
    "AttentionRollout",
    "GradientWeightedAttention",
]
SALIENCY_METHODS = get_args(SaliencyMethod)
# what lies below layer2 is too little work, and too large, to be kept
BASELINES = ("linear_probe", "knn")  # values of `finetune` that train no network
PREFIX_FINETUNE = ("head", "layer4", "layer3", *BASELINES)
AUTOMATIC_VIEWS = 4
PATHS = ("data", "weights", "hparams", "cache_dir")  # what is a path, or may be one
NAMED_WEIGHTS = ("auto", "imagenet", "pretrained", "random")  # weights that are no path
LOCAL_FOLDER, HUB = "local-dir:", "hf-hub:"  # weights in a folder, and on Hugging Face's hub
WEIGHTS_TO_GIVE = f"give {', '.join(NAMED_WEIGHTS)}, a file, {LOCAL_FOLDER}FOLDER or {HUB}OWNER/NAME@REVISION"
ON_HUB = re.compile(r"[\w.-]+/[\w.-]+")  # owner and name of a repository
ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
ADDRESS_ON_HUB = re.compile(
    r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/(?P<repository>[\w.-]+/[\w.-]+)(?:/\w+/(?P<revision>[^/?#]+))?"
)
MOVING = ("", "main", "master", "HEAD")  # revisions at which there may be something else tomorrow


def setting(
    default: Any, identifies: Identifies, help_text: str, *, search: SearchLaw | None = None, **bounds: Any
) -> Any:
    """A field of the settings; search: its law in a tuning study, None if it is not tuned."""
    extra: Any = {"identifies": identifies, "search": search}
    return Field(default, description=help_text, json_schema_extra=extra, **bounds)


def marks(field: FieldInfo) -> dict[str, Any]:
    """What `setting` has said of a field that pydantic does not know of."""
    return cast(dict[str, Any], field.json_schema_extra)


def named_architecture(value: str) -> str:
    """An architecture by its name. Raises ValueError for what names weights, with the settings to use instead."""
    if value.startswith(HUB) or ADDRESS_ON_HUB.match(value):
        pinned = _on_hub(value)
        owner, _, rest = pinned.removeprefix(HUB).partition("/")
        architecture = rest.partition("@")[0] if owner == "timm" and rest else "NAME"
        raise ValueError(
            f"a name; weights are a setting of their own: architecture=timm:{architecture} weights={pinned}"
        )
    if value.startswith(LOCAL_FOLDER):
        raise ValueError(
            "a name; weights are a setting of their own: architecture=timm:NAME, where NAME stands under architecture "
            f"in the folder's config.json, and weights={value}"
        )
    if ADDRESS.match(value):
        raise ValueError(
            "a name, of torchvision (resnet50) or of timm (timm:NAME), and no address; weights are another setting"
        )
    return value


def _on_hub(value: str) -> str:
    """A repository that is named, or has this address, as the setting `weights` takes it; with REVISION in place of one
    that moves."""
    found = ADDRESS_ON_HUB.match(value)
    if found:
        repository, revision = found["repository"], found["revision"] or ""
    else:
        repository, _, revision = value.removeprefix(HUB).partition("@")
    return f"{HUB}{repository}@{'REVISION' if revision in MOVING else revision}"


def of_this_machine(weights: str) -> bool:
    """Whether weights are a file or a folder."""
    return weights not in NAMED_WEIGHTS and not weights.startswith(HUB)


def weights_to_be_had(value: str) -> str:
    """Weights that can be had as they are named. Raises ValueError for others, with the setting to use instead."""
    if ADDRESS_ON_HUB.match(value):
        pinned = _on_hub(value)
        moving = pinned.endswith("@REVISION")
        raise ValueError(
            f"no address: weights={pinned}"
            + (", REVISION being a commit or a tag, under which the same weights will be found" if moving else "")
        )
    if ADDRESS.match(value):
        raise ValueError("no address: download the file yourself, look at its licence, and set weights to the file")
    if value.startswith(HUB):
        repository, _, revision = value.removeprefix(HUB).partition("@")
        if not ON_HUB.fullmatch(repository) or revision in MOVING:
            raise ValueError(
                f"{HUB}OWNER/NAME@REVISION, where REVISION is a commit or a tag: under none, or the name of a branch, "
                "there may be other weights tomorrow"
            )
    if value == LOCAL_FOLDER:
        raise ValueError(f"{LOCAL_FOLDER}FOLDER")
    return value


class CommandSettings(BaseSettings):
    """What a command is told, by name: how it is parsed, and refused."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, cli_exit_on_error=False)

    @field_validator("*", mode="before")
    @classmethod
    def _writable(cls, value: Any) -> Any:
        if isinstance(value, str) and ("\0" in value or not _is_utf8(value)):
            raise ValueError("text that can be written as UTF-8, without zero bytes")
        return value

    @field_validator(*PATHS, check_fields=False)
    @classmethod
    def _named(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("left out or named: empty, it would mean this very folder")
        return value

    @classmethod
    def settings_customise_sources(
        cls, settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
    ):
        """Only what was said counts: environment variables and dot files would change a run unseen."""
        return (init_settings,)

    @classmethod
    def identifying(cls, *kinds: Identifies) -> tuple[str, ...]:
        """Names of the settings that identify one of `kinds`, in their order."""
        fields = cls.model_fields.items()
        return tuple(name for name, field in fields if marks(field)["identifies"] in kinds)

    @classmethod
    def from_arguments(cls, arguments: list[str] | None = None) -> Self:
        """Parses ``--name value`` arguments (default: those of the process).

        Raises `UserError`, one line that names every unknown or malformed setting.
        """
        arguments = sys.argv[1:] if arguments is None else arguments
        try:
            return cls(_cli_parse_args=arguments, _cli_prog_name="mlflow run . -P NAME=VALUE")
        except SettingsError as error:
            raise UserError(_unparsed(str(error), list(cls.model_fields))) from None
        except ValidationError as error:
            raise UserError(_invalid(error)) from None


class AnalysisSettings(CommandSettings):
    """How predictions are judged, and what reports show: whatever is trained or compared, these say what counts as
    evidence."""

    min_support: int = setting(
        30, Identifies.ANALYSIS, "a rate with a smaller denominator is marked as insufficient evidence", ge=1
    )
    permutations: int = setting(
        999, Identifies.ANALYSIS, "permutations of the groups behind every noise floor and p-value", ge=99, le=1_000_000
    )
    replicates: int = setting(
        1000, Identifies.ANALYSIS, "bootstrap replicates behind every interval", ge=100, le=1_000_000
    )
    delta: float = setting(
        0.05, Identifies.ANALYSIS, "gaps that are surely smaller than this are called equivalent", gt=0, lt=1
    )
    faces_in_reports: bool = setting(
        False,
        Identifies.ANALYSIS,
        "images of people from real data in reports, which are passed on: false leaves them among a run's artifacts; "
        "generated portraits are always shown",
    )


class DataSettings(AnalysisSettings):
    """Which images and labels are read, and where and how that runs."""

    data: str = setting(
        "synthetic",
        Identifies.STUDY,
        "synthetic, utkface:FOLDER, fairface:FOLDER, manifest:FILE or shards:FOLDER (relative to the project's folder)",
    )
    label_bias: Literal["none", "gender", "race", "intersectional"] = setting(
        "none", Identifies.STUDY, "whose pseudo-professions are biased against white_collar"
    )
    label_bias_strength: float = setting(0.15, Identifies.STUDY, "strength of the label bias", ge=0, lt=1)
    label_seed: int = setting(0, Identifies.STUDY, "seed of the pseudo-professions", ge=0, lt=2**32)
    cue_gap: float = setting(
        0.0,
        Identifies.STUDY,
        "how much fainter the embedded portraits show age on the darkest skin tone than on the lightest: from 0 (just "
        "as clearly) to 1 (not at all, but for the shape of the face)",
        ge=0,
        le=1,
    )
    merge: str = setting(
        "none",
        Identifies.STUDY,
        "groups of gender or race that count as one: none, or race:Indian+Others, named Indian+Others; "
        "race:Indian+Others=Other names it; several are separated by commas. A name that holds , + = or double "
        "quotes stands in double quotes, in which a double quote is doubled",
    )
    exclude: str = setting(
        "none",
        Identifies.STUDY,
        "groups of gender or race, as they are labelled, whose images are left out: none, or race:Others; several are "
        "separated by commas; names as in merge",
    )
    max_quarantined_share: float = setting(
        0.1, Identifies.STUDY, "share of unusable rows above which a data set is refused", ge=0, le=1
    )

    # Where and how it runs
    accelerator: Literal["auto", "cpu", "gpu"] = setting("auto", Identifies.MACHINE, "where the network runs")
    workers: Literal["auto"] | Annotated[int, Field(ge=0, le=64)] = setting(
        "auto",
        Identifies.MACHINE,
        "processes that prepare batches; 0 is the training process; auto: 0 on a CPU, which they would only slow "
        "down, and up to 16 on a GPU",
    )
    cache_dir: str = setting(
        "auto", Identifies.MACHINE, "folder for pixels, prefix outputs and unfinished trainings; auto: the user's cache"
    )
    cache_gib: float = setting(
        32.0,
        Identifies.MACHINE,
        "largest size of pixels, prefix outputs and unfinished trainings, GiB; the least recently used go",
        gt=0,
        le=1_000_000,
    )
    lock_timeout: float = setting(
        1800.0, Identifies.MACHINE, "seconds to wait for a cache that another process is filling", ge=0, le=1_000_000
    )

    @field_validator("merge")
    @classmethod
    def _valid_merge(cls, value: str) -> str:
        _merges(cls._groups(value, "merge"))
        return value

    @field_validator("exclude")
    @classmethod
    def _valid_exclude(cls, value: str) -> str:
        _exclusions(cls._groups(value, "exclude"))
        return value

    @classmethod
    def _groups(cls, value: str, name: str) -> str:
        if value != AS_TRAINED:
            return value
        if cls.model_fields[name].default != AS_TRAINED:
            raise ValueError(f"{EVERYBODY}, or groups: there is no model whose groups these could be")
        return EVERYBODY

    def merges(self) -> tuple[Merge, ...]:
        """The groups that count as one."""
        return _merges(EVERYBODY if self.merge == AS_TRAINED else self.merge)

    def exclusions(self) -> tuple[tuple[str, str], ...]:
        """Attribute and name of every group that is left out."""
        return _exclusions(EVERYBODY if self.exclude == AS_TRAINED else self.exclude)


class TrainingSettings(DataSettings):
    """What all runs of a study have in common."""

    # Of what is learned
    imbalance: Literal["natural"] | Annotated[float, Field(ge=1, le=1000)] = setting(
        "natural",
        Identifies.STUDY,
        "largest to smallest group on the axis that the design leaves natural: natural, or a ratio",
    )

    # The network
    architecture: str = setting(
        "resnet50",
        Identifies.SHARED,
        "a torchvision classifier with convolutions, or one of timm's as timm:NAME, such as timm:vit_small_patch16_224",
    )
    weights: str = setting(
        "auto",
        Identifies.STUDY,
        "auto (published ones where they can be had, else random), imagenet (torchvision's), pretrained (those of "
        "timm's tag, or torchvision's), random, a file with a state dict, local-dir:FOLDER, or "
        "hf-hub:OWNER/NAME@REVISION",
    )
    finetune: Literal["head", "layer4", "layer3", "layer2", "all", "linear_probe", "knn"] = setting(
        "layer2",
        Identifies.SHARED,
        "what is trained: the head, and every stage from the named one on (of networks of one resolution the last "
        "quarter, half or three quarters of the blocks); linear_probe: nothing but a logistic "
        "regression on the features of the network as it is; knn: nothing, the nearest training images decide",
        search=Choice(("head", "layer4", "layer3", "layer2")),
    )
    image_size: int = setting(64, Identifies.SHARED, "edge of the square input, pixels", ge=32, le=1024)

    @field_validator("architecture")
    @classmethod
    def _named_architecture(cls, value: str) -> str:
        return named_architecture(value)

    @field_validator("weights")
    @classmethod
    def _weights_to_be_had(cls, value: str) -> str:
        return weights_to_be_had(value)

    # Training
    epochs: int = setting(6, Identifies.SHARED, "passes over the training images", ge=1, le=1000)
    batch_size: int = setting(32, Identifies.SHARED, "images per step", search=Choice((16, 32, 64, 128)), ge=2, le=4096)
    learning_rate: float = setting(
        3e-3, Identifies.SHARED, "peak learning rate of the head", search=LogUniform(1e-4, 1e-2), gt=0, le=1
    )
    backbone_learning_rate_ratio: float = setting(
        0.5,
        Identifies.SHARED,
        "learning rate of the backbone, as a share of the head's",
        search=LogUniform(0.03, 1.0),
        gt=0,
        le=1,
    )
    weight_decay: float = setting(
        1e-4, Identifies.SHARED, "AdamW's weight decay", search=LogUniform(1e-6, 1e-1), ge=0, le=1
    )
    warmup_fraction: float = setting(
        0.3,
        Identifies.SHARED,
        "share of the steps in which the learning rate rises",
        search=Uniform(0.05, 0.5),
        gt=0,
        lt=1,
    )
    label_smoothing: float = setting(
        0.1, Identifies.SHARED, "label smoothing of the loss", search=Uniform(0.0, 0.3), ge=0, lt=1
    )
    mixup_alpha: float = setting(
        0.2, Identifies.SHARED, "MixUp's beta distribution; 0 switches it off", search=Uniform(0.0, 0.8), ge=0, le=10
    )
    mixup_probability: float = setting(
        0.5, Identifies.SHARED, "share of the batches that are mixed", search=Uniform(0.0, 1.0), ge=0, le=1
    )
    augmented_views: Literal["auto", "unlimited"] | Annotated[int, Field(ge=1, le=1000)] = setting(
        "auto",
        Identifies.SHARED,
        "augmented versions of every training image: a number, unlimited (a new one every epoch), or auto (4 where "
        "the prefix cache applies: finetune=head, layer4 or layer3; otherwise unlimited); none with linear_probe and "
        "knn",
    )
    patience: int = setting(7, Identifies.SHARED, "epochs without improvement before training stops", ge=1, le=1000)
    selection: Literal["val_loss", "val_macro_f1", "val_worst_group", "val_distance_to_ideal"] = setting(
        "val_loss",
        Identifies.SHARED,
        "validation rule for the best epoch and early stopping; val_distance_to_ideal: how far macro-F1 and the equal "
        "opportunity difference of mitigate are from 1 and 0",
    )
    scored_selections: Literal["chosen", "all"] = setting(
        "chosen",
        Identifies.ANALYSIS,
        "rules for the best epoch whose test predictions are kept: chosen (that of selection), or all (as studies of "
        "several methods do)",
    )

    # What is done against unfairness
    mitigation: str = setting(
        NO_MITIGATION,
        Identifies.METHOD,
        "what is done against unfairness: none, or a method that changes the weights of the images, the loss, the head "
        f"or the predictions: {', '.join(name for name in MITIGATIONS if name != NO_MITIGATION)}",
    )
    mitigate: Literal["gender", "race", "gender_x_race"] = setting(
        "race", Identifies.METHOD, "attribute between whose groups the method mitigates"
    )
    mitigation_values: str = setting(
        "default",
        Identifies.METHOD,
        "values of methods' own: default (as published), tuned (of the newest finished search of the method on the "
        "same data), or some of them, such as group_dro.eta=0.05,jtt.weight=20",
    )

    # What is explained
    gradcam_images: int = setting(
        240, Identifies.ANALYSIS, "test images whose Grad-CAM is computed for the mean map per group", ge=1
    )

    # How it runs
    compile: bool = setting(
        False, Identifies.MACHINE, "compile the trained part of the network (torch.compile): for long trainings"
    )
    recorder: Literal["auto", "beside", "here"] = setting(
        "auto",
        Identifies.MACHINE,
        "what logs, measures and draws: a process beside the training, or (here) the training's own; auto: beside it "
        "where there is a core for it",
    )
    prefix_cache: Literal["auto", "off"] = setting(
        "auto",
        Identifies.MACHINE,
        "auto: what the frozen part of the network computes is kept and used again; off: computed every time",
    )

    @field_validator("mitigation")
    @classmethod
    def _known_method(cls, value: str) -> str:
        if value not in MITIGATIONS:
            raise ValueError(f"one of {', '.join(MITIGATIONS)}")
        return value

    @field_validator("mitigation_values")
    @classmethod
    def _valid_values(cls, value: str) -> str:
        if value not in (PUBLISHED, TUNED_VALUES):
            _method_values(value)
        return value

    def methods(self) -> tuple[str, ...]:
        """The methods with which all is trained."""
        return (self.mitigation,)

    def method_values(self) -> dict[str, float | str]:
        """The values of the method's own by name, those that were not given as published; of `mitigation_values=tuned`,
        which has to be looked up first, as published."""
        given = {} if self.mitigation_values in (PUBLISHED, TUNED_VALUES) else _method_values(self.mitigation_values)
        return {
            name: given.get((self.mitigation, name), value.default)
            for name, value in MITIGATIONS[self.mitigation].items()
        }

    def method_hash(self) -> str:
        """Twelve hexadecimal digits that are equal if and only if method, attribute and the method's own values are;
        without a method they are all equal."""
        parts = [self.mitigation]
        if self.mitigation != NO_MITIGATION:
            parts += [self.mitigate, json.dumps(self.method_values(), sort_keys=True)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    def view_count(self) -> int | None:
        """How many augmented versions every training image has; None for a new one every epoch."""
        if self.augmented_views == "auto":
            return AUTOMATIC_VIEWS if self.finetune in PREFIX_FINETUNE else None
        return None if self.augmented_views == "unlimited" else self.augmented_views

    def hyperparameters(self) -> dict[str, Any]:
        """The settings that designs A-D share, name to value."""
        return {name: getattr(self, name) for name in shared_settings()}

    def hyperparameters_hash(self) -> str:
        """Twelve hexadecimal digits that are equal if and only if all shared settings are."""
        text = json.dumps(self.hyperparameters(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


SOURCE_OF_HYPERPARAMETERS = setting(
    "default",
    Identifies.STUDY,
    "where shared hyperparameters come from that are left at their defaults: default, tuned (the newest finished "
    "search on the same data), the run id of a search or a run, or a YAML file",
)


class Settings(TrainingSettings):
    """The settings of one run."""

    experiment: Literal["A", "B", "C", "D"] = setting(
        "A",
        Identifies.RUN,
        "data set design: A balanced over gender x race x profession, B race natural, C gender natural, "
        "D profession natural",
    )
    seed: int = setting(0, Identifies.RUN, "names one draw, one initialisation and one data order", ge=0, lt=2**32)
    train_size: Literal["natural", "matched"] | Annotated[int, Field(ge=1)] = setting(
        "natural",
        Identifies.RUN,
        "training images: natural (as many as the design's smallest cell allows), matched (as many as the "
        "smallest design has) or a number",
    )
    fraction: float = setting(1.0, Identifies.RUN, "share of the draw's training images that is kept", gt=0, le=1)
    hparams: str = SOURCE_OF_HYPERPARAMETERS

    @field_validator("experiment", mode="before")
    @classmethod
    def _upper_case(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value


class ManyMethodsSettings(TrainingSettings):
    """The settings of a command that trains with one method or several."""

    mitigations: str = setting(
        "auto",
        Identifies.RUN,
        "methods, separated by commas, none among them, with each of which all is trained (none,group_dro,dfr); auto: "
        "the one that mitigation names",
    )

    @field_validator("mitigations")
    @classmethod
    def _valid_methods(cls, value: str) -> str:
        if value != ONE_METHOD:
            _checked_list(value, "mitigations")
            if NO_MITIGATION not in _listed(value, "mitigations"):
                raise ValueError(f"auto, or a list in which {NO_MITIGATION} is, with which the others are compared")
        return value

    def methods(self) -> tuple[str, ...]:
        """The methods with which all is trained, `none` first."""
        if self.mitigations == ONE_METHOD:
            return super().methods()
        return tuple(sorted(_listed(self.mitigations, "mitigations"), key=lambda name: name != NO_MITIGATION))


class StudySettings(ManyMethodsSettings):
    """The settings of a study: designs x seeds, and what all its runs have in common."""

    experiments: str = setting("A,B,C,D", Identifies.RUN, "designs, separated by commas")
    backbones: str = setting(
        "auto",
        Identifies.RUN,
        "networks and the weights that they start from, ARCHITECTURE@WEIGHTS, separated by commas, with each of which "
        "all is trained (resnet50@imagenet,resnet50@random); without @, the weights of weights; the first is the "
        "reference, by which designs are compared; auto: the one of architecture and weights",
    )
    seeds: str = setting("6", Identifies.RUN, "number of seeds (6: the seeds 0 to 5), or a list of them (0,7,9)")
    train_size: str = setting(
        "matched,natural",
        Identifies.RUN,
        "arms, one or more of matched, natural and numbers; matched is the confirmatory one where natural is there "
        "too, otherwise the first",
    )
    fractions: str = setting(
        "1", Identifies.RUN, "shares of the draw's training images, for the data-scarcity curve (0.25,0.5,1)"
    )
    hparams: str = SOURCE_OF_HYPERPARAMETERS
    workers_of_study: int = setting(
        1, Identifies.MACHINE, "processes on this machine that share the study's runs; with GPUs, one each", ge=1, le=64
    )

    @field_validator("experiments", "seeds", "train_size", "fractions", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int | float) else value

    @field_validator("experiments", "seeds", "train_size", "fractions")
    @classmethod
    def _valid_list(cls, value: str, info: ValidationInfo) -> str:
        return _checked_list(value, str(info.field_name))

    @field_validator("backbones")
    @classmethod
    def _valid_backbones(cls, value: str, info: ValidationInfo) -> str:
        if value == ONE_BACKBONE:
            return value
        backbones = _backbones(value, info.data.get("weights", ""))
        if len(backbones) > 1 and "," in info.data.get("mitigations", ONE_METHOD):
            raise ValueError(
                "one backbone where mitigations has several methods: compare backbones in a study of one method, and "
                "methods in a study of one backbone"
            )
        architecture = info.data.get("architecture")
        if architecture not in (cls.model_fields["architecture"].default, *(each.architecture for each in backbones)):
            raise ValueError(f"a list in which architecture={architecture} is, or architecture left out")
        return value

    def listed_backbones(self) -> tuple[Backbone, ...]:
        """The backbones with which all is trained, the reference first."""
        if self.backbones == ONE_BACKBONE:
            return (Backbone(self.architecture, self.weights),)
        return _backbones(self.backbones, self.weights)

    def listed(self, name: str) -> tuple:
        """The values of `experiments`, `seeds`, `train_size` or `fractions`, each as a run's setting takes it."""
        return _listed(getattr(self, name), name)


class CompareSettings(AnalysisSettings):
    """The settings of a comparison of runs that exist."""

    runs: str = setting(
        "auto",
        Identifies.RUN,
        "newest_study; newest_runs (the newest of every design, seed and training size); auto (the first if there "
        "is one, otherwise the second); or run ids of a study or of runs, separated by commas",
    )


NEWEST = "newest"


class RegisterSettings(CommandSettings):
    """The settings of the registration of a run that has not registered its model."""

    run: str = setting(
        NEWEST, Identifies.RUN, "the run id of a training that has finished, as of a study; newest: the last such run"
    )


AS_TRAINED = "auto"
GROUPS_OF_THE_MODEL = setting(
    AS_TRAINED,
    Identifies.STUDY,
    "as in training; auto: as the model was trained where it was trained on these data, otherwise none",
)


class EvaluateSettings(DataSettings):
    """The settings of an evaluation of a trained model."""

    model: str = setting(
        "A",
        Identifies.RUN,
        "registered model: B or fairprof-B (its champion), fairprof-B@champion, fairprof-B/3; or run:ID, the model of "
        "a run that has registered none",
    )
    partition: Literal["test", "all"] = setting(
        "test",
        Identifies.ANALYSIS,
        "images that are evaluated: the test partition, or all (of data that the model was not trained on)",
    )
    merge: str = GROUPS_OF_THE_MODEL
    exclude: str = GROUPS_OF_THE_MODEL
    robustness_images: int = setting(
        200, Identifies.ANALYSIS, "images, balanced over the groups, that are corrupted; 0: none", ge=0
    )
    seed: int = setting(0, Identifies.ANALYSIS, "of permutations, bootstraps and corruptions", ge=0, lt=2**32)


class ExplainSettings(DataSettings):
    """The settings of an explanation of trained models on the same images."""

    models: str = setting(
        "A,B,C,D",
        Identifies.RUN,
        "models, separated by commas: B or fairprof-B (its champion), fairprof-B/3, run:ID (of a run); or study:RUN "
        "(its run id, or newest): all seeds of its designs, which alone says something of designs",
    )
    merge: str = GROUPS_OF_THE_MODEL
    exclude: str = GROUPS_OF_THE_MODEL
    method: SaliencyMethod = setting(
        "GradCAM", Identifies.ANALYSIS, "saliency method: one of pytorch-grad-cam's, or of a transformer's attention"
    )
    explained: Literal["predicted", "true"] = setting(
        "predicted", Identifies.ANALYSIS, "class whose evidence is shown: the predicted or the true one"
    )
    gradcam_images: int = setting(
        240, Identifies.ANALYSIS, "test images, balanced over the groups, whose saliency maps are computed", ge=8
    )
    faithfulness_images: int = setting(
        64, Identifies.ANALYSIS, "of these, images on which ROAD, deletion and insertion are measured; 0: none", ge=0
    )
    seed: int = setting(0, Identifies.ANALYSIS, "of permutations, bootstraps and randomised weights", ge=0, lt=2**32)

    @field_validator("models")
    @classmethod
    def _different_models(cls, value: str) -> str:
        if value.startswith(OF_STUDY):
            if not value.removeprefix(OF_STUDY) or "," in value:
                raise ValueError("study: with the run id of one study, or study:newest")
            return value
        labels = [_label_of(reference) for reference in _references(value)]
        if not labels:
            raise ValueError("a list of models, separated by commas, with at least one")
        if len(set(labels)) < len(labels):
            raise ValueError("a list in which no model occurs twice")
        return value

    @property
    def study(self) -> str | None:
        """The study all of whose models are explained: its run id, or newest; None where models are named."""
        return self.models.removeprefix(OF_STUDY) if self.models.startswith(OF_STUDY) else None

    def references(self) -> dict[str, str]:
        """The models by a short name, as tables and pictures show them: B for fairprof-B, B-3 for fairprof-B/3; none
        where those of a study are explained."""
        if self.study:
            return {}
        return {_label_of(reference): reference for reference in _references(self.models)}


class PrepareSettings(DataSettings):
    """The settings of an audit of a data set before anything is trained."""

    image_size: int = setting(
        64, Identifies.SHARED, "edge, in pixels, of the input that the cache is filled for", ge=32, le=1024
    )
    shards: str = setting(
        "none",
        Identifies.ANALYSIS,
        "new folder to which labels and decoded pixels are written, which data=shards:FOLDER reads; none: they are not",
    )
    imbalance: Literal["natural"] | Annotated[float, Field(ge=1, le=1000)] = setting(
        "natural",
        Identifies.STUDY,
        "largest to smallest group on the axis that a design leaves natural: natural, or a ratio",
    )
    assumed_accuracy: Literal["auto"] | Annotated[float, Field(gt=0, lt=1)] = setting(
        "auto",
        Identifies.ANALYSIS,
        "share of every class that a classifier gets right, which the expected noise floors assume; auto: as the "
        "best possible prediction does where professions are drawn from the age, elsewhere 0.7",
    )
    seed: int = setting(
        0, Identifies.ANALYSIS, "of permutations, bootstraps, simulations and the sheets", ge=0, lt=2**32
    )
    sheet_images: int = setting(
        8, Identifies.ANALYSIS, "images per cell of the image sheets; 0: no sheets", ge=0, le=100
    )


class TuneSettings(ManyMethodsSettings):
    """The settings of a search for the hyperparameters that all designs share."""

    experiments: str = setting("A,B,C,D", Identifies.RUN, "designs that every trial trains, separated by commas")
    seed: int = setting(0, Identifies.RUN, "of the draws, the trainings and the search", ge=0, lt=2**32)
    train_size: Literal["natural", "matched"] | Annotated[int, Field(ge=1)] = setting(
        120,
        Identifies.RUN,
        "training images of every trial and design: a number (few make a search of minutes on a laptop), matched "
        "(as many as the smallest design has) or natural",
    )
    trials: int = setting(
        20, Identifies.ANALYSIS, "trials in all, by all workers; the first is the defaults", ge=1, le=100_000
    )
    search: str = setting(
        "all",
        Identifies.RUN,
        "hyperparameters that are searched, separated by commas: all, or some of those with a search law; method: none "
        "of them, but the own values of every method that mitigations names, with as many trials each",
    )
    objective: Literal["macro_f1", "worst_group", "distance_to_ideal", "pareto"] = setting(
        "macro_f1",
        Identifies.RUN,
        "what is best on validation data, mean over the designs: macro_f1; worst_group (accuracy of the worst "
        "gender x race group); distance_to_ideal (how far macro-F1 and the equal opportunity difference of mitigate "
        "are from 1 and 0); pareto (macro-F1 against the equal opportunity difference by race)",
    )
    storage: str = setting(
        "auto",
        Identifies.MACHINE,
        "where Optuna keeps the search: auto (a file in cache_dir) or a database's URL, such as "
        "postgresql+psycopg://user@host/database, for workers on many machines",
    )

    @field_validator("experiments")
    @classmethod
    def _valid_list(cls, value: str, info: ValidationInfo) -> str:
        return _checked_list(value, str(info.field_name))

    @field_validator("search")
    @classmethod
    def _searchable(cls, value: str) -> str:
        names = [name.strip() for name in value.split(",")]
        if value not in ("all", METHOD_ALONE) and not set(names) <= set(search_laws()):
            raise ValueError(f"all, {METHOD_ALONE}, or a list of some of {', '.join(search_laws())}")
        return value

    def designs(self) -> tuple[str, ...]:
        """The designs that every trial trains, in this order."""
        return _listed(self.experiments, "experiments")

    def searched(self) -> dict[str, SearchLaw]:
        """Name and search law of all that is searched: hyperparameters, or the own values of the method."""
        if self.search == METHOD_ALONE:
            return {name: value.search for name, value in MITIGATIONS[self.mitigation].items()}
        chosen = [name.strip() for name in self.search.split(",")]
        return {name: law for name, law in search_laws().items() if self.search == "all" or name in chosen}


def shared_settings() -> tuple[str, ...]:
    """Names of the hyperparameters, with which designs A-D train alike."""
    return Settings.identifying(Identifies.SHARED)


def search_laws() -> dict[str, SearchLaw]:
    """Name and law of every hyperparameter that can be searched."""
    laws = {name: marks(field)["search"] for name, field in Settings.model_fields.items()}
    return {name: law for name, law in laws.items() if law is not None}


# --- lists ------------------------------------------------------------------------------------------------------


OF_STUDY = "study:"  # before the run id, in `models` of an explanation
OF_RUN = "run:"  # before the id of a run whose model is meant


def _references(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _label_of(reference: str) -> str:
    if reference.startswith(OF_RUN):
        return f"run-{reference.removeprefix(OF_RUN)[:8]}"
    name = reference.removeprefix("models:/").removeprefix("fairprof-").removesuffix("@champion")
    return name.upper() if len(name) == 1 else name.replace("/", "-").replace("@", "-")


RUN_SETTING = {
    **{"experiments": "experiment", "seeds": "seed", "train_size": "train_size", "fractions": "fraction"},
    "mitigations": "mitigation",
}
ONE_METHOD = "auto"
ONE_BACKBONE = "auto"
METHOD_ALONE = "method"  # of `search`: the shared hyperparameters stay as they are
MOST_SEEDS = 1000


def _checked_list(text: str, name: str) -> str:
    listed = _listed(text, name)
    if len(set(listed)) < len(listed):
        raise ValueError("a list in which nothing occurs twice")
    return text


def _listed(text: str, name: str) -> tuple:
    """The parts of a comma-separated list, each valid as a run's setting; a single number of seeds is a count."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if name == "seeds" and "," not in text and text.strip().isdigit():
        if not 1 <= int(text) <= MOST_SEEDS:
            raise ValueError(f"a number from 1 to {MOST_SEEDS}, or a list of seeds")
        return tuple(range(int(text)))
    field = RUN_SETTING[name]
    try:
        values = tuple(getattr(Settings.model_validate({field: part}), field) for part in parts)
    except ValidationError as error:
        raise ValueError(f"a list separated by commas ({_invalid(error)})") from None
    if not values:
        raise ValueError("a list separated by commas, with at least one value")
    return values


def _backbones(text: str, weights: str) -> tuple[Backbone, ...]:
    """The backbones that a text names, those without weights with these; raises ValueError that says what it should
    be."""
    found = []
    for part in (part.strip() for part in text.split(",") if part.strip()):
        architecture, at, own = (word.strip() for word in part.partition("@"))
        if not architecture or (at and not own):
            raise ValueError(f"auto, or a list of ARCHITECTURE or ARCHITECTURE@WEIGHTS ({part})")
        found.append(Backbone(named_architecture(architecture), weights_to_be_had(own or weights)))
    if not found:
        raise ValueError("auto, or a list separated by commas, with at least one backbone")
    if len(set(found)) < len(found):
        raise ValueError("a list in which nothing occurs twice")
    return tuple(found)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes of a command line that are no UTF-8 come as halves of surrogate pairs
        return False
    return True


# --- methods' own values ----------------------------------------------------------------------------------------


PUBLISHED, TUNED_VALUES = "default", "tuned"  # of `mitigation_values`


def _method_values(text: str) -> dict[tuple[str, str], float | str]:
    """Method and name to value, of a text such as group_dro.eta=0.05; raises ValueError that says what it should be."""
    found: dict[tuple[str, str], float | str] = {}
    for part in text.split(","):
        place, equals, value = (word.strip() for word in part.partition("="))
        method, _, name = place.partition(".")
        if not equals or name not in MITIGATIONS.get(method, {}):
            known = ", ".join(f"{method}.{name}" for method, values in MITIGATIONS.items() for name in values)
            raise ValueError(f"default, tuned, or a list such as group_dro.eta=0.05, of {known} ({part.strip()})")
        if (method, name) in found:
            raise ValueError(f"a list in which nothing occurs twice ({place})")
        found[method, name] = _method_value(place, MITIGATIONS[method][name], value)
    return found


def _method_value(place: str, declared: MethodValue, text: str) -> float | str:
    options = declared.search.options if isinstance(declared.search, Choice) else ()
    words = [option for option in options if isinstance(option, str)]
    if text in words:
        return text
    if words and len(words) == len(options):
        raise ValueError(f"a list with {place} one of {', '.join(words)} ({text})")
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not declared.low <= value <= declared.high or (declared.whole and not value.is_integer()):
        kind = "a whole number " if declared.whole else ""
        bounds = f"{kind}from {declared.low:g} to {declared.high:g}"
        raise ValueError(f"a list with {place} {' or '.join([*words, bounds])} ({text})")
    return value


def method_values_text(method: str, values: Mapping[str, float | str]) -> str:
    """A method's own values as the setting `mitigation_values` takes them."""
    texts = (f"{value!r}" if isinstance(value, float) else value for value in values.values())
    return ",".join(f"{method}.{name}={text}" for name, text in zip(values, texts, strict=True)) or PUBLISHED


# --- groups -----------------------------------------------------------------------------------------------------


GROUPED = ("gender", "race")  # professions are what is predicted, and no design balances ages
EVERYBODY = "none"  # nobody is merged or left out
NEED_QUOTES = ',+="'


def _merges(text: str) -> tuple[Merge, ...]:
    """The merges that a text names; raises ValueError that says what it should be."""
    merges = []
    for attribute, names in _of_attributes(text, "none, or groups such as race:Indian+Others"):
        parts = _split(names, "=")
        groups = tuple(map(_unquoted, _split(parts[0], "+")))
        if len(parts) > 2 or len(set(groups)) < len(groups) or len(groups) < 2:
            raise ValueError(f"none, or groups such as race:Indian+Others, two or more different ones ({names})")
        merges.append(Merge(attribute, groups, _unquoted(parts[1]) if len(parts) == 2 else "+".join(groups)))
    for named in ([(merge.attribute, group) for merge in merges for group in merge.groups], merges_named(merges)):
        twice = next((name for name in named if named.count(name) > 1), None)
        if twice:
            raise ValueError(f"a list in which no group occurs twice ({':'.join(twice)})")
    return tuple(merges)


def merges_named(merges: Sequence[Merge]) -> list[tuple[str, str]]:
    """Attribute and name of every merged group."""
    return [(merge.attribute, merge.name) for merge in merges]


def _exclusions(text: str) -> tuple[tuple[str, str], ...]:
    """The groups that a text names; raises ValueError that says what it should be."""
    found = _of_attributes(text, "none, or groups such as race:Others, separated by commas")
    return tuple(dict.fromkeys((attribute, _unquoted(name)) for attribute, name in found))


def _of_attributes(text: str, expected: str) -> list[tuple[str, str]]:
    """What stands before and after the first colon of every part of a list."""
    if text == EVERYBODY:
        return []
    parts = [part.partition(":") for part in _split(text, ",")]
    for attribute, colon, _ in parts:
        if not colon or attribute.strip() not in GROUPED:
            raise ValueError(f"{expected} (of {' or '.join(GROUPED)}, not {attribute.strip() or 'nothing'})")
    return [(attribute.strip(), names) for attribute, _, names in parts]


def _split(text: str, mark: str) -> list[str]:
    """The parts of a text between marks that do not stand within double quotes."""
    parts, quoted = [""], False
    for letter in text:
        quoted ^= letter == '"'
        if letter == mark and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
    if quoted:
        raise ValueError("a list whose double quotes are all closed")
    return parts


def _unquoted(text: str) -> str:
    """A group's name as it was meant; raises ValueError where there is none, or it had to be quoted."""
    name = text.strip()
    quoted = re.fullmatch(r'"((?:[^"]|"")+)"', name)
    if quoted:
        return quoted[1].replace('""', '"')
    if not name or set(NEED_QUOTES) & set(name):
        raise ValueError(f"a list of names, in double quotes where they hold one of {NEED_QUOTES} ({name or 'empty'})")
    return name


def group_text(name: str) -> str:
    """A group's name as `merge` and `exclude` take it."""
    return '"' + name.replace('"', '""') + '"' if set(NEED_QUOTES) & set(name) else name


def merge_text(merges: Iterable[Merge]) -> str:
    """Merges as the setting `merge` takes them."""
    texts = []
    for merge in merges:
        named = "" if merge.name == "+".join(merge.groups) else f"={group_text(merge.name)}"
        texts.append(f"{merge.attribute}:{'+'.join(map(group_text, merge.groups))}{named}")
    return ",".join(texts) or EVERYBODY


def exclude_text(groups: Iterable[tuple[str, str]]) -> str:
    """Groups as the setting `exclude` takes them."""
    return ",".join(f"{attribute}:{group_text(name)}" for attribute, name in groups) or EVERYBODY


# --- messages ---------------------------------------------------------------------------------------------------


def _unparsed(message: str, names: list[str]) -> str:
    message = message.removeprefix("error parsing CLI: ")
    prefix = "unrecognized arguments: "
    if not message.startswith(prefix):
        return message
    word = message.removeprefix(prefix).split()[0]
    name = word.removeprefix("--").split("=")[0]
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(names)}"
    return f"unknown setting {name}: {hint}"


def _invalid(error: ValidationError) -> str:
    reasons: dict[str, list[str]] = {}
    for detail in error.errors():
        name = str(detail["loc"][0])
        expected = detail["msg"].removeprefix("Input should be ").removeprefix("Value error, ").split(", unable to")[0]
        reasons.setdefault(f"{name}={detail['input']!s:.200}", []).append(expected)
    return "; ".join(
        f"{value} is not valid, it should be {' or '.join(expected)}" for value, expected in reasons.items()
    )
