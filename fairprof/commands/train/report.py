"""The page that every run ends with: what was trained, how good it is, whether groups differ, and what one run does not
show."""

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pandas as pd
from PIL import Image

from fairprof.commands.train.method import fit_told, fitted_table, sentences
from fairprof.commands.train.subject import RunSubject
from fairprof.config import NO_MITIGATION, DataSettings, Identifies, Settings, of_this_machine
from fairprof.data.designs import DESIGNS
from fairprof.data.drawable import Change, as_typed
from fairprof.data.sources.kinds import shows_faces, to_be_named
from fairprof.measurement.ceilings import ceilings
from fairprof.measurement.measures import NATURAL
from fairprof.metrics.fairness import MAX_OVER_CLASSES, PARITY_DIFFERENCES
from fairprof.mitigation.methods import METHODS
from fairprof.network.records import SELECTION_RULES
from fairprof.plain_text import in_code, in_markdown
from fairprof.reporting.blocks import Answer, Beside, Block, Cell, Column, Commands, Paragraph, Picture, Section, Table
from fairprof.reporting.faces import left_out
from fairprof.reporting.findings import Findings
from fairprof.reporting.names import SCORE_NAMES, gap_name
from fairprof.reporting.verdicts import ages_told, confirmatory, few_images, gaps_told, random_weights, verdict_table
from fairprof.reporting.wording import (
    NOTHING,
    count,
    counted,
    enumerated,
    estimate,
    interval,
    number,
    of_ceiling,
    short,
)
from fairprof.runtime.files import without_folders
from fairprof.serving import DecisionRule
from fairprof.store import tracking
from fairprof.store.champion import DEGENERATE_TAG
from fairprof.store.models import MODEL_SETTINGS, rule_in, run_reference
from fairprof.store.registry import RegisteredVersion

PICTURES = {  # among the artifacts, by whether images may be shown
    True: "gradcam/contact_sheet.png",
    False: "gradcam/mean_by_group.png",
}
PICTURE_WIDTH, PICTURE_COLOURS = 1000, 128  # of a picture on the page, which is to be small
MOST_COLUMNS = 8  # of professions, or of genders, in the table of training images
WEIGHTS = "WEIGHTS"  # stands for a file
CHOICE = {"linear_probe": "chose the penalty", "knn": "chose nothing"}  # of validation images, but for trainings
ONE_RUN = (
    "This is one model of one design: it shows nothing of differences between designs, for which several seeds of "
    "each are needed."
)


HOW_TO_READ = (
    "Intervals and verdicts are of this model, for new test images. Chance is what the same gap comes to with groups "
    "permuted: its mean and its 95 % quantile. Gaps by gender and race are confirmatory (Holm), by gender x race "
    "exploratory; what is not established is not shown to be fair."
)


@dataclass(frozen=True)
class Outcome:
    """What a run has left, as its page tells it.

    name, run_id: of the run. settings: of its training. scores, contrasts, gaps: the tables of these names in
    `Measurements`, the last in its natural view. composition: as `fairprof.data.designs.composition`. values: metrics
    by name, those of `ceilings` among them. images: of the partitions train, val and test. weights, weights_sha256:
    what the network started from ("random", "none"). degenerate: the class that is predicted for every test image.
    best_epoch, epochs: from 1, and how many were trained. version: as which its model is registered. picture: PNG of
    what it looks at. rule: by which its model decides on classes, where that is not the most probable one. fit: numbers
    of what a method has fitted on validation images, by name. baseline: numbers of what a baseline has fitted.
    """

    name: str
    run_id: str
    settings: Settings
    scores: pd.DataFrame
    gaps: pd.DataFrame
    contrasts: pd.DataFrame
    composition: pd.DataFrame
    values: dict[str, float]
    images: dict[str, int]
    weights: str
    weights_sha256: str
    weights_told: str
    degenerate: str | None
    best_epoch: int
    epochs: int
    version: RegisteredVersion | None
    picture: bytes
    rule: DecisionRule | None = None
    fit: Mapping[str, float] = field(default_factory=dict)
    baseline: Mapping[str, float] = field(default_factory=dict)

    @property
    def shows_faces(self) -> bool:
        """Whether images may be on the page."""
        return shows_faces(self.settings.data, self.settings.faces_in_reports)

    @property
    def confirmatory(self) -> pd.DataFrame:
        """The gaps of the confirmatory family."""
        return confirmatory(self.gaps)


def outcome_of(subject: RunSubject, version: RegisteredVersion | None) -> Outcome:
    """What the active run has left, read from its artifacts."""
    run = tracking.get_run(tracking.active_run_id())
    drawn, settings = subject.drawn, subject.settings
    described = json.loads(tracking.load_text(run.run_id, MODEL_SETTINGS))
    scores, gaps, contrasts = (
        tracking.load_table(run.run_id, f"metrics/{name}.csv") for name in ("scores", "gaps", "contrasts")
    )
    return Outcome(
        name=run.name,
        run_id=run.run_id,
        settings=settings,
        scores=scores,
        gaps=gaps[gaps["view"].eq(NATURAL)],
        contrasts=contrasts,
        composition=tracking.load_table(run.run_id, "data/composition.csv"),
        values=run.metrics | ceilings(subject.pool, drawn.test),
        images={partition: len(drawn.rows(partition)) for partition in ("train", "val", "test")},
        weights=without_folders(subject.weights.name),
        weights_sha256=subject.weights.sha256 or "none",
        weights_told=subject.weights.told(),
        degenerate=run.tags.get(DEGENERATE_TAG),
        best_epoch=int(run.metrics["best_epoch"]),
        epochs=len(tracking.load_table(run.run_id, "training/history.csv")),
        version=version,
        picture=tracking.load_bytes(run.run_id, PICTURES[shows_faces(settings.data, settings.faces_in_reports)]),
        rule=rule_in(described),
        fit=described.get("fit", {}),
        baseline=described.get("baseline", {}),
    )


def findings(outcome: Outcome) -> Findings:
    """The page, the description and the lines of a run; its tables and pictures are among the artifacts already."""
    settings = outcome.settings
    return Findings(
        title=f"Run {outcome.name}: design {settings.experiment} on {settings.data.partition(':')[0]}",
        subtitle=(
            f"{counted(outcome.images['train'], 'training image')}, {settings.architecture} at {settings.image_size} "
            f"px from {outcome.weights} weights, {_fitted(outcome)}"
        ),
        banners=tuple(banners(outcome)),
        sections=(
            Section(
                "The answer",
                (
                    Answer(answer(outcome)),
                    Beside(
                        (_verdicts(outcome), Paragraph(HOW_TO_READ), *_looks(outcome)),
                        (
                            _scores(outcome),
                            _composition(outcome),
                            Paragraph(_drawn(outcome)),
                            *([Paragraph(outcome.weights_told)] if outcome.weights_told else []),
                            *_method(outcome),
                            *_use(outcome),
                        ),
                    ),
                ),
            ),
        ),
        tables={},
        pictures={_picture_name(outcome): smaller(outcome.picture)},
        description=description(outcome),
        printed=answer(outcome)[:-1],
    )


def _fitted(outcome: Outcome) -> str:
    """What was fitted, and by what it was chosen: the best epoch, or what a baseline has instead."""
    if outcome.settings.finetune == "linear_probe":
        return (
            f"a linear probe of {outcome.baseline['features']:,.0f} features with penalty C = "
            f"{outcome.baseline['strength']:g} by validation macro-F1"
        )
    if outcome.settings.finetune == "knn":
        return f"decided by the {outcome.baseline['neighbours']:.0f} nearest training images, nothing trained"
    rule = SELECTION_RULES[outcome.settings.selection]
    return f"best epoch {outcome.best_epoch} of {outcome.epochs} by {rule.metric}"


# The answer.


def answer(outcome: Outcome) -> tuple[str, ...]:
    """How good it is, whether groups differ, and last what one run does not show: a sentence each."""
    return _how_good(outcome), _how_fair(outcome), ONE_RUN


def _how_good(outcome: Outcome) -> str:
    score = outcome.scores.set_index("metric").loc["macro_f1"]
    share, above_chance = (
        outcome.values.get(f"test/macro_f1_{name}", float("nan")) for name in ("of_ceiling", "share_above_chance")
    )
    told = of_ceiling(share, above_chance)
    return (
        f"{_made_of(outcome, counted(outcome.images['train'], 'image'))} has "
        f"macro-F1 {estimate(score['value'], score['lower'], score['upper'])} on "
        f"{counted(outcome.images['test'], 'test image')}{f' ({told})' if told else ''}."
    )


def _made_of(outcome: Outcome, images: str) -> str:
    """What the model was made of, and the subject of the sentence; images: how many are trained on."""
    design = f"design {outcome.settings.experiment}"
    if outcome.settings.finetune == "linear_probe":
        return f"A linear probe that was fitted to {images} of {design}"
    if outcome.settings.finetune == "knn":
        return f"A vote of the nearest of {images} of {design}"
    return f"Trained on {images} of {design}, it"


def _how_fair(outcome: Outcome) -> str:
    if outcome.degenerate is not None:
        return (
            f"It answers {outcome.degenerate} for every test image: it is equal between groups whatever it is shown, "
            "and nothing is said of its gaps."
        )
    return gaps_told(
        outcome.confirmatory,
        "This model treats",
        in_the_data=lambda metric, attribute: ages_told(
            _in_the_data(outcome, metric, attribute), outcome.settings.label_bias
        ),
    )


def _in_the_data(outcome: Outcome, metric: str, attribute: str) -> tuple[float, float] | None:
    ends = [outcome.values.get(f"ceiling/{end}_{metric}/{attribute}") for end in ("lowest", "highest")]
    return None if None in ends else (float(ends[0] or 0), float(ends[1] or 0))


def banners(outcome: Outcome) -> Iterable[str]:
    """What has to be known before the page is read."""
    settings = outcome.settings
    if outcome.degenerate is not None:
        yield f"Degenerate: one class, {outcome.degenerate}, is predicted for every test image."
    if settings.label_bias != "none":
        yield f"Labels were biased on purpose ({settings.label_bias}, {short(settings.label_bias_strength)})."
    if settings.cue_gap:
        yield f"Age was drawn more faintly on dark skin on purpose (cue_gap {short(settings.cue_gap)})."
    yield from filter(None, [random_weights(outcome.weights_sha256)])
    undefined = outcome.confirmatory[outcome.confirmatory["value"].isna()]
    if len(undefined):
        named = enumerated(gap_name(row.metric, row.attribute) for row in undefined.itertuples())
        yield f"Undefined: {named}. No class has the rates of two groups to compare."
    yield from filter(None, [few_images(outcome.confirmatory, settings.min_support)])


# The page.


def _scores(outcome: Outcome) -> Table:
    rows = []
    for row in outcome.scores[outcome.scores["metric"].isin(SCORE_NAMES)].itertuples():
        ceiling = outcome.values.get(f"ceiling/{row.metric}")
        rows.append(
            (
                Cell(SCORE_NAMES[row.metric]),
                Cell(number(row.value), interval(row.lower, row.upper)),
                Cell(NOTHING if ceiling is None else number(ceiling)),
            )
        )
    columns = (Column("score"), Column("value, 95 % interval", True), Column("ceiling", True))
    return Table("Scores on the test images", columns, tuple(rows))


def _verdicts(outcome: Outcome) -> Table:
    largest = outcome.gaps[outcome.gaps["class"].eq(MAX_OVER_CLASSES) & outcome.gaps["metric"].isin(PARITY_DIFFERENCES)]
    return verdict_table(largest, outcome.contrasts, outcome.images["test"])


def _picture_name(outcome: Outcome) -> str:
    return PICTURES[outcome.shows_faces].rpartition("/")[2].removesuffix(".png")


def _looks(outcome: Outcome) -> Iterable[Block]:
    if outcome.shows_faces:
        yield Picture(
            _picture_name(outcome),
            "Grad-CAM of test images",
            "Below each image where the network looked for the class that it predicts. Single images are examples, not "
            "evidence.",
            photographic=True,
        )
        return
    yield Picture(
        _picture_name(outcome),
        "Mean Grad-CAM by group",
        "Where the network looks on average, by group: it shows where, not why.",
        photographic=True,
    )
    yield left_out(PICTURES[True])


def _composition(outcome: Outcome) -> Table:
    """Training images by race, with gender and profession; of either only where they are few enough for columns."""
    counts = outcome.composition[outcome.composition["partition"].eq("train")]
    axes = [axis for axis in ("gender", "profession") if counts[axis].nunique() <= MOST_COLUMNS]
    columns = [(axis, name) for axis in axes for name in dict.fromkeys(counts[axis])]
    rows = []
    for race in dict.fromkeys(counts["race"]):
        own = counts[counts["race"].eq(race)]
        numbers = [own.loc[own[axis].eq(name), "count"].sum() for axis, name in columns]
        rows.append((Cell(race), *map(Cell, map(count, [own["count"].sum(), *numbers]))))
    titles = (Column("race"), Column("all", True), *(Column(name, True) for _, name in columns))
    return Table(f"{outcome.images['train']:,} training images", titles, tuple(rows))


def _drawn(outcome: Outcome) -> str:
    design = DESIGNS[outcome.settings.experiment]
    pseudo = "Professions are drawn at random given the age. " if "ceiling/macro_f1" in outcome.values else ""
    choice = CHOICE.get(outcome.settings.finetune, "chose the best epoch")
    left = f"; {design.natural} is left as in the data" if design.natural else ""
    return (
        f"Design {design.name} draws equally many images from every cell of {' x '.join(design.balanced)}{left}. "
        f"{counted(outcome.images['val'], 'validation image')} {choice}; the "
        f"{counted(outcome.images['test'], 'test image')} are the same for every design. {pseudo}For research on data "
        "set composition; not for decisions about people."
    )


def _method(outcome: Outcome) -> Iterable[Block]:
    """What the method against unfairness is, needs and has fitted."""
    settings = outcome.settings
    if settings.mitigation != NO_MITIGATION:
        said = [*sentences(METHODS[settings.mitigation], settings.mitigate), fit_told(settings, outcome.fit)]
        yield Paragraph(" ".join(filter(None, said)))
        yield from fitted_table(outcome.rule, list(dict.fromkeys(outcome.composition["profession"])))


def _use(outcome: Outcome) -> Iterable[Block]:
    stand_ins = _stand_ins(outcome)
    what = "".join(f" {word} stands for {meaning}." for word, meaning in stand_ins.items())
    yield Paragraph(
        f"In a clone of the project, the first command judges this model in full, the second compares designs.{what}"
    )
    yield Commands(
        f"mlflow run . -e evaluate -P model={_reference(outcome)} {as_typed(_of_data(outcome))}\n"
        f"mlflow run . -e study {as_typed(_of_study(outcome))}".replace(" \n", "\n").rstrip()
    )
    if outcome.version is None:
        yield Paragraph("Its model was not registered when this page was made; this registers it:")
        yield Commands(f"mlflow run . -e register -P run={outcome.run_id}")
        return
    yield Paragraph("In Python, with MLflow alone:")
    yield Commands(
        f'model = mlflow.pyfunc.load_model("models:/{outcome.version.name}/{outcome.version.version}")\n'
        f"model.predict({_input(outcome.rule)})"
    )


def _input(rule: DecisionRule | None) -> str:
    """What the model is asked with, as Python."""
    picture = '[open("picture.jpg", "rb").read()]'
    if rule is None or not rule.attributes:
        return picture
    groups = "".join(f", {name!r}: [{group!r}]" for name, group in zip(rule.attributes, rule.groups[0], strict=True))
    return f"pandas.DataFrame({{'image': {picture}{groups}}})"


def _reference(outcome: Outcome) -> str:
    version = outcome.version
    return run_reference(outcome.run_id) if version is None else f"{version.name}/{version.version}"


def _stand_ins(outcome: Outcome) -> dict[str, str]:
    """What stands in the commands for files of this machine, and its meaning."""
    data = outcome.settings.data
    named = to_be_named(data)
    found = {} if named == data else {named.partition(":")[2]: "where the data set lies"}
    return found | {WEIGHTS: "the file of the weights"} if of_this_machine(outcome.weights) else found


def _of_data(outcome: Outcome) -> Change:
    """What an evaluation is told so that it reads the images and labels of this run; groups it knows of the model."""
    return _told(outcome, set(DataSettings.identifying(Identifies.STUDY)) - {"merge", "exclude"})


def _of_study(outcome: Outcome) -> Change:
    """What a study is told so that its runs train as this one did; where hyperparameters came from does not matter, as
    all of them are said."""
    told = _told(outcome, set(Settings.identifying(Identifies.STUDY, Identifies.SHARED)) - {"hparams"})
    return told | {"weights": WEIGHTS} if of_this_machine(outcome.weights) else told


def _told(outcome: Outcome, names: set[str]) -> Change:
    """Those of these settings that are no defaults, as others type them."""
    defaults = Settings()
    own = {name: value for name, value in outcome.settings if name in names and value != getattr(defaults, name)}
    own.pop("data", None)
    return {"data": to_be_named(outcome.settings.data)} | own


def smaller(png: bytes) -> bytes:
    """A picture that takes little room on a page: at most PICTURE_WIDTH pixels wide, in PICTURE_COLOURS colours."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    if picture.width > PICTURE_WIDTH:
        height = round(picture.height * PICTURE_WIDTH / picture.width)
        picture = picture.resize((PICTURE_WIDTH, height), Image.Resampling.LANCZOS, reducing_gap=2)
    file = io.BytesIO()
    picture.quantize(PICTURE_COLOURS, Image.Quantize.FASTOCTREE).save(file, "PNG", compress_level=6)
    return file.getvalue()


# The run's page in MLflow.


def description(outcome: Outcome) -> str:
    """The run's description, Markdown: the answer of the page, and what was trained."""
    settings = outcome.settings
    return (
        f"**Design {settings.experiment}** (balanced over {' x '.join(DESIGNS[settings.experiment].balanced)}): "
        f"{in_markdown(' '.join(answer(outcome)))}\n\n"
        f"Seed {settings.seed}, data {in_code(settings.data.partition(':')[0])}, weights {in_code(outcome.weights)}, "
        f"{_fitted(outcome)}."
    )
