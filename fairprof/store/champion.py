"""Who is champion of a registered model: the alias, the rule by which it moves, and how that is told."""

import sys
from collections.abc import Sequence
from contextlib import suppress

import mlflow
from mlflow.exceptions import MlflowException

from fairprof.store.tracking import LoggedRun

CHAMPION = "champion"
CHAMPION_RULE = "val_macro_f1"
CHAMPION_METRIC = "best_val/macro_f1"
CHAMPION_TAG = "best_val.macro_f1"
CHAMPION_REASON_TAG = "fairprof.champion"
MITIGATION_TAG = "fairprof.mitigation"  # of a version: the method against unfairness that its model was made with
DEGENERATE_TAG = "fairprof.degenerate"  # of a run and of a version: the class that it answers for every test image


def standing(degenerate: bool, macro_f1: float) -> tuple[bool, float]:
    """What counts by the rule `val_macro_f1`, the higher the better: first whether a model tells images apart, then
    macro-F1 on validation data, to the four decimals that are told."""
    return not degenerate, round(macro_f1, 4)


def best_of(runs: Sequence[LoggedRun]) -> LoggedRun:
    """The run among several whose model is the best by the rule; the first of equal ones."""
    return max(runs, key=lambda run: standing(DEGENERATE_TAG in run.tags, run.metrics[CHAMPION_METRIC]))


def settle_champion(
    name: str, number: str, tags: dict[str, str], superseded: list[str]
) -> tuple[bool, str, str | None]:
    """Gives the alias to a new version if it is the champion; returns whether it is, why, and which was before.

    tags: of the new version. superseded: versions whose place it takes. Raises `MlflowException` where somebody else
    writes at the same moment.
    """
    client = mlflow.MlflowClient()
    alias = client.get_registered_model(name).aliases.get(CHAMPION)
    before = None if alias is None else str(alias)
    champion, reason = _decision(client, name, number, tags, before, superseded)
    if champion and before != number:
        client.set_registered_model_alias(name, CHAMPION, number)
    return champion, reason, before


def tell_of_champion(name: str, number: str, champion: bool, reason: str, before: str | None) -> None:
    """Says of a new champion why, on the model's page and on that of the version before it."""
    if champion:
        client, move = mlflow.MlflowClient(), f"version {number}, {reason}"
        if before not in (None, number):
            client.set_model_version_tag(name, str(before), "fairprof.replaced_by", move)
        client.set_registered_model_tag(name, CHAMPION_REASON_TAG, move)


def tell_why(name: str, number: str, reason: str) -> None:
    """Says on a version's page why it is champion, or why not: the last that a registration does."""
    mlflow.MlflowClient().set_model_version_tag(name, number, CHAMPION_REASON_TAG, reason)


def leave_champion_unsettled(name: str, number: str, error: Exception) -> tuple[bool, str]:
    """Says on the screen and on the version's page that its place was not settled; whether it is champion, and why."""
    reason = (
        f"rule {CHAMPION_RULE}: not settled, since the registry could not be written "
        f"({' '.join(str(error).split())[:150]}): see that the alias {CHAMPION} names the best version"
    )
    print(f"{name} version {number}: {reason}", file=sys.stderr, flush=True)
    client, champion = mlflow.MlflowClient(), False
    with suppress(MlflowException):
        champion = str(client.get_registered_model(name).aliases.get(CHAMPION)) == number
        client.set_model_version_tag(name, number, CHAMPION_REASON_TAG, reason)
    return champion, reason


def _decision(
    client: mlflow.MlflowClient,
    name: str,
    number: str,
    own: dict[str, str],
    before: str | None,
    superseded: list[str],
) -> tuple[bool, str]:
    """Whether a new version becomes champion by the rule `val_macro_f1`, and the reason as a sentence.

    own: its tags. before: the version that is champion now. superseded: versions whose place it takes. Before the
    rule: a version with a mitigation never becomes champion, since it may have been fitted on the validation data or
    need the group of each person; and a version that answers one class for every image never replaces one that does
    not, and always gives way to one that does not.
    """
    score = f"rule {CHAMPION_RULE}: {own[CHAMPION_TAG]}"
    if MITIGATION_TAG in own and before != number:
        return False, (
            f"no champion by rule {CHAMPION_RULE}, which compares models without a mitigation, and this one was made "
            f"with {own[MITIGATION_TAG]}: load it by number"
        )
    if before is None:
        return True, f"{score}, the first version"
    if before == number:
        return True, f"{score}; it had been made champion before"
    if before in superseded:
        return True, (
            f"{score}; it takes the place of champion version {before}, whose run of the same training did not finish"
        )
    tags = client.get_model_version(name, before).tags
    if DEGENERATE_TAG in own and DEGENERATE_TAG not in tags:
        return False, (
            f"{score}, but it answers {own[DEGENERATE_TAG]} for every test image, which champion version {before} "
            "does not"
        )
    if DEGENERATE_TAG not in own and DEGENERATE_TAG in tags:
        return True, (
            f"{score}; champion before was version {before}, which answers {tags[DEGENERATE_TAG]} for every test image"
        )
    if tags.get("fairprof.pool") != own["fairprof.pool"]:
        return True, (
            f"{score}; champion before was version {before}, trained on other data, so that the two scores cannot be "
            "compared and the newer data count"
        )
    if CHAMPION_TAG not in tags:
        return True, (
            f"{score}; champion before was version {before}, chosen by another rule, so that it has no score to "
            "compare with and the newer version counts"
        )
    better = _standing(own) > _standing(tags)
    verdict = "more" if better else "not more"
    return better, f"{score} is {verdict} than {float(tags[CHAMPION_TAG]):.4f} of champion version {before}"


def _standing(tags: dict[str, str]) -> tuple[bool, float]:
    """Of a version, by its tags."""
    return standing(DEGENERATE_TAG in tags, float(tags[CHAMPION_TAG]))
