"""Groups that count as one or are left out, as the settings `merge` and `exclude` ask.

Labels are drawn and faulty rows are found before: neither setting changes a label of any other row.
"""

import difflib
from collections.abc import Iterator

import pandas as pd

from fairprof.config import GROUPED, DataSettings
from fairprof.errors import UserError

FEWEST = 2  # groups of an attribute, below which there is nothing to compare


def require_groups(labels: pd.DataFrame, settings: DataSettings) -> None:
    """Raises `UserError` where `merge` or `exclude` names a group that the data do not have, leaves one group alone,
    merges what it leaves out, or gives merged groups the name of another. labels: gender, race."""
    for attribute in GROUPED:
        there = sorted(set(labels[attribute].dropna().drop_duplicates().astype(str)))
        merges = [merge for merge in settings.merges() if merge.attribute == attribute]
        merged = [group for merge in merges for group in merge.groups]
        excluded = [group for name, group in settings.exclusions() if name == attribute]
        for name, groups in (("merge", merged), ("exclude", excluded)):
            _require_known(groups, there, attribute, f"{name}={getattr(settings, name)}")
        for group in merged:
            if group in excluded:
                raise UserError(f"the {attribute} {group} is in merge and in exclude: take it out of one of them")
        others = set(there) - set(merged) - set(excluded)
        for merge in merges:
            if merge.name in others:
                raise UserError(
                    f"merge={settings.merge}: there is a {attribute} {merge.name} already: merge it too, or give the "
                    "merged groups another name"
                )
        if (merges or excluded) and len(others) + len(merges) < FEWEST:
            raise UserError(
                f"merge={settings.merge} and exclude={settings.exclude} leave fewer than {FEWEST} groups of "
                f"{attribute}, which has {', '.join(there)}: there is nothing to compare"
            )


def _require_known(groups: list[str], there: list[str], attribute: str, given: str) -> None:
    for group in groups:
        if group not in there:
            close = difflib.get_close_matches(group, there, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            raise UserError(f"{given}: no image has the {attribute} {group}{hint}: there are {', '.join(there)}")


def left_out(labels: pd.DataFrame, settings: DataSettings) -> pd.Series:
    """(N,) bool: whose group is left out; labels: gender, race, as the data set names them."""
    out = pd.Series(False, index=labels.index)
    for attribute, group in settings.exclusions():
        out |= labels[attribute].eq(group).fillna(False).astype(bool)
    return out


def merged(labels: pd.DataFrame, settings: DataSettings) -> pd.DataFrame:
    """The labels gender and race with the groups that count as one under their common name; all else stays."""
    changed = {attribute: labels[attribute].replace(dict(_names(attribute, settings))) for attribute in GROUPED}
    return labels.assign(**changed) if settings.merges() else labels


def merged_order(names: tuple[str, ...], attribute: str, settings: DataSettings) -> tuple[str, ...]:
    """The usual order of an attribute's groups: merged ones stand where their first one stood."""
    known = dict(_names(attribute, settings))
    return tuple(dict.fromkeys(known.get(name, name) for name in names))


def _names(attribute: str, settings: DataSettings) -> Iterator[tuple[str, str]]:
    """Every group that is merged, and the name that it gets."""
    for merge in settings.merges():
        if merge.attribute == attribute:
            yield from ((group, merge.name) for group in merge.groups)
