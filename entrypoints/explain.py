"""`mlflow run . -e explain -P models=A,B,C,D`: what registered models look at, measured by group."""

import sys

from fairprof.errors import shown_in_one_line
from fairprof.runtime.files import cache_folder

if __name__ == "__main__":
    with shown_in_one_line(cache_folder("auto") / "logs"):
        from fairprof.config import ExplainSettings

        settings = ExplainSettings.from_arguments(sys.argv[1:])
        # torch and MLflow take long to import: a wrong setting is answered before that
        from fairprof.commands.explain.run import run_explanation

        run_explanation(settings)
