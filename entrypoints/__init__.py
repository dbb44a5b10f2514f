"""The entry points of MLproject: a file for each, a call of `start`.

OpenMP's threads sleep while they wait for each other. Their default is to spin, which costs a training step a
factor of ten and more as soon as any other process uses the same cores. This has to be said before torch is
imported, and a user's own choice stands.
"""

import importlib
import os

from fairprof.config import AnalysisSettings, DataSettings
from fairprof.errors import shown_in_one_line
from fairprof.runtime.files import cache_folder
from fairprof.runtime.temporary import own_temporary_folder

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def start(settings: type[AnalysisSettings], command: str) -> None:
    """Runs a command, the dotted path of a function, with the settings on the command line.

    torch and MLflow take long to import: a wrong setting is answered before the command's module is, and so is what
    is wrong with the data, as far as labels show it.
    """
    with shown_in_one_line(cache_folder("auto") / "logs"):
        given = settings.from_arguments()
        if isinstance(given, DataSettings):
            importlib.import_module("fairprof.commands.first_look").look(given)
        module, _, function = command.rpartition(".")
        with own_temporary_folder():
            getattr(importlib.import_module(module), function)(given)
