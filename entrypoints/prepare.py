"""`mlflow run . -e prepare -P data=...`: audits a data set before anything is trained on it."""

import sys

from fairprof.errors import shown_in_one_line
from fairprof.runtime.files import cache_folder

if __name__ == "__main__":
    with shown_in_one_line(cache_folder("auto") / "logs"):
        from fairprof.config import PrepareSettings

        settings = PrepareSettings.from_arguments(sys.argv[1:])
        # torch and MLflow take long to import: a wrong setting is answered before that
        from fairprof.commands.prepare.run import run_preparation

        run_preparation(settings)
