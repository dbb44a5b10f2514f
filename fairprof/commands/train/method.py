"""What is said of the method against unfairness that a run was trained with."""

from collections.abc import Iterable, Mapping, Sequence

from fairprof.config import CHOSEN, NO_MITIGATION, Settings
from fairprof.metrics.fairness import joint_name
from fairprof.mitigation.methods import METHODS, Method
from fairprof.reporting.blocks import Cell, Column, Table
from fairprof.reporting.names import name_of
from fairprof.reporting.wording import number
from fairprof.serving import OPPORTUNITY, DecisionRule
from fairprof.store.registry import ToldMethod

MITIGATION = "mitigation"  # before the names of what a method has fitted, among the values of a run


def told_method(name: str, mitigate: str) -> ToldMethod | None:
    """A method as the registry tells of it; None where there is none. mitigate: the attribute between whose groups."""
    if name == NO_MITIGATION:
        return None
    method = METHODS[name]
    return ToldMethod(name, str(method.needs), " ".join(sentences(method, mitigate)))


def sentences(method: Method, mitigate: str) -> list[str]:
    """What a method is, what it needs and what has to be known before it decides about anybody."""
    source = f" ({method.source})" if method.source else ""
    said = [
        f"The model was made with {method.title}{source}, between groups of {name_of(mitigate)}: {method.what}.",
        f"It needs to know the group of images in: {method.needs}.",
    ]
    return [*said, *method.cautions]


def fit_told(settings: Settings, fitted: Mapping[str, float]) -> str:
    """What a method has fitted on validation images, and by what it was chosen, in a sentence or two; empty for one
    that fits nothing there. fitted: the numbers of its fit, by name."""
    halves = "It was fitted on one half of the validation images, by person, and chosen on the other:"
    if settings.mitigation == "dfr":
        return (
            f"{halves} of strengths of the penalty, C = {fitted['strength']:g}, with accuracy "
            f"{number(fitted['worst_accuracy'])} in the worst group of a class."
        )
    if settings.mitigation == "class_scaling":
        value, without = fitted["worst_balanced_accuracy"], fitted["worst_balanced_accuracy_without"]
        accepted = "the factors are used" if value > without else "the factors are not used, and all are 1"
        return (
            f"{halves} balanced accuracy of the worst group is {number(value)} there with factors and "
            f"{number(without)} without, so that {accepted}."
        )
    if "tolerance" not in fitted:
        return ""
    criterion = name_of(str(settings.method_values()["criterion"]))
    chosen = "chosen on the other" if settings.method_values()["tolerance"] == CHOSEN else "given"
    return (
        f"Offsets were fitted on one half of the validation images, by person; the gap in {criterion} that they allow "
        f"there, {fitted['tolerance']:g}, was {chosen}. Where classes are "
        "tied, a chance decides that follows from the image itself."
    )


def fitted_table(rule: DecisionRule | None, classes: Sequence[str]) -> Iterable[Table]:
    """The factors or offsets of a rule, a column for each class."""
    if rule is None:
        return
    columns = tuple(Column(name, True) for name in classes)
    if rule.factors:
        yield Table("Factors on the probabilities", columns, (tuple(Cell(number(value)) for value in rule.factors),))
    if rule.offsets:
        shifted = "times how likely the class is" if rule.criterion == OPPORTUNITY else "on the probabilities"
        rows = tuple(
            (Cell(joint_name(group)), *(Cell(number(value)) for value in offsets))
            for group, offsets in zip(rule.groups, rule.offsets, strict=True)
        )
        yield Table(f"Offsets {shifted}, by group", (Column("group"), *columns), rows)
