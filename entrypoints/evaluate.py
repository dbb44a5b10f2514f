"""`mlflow run . -e evaluate -P model=fairprof-B@champion`: judges a registered model on any data."""

import sys

from fairprof.errors import shown_in_one_line
from fairprof.runtime.files import cache_folder

if __name__ == "__main__":
    with shown_in_one_line(cache_folder("auto") / "logs"):
        from fairprof.config import EvaluateSettings

        settings = EvaluateSettings.from_arguments(sys.argv[1:])
        # torch and MLflow take long to import: a wrong setting is answered before that
        from fairprof.commands.evaluate.run import run_evaluation

        run_evaluation(settings)
