"""One seed per purpose, all derived from the seed that the user gave."""

import hashlib
from collections.abc import Sequence

import numpy as np

CHUNK = 2**16  # keys that are objects at a time


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A seed in [0, 2**63) for a purpose, for example ``derive_seed(0, "mixup", epoch, batch)``.

    Different purposes give independent seeds (BLAKE2b of seed and purpose); the same ones always the same,
    on every machine and version of Python.
    """
    words = "\x1f".join(str(word) for word in (seed, *purpose))
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest(), "big") >> 1


def numpy_generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """NumPy's default generator, seeded for a purpose."""
    return np.random.default_rng(derive_seed(seed, *purpose))


def uniforms(keys: Sequence[str], seed: int, purpose: str) -> np.ndarray:
    """One number per key, uniform on [0, 1), (N,) float64, that depends on the key, seed and purpose alone.

    Adding, removing or permuting other keys changes no key's number.
    """
    prefix = hashlib.blake2b(f"{seed}\x1f{purpose}\x1f".encode(), digest_size=8)

    def digest(key: str) -> bytes:
        hashed = prefix.copy()
        hashed.update(key.encode())
        return hashed.digest()

    numbers = np.empty(len(keys))
    for start in range(0, len(keys), CHUNK):
        # as objects: a column of Arrow's strings makes a new one for every step of a loop
        chunk = np.asarray(keys[start : start + CHUNK], dtype=object)
        digests = b"".join([digest(key) for key in chunk])
        numbers[start : start + CHUNK] = (np.frombuffer(digests, dtype=">u8") >> 11) / 2.0**53
    return numbers
