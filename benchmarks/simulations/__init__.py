"""How often verdicts are right: data with a known truth, judged as fairprof judges real ones.

`python -m benchmarks.simulations` runs all of them and prints shares with their standard errors.
"""
