"""How a comparison of methods was made: what it adds to the comparison of the designs without one."""

from dataclasses import dataclass

from fairprof.commands.compare.protocol import Protocol


@dataclass(frozen=True)
class MitigationStudy:
    """What a reader needs to judge a comparison of methods, and to repeat it.

    protocol: of the runs without a method. mitigate: the attribute between whose groups the methods mitigate, gender,
    race or gender_x_race. methods: their names, "none" first. values: every method's own values as text.
    """

    protocol: Protocol
    mitigate: str
    methods: tuple[str, ...]
    values: dict[str, str]
