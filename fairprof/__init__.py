"""fairprof: what the composition of a data set does to an image classifier's accuracy, fairness and attention.

In Python, without MLflow: `fairprof.audit` asks one table of predictions whether groups differ, `fairprof.compare` asks
several runs of several designs which differ. What they need is imported when one of them is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairprof.interface.audit import Audit, audit
    from fairprof.interface.comparison import Comparison, compare
    from fairprof.interface.user_tables import TableError

__version__ = "0.1.0"
__all__ = ["Audit", "Comparison", "TableError", "__version__", "audit", "compare"]

PLACES = {
    "Audit": "audit",
    "Comparison": "comparison",
    "TableError": "user_tables",
    "audit": "audit",
    "compare": "comparison",
}


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module 'fairprof' has no attribute {name!r}")
    return getattr(importlib.import_module(f"fairprof.interface.{PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
