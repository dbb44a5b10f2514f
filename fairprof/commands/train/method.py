"""What is said of the method against unfairness that a run was trained with."""

from fairprof.config import NO_MITIGATION
from fairprof.mitigation.methods import METHODS, Method
from fairprof.reporting.names import name_of
from fairprof.store.registry import ToldMethod

MAY_BE_UNLAWFUL = (
    "Using membership in a group to decide about a person may be unlawful where the model is used: for example section "
    "106 of the US Civil Rights Act of 1991 forbids adjusting scores of employment tests by race or sex, and in the "
    "European Union the law of non-discrimination and Article 9 of the GDPR apply. This is no legal advice."
)


def told_method(name: str, mitigate: str) -> ToldMethod | None:
    """A method as the registry tells of it; None where there is none. mitigate: the attribute between whose groups."""
    if name == NO_MITIGATION:
        return None
    method = METHODS[name]
    return ToldMethod(name, str(method.needs), " ".join(sentences(method, mitigate)))


def sentences(method: Method, mitigate: str) -> list[str]:
    """What a method is, what it needs and, where it needs the group at prediction, that this may be unlawful."""
    source = f" ({method.source})" if method.source else ""
    said = [
        f"The model was made with {method.title}{source}, between groups of {name_of(mitigate)}: {method.what}.",
        f"It needs to know the group of images in: {method.needs}.",
    ]
    return [*said, MAY_BE_UNLAWFUL] if method.needs.prediction else said
