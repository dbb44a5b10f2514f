"""`mlflow run . -e study -P experiments=A,B,C,D -P seeds=6`: trains designs over seeds and compares them."""

import sys

from fairprof.errors import shown_in_one_line
from fairprof.runtime.files import cache_folder

if __name__ == "__main__":
    with shown_in_one_line(cache_folder("auto") / "logs"):
        from fairprof.config import StudySettings

        settings = StudySettings.from_arguments(sys.argv[1:])
        # torch, MLflow and Lightning take 15 s to import: a wrong setting is answered before that
        from fairprof.commands.study.run import run_study

        run_study(settings)
