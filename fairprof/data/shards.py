"""Pools larger than a disk: decoded pixels in shards, which are read by row where they lie.

A shard is a tar file as WebDataset has it, with a member `000012345.npy` per image. All members are of one length, so
that the place of a row follows from its number, and nothing is decoded. A checksum of every image, in the table of
records, is compared at every read.
"""

import tarfile
import zlib
from collections.abc import Iterator
from functools import cached_property
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fairprof.data.sources.listing import ROW_COLUMNS, Listing
from fairprof.data.sources.tables import read_table
from fairprof.errors import UserError
from fairprof.runtime.files import UnreadableFile, atomic_folder, locked, open_file, read_file, reason_of
from fairprof.runtime.progress import progress_bar

if TYPE_CHECKING:
    from fairprof.data.pixels import Pixels

LAYOUT = "shards-1"
DESCRIPTION, ROWS, QUARANTINE, RECORDS = "shards.json", "rows.parquet", "quarantine.parquet", "records.parquet"
IMAGES = 1024  # of a shard: at 256 px 192 MiB
MAX_BYTES = 2 * 2**30  # of a table
WRITTEN_AT_ONCE = 64  # images
REMEDY = "put the file back as it was, or write the shards again"


class Description(BaseModel):
    """What a folder of shards holds.

    name, races, mangled_ages: of the listing. images: how many, in the order of its rows. size: their edge in pixels.
    key: of the pixels that they were written from. checksums: CRC-32 of the tables, by file name.
    """

    model_config = ConfigDict(frozen=True)

    layout: str
    name: str
    races: tuple[str, ...]
    mangled_ages: int
    images: int = Field(ge=1)
    size: int = Field(ge=1, le=4096)
    key: str
    checksums: dict[str, int]


class Sealed(BaseModel):
    """A description with the checksum by which it is seen that it is as it was written."""

    checksum: int
    description: Description

    @classmethod
    def of(cls, description: Description) -> Self:
        return cls(checksum=zlib.crc32(description.model_dump_json().encode()), description=description)


class PixelShards:
    """The pixels of a folder of shards, (N, S, S, 3) uint8, indexed by row, slice or row numbers as an array is.

    Every access reads files. Raises `UserError` that names the file and the member where one is missing or not as it
    was written.
    """

    def __init__(self, folder: Path, description: Description):
        self.folder = folder
        self.size = description.size
        self.key = description.key
        self._description = description
        self._rows = np.arange(description.images)
        self._header = len(npy_header(self.size))

    def __len__(self) -> int:
        return len(self._rows)

    def require_size(self, size: int, image_size: int) -> None:
        """Raises `UserError` unless the pixels are of the size that is kept for inputs of `image_size`."""
        if size != self.size:
            raise UserError(
                f"{self.folder}: its images are {self.size} px, and image_size={image_size} needs {size} px"
                f"{self._remedy(size, image_size)}"
            )

    def _remedy(self, size: int, image_size: int) -> str:
        from fairprof.serving import IMAGENET, IMAGENET_CROP  # MLflow, which labels alone do not need

        if size == IMAGENET.stored_size(image_size):
            return f": write shards with that image_size, or set image_size={round(self.size * image_size / size)}"
        written = round(size * IMAGENET_CROP)  # shards are written for ImageNet's crop
        if IMAGENET.stored_size(written) == size:
            return f" for the crop of this architecture: write shards with image_size={written}"
        return " for the crop of this architecture, which no shards have: name the images themselves as data"

    @cached_property
    def _table(self) -> pd.DataFrame:
        table = verified_table(
            self.folder, RECORDS, ("reason", "sha256", "perceptual_hash", "checksum"), self._description
        )
        if len(table) != len(self):
            raise UserError(f"{self.folder / RECORDS}: {len(table):,} rows for {len(self):,} images: {REMEDY}")
        return table

    @property
    def records(self) -> pd.DataFrame:
        """`reason`, `sha256` and `perceptual_hash` of every image, as of pixels that were decoded here."""
        return self._table[["reason", "sha256", "perceptual_hash"]]

    @cached_property
    def _checksums(self) -> np.ndarray:
        return self._table["checksum"].astype(np.uint32).to_numpy()

    def __getitem__(self, rows: int | slice | np.ndarray) -> np.ndarray:
        chosen = self._rows[rows]
        pixels = np.empty((*chosen.shape, self.size, self.size, 3), dtype=np.uint8)
        numbers, targets = chosen.ravel(), pixels.reshape(-1, self.size, self.size, 3)
        for shard in np.unique(numbers // IMAGES):
            self._read(int(shard), np.flatnonzero(numbers // IMAGES == shard), numbers, targets)
        return pixels

    def _read(self, shard: int, places: np.ndarray, numbers: np.ndarray, targets: np.ndarray) -> None:
        path = self.folder / shard_name(shard)
        try:
            with open_file(path) as file:
                for place in places:
                    self._read_one(path, file, int(numbers[place]), targets[place])
        except UnreadableFile as error:
            raise UserError(f"{error.about(path)}: {REMEDY}") from None
        except OSError as error:
            raise UserError(f"{path} cannot be read ({reason_of(error)}): {REMEDY}") from None

    def _read_one(self, path: Path, file: BufferedReader, row: int, target: np.ndarray) -> None:
        blocks = 1 + -(-(self._header + target.nbytes) // tarfile.BLOCKSIZE)  # the member's own header is one
        file.seek(row % IMAGES * blocks * tarfile.BLOCKSIZE + tarfile.BLOCKSIZE + self._header)
        if file.readinto(target.data.cast("B")) < target.nbytes:
            raise UserError(f"{path} ends before {member_name(row)}: {REMEDY}")
        if zlib.crc32(target.data) != self._checksums[row]:
            raise UserError(f"{path}: {member_name(row)} is not as it was written: {REMEDY}")

    # As encoded images, which a listing has.

    def read(self, row: int) -> bytes:
        """The image as a PNG file."""
        from PIL import Image  # for which there is seldom a need

        content = BytesIO()
        Image.fromarray(self[row]).save(content, "PNG")
        return content.getvalue()

    def identities(self) -> Iterator[str]:
        for row in self._rows:
            yield f"{self.key}:{row}"


def shard_name(number: int) -> str:
    return f"shard-{number:06d}.tar"


def member_name(row: int) -> str:
    return f"{row:09d}.npy"


def npy_header(size: int) -> bytes:
    """What stands in a file of NumPy before the bytes of an image of `size` pixels."""
    header = BytesIO()
    shape = {"descr": "|u1", "fortran_order": False, "shape": (size, size, 3)}
    np.lib.format.write_array_header_1_0(header, shape)
    return header.getvalue()


def write_shards(folder: Path, listing: Listing, pixels: "Pixels", timeout: float) -> None:
    """Writes a listing and its pixels to a new folder, which is there when it is whole.

    The rows keep their order: pools, draws and trainings from the shards are those from the data set itself. timeout:
    seconds to wait for another process that writes the same folder. Raises `UserError` where the folder exists.
    """
    with locked(folder.with_name(f"{folder.name}.lock"), "the folder of shards", timeout):
        require_new(folder)
        with atomic_folder(folder) as unfinished:
            checksums = _write_pixels(unfinished, pixels)
            tables = {
                ROWS: listing.rows[list(ROW_COLUMNS)].rename(columns={"line": "source_line"}),
                RECORDS: pixels.records.assign(checksum=checksums),
            }
            if len(listing.quarantine):
                tables[QUARANTINE] = listing.quarantine.rename(columns={"line": "source_line"})
            for name, table in tables.items():
                table.to_parquet(unfinished / name, index=False)
            description = Description(
                layout=LAYOUT,
                name=listing.name,
                races=listing.races,
                mangled_ages=listing.mangled_ages,
                images=len(pixels.records),
                size=pixels.array.shape[1] if isinstance(pixels.array, np.ndarray) else pixels.array.size,
                key=pixels.key,
                checksums={name: zlib.crc32((unfinished / name).read_bytes()) for name in tables},
            )
            sealed = Sealed.of(description).model_dump_json(indent=1)
            (unfinished / DESCRIPTION).write_text(sealed, encoding="utf-8")


def require_new(folder: Path) -> None:
    """Raises `UserError` where there is anything of this name: nothing of a user's is written over."""
    if folder.exists() or folder.is_symlink():
        raise UserError(f"shards={folder}: there is such a folder already: give a new one")


def _write_pixels(folder: Path, pixels: "Pixels") -> list[int]:
    """Writes every shard; the checksum of every image."""
    checksums: list[int] = []
    count = len(pixels.records)
    with progress_bar("writing shards", count, "images") as bar:
        for start in range(0, count, IMAGES):
            with tarfile.open(folder / shard_name(start // IMAGES), "w", format=tarfile.USTAR_FORMAT) as shard:
                for first in range(start, min(start + IMAGES, count), WRITTEN_AT_ONCE):
                    images = pixels.array[first : min(first + WRITTEN_AT_ONCE, start + IMAGES)]
                    for row, image in enumerate(images, first):
                        checksums.append(zlib.crc32(image.data))
                        _add(shard, member_name(row), npy_header(len(image)) + image.tobytes())
                        bar.update()
    return checksums


def _add(shard: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    shard.addfile(member, BytesIO(content))


def read_description(folder: Path) -> Description:
    """What a folder holds; raises `UserError` where it holds no shards, or those of another version."""
    path = folder / DESCRIPTION
    try:
        sealed = Sealed.model_validate_json(read_file(path, MAX_BYTES))
    except UnreadableFile as error:
        raise UserError(f"{error.about(path)}: give a folder that prepare has written with shards=FOLDER") from None
    except ValidationError:
        raise UserError(f"{path} is not as it was written: {REMEDY}") from None
    if sealed != Sealed.of(sealed.description):
        raise UserError(f"{path} is not as it was written: {REMEDY}")
    if sealed.description.layout != LAYOUT:
        raise UserError(f"{path} is of another version, not of {LAYOUT}: write the shards again")
    return sealed.description


def verified_table(folder: Path, name: str, required: tuple[str, ...], description: Description) -> pd.DataFrame:
    """A table of the folder as text; raises `UserError` where it is not as it was written."""
    path = folder / name
    try:
        checksum = zlib.crc32(read_file(path, MAX_BYTES))
    except UnreadableFile as error:
        raise UserError(f"{error.about(path)}: {REMEDY}") from None
    if checksum != description.checksums.get(name):
        raise UserError(f"{path} is not as it was written: {REMEDY}")
    return read_table(path, required)[0]
