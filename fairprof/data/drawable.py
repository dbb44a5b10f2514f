"""Whether all that is asked for can be drawn from a pool, and which change of the settings would help: told before
anything trains."""

import math
import shlex
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import pandas as pd

from fairprof.config import GROUPED, Merge, Settings, StudySettings, TuneSettings, exclude_text, merge_text
from fairprof.data.designs import DESIGNS, Undrawable, quotas_drawn
from fairprof.data.groups import FEWEST
from fairprof.data.pool import Pool, ScreenedRows, pool_of, regrouped
from fairprof.errors import UserError

Asked = Settings | StudySettings | TuneSettings
Change = dict[str, Any]  # settings by name


def draws_of(settings: Asked) -> list[Settings]:
    """The settings of a run of every design and size that are asked for: on its seed nothing depends here."""
    if isinstance(settings, Settings):
        return [settings]
    if isinstance(settings, StudySettings):
        arms = product(*(settings.listed(name) for name in ("train_size", "fractions", "experiments")))
    else:
        arms = product((settings.train_size,), (1.0,), settings.designs())
    return [
        Settings(
            data=settings.data,
            imbalance=DESIGNS[design].imbalance(settings.imbalance),
            experiment=design,
            train_size=size,
            fraction=fraction,
        )
        for size, fraction, design in arms
    ]


def obstacles(settings: Asked, pool: Pool) -> list[Undrawable]:
    """Why draws that are asked for cannot be had, each reason once; none where all can."""
    return list({error.fact: error for error in _obstacles(settings, pool)}.values())


def _obstacles(settings: Asked, pool: Pool) -> Iterator[Undrawable]:
    for run in draws_of(settings):
        try:
            quotas_drawn(pool, DESIGNS[run.experiment], run)
        except Undrawable as error:
            yield error


def _drawable(settings: Asked, pool: Pool) -> bool:
    return next(_obstacles(settings, pool), None) is None


def require_drawable(settings: Asked, pool: Pool, screened: Callable[[], ScreenedRows]) -> None:
    """Raises `UserError` where something that is asked for cannot be drawn: one line with every reason, and the first
    change of the settings with which all can be.

    screened: reads the rows behind the pool once more; it is called where something is in the way.
    """
    found = obstacles(settings, pool)
    if not found:
        return
    facts = "; ".join(error.fact for error in found)
    change = remedy(settings, pool, screened())
    if change is None:
        raise UserError(f"{facts}: nothing was trained: add such images, for no change of these settings alone helps")
    alone = "" if "A" in change.get("experiments", "A") else ", without the reference A"
    raise UserError(f"{facts}: nothing was trained: with {as_typed(change)} all that is asked for can be drawn{alone}")


def as_typed(change: Change) -> str:
    """A change of settings as it stands on a command line."""
    return " ".join(f"-P {shlex.quote(f'{name}={value}')}" for name, value in change.items())


def remedy(settings: Asked, pool: Pool, screened: ScreenedRows) -> Change | None:
    """The first change, of those that lose least first, with which all that is asked for can be drawn; it was tried on
    these rows. None where there is none."""
    tried = (_with_sizes(change, settings, pool, screened) for change in _changes(settings, pool))
    return next((change for change in tried if change is not None), None)


def _with_sizes(change: Change, settings: Asked, pool: Pool, screened: ScreenedRows) -> Change | None:
    """The change, with sizes that fit where those asked for do not, if all can be drawn then; otherwise None."""
    changed = _changed(settings, change)
    try:
        if {"merge", "exclude"} & set(change):
            pool = pool_of(regrouped(screened, changed), changed)
        if _drawable(changed, pool):
            return change
        fit = _sizes(changed, pool)
    except UserError:  # the pool has no such groups, or no rows left
        return None
    return change | fit if fit and _drawable(_changed(changed, fit), pool) else None


def _changed(settings: Asked, change: Change) -> Asked:
    return type(settings)(**settings.model_dump() | change)


def _changes(settings: Asked, pool: Pool) -> Iterator[Change]:
    """What could help: nothing but other sizes, then a lower imbalance, which keep everybody; fewer groups, ever more
    of the smallest merged or left out; fewer designs."""
    yield {}
    if settings.imbalance != "natural":
        halvings = range(1, math.ceil(math.log2(settings.imbalance)))
        yield from ({"imbalance": f"{settings.imbalance / 2**halving:g}"} for halving in halvings)
        yield {"imbalance": "natural"}
    short = obstacles(settings, pool)
    orders = [
        (attribute, order)
        for attribute in reversed(GROUPED)  # of two genders, none can go
        for order in _orders(pool.table[attribute], [error.cell.get(attribute) for error in short])
    ]
    for count in range(1, max(len(order) for _, order in orders)):
        possible = [(attribute, order) for attribute, order in orders if len(order) - count >= FEWEST]
        yield from ({"merge": _merged(settings, attribute, order[: count + 1])} for attribute, order in possible)
        yield from (_without(settings, attribute, order[:count]) for attribute, order in possible)
    yield from _of_designs(settings, pool)


def _orders(labels: pd.Series, short: Sequence[str | None]) -> list[list[str]]:
    """The groups in orders in which they may be merged or left out: the smallest first, and those that are short of
    images in a cell first."""
    smallest = [str(name) for name in labels.value_counts(ascending=True).index]
    return [smallest, sorted(smallest, key=lambda name: name not in short)]


def _members(settings: Asked, attribute: str, group: str) -> tuple[str, ...]:
    """The groups as labelled that a group is made of."""
    merges = [merge for merge in settings.merges() if (merge.attribute, merge.name) == (attribute, group)]
    return merges[0].groups if merges else (group,)


def _merged(settings: Asked, attribute: str, groups: Sequence[str]) -> str:
    """The setting `merge`, with these groups merged as well."""
    labels = tuple(label for group in groups for label in _members(settings, attribute, group))
    return merge_text([*_others(settings, attribute, groups), Merge(attribute, labels, "+".join(labels))])


def _without(settings: Asked, attribute: str, groups: Sequence[str]) -> Change:
    """The settings `exclude` and, where it has to change, `merge`, with these groups left out as well."""
    kept = _others(settings, attribute, groups)
    labels = [(attribute, label) for group in groups for label in _members(settings, attribute, group)]
    change = {"exclude": exclude_text([*settings.exclusions(), *labels])}
    return change if len(kept) == len(settings.merges()) else change | {"merge": merge_text(kept)}


def _others(settings: Asked, attribute: str, groups: Sequence[str]) -> list[Merge]:
    """The merges that there are of other groups."""
    return [merge for merge in settings.merges() if merge.attribute != attribute or merge.name not in groups]


def _sizes(settings: Asked, pool: Pool) -> Change:
    """Numbers of training images that all designs have, and shares of them that leave an image in every cell; nothing
    where a size cannot help."""
    runs = draws_of(settings)
    whole = {run.experiment: run.model_copy(update={"train_size": "natural", "fraction": 1.0}) for run in runs}
    if not all(_drawable(run, pool) for run in whole.values()):
        return {}
    quotas = [quotas_drawn(pool, DESIGNS[name], run)["train"] for name, run in whole.items()]
    most = min(int(found.sum()) for found in quotas)
    least = max(math.ceil(found.sum() / found.min()) for found in quotas)
    sizes = dict.fromkeys(
        min(max(run.train_size, least), most) if isinstance(run.train_size, int) else run.train_size for run in runs
    )
    text = ",".join(map(str, sizes))
    change: Change = {} if text == str(settings.train_size) else {"train_size": text}
    fractions = list(dict.fromkeys(run.fraction for run in runs))
    failing = {run.fraction for run in runs if not _drawable(run.model_copy(update={"train_size": "natural"}), pool)}
    if failing:
        kept = [fraction for fraction in fractions if fraction not in failing] or [1.0]
        name = "fractions" if isinstance(settings, StudySettings) else "fraction"
        change |= {name: ",".join(f"{fraction:g}" for fraction in kept)}
    return change


def _of_designs(settings: Asked, pool: Pool) -> Iterator[Change]:
    """The designs that can be drawn, of those that are asked for; one of the four for a run."""
    if isinstance(settings, Settings):
        yield from ({"experiment": name} for name in DESIGNS)
        return
    drawn = [name for name in _designs(settings) if _drawable(_alone(settings, name), pool)]
    if drawn:
        yield {"experiments": ",".join(drawn)}


def _designs(settings: StudySettings | TuneSettings) -> list[str]:
    return list(dict.fromkeys(run.experiment for run in draws_of(settings)))


def _alone(settings: Asked, design: str) -> Asked:
    return settings.model_copy(update={"experiments": design})
