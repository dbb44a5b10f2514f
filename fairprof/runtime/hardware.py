"""What the network computes on, and how its memory is kept."""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from fairprof.errors import UserError

# parameters of glibc's mallopt, from malloc.h
TRIM_THRESHOLD, MMAP_MAX = -1, -4
NEVER_TRIM = 2**31 - 1


def on_gpu(accelerator: str) -> bool:
    """Whether the setting `accelerator` means a GPU on this machine.

    Raises `UserError` where a GPU is asked for and there is none.
    """
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("accelerator=gpu: PyTorch finds no GPU on this machine: set accelerator=auto or cpu")
    return accelerator != "cpu" and torch.cuda.is_available()


def device_of(accelerator: str) -> torch.device:
    """The device on which this process computes: under torchrun, its own GPU."""
    return torch.device("cuda", torch.cuda.current_device()) if on_gpu(accelerator) else torch.device("cpu")


def precision_of(accelerator: str) -> Literal["32-true", "bf16-mixed", "16-mixed"]:
    """Lightning's name of the precision of a training: mixed on a GPU, bfloat16 where it has that."""
    if not on_gpu(accelerator):
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"


def channels_last(values: torch.Tensor) -> torch.Tensor:
    """Images or feature maps, (N, C, H, W), with channels last in memory, as convolutions are fastest; others as is."""
    return values.contiguous(memory_format=torch.channels_last) if values.dim() == 4 else values


@contextmanager
def one_thread() -> Iterator[None]:
    """Computes the block in one thread, which is faster for single images than several that have to wake each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_freed_memory() -> None:
    """Lets the C library keep memory that is freed, so that the next training step need not ask for it again.

    Activations of a hundred MiB each are otherwise mapped, filled with zeros page by page, and unmapped in every step,
    which costs a training on a CPU a sixth of its speed. Does nothing where the C library is not glibc.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_MAX, 0)
        library.mallopt(TRIM_THRESHOLD, NEVER_TRIM)
