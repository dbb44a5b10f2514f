"""Which kinds of data sets there are, and how one is opened."""

from fairprof.data.sources import fairface, manifest, shards, synthetic, utkface
from fairprof.data.sources.listing import Listing
from fairprof.errors import UserError
from fairprof.runtime.cache import Cache
from fairprof.runtime.files import path_of, without_folders

FROM_PATH = {"utkface": utkface.read, "fairface": fairface.read, "manifest": manifest.read, "shards": shards.read}


def shows_faces(data: str, faces_in_reports: bool) -> bool:
    """Whether reports may show images of `data`: generated portraits always, people where somebody has said so."""
    return data == "synthetic" or faces_in_reports


def to_be_named(data: str) -> str:
    """`data` for whoever has a copy of the data set elsewhere: `utkface:FOLDER` for any folder."""
    kind, colon, _ = data.partition(":")
    return f"{kind}:{'FILE' if kind == 'manifest' else 'FOLDER'}" if colon else data


def without_its_folders(message: str, data: str) -> str:
    """A message that may name `data`, or files of it, as others may read it: without the folders that lead there."""
    _, colon, path = data.partition(":")
    if not colon:
        return message
    return message.replace(data, without_folders(data)).replace(str(path_of(path, "data")), without_folders(path))


def open_source(data: str, cache: Cache, cue_gap: float = 0.0, images_needed: bool = True) -> Listing:
    """The listing of `data`: `synthetic`, or a kind and a path as in ``utkface:faces``.

    cue_gap: of the embedded data, which are drawn so; where no images are needed, they need not be. Raises `UserError`
    for an unknown kind, for a `cue_gap` of data that are not drawn, and for whatever makes the whole data set unusable.
    """
    if data == "synthetic":
        return synthetic.read(cache, cue_gap, images_needed)
    if cue_gap:
        raise UserError(f"cue_gap={cue_gap:g} needs data=synthetic, which is drawn; with data={data} set cue_gap=0")
    kind, _, path = data.partition(":")
    if kind not in FROM_PATH or not path:
        raise UserError(
            f"data={data} is not a data source: use synthetic, {', '.join(f'{name}:PATH' for name in FROM_PATH)}"
        )
    return FROM_PATH[kind](path_of(path, "data"))
