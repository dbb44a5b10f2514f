"""`mlflow run . -e compare`: compares the runs of a study, or the newest runs of every design."""

import sys

from fairprof.errors import shown_in_one_line
from fairprof.runtime.files import cache_folder

if __name__ == "__main__":
    with shown_in_one_line(cache_folder("auto") / "logs"):
        from fairprof.config import CompareSettings

        settings = CompareSettings.from_arguments(sys.argv[1:])
        # torch and MLflow take long to import: a wrong setting is answered before that
        from fairprof.commands.compare.run import run_comparison

        run_comparison(settings)
