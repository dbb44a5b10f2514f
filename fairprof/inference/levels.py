"""The level of every claim, and checks of what the functions of this room are given."""

ALPHA = 0.05  # level of every claim
CONFIDENCE = 0.95
TIE = 1e-12  # statistics that differ by less are equal: the rest is rounding


def check_number(number: int, name: str) -> None:
    if number < 1:
        raise ValueError(f"{name} is {number}; give at least 1")


def check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; give a number between 0 and 1, such as 0.95")
