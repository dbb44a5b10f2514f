"""The pixel cache: every image of a data set decoded once, in one memory map that all runs share."""

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
from fairprof.data.shards import PixelShards
from fairprof.errors import UserError
from fairprof.runtime.cache import DESCRIPTION, Cache, readable
from fairprof.runtime.files import UnreadableFile, require_room
from fairprof.runtime.progress import note, progress_bar
from fairprof.serving import IMAGENET, Preprocessing, UndecodableImage, decode_image, square_pixels

LAYOUT = "pixels-2"  # part of the key: raise the number when decoding or the files change
CHUNK = 32  # images a task
HASH_SIDE = 16  # perceptual hash of 16 x 16 bits
ARRAY, RECORDS = "pixels.npy", "records.parquet"
RECORD_BYTES = 256  # at most, in the file of records
WHAT = "the pixel cache"


class NoImages(UserError):
    """Not a single image of the data set exists."""


class StreamedPixels:
    """Pixels that no cache holds: images are decoded whenever they are asked for, here or in a forked worker."""

    def __init__(self, images: EncodedImages, size: int, usable: np.ndarray):
        """usable: (N,) bool, False for images that could not be decoded, whose pixels are zeros."""
        self.images = images
        self.size = size
        self.usable = usable
        self._rows = np.arange(len(images))

    def __getitem__(self, rows: int | slice | np.ndarray) -> np.ndarray:
        """The pixels of a row, (S, S, 3) uint8, or of rows, (M, S, S, 3) uint8, indexed as an array is.

        Raises `UserError` where an image that could be decoded cannot any more.
        """
        chosen = self._rows[rows]
        pixels = np.zeros((*chosen.shape, self.size, self.size, 3), dtype=np.uint8)
        targets = pixels.reshape(-1, self.size, self.size, 3)
        if len(targets) == 1:
            self._decode(int(chosen.ravel()[0]), targets[0])
        elif len(targets):
            with ThreadPoolExecutor(os.cpu_count()) as executor:  # a new one: threads do not survive a fork
                list(executor.map(self._decode, chosen.ravel().tolist(), targets))
        return pixels

    def _decode(self, row: int, target: np.ndarray) -> None:
        if not self.usable[row]:
            return
        reason, _ = _decode_one(self.images, row, target)
        if reason:
            raise UserError(
                f"image {row + 1} of the data set could be decoded and now cannot: {reason}: put it back, or "
                "start again without it"
            )


@dataclass(frozen=True)
class Pixels:
    """Decoded images of a data set in the row order of its listing.

    array: (N, S, S, 3) uint8, indexed by row, slice or row numbers; a read-only memory map, shards, or decoded at
    every access where the cache cannot hold them; zeros where an image could not be decoded.
    records: N rows with `reason` (empty, or why it could not be decoded), `sha256` of the file (hexadecimal)
    and `perceptual_hash` (hexadecimal, 256 bits).
    key: hexadecimal digest of what the images are and the size S at which they are kept.
    """

    array: np.ndarray | StreamedPixels | PixelShards
    records: pd.DataFrame
    key: str

    def without_images(self) -> "Pixels":
        """That images were read, and which; none of them."""
        return Pixels(np.empty((0, 0, 0, 3), np.uint8), self.records.iloc[:0], self.key)


def cached_pixels(
    images: EncodedImages, image_size: int, cache: Cache, preprocessing: Preprocessing = IMAGENET
) -> Pixels:
    """Opens the pixels of `images` for networks of `image_size` and their preprocessing, and decodes them first if
    nobody has yet.

    Perceptual hashes are taken at the size that is kept for ImageNet's preprocessing, whatever size is kept: images
    are near-duplicates of each other for all networks alike.
    Those in shards are read where they are, and nothing is cached.
    Pixels that are larger than the whole cache may be are not kept, their records are. What is damaged is decoded
    again, which is said.
    Raises `NoImages` where not a single image exists, and `UserError` where shards hold another size, the disk has no
    room or another process fills this cache for longer than the cache's `lock_timeout`.
    """
    size, hashed = preprocessing.stored_size(image_size), IMAGENET.stored_size(image_size)
    if isinstance(images, PixelShards):
        images.require_size(size, image_size)
        return Pixels(images, images.records, images.key)
    key = _key(images, size, hashed)
    entry = cache.entry("pixels", key)
    with cache.locked(entry, WHAT):
        _fill(entry, images, size, hashed, cache)
        cache.touch(entry)
        records = pd.read_parquet(entry / RECORDS)
        if (entry / ARRAY).exists():
            return Pixels(np.load(entry / ARRAY, mmap_mode="r"), records, key)
    return Pixels(StreamedPixels(images, size, records["reason"].eq("").to_numpy()), records, key)


def _fill(entry: Path, images: EncodedImages, size: int, hashed: int, cache: Cache) -> None:
    """Decodes what the entry lacks: pixels and records, or records alone where pixels do not fit."""
    whole = cache.is_whole(entry, WHAT)
    if whole and (entry / ARRAY).exists():
        return
    records_bytes, pixels_bytes = len(images) * RECORD_BYTES, len(images) * size * size * 3
    kept = cache.fits(records_bytes + pixels_bytes)
    if not kept:
        note(
            f"{len(images):,} images at {size} px take {readable(pixels_bytes)}, more than "
            f"cache_gib={cache.size_limit / 2**30:g} allows: they are decoded at every use, which is slower"
        )
        if whole:
            return
    cache.remove(entry, WHAT)  # damaged, or records alone, of a time when pixels did not fit
    with cache.written(entry) as unfinished:
        if kept:
            cache.make_room(entry, records_bytes + pixels_bytes, WHAT)
        else:
            require_room(unfinished, records_bytes, WHAT)
        _decode_all(images, size, hashed, unfinished, kept)


def _key(images: EncodedImages, size: int, hashed: int) -> str:
    sizes = f"{size}" if hashed == size else f"{size}:{hashed}"
    digest = hashlib.sha256(f"{LAYOUT}:{sizes}".encode())
    first, missing = "", 0
    with progress_bar("looking for images", len(images), "images") as bar:
        for identity in images.identities():
            digest.update(identity.encode(errors="surrogateescape") + b"\n")
            first = first or identity
            missing += identity.endswith(MISSING)
            bar.update()
    if missing and missing == len(images):
        raise NoImages(f"none of the {missing:,} images exists: the first should be at {first.removesuffix(MISSING)}")
    return digest.hexdigest()[:24]


def _decode_all(images: EncodedImages, size: int, hashed: int, folder: Path, kept: bool) -> None:
    """Decodes every image once; writes the records and, if they are to be kept, the pixels."""
    array = _new_array(folder / ARRAY, len(images), size) if kept else None
    chunks = [range(start, min(start + CHUNK, len(images))) for start in range(0, len(images), CHUNK)]

    def decode(rows: range) -> list[tuple[str, str, str]]:
        targets = np.empty((len(rows), size, size, 3), dtype=np.uint8) if array is None else array[rows[0] :]
        return [_record_of(images, row, hashed, target) for row, target in zip(rows, targets, strict=False)]

    records: list[tuple[str, str, str]] = []
    with ThreadPoolExecutor(os.cpu_count()) as executor, progress_bar("decoding", len(images), "images") as bar:
        for done in executor.map(decode, chunks):
            records += done
            bar.update(len(done))
    if array is not None:
        array.flush()
    pd.DataFrame(records, columns=["reason", "sha256", "perceptual_hash"]).to_parquet(folder / RECORDS)
    content = "pixels" if kept else "records"
    (folder / DESCRIPTION).write_text(f"{content} of {len(images):,} images at {size} px\n")


def _new_array(path: Path, length: int, size: int) -> np.memmap:
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(length, size, size, 3))
    _reserve(path)
    return array


def _reserve(path: Path) -> None:
    """Takes the file's blocks now: a full disk is an error here and a crash (SIGBUS) in a sparse memory map."""
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(path)) from None


def _record_of(images: EncodedImages, row: int, hashed: int, target: np.ndarray) -> tuple[str, str, str]:
    """Decodes an image into `target`; reason, sha256 and perceptual hash, taken at `hashed` pixels, as in
    `Pixels.records`."""
    reason, content = _decode_one(images, row, target)
    digest = "" if content is None else hashlib.sha256(content).hexdigest()
    if content is None or reason:
        return reason, digest, ""
    pixels = target if len(target) == hashed else square_pixels(decode_image(content), hashed)
    return reason, digest, str(imagehash.phash(Image.fromarray(pixels), hash_size=HASH_SIDE))


def _decode_one(images: EncodedImages, row: int, target: np.ndarray) -> tuple[str, bytes | None]:
    """Decodes an image into `target`, (S, S, 3) uint8; why it could not be, or "", and its bytes if there are any."""
    try:
        content = images.read(row)
    except UnreadableFile as error:
        return "missing image" if error.missing else f"unreadable file ({error})", None
    try:
        target[:] = square_pixels(decode_image(content), target.shape[0])
    except UndecodableImage as error:
        return str(error), content
    return "", content


def perceptual_bits(hashes: pd.Series) -> np.ndarray:
    """Hexadecimal perceptual hashes as bytes, (N, 32) uint8."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), dtype=np.uint8).reshape(len(hashes), -1)
