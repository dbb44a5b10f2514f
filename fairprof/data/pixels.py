"""The pixel cache: every image of a data set decoded once, in one memory map that all runs share."""

import errno
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
from PIL import Image

from fairprof.data.encoded_images import MISSING, EncodedImages
from fairprof.errors import UserError
from fairprof.files import atomic_folder, locked, require_room
from fairprof.progress import progress_bar
from fairprof.serving import UndecodableImage, decode_image, square_pixels, stored_size

LAYOUT = "pixels-1"  # part of the key: raise the number when decoding or the files change
CHUNK = 32  # images a task
HASH_SIDE = 16  # perceptual hash of 16 x 16 bits


@dataclass(frozen=True)
class Pixels:
    """Decoded images of a data set in the row order of its listing.

    array: (N, S, S, 3) uint8, read-only memory map; zeros where an image could not be decoded.
    records: N rows with `reason` (empty, or why it could not be decoded), `sha256` of the file (hexadecimal)
    and `perceptual_hash` (hexadecimal, 256 bits).
    """

    array: np.ndarray
    records: pd.DataFrame


def cached_pixels(images: EncodedImages, image_size: int, cache: Path, lock_timeout: float) -> Pixels:
    """Opens the pixels of `images` for networks of `image_size`, and decodes them first if nobody has yet.

    Raises `UserError` where not a single image exists, the disk has no room, or another process fills this cache
    for longer than `lock_timeout` seconds.
    """
    size = stored_size(image_size)
    folder = cache / "pixels" / _key(images, size)
    with locked(folder.with_suffix(".lock"), "the pixel cache", lock_timeout):
        if not folder.exists():
            require_room(folder.parent, len(images) * size * size * 3, "the pixel cache")
            with atomic_folder(folder) as unfinished:
                _decode_all(images, size, unfinished)
    return Pixels(np.load(folder / "pixels.npy", mmap_mode="r"), pd.read_parquet(folder / "records.parquet"))


def _key(images: EncodedImages, size: int) -> str:
    identities = list(images.identities())
    if identities and all(identity.endswith(MISSING) for identity in identities):
        raise UserError(
            f"none of the {len(identities):,} images exists: the first should be at "
            f"{identities[0].removesuffix(MISSING)}"
        )
    digest = hashlib.sha256(f"{LAYOUT}:{size}".encode())
    for identity in identities:
        digest.update(identity.encode(errors="surrogateescape") + b"\n")
    return digest.hexdigest()[:24]


def _decode_all(images: EncodedImages, size: int, folder: Path) -> None:
    array = np.lib.format.open_memmap(
        folder / "pixels.npy", mode="w+", dtype=np.uint8, shape=(len(images), size, size, 3)
    )
    _reserve(folder / "pixels.npy")
    chunks = [range(start, min(start + CHUNK, len(images))) for start in range(0, len(images), CHUNK)]

    def decode(rows: range) -> list[tuple[str, str, str]]:
        return [_decode_one(images, row, array[row]) for row in rows]

    records: list[tuple[str, str, str]] = []
    with ThreadPoolExecutor(os.cpu_count()) as executor, progress_bar("decoding", len(images), "images") as bar:
        for done in executor.map(decode, chunks):
            records += done
            bar.update(len(done))
    array.flush()
    pd.DataFrame(records, columns=["reason", "sha256", "perceptual_hash"]).to_parquet(folder / "records.parquet")


def _reserve(path: Path) -> None:
    """Takes the file's blocks now: a full disk is an error here and a crash (SIGBUS) in a sparse memory map."""
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(path)) from None


def _decode_one(images: EncodedImages, row: int, target: np.ndarray) -> tuple[str, str, str]:
    try:
        content = images.read(row)
    except OSError as error:
        reason = "missing image" if error.errno == errno.ENOENT else f"unreadable file ({error.strerror})"
        return reason, "", ""
    digest = hashlib.sha256(content).hexdigest()
    try:
        target[:] = square_pixels(decode_image(content), target.shape[0])
    except UndecodableImage as error:
        return str(error), digest, ""
    return "", digest, str(imagehash.phash(Image.fromarray(target), hash_size=HASH_SIDE))


def perceptual_bits(hashes: pd.Series) -> np.ndarray:
    """Hexadecimal perceptual hashes as bytes, (N, 32) uint8."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), dtype=np.uint8).reshape(len(hashes), -1)
