"""Whether what is measured on runs fits into memory, asked before they train."""

import psutil

from fairprof.config import AnalysisSettings
from fairprof.data.pool import Pool
from fairprof.errors import UserError
from fairprof.inference.memory import resampling_bytes
from fairprof.reporting.wording import counted
from fairprof.runtime.cache import readable


def require_memory(settings: AnalysisSettings, pool: Pool, designs: int = 1, seeds: int = 1) -> None:
    """Raises `UserError` where what is measured on runs of the pool, or on all of a study, would not fit into memory.

    It would fail after the training.
    """
    groups = pool.table["gender"].cat.categories.size * pool.table["race"].cat.categories.size
    counts = groups * len(pool.professions) ** 2
    needed = resampling_bytes(counts, settings.permutations, settings.replicates, designs, seeds)
    there = psutil.virtual_memory().total
    if needed > there:
        raise UserError(
            f"replicates={settings.replicates} and permutations={settings.permutations} of "
            f"{counted(designs * seeds, 'run')} need about {readable(needed)} of memory, and this machine has "
            f"{readable(there)}: lower them{' or seeds' if seeds > 1 else ''}"
        )
