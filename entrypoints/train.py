"""`mlflow run . -P experiment=B`: trains, measures, explains and registers one experiment."""

import sys

from fairprof.errors import shown_in_one_line
from fairprof.runtime.files import cache_folder

if __name__ == "__main__":
    with shown_in_one_line(cache_folder("auto") / "logs"):
        from fairprof.config import Settings

        settings = Settings.from_arguments(sys.argv[1:])
        # torch, MLflow and Lightning take 15 s to import: a wrong setting is answered before that
        from fairprof.commands.train.run import run_experiment

        run_experiment(settings)
