"""Which part of an image is what: region masks of a pool, cut and scaled as its images are; elsewhere the
centre of the image."""

import functools
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from fairprof.data.portraits import REGIONS
from fairprof.data.sources.listing import RegionFiles
from fairprof.errors import UserError
from fairprof.runtime.files import UnreadableFile, read_file
from fairprof.serving import (
    FORMATS,
    IMAGENET,
    MAX_BYTES,
    Preprocessing,
    UndecodableImage,
    decode_image,
    middle_of,
)

CENTRE_PRIOR = "centre prior"
CENTRE_REGIONS = ("periphery", "centre")
CENTRE_HALF_WIDTH, CENTRE_HALF_HEIGHT = 0.30, 0.40  # of the ellipse, as shares of the image's edge
MASK_MODES = ("1", "L", "P")
NO_MASK = 255


def region_mask(files: RegionFiles, row: int, image_size: int, preprocessing: Preprocessing = IMAGENET) -> np.ndarray:
    """The mask of what a network of `image_size` sees of a row, (S, S) uint8: indices of REGIONS; all NO_MASK where
    the row has none.

    Raises `UserError` that names the line, for a mask that is missing, unreadable, of another size than the upright
    image, or holds other values.
    """
    if not files.names[row]:
        return np.full((image_size, image_size), NO_MASK, dtype=np.uint8)
    try:
        values = _values(files, row)
    except _Unusable as error:
        raise UserError(
            f"{files.places[row]}: the region mask {files.names[row]} {error}, or leave the cell empty"
        ) from None
    return _as_seen(Image.fromarray(values), image_size, preprocessing.stored_size(image_size))


class _Unusable(ValueError):
    """A mask that cannot be used; the message says why and what to do."""


def _values(files: RegionFiles, row: int) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(read_file(files.folder / files.names[row], MAX_BYTES)), formats=FORMATS) as mask:
            if mask.mode not in MASK_MODES:
                raise _Unusable(f"has the mode {mask.mode}: save it with one channel of 8 bits")
            _require_equal_sizes(mask, files, row)
            values = np.asarray(mask)
    except _Unusable:
        raise
    except (UnreadableFile, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _Unusable(f"cannot be read ({' '.join(str(error).split())[:80]}): put a PNG there") from None
    if values.max() >= len(REGIONS):
        known = ", ".join(f"{number} {region}" for number, region in enumerate(REGIONS))
        raise _Unusable(f"holds the value {values.max()}: use {known}")
    return values.astype(np.uint8)


def _require_equal_sizes(mask: Image.Image, files: RegionFiles, row: int) -> None:
    """Before the mask is decoded, whose size may be any."""
    try:
        image = decode_image(files.images.read(row))
    except (UndecodableImage, UnreadableFile) as error:
        raise _Unusable(f"belongs to an image that cannot be read any more ({error}): put it back") from None
    if mask.size != image.size:
        found, expected = (f"{width} x {height} pixels" for width, height in (mask.size, image.size))
        raise _Unusable(f"has {found}, its upright image {expected}: make them equal")


def _as_seen(mask: Image.Image, image_size: int, size: int) -> np.ndarray:
    """The central square, scaled to `size` and cropped as `square_pixels` and the evaluation's centre crop do."""
    square = np.asarray(ImageOps.fit(mask, (size, size), method=Image.Resampling.NEAREST))
    middle = middle_of(size, image_size)
    return square[middle, middle]


@dataclass(frozen=True)
class RegionMasks:
    """What is where in some images.

    kind: "regions", or "centre prior" where a data set has no masks: then nothing is known of any face, and the two
    regions are an ellipse in the image's middle and the rest. names: of the regions, by value. masks: (N, S, S)
    uint8, NO_MASK where an image has none.
    """

    kind: str
    names: tuple[str, ...]
    masks: np.ndarray

    @property
    def missing(self) -> np.ndarray:
        """(N,) bool: images without a mask."""
        return (self.masks == NO_MASK).all(axis=(1, 2))


def region_masks(
    files: RegionFiles | None, rows: np.ndarray, image_size: int, preprocessing: Preprocessing = IMAGENET
) -> RegionMasks:
    """The masks of rows of a listing (the pool's column `pixel`), or the centre prior where the data set has no
    mask for any of them. Raises `UserError` for a mask that cannot be used; it names the line."""
    if files is not None:
        with ThreadPoolExecutor() as executor:
            read = functools.partial(region_mask, files, image_size=image_size, preprocessing=preprocessing)
            masks = np.stack(list(executor.map(read, rows.tolist())))
        found = RegionMasks("regions", REGIONS, masks)
        if not found.missing.all():
            return found
    prior = np.broadcast_to(centre_prior(image_size), (len(rows), image_size, image_size))
    return RegionMasks(CENTRE_PRIOR, CENTRE_REGIONS, prior)


@functools.cache
def centre_prior(image_size: int) -> np.ndarray:
    """(S, S) uint8: 1 in an ellipse of .6 x .8 of the edge in the image's middle, 0 around it."""
    place = (np.arange(image_size) + 0.5) / image_size - 0.5
    distance = (place[None, :] / CENTRE_HALF_WIDTH) ** 2 + (place[:, None] / CENTRE_HALF_HEIGHT) ** 2
    return (distance <= 1).astype(np.uint8)
