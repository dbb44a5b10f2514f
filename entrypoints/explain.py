"""`mlflow run . -e explain -P models=A,B,C,D`: what registered models look at, measured by group."""

from entrypoints import start
from fairprof.config import ExplainSettings

if __name__ == "__main__":
    start(ExplainSettings, "fairprof.commands.explain.run.run_explanation")
