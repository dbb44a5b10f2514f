"""README and docs/ say what is so: their commands, settings, paths and links are those of the code."""

import ast
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from fairprof.config import CommandSettings
from fairprof.documents.settings import ENTRY_POINTS
from fairprof.errors import UserError
from tests.places import ROOT

MOST_BYTES_OF_README = 9_000
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}
MLPROJECT = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
PATH = re.compile(r"\b(?:fairprof|entrypoints|tests|benchmarks|docs)/[\w./*-]*\w")
HEADS = {  # programs that the commands start
    *("docker", "echo", "export", "mlflow", "mypy", "pip", "pytest", "python", "ruff", "srun", "torchrun"),
}
KUBERNETES = "docs/clusters/kubernetes"


# Commands.


def commands_of(text: str) -> list[list[str]]:
    """The words of every command in a fenced bash block, without `uv run`; a line per command, of `&&` each."""
    blocks = [body for language, body in FENCE.findall(text) if language == "bash"]
    lines = [line for body in blocks for line in body.replace("\\\n", " ").splitlines() if line.strip()]
    words = [shlex.split(part) for line in lines for part in line.split(" && ")]
    return [command[2:] if command[:2] == ["uv", "run"] else command for command in words]


COMMANDS = [
    pytest.param(command, id=f"{page}: {shlex.join(command)[:60]}")
    for page, text in TEXTS.items()
    for command in commands_of(text)
]


def settings_of(module: str) -> type[CommandSettings]:
    """The settings that an entry point's module, such as `entrypoints.train`, takes."""
    (entry_point,) = (name for name in MLPROJECT if module_of(name) == module)
    return ENTRY_POINTS[entry_point]


def module_of(entry_point: str) -> str:
    words = MLPROJECT[entry_point]["command"].split()
    return words[words.index("-m") + 1]


def options_of(command: list[str], name: str) -> list[str]:
    """The values of an option that may come several times."""
    return [value for option, value in zip(command, command[1:], strict=False) if option == name]


def test_the_two_commands_of_the_readme_are_the_first_ones():
    assert commands_of(TEXTS["README.md"])[:3] == [
        ["pip", "install", "uv"],
        ["mlflow", "run", ".", "-P", "experiment=B", "--env-manager", "local"],
        ["pytest"],
    ]
    assert "\npip install uv && uv run mlflow run . -P experiment=B --env-manager local\n" in TEXTS["README.md"]
    assert "\nuv run pytest\n" in TEXTS["README.md"]
    assert (ROOT / ".ci" / "run").read_text().endswith("\nuv run pytest\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_starts_what_there_is_with_settings_that_parse(command):
    assert command[0] in HEADS
    if command[:2] == ["mlflow", "run"]:
        assert command[2] in (".", KUBERNETES)
        (entry_point,) = options_of(command, "-e") or ["main"]
        parameters = options_of(command, "-P")
        arguments = [word for pair in parameters for word in (f"--{pair.partition('=')[0]}", pair.partition("=")[2])]
        ENTRY_POINTS[entry_point].from_arguments(arguments)
        rest = [word for word in command[3:] if word not in {"-e", "-P", entry_point, *parameters}]
        on_kubernetes = ["--backend", "kubernetes", "--backend-config", f"{KUBERNETES}/backend.json"]
        assert rest == on_kubernetes if command[2] == KUBERNETES else rest in ([], ["--env-manager", "local"])
    elif "-m" in command and command[0] in ("python", "torchrun"):
        (module,) = options_of(command, "-m")
        if module not in ("benchmarks", "tests.faults"):  # which have options of their own
            settings_of(module).from_arguments(command[command.index(module) + 1 :])


@pytest.mark.parametrize("page", TEXTS)
def test_python_in_the_pages_can_be_read(page):
    for language, body in FENCE.findall(TEXTS[page]):
        if language == "python":
            ast.parse(body)


def inline_code(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", FENCE.sub("", text))


@pytest.mark.parametrize("page", TEXTS)
def test_settings_in_running_text_exist_and_take_the_value(page):
    given = [
        word for code in inline_code(TEXTS[page]) for word in code.removeprefix("-P ").replace(" -P ", " ").split()
    ]
    pairs = [re.fullmatch(r"([a-z_]+)=(.+)", word) for word in given]
    for pair in filter(None, pairs):
        assert any(takes(entry_point, *pair.groups()) for entry_point in MLPROJECT), pair.group()


def takes(entry_point: str, name: str, value: str) -> bool:
    try:
        ENTRY_POINTS[entry_point].from_arguments([f"--{name}", value])
    except UserError:
        return False
    return True


# Paths and links.


@pytest.mark.parametrize("page", TEXTS)
def test_every_path_that_a_page_names_exists(page):
    for path in PATH.findall(TEXTS[page]):
        assert list(ROOT.glob(path)), path


@pytest.mark.parametrize("page", TEXTS)
def test_every_link_leads_somewhere(page):
    text = FENCE.sub("", TEXTS[page])
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        found = (ROOT / page).parent / file if file else ROOT / page
        assert found.exists(), target
        assert not anchor or anchor in anchors_of(found), target


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [page for page in TEXTS if page.startswith("docs/") and page != "docs/README.md"])
def test_the_index_of_the_pages_has_every_page(page):
    assert f"({page.removeprefix('docs/')})" in TEXTS["docs/README.md"]


def test_the_map_has_a_line_for_every_module_and_no_other():
    listed = set()
    for section in re.split(r"^### ", TEXTS["docs/architecture.md"], flags=re.MULTILINE)[1:]:
        folder = re.match(r"`(fairprof/[\w/]*)`", section)
        if folder:
            names = re.findall(r"^\| `([\w/.]+)` \|", section.partition("\n## ")[0], flags=re.MULTILINE)
            listed |= {folder.group(1) + name for name in names}
    kinds = ("*.py", "*.j2", "*.css", "*.js")
    files = {str(file.relative_to(ROOT)) for kind in kinds for file in (ROOT / "fairprof").rglob(kind)}
    assert listed == {file for file in files if not file.endswith("/__init__.py")}


# One screen, and how to cite.


def test_the_readme_is_one_screen():
    assert len((ROOT / "README.md").read_bytes()) < MOST_BYTES_OF_README


def test_the_citation_is_of_this_project():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)  # what the format requires
    assert citation["title"] == project["name"]
    assert str(citation["version"]) == project["version"]
    assert citation["license"] == project["license"]
    holder = re.search(r"Copyright \(c\) \d+ (.+)", (ROOT / "LICENSE").read_text()).group(1)
    assert citation["authors"] == [{"name": holder}]
