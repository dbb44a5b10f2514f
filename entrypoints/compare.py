"""`mlflow run . -e compare`: compares the runs of a study, or the newest runs of every design."""

from entrypoints import start
from fairprof.config import CompareSettings

if __name__ == "__main__":
    start(CompareSettings, "fairprof.commands.compare.run.run_comparison")
