"""`mlflow run . -e prepare -P data=...`: audits a data set before anything is trained on it."""

from entrypoints import start
from fairprof.config import PrepareSettings

if __name__ == "__main__":
    start(PrepareSettings, "fairprof.commands.prepare.run.run_preparation")
