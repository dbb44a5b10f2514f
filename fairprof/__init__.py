"""fairprof: what the composition of a data set does to an image classifier's accuracy, fairness and attention."""

__version__ = "0.1.0"
