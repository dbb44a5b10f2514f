"""Where a network computes is what the settings say, or one line; memory that the C library keeps is used again."""

import os
import platform
import resource
import subprocess
import sys

import pytest
import torch

from fairprof.runtime.hardware import channels_last, device_of, on_gpu, precision_of
from tests.places import ROOT

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
with_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


def test_cpu_is_the_cpu_in_full_precision_whatever_the_machine_has():
    assert not on_gpu("cpu")
    assert device_of("cpu") == torch.device("cpu")
    assert precision_of("cpu") == "32-true"


@without_gpu
def test_a_gpu_that_is_asked_for_and_absent_is_one_line(refused):
    for question in (on_gpu, device_of, precision_of):
        with refused("accelerator=gpu: PyTorch finds no GPU on this machine", "set accelerator=auto or cpu"):
            question("gpu")


@without_gpu
def test_automatically_it_is_the_cpu_where_there_is_no_gpu():
    assert not on_gpu("auto")
    assert device_of("auto") == torch.device("cpu")
    assert precision_of("auto") == "32-true"


@with_gpu
@pytest.mark.parametrize("accelerator", ["auto", "gpu"])
def test_where_there_is_a_gpu_it_is_used_in_mixed_precision(accelerator):
    assert on_gpu(accelerator)
    assert device_of(accelerator) == torch.device("cuda", 0)
    assert precision_of(accelerator) == ("bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed")


def test_images_and_feature_maps_get_channels_last_and_keep_their_values():
    images = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    changed = channels_last(images)
    assert torch.equal(changed, images)
    assert changed.stride() == (60, 1, 15, 3)  # neighbours in memory are the channels of a place


def test_what_is_no_image_stays_as_it_is():
    vectors = torch.ones(2, 7)
    assert channels_last(vectors) is vectors


FREEING = """
import resource, sys
import torch
from fairprof.runtime.hardware import keep_freed_memory

torch.set_num_threads(1)
if sys.argv[1] == "keep":
    keep_freed_memory()
for step in range(26):
    # a place that is large enough for good is found after three to six steps, or more on a busy machine
    if step == 16:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(64 * 2**20 // 4).sum()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep memory")
def test_memory_that_was_freed_is_not_asked_for_again():
    pages = {
        how: int(
            subprocess.run(
                [sys.executable, "-c", FREEING, how],
                cwd=ROOT,
                env=os.environ,
                capture_output=True,
                text=True,
                check=True,
                timeout=120,
            ).stdout
        )
        for how in ("keep", "return")
    }
    # ten steps of 64 MiB: each page is filled with zeros again in every step, or never (huge pages count as one)
    huge_pages = 10 * 64 * 2**20 // (512 * resource.getpagesize())
    assert pages["return"] >= huge_pages
    assert pages["keep"] < pages["return"] / 10
