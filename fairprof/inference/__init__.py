"""What may be claimed: intervals, tests, bands and verdicts of numbers that `fairprof.metrics` defines.

A difference between groups is never below 0 and is biased upward, the more so with more and smaller groups
(Lum, Zhang, Bower 2022, arXiv:2205.05770). A percentile-bootstrap interval of it almost never contains 0
and is no test. So a gap is compared with the gaps that chance alone makes (`permutation`), bounded from above by
simultaneous bands (`bands`), and judged by both (`verdicts`); over several runs on the same images by `over_runs`,
between designs over paired seeds by `over_seeds`.

Gaps are computed on tables of counts (G, K, K), group by true by predicted class. A resample of the rows is a
multinomial draw of that table, a permutation of the groups a draw of tables with its margins, so no row is ever moved.
Groups are drawn in an order that their names do not influence: renaming groups and permuting rows changes no number.
"""
