"""Small copies of explained images, which a run keeps with its maps and a report shows beside them."""

import cv2
import numpy as np

EDGE = 96  # pixels at most
QUALITY = 70  # of JPEG
FILES, LENGTHS = "thumbnails", "thumbnail_bytes"  # among the arrays that a run keeps


def packed_thumbnails(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """JPEG files of images, (N, S, S, 3) uint8, as two arrays: all their bytes, and the length of each, (N,) int."""
    files = [_jpeg(image) for image in pixels]
    return {FILES: np.concatenate(files), LENGTHS: np.array(list(map(len, files)))}


def unpacked_thumbnails(arrays: dict[str, np.ndarray]) -> list[bytes]:
    """The JPEG files among the arrays of a run; none of a run that kept none."""
    if FILES not in arrays:
        return []
    ends = np.cumsum(arrays[LENGTHS])
    return [file.tobytes() for file in np.split(arrays[FILES], ends[:-1])]


def _jpeg(image: np.ndarray) -> np.ndarray:
    edge = min(EDGE, len(image))
    small = cv2.resize(image, (edge, edge), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
