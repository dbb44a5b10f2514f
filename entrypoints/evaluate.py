"""`mlflow run . -e evaluate -P model=fairprof-B@champion`: judges a registered model on any data."""

from entrypoints import start
from fairprof.config import EvaluateSettings

if __name__ == "__main__":
    start(EvaluateSettings, "fairprof.commands.evaluate.run.run_evaluation")
