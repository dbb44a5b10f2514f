"""`mlflow run . -e register -P run=ID`: registers the model of a run that has registered none, as of a study."""

from entrypoints import start
from fairprof.config import RegisterSettings

if __name__ == "__main__":
    start(RegisterSettings, "fairprof.commands.register.run.run_registration")
