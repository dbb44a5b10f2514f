"""What is fast, measured against a baseline in the same run: `python -m benchmarks`."""

import entrypoints  # noqa: F401  (how OpenMP waits is said before torch is imported)
