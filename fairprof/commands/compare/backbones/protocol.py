"""How a comparison of backbones was made: what it adds to the comparison of the designs with the first of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fairprof.commands.compare.protocol import Protocol


@dataclass(frozen=True)
class BackboneStudy:
    """What a reader needs to judge a comparison of backbones, and to repeat it.

    protocol: of the runs with the reference backbone. backbones: "ARCHITECTURE@WEIGHTS", the reference first. titles:
    their short names in pictures. weights_sha256, licences: of what each starts from, by backbone, where they are
    known.
    """

    protocol: Protocol
    backbones: tuple[str, ...]
    titles: dict[str, str]
    weights_sha256: Mapping[str, str] = field(default_factory=dict)
    licences: Mapping[str, str] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        return self.backbones[0]
