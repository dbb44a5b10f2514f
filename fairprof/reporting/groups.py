"""Which groups count as one and which are left out, in sentences."""

from collections.abc import Iterator

from fairprof.config import DataSettings
from fairprof.reporting.wording import counted, enumerated


def groups_told(merge: str, exclude: str, images: int | None = None) -> str:
    """What the settings `merge` and `exclude` did to the groups; empty where all are as labelled.

    images: how many were left out, None where that is not known.
    """
    return " ".join(_told(DataSettings(merge=merge, exclude=exclude), images))


def _told(settings: DataSettings, images: int | None) -> Iterator[str]:
    for merge in settings.merges():
        named = "" if merge.name == "+".join(merge.groups) else f", named {merge.name}"
        yield f"By the setting merge, {enumerated(merge.groups)} ({merge.attribute}) count as one group{named}."
    groups = [f"{group} ({attribute})" for attribute, group in settings.exclusions()]
    if groups:
        many = "images" if images is None else counted(images, "image")
        yield (
            f"By the setting exclude, {many} of {enumerated(groups)} {'was' if images == 1 else 'were'} left out: in "
            "no partition, and not in quarantine."
        )
