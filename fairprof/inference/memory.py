"""How much memory the tests and bands take: what is known before anything is trained."""

# how often the counts of every replicate are held at once, in all that is made of them: at most, as measured
COPIES_FOR_BANDS, COPIES_FOR_SCORES, COPIES_FOR_TESTS = 12, 6, 12
NUMBER = 8  # bytes


def resampling_bytes(counts: int, permutations: int, replicates: int, designs: int = 1, seeds: int = 1) -> int:
    """Bytes at most for the tests and bands of `designs` with `seeds` runs each; half as many may do.

    counts: how many numbers count one run's predictions, which is groups of gender x race times K x K for K classes.
    All replicates of a design's runs are held at once for the bands of their gaps, and those of all runs for scores.
    """
    of_runs = replicates * max(COPIES_FOR_BANDS * seeds, COPIES_FOR_SCORES * designs * seeds)
    return NUMBER * counts * max(of_runs, COPIES_FOR_TESTS * permutations * seeds)
