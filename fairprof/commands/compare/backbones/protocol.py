"""How a comparison of backbones was made: what it adds to the comparison of the designs with the first of them."""

from dataclasses import dataclass

from fairprof.commands.compare.protocol import Protocol


@dataclass(frozen=True)
class BackboneStudy:
    """What a reader needs to judge a comparison of backbones, and to repeat it.

    protocol: of the runs with the reference backbone. backbones: "ARCHITECTURE@WEIGHTS", the reference first. titles:
    their short names in pictures.
    """

    protocol: Protocol
    backbones: tuple[str, ...]
    titles: dict[str, str]
