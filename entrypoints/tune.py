"""`mlflow run . -e tune -P trials=20`: searches the hyperparameters that all designs share."""

import sys

from fairprof.errors import shown_in_one_line
from fairprof.runtime.files import cache_folder

if __name__ == "__main__":
    with shown_in_one_line(cache_folder("auto") / "logs"):
        from fairprof.config import TuneSettings

        settings = TuneSettings.from_arguments(sys.argv[1:])
        # torch, MLflow and Lightning take 15 s to import: a wrong setting is answered before that
        from fairprof.commands.tune.run import run_search

        run_search(settings)
