"""`mlflow run . -e study -P experiments=A,B,C,D -P seeds=6`: trains designs over seeds and compares them."""

from entrypoints import LOGGED_BY, start
from fairprof.config import StudySettings

if __name__ == "__main__":
    start(StudySettings, "fairprof.commands.study.run.run_study", LOGGED_BY)
