"""`mlflow run . -e tune -P trials=20`: searches the hyperparameters that all designs share."""

from entrypoints import start
from fairprof.config import TuneSettings

if __name__ == "__main__":
    start(TuneSettings, "fairprof.commands.tune.run.run_search")
