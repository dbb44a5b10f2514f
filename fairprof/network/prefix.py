"""The prefix cache: what the frozen part of a network computes is computed once per image and view.

With `finetune` head, layer4 or layer3 everything below is constant, for all designs, seeds and tuning trials that
start from the same weights. Its outputs are kept in half precision (float16, 11 significant bits), scaled by a power of
two: activations of networks whose batch norm has seen no images yet can be far too small for it.
"""

import hashlib
import time

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from fairprof.config import TrainingSettings
from fairprof.data.pool import Pool
from fairprof.errors import UserError
from fairprof.network.batches import EVALUATION_BATCH, Inputs, worker_count
from fairprof.network.classifier import Classifier
from fairprof.network.images import ImageInputs
from fairprof.network.parts import Boundary, part
from fairprof.network.weights import weights_digest
from fairprof.runtime.cache import Cache
from fairprof.runtime.hardware import device_of
from fairprof.runtime.progress import note, progress_bar
from fairprof.runtime.row_store import RowStore
from fairprof.serving import IMAGENET

LAYOUT = "prefix-2"  # part of the key: raise the number when what is computed, or the files, change
EXPONENT_OF_NOISE = 5  # what noise gives at most is scaled to 2**4..2**5: 2**11 below the largest float16
CENTRE_CROP = -1  # the number of the view that is not augmented
WHAT = "the prefix cache"


# Shape and scale of a prefix's outputs by what decides on them: the same for all runs of a process
_forms: dict[tuple, tuple[torch.Size, float]] = {}


class PrefixCache:
    """Outputs of a network's part before a boundary, by view and row of the pixel cache.

    computed, reused: how many outputs `prepare` has had to compute so far, and how many it found; seconds: how long
    the computing took.
    """

    def __init__(
        self, classifier: Classifier, boundary: Boundary, images: ImageInputs, pool: Pool, settings: TrainingSettings
    ):
        self.boundary, self.images, self.settings = boundary, images, settings
        self.cache = Cache.of(settings)
        self.device = device_of(settings.accelerator)
        self.description = (
            f"{boundary} of {settings.architecture} ({classifier.weights.name} weights) at {settings.image_size} px "
            f"for {settings.data}"
        )
        known = classifier.prefix if boundary == classifier.boundary else None
        self.prefix = part(classifier.network, None, boundary) if known is None else known
        digest = weights_digest(self.prefix)
        self.shape, self.scale = self._form(digest)
        self.entry = self.cache.entry("prefix", self._key(pool, digest))
        self.pixels = self.cache.entry("pixels", pool.pixel_cache.key)
        self.stores: dict[int, RowStore] = {}
        self.computed = self.reused = 0
        self.seconds = 0.0

    def _form(self, digest: str) -> tuple[torch.Size, float]:
        """The shape of an image's outputs, and by what they are multiplied before they are kept."""
        size = self.settings.image_size
        decided_by = (self.settings.architecture, self.boundary, size, self.device, digest)
        if decided_by not in _forms:
            outputs = self._computed(torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0)))
            scale = 2.0 ** (EXPONENT_OF_NOISE - int(torch.frexp(outputs.abs().max()).exponent))
            _forms[decided_by] = outputs.shape[1:], scale
        return _forms[decided_by]

    def _key(self, pool: Pool, digest: str) -> str:
        computation = (digest, self.boundary, self.images.augment, self.settings.image_size)
        prepared = () if self.images.preprocessing == IMAGENET else (self.images.preprocessing,)
        parts = (LAYOUT, *computation, *prepared, self.scale, pool.pixel_cache.key)
        return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:24]

    def size_of(self, wanted: dict[int, np.ndarray]) -> int:
        """Bytes that the outputs for `wanted`, rows of the pixel cache by number of the view, take on the disk."""
        record = int(np.prod(self.shape)) * np.dtype(np.float16).itemsize
        return record * sum(len(rows) for rows in wanted.values())

    def prepare(self, wanted: dict[int, np.ndarray]) -> bool:
        """Computes and keeps what is missing of `wanted`, rows of the pixel cache by number of the view.

        Returns False, and computes nothing, where the cache cannot hold it beside the pixels and what this entry has.
        Killed, it goes on where it stopped; processes that want the same wait for each other; outputs that are damaged
        are computed again, which is said. Raises `UserError` where another process fills this entry for longer than
        `lock_timeout`, the disk has no room, or an output is too large for half precision.
        """
        with self.cache.locked(self.entry, WHAT):
            self.cache.has_folder(self.entry, WHAT)
            self.stores = {view: RowStore(self.entry, _name_of(view), self.shape) for view in wanted}
            damage = ", ".join(store.damage for store in self.stores.values() if store.damage)
            if damage:
                self.cache.tell_of_damage(self.entry, WHAT, damage)
            missing = {view: self.stores[view].missing(rows) for view, rows in wanted.items()}
            if not self.cache.fits(self.size_of(missing), self.entry, self.pixels):
                return False
            count = sum(len(rows) for rows in missing.values())
            self.reused += sum(len(rows) for rows in wanted.values()) - count
            if count:
                self.cache.describe(self.entry, f"outputs at the {self.description}")
                self.cache.make_room(self.entry, self.size_of(missing), WHAT)
                start = time.perf_counter()
                self._compute(missing)
                self.seconds += time.perf_counter() - start
            self.cache.touch(self.entry)
        return True

    def _compute(self, missing: dict[int, np.ndarray]) -> None:
        batches = [
            (view, rows[start : start + EVALUATION_BATCH])
            for view, rows in missing.items()
            for start in range(0, len(rows), EVALUATION_BATCH)
        ]
        loader = DataLoader(
            ViewsOfImages(self.images), sampler=batches, batch_size=None, num_workers=worker_count(self.settings)
        )
        total = sum(len(rows) for _, rows in batches)
        with progress_bar("computing the frozen part", total, "images") as bar:
            for (view, rows), images in zip(batches, loader, strict=True):
                self.stores[view].append(rows, self._stored_form(self._computed(images)))
                self.computed += len(rows)
                bar.update(len(rows))
        for store in self.stores.values():
            store.close_writing()

    def _computed(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) float32 -> (N, ...) float32."""
        with torch.inference_mode():
            self.prefix.to(self.device).eval()
            return self.prefix(images.to(self.device, memory_format=torch.channels_last)).float().cpu()

    def _stored_form(self, outputs: torch.Tensor) -> np.ndarray:
        scaled = (outputs * self.scale).half().contiguous().numpy()
        if not np.isfinite(scaled).all():
            raise UserError(
                f"the {self.description} is too large for half precision: set prefix_cache=off, or check the weights"
            )
        return scaled

    def read(self, view: int, pixel_rows: np.ndarray) -> torch.Tensor:
        """Outputs that were prepared, (N, ...) float32."""
        return torch.from_numpy(self.stores[view].read(pixel_rows)).float() / self.scale


def _name_of(view: int) -> str:
    return "centre-crop" if view == CENTRE_CROP else f"view-{view}"


class ViewsOfImages(Dataset):
    """Images as they enter the prefix; an item is asked for as (number of the view, rows of the pixel cache)."""

    def __init__(self, images: ImageInputs):
        self.images = images

    def __getitem__(self, asked: tuple[int, np.ndarray]) -> torch.Tensor:
        view, rows = asked
        return (
            self.images.centre_crops(rows) if view == CENTRE_CROP else self.images.view(rows, np.full_like(rows, view))
        )


class PrefixInputs:
    """What enters the trainable part of a network, read from the prefix cache; (N, ...) float32."""

    def __init__(self, images: ImageInputs, cache: PrefixCache):
        self.images, self.cache = images, cache
        self.boundary = cache.boundary

    def training(self, rows: np.ndarray, epoch: int) -> torch.Tensor:
        """The rows' views of an epoch (from 0)."""
        numbers, pixel_rows = self.images.view_numbers(rows, epoch), self.images.pixel_rows[rows]
        outputs = torch.empty(len(rows), *self.cache.shape)
        for number in np.unique(numbers):
            outputs[numbers == number] = self.cache.read(number, pixel_rows[numbers == number])
        return outputs

    def evaluation(self, rows: np.ndarray) -> torch.Tensor:
        """The rows' centre crops."""
        return self.cache.read(CENTRE_CROP, self.images.pixel_rows[rows])


def explained_inputs(
    classifier: Classifier, inputs: Inputs, pool: Pool, settings: TrainingSettings, rows: np.ndarray
) -> Inputs:
    """From where Grad-CAM looks at rows of the pool's table: the inputs themselves, unless its layer is in the prefix.

    Then that layer's outputs are constant too, and are cached for the rows if they fit. A network that cannot be cut
    behind the layer is explained from the images.
    """
    if not isinstance(inputs, PrefixInputs):
        return inputs
    layer = Boundary(classifier.explained_layer.path, after=True)
    if part(classifier.network, layer, None) is None:
        return inputs.images
    if part(classifier.network, inputs.boundary, layer) is not None:
        return inputs
    cache = PrefixCache(classifier, layer, inputs.images, pool, settings)
    prepared = cache.prepare({CENTRE_CROP: inputs.images.pixel_rows[rows]})
    return PrefixInputs(inputs.images, cache) if prepared else inputs.images


def cached_inputs(
    classifier: Classifier,
    images: ImageInputs,
    pool: Pool,
    settings: TrainingSettings,
    training_rows: np.ndarray,
    evaluation_rows: np.ndarray,
) -> PrefixInputs | None:
    """The prefix cache, filled for a training; None where the network is not cut, the cache is off, or it cannot pay.

    training_rows: those that are augmented, evaluation_rows: those of which the centre crops enter.
    It cannot pay where every epoch has new views, or where the outputs would not fit into `cache_gib`.
    """
    always_new = images.views is None and len(training_rows) > 0
    if classifier.boundary is None or settings.prefix_cache == "off" or always_new:
        return None
    cache = PrefixCache(classifier, classifier.boundary, images, pool, settings)
    wanted = {CENTRE_CROP: images.pixel_rows[evaluation_rows]}
    wanted |= _views_of_training(images, training_rows, settings.epochs)
    if cache.prepare(wanted):
        return PrefixInputs(images, cache)
    note(
        f"the prefix cache is not used: the {cache.description} would take {cache.size_of(wanted) / 2**30:,.1f} GiB, "
        f"which cache_gib={settings.cache_gib:g} does not hold beside the pixels and earlier outputs: raise it, or "
        f"lower augmented_views={images.views}"
    )
    return None


def cached_work(inputs: Inputs, name: str) -> dict[str, float]:
    """How much of what entered the network a run had to compute, and how much it found in the cache, as metrics under a
    name; none where nothing is cached."""
    if not isinstance(inputs, PrefixInputs):
        return {}
    cache = inputs.cache
    return {
        f"{name}/computed_images": cache.computed,
        f"{name}/reused_images": cache.reused,
        f"{name}/seconds": cache.seconds,
    }


def _views_of_training(images: ImageInputs, rows: np.ndarray, epochs: int) -> dict[int, np.ndarray]:
    """Rows of the pixel cache by number of the view that some of the epochs takes; after as many as there are views,
    these come again."""
    if images.views is None:
        return {}
    epochs = min(epochs, images.views)
    numbers = np.stack([images.view_numbers(rows, epoch) for epoch in range(epochs)])
    return {view: images.pixel_rows[rows][(numbers == view).any(axis=0)] for view in np.unique(numbers).tolist()}
