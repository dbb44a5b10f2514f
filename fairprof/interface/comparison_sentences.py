"""What a comparison says: whether designs differ, sentence by sentence, each by its verdict."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from fairprof.inference.levelling_down import levelled_down
from fairprof.inference.multiplicity import CONFIRMATORY
from fairprof.inference.verdicts import ESTABLISHED, THESE_MODELS
from fairprof.metrics.performance import predicts_one_class
from fairprof.reporting.differences import (
    difference_sentence,
    differences_in_short,
    levelling_down,
    possibility_of_claims,
    rows_of,
    score_sentence,
)
from fairprof.reporting.names import SCORE_NAMES, gap_name
from fairprof.reporting.wording import capitalised, counted, designs_named, enumerated, number, p_value


def answer(
    tables: Mapping[str, pd.DataFrame],
    runs: Mapping[str, Sequence[pd.DataFrame]],
    seeds: Sequence,
    reference: str,
    delta: float,
) -> tuple[str, ...]:
    """The sentences of a comparison's tables, the answer first; runs: by design, in the order of the seeds."""
    differences, gaps = tables["differences"], tables["gaps"]
    confirmatory = differences[differences["family"].eq(CONFIRMATORY)]
    said = (
        *_degenerate(runs, seeds),
        differences_in_short(confirmatory, reference, delta),
        *(difference_sentence(row, delta, gaps) for row in rows_of(confirmatory)),
        *levelling_down(levelled_down(differences, tables["group_changes"])),
        *(score_sentence(row) for row in rows_of(differences[differences["metric"].isin(SCORE_NAMES)])),
        *_gaps(gaps[gaps["family"].eq(CONFIRMATORY)]),
        possibility_of_claims(confirmatory, reference),
        _setup(runs, seeds),
        "What is not established is not shown to be equal.",
    )
    return tuple(sentence for sentence in said if sentence)


def _degenerate(runs: Mapping[str, Sequence[pd.DataFrame]], seeds: Sequence) -> Iterable[str]:
    for design, tables in runs.items():
        ones = [str(seed) for seed, table in zip(seeds, tables, strict=True) if predicts_one_class(table)]
        if ones:
            yield (
                f"Design {design} predicts one class for every row with seed{'' if len(ones) == 1 else 's'} "
                f"{enumerated(ones)}: such a model does not look at what it is shown, and its gaps are 0 whatever the "
                "data are. Nothing that involves it speaks of fairness."
            )


def _gaps(confirmatory: pd.DataFrame) -> Iterable[str]:
    """The established gaps within designs."""
    for row in rows_of(confirmatory[confirmatory["verdict"].eq(ESTABLISHED)]):
        yield (
            f"Within design {row.design}, established for {THESE_MODELS}: {gap_name(row.metric, row.attribute)} "
            f"{number(row.value)} (mean over {counted(row.seeds, 'seed')}; by chance {number(row.null_mean)}, 95 % of "
            f"the time at most {number(row.null_q95)}), adjusted {p_value(row.p_adjusted)} (Holm)."
        )


def _setup(runs: Mapping[str, Sequence[pd.DataFrame]], seeds: Sequence) -> str:
    rows = len(next(iter(runs.values()))[0])
    designs = designs_named(list(runs))
    return f"{capitalised(designs)} with {counted(len(seeds), 'seed')} each, on the same {counted(rows, 'row')}."
