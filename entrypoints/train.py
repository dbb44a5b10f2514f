"""`mlflow run . -P experiment=B`: trains, measures, explains and registers one experiment."""

from entrypoints import LOGGED_BY, start
from fairprof.config import Settings

if __name__ == "__main__":
    start(Settings, "fairprof.commands.train.run.run_experiment", LOGGED_BY)
