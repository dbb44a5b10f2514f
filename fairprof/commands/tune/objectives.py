"""What a search optimises, always on validation data."""

from typing import Literal

# an objective: metrics, means over the designs, and whether more or less of them is better
Objectives = tuple[tuple[str, Literal["minimize", "maximize"]], ...]
OBJECTIVES: dict[str, Objectives] = {
    "macro_f1": (("val/macro_f1", "maximize"),),
    "worst_group": (("val/worst_group_accuracy/gender_x_race", "maximize"),),
    "distance_to_ideal": (("val/distance_to_ideal", "minimize"),),
    "pareto": (("val/macro_f1", "maximize"), ("val/equal_opportunity_difference/race", "minimize")),
}
