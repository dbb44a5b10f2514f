"""The MLflow experiment that runs of this project go to where nobody has named another.

`mlflow run` decides it before anything of this project runs. So the class below is a plugin of MLflow, named in
pyproject.toml and imported whenever MLflow is where the project is installed: what it needs beside MLflow's base class
is imported when it is asked.
"""

from pathlib import Path

from mlflow.tracking.default_experiment.abstract_context import DefaultExperimentProvider

EXPERIMENT = "fairprof"
PROJECT_FILE, PROJECT_NAME = "MLproject", "fairprof"


class OfThisProject(DefaultExperimentProvider):
    """Gives runs of this project, which `mlflow run` is about to start, the experiment `EXPERIMENT`.

    MLflow asks where neither the command nor the environment names one, for any program: other projects, and programs
    that are no `mlflow run`, are left alone.
    """

    def in_context(self) -> bool:
        """Whether this process is an `mlflow run` of this project."""
        import click

        command = click.get_current_context(silent=True)
        # whatever the program is called: `mlflow`, or `python -m mlflow`
        if command is None or command.info_name != "run" or "uri" not in command.params:
            return False
        return is_this_project(str(command.params["uri"]))

    def get_experiment_id(self) -> str:
        """The id of the experiment, which is made if there is none."""
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        client = MlflowClient()
        found = client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return found.experiment_id
        try:
            return client.create_experiment(EXPERIMENT)
        except MlflowException:  # another process has made it meanwhile
            found = client.get_experiment_by_name(EXPERIMENT)
            if found is None:
                raise
            return found.experiment_id


def is_this_project(address: str) -> bool:
    """Whether what `mlflow run` was given is this project.

    A folder is where its MLproject has this project's name. What has to be fetched first is known by its address alone:
    it is where the repository is called as this project.
    """
    import yaml

    place, _, subfolder = address.strip("'\"").partition("#")
    folder = Path(place.removeprefix("file://"), subfolder)
    if not folder.is_dir():
        return not subfolder and place.rstrip("/").removesuffix(".git").replace(":", "/").endswith(f"/{PROJECT_NAME}")
    try:
        described = yaml.safe_load((folder / PROJECT_FILE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return False
    return isinstance(described, dict) and described.get("name") == PROJECT_NAME
