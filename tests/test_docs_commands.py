"""Every shell line in README and docs names commands, options, files and targets that exist; training commands are composed in
`test_docs.py`."""

import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from neuralsde.cli.main import parser
from neuralsde.evaluation import wandb_workspace
from tests.test_docs import ROOT, TEXT

INLINE = re.compile(r"`((?:neuralsde|python -m|make|pip install|wandb|git) [^`\n]*)`")
PROGRAMS = ("python", "neuralsde", "make", "pip", "wandb", "git", "cd")
WANDB = {"sync", "login"}


def shell_lines(text):
    """Lines of the indented and ```bash blocks that begin with a program, and inline commands; without comments."""
    fenced = re.findall(r"^```(?:bash|sh|shell|console)\n(.*?)^```", text, re.S | re.M)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    indented = [line.strip() for line in prose.splitlines() if line.startswith("    ")]
    lines = [*indented, *(line for block in fenced for line in block.splitlines()), *INLINE.findall(prose)]
    lines = [part.strip() for line in lines for part in line.split("&&")]
    return [line for line in lines if line.split(" ")[0].rstrip(":") in PROGRAMS and "…" not in line]


LINES = sorted({(page.name, line) for page, text in TEXT.items() for line in shell_lines(text)})


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{page}: {line[:50]}" for page, line in LINES])
def test_what_a_line_names_exists(page, line):
    program, *words = shlex.split(line, comments=True)
    check = {"python": check_python, "neuralsde": check_neuralsde, "make": check_make, "pip": check_pip, "wandb": check_wandb}
    check.get(program, lambda _: None)(words)


def check_python(words):
    """`train.py …`, or `-m module …`, whose options are in the module's own text."""
    if words[0] != "-m":
        assert (ROOT / words[0]).is_file()
        return
    name, *rest = words[1:]
    if name == "neuralsde":
        check_neuralsde(rest)
        return
    spec = importlib.util.find_spec(name)
    assert spec is not None, name
    if name == "pytest":
        paths = [word for word in rest if "/" in word]
        assert all((ROOT / path).exists() for path in paths), paths
    elif spec.origin and name != "mkdocs":
        main = Path(spec.origin).with_name("__main__.py")  # of a package, what `-m` runs
        text = (main if main.is_file() and spec.submodule_search_locations else Path(spec.origin)).read_text()
        missing = [word for word in rest if word.startswith("--") and word.removeprefix("--") not in text.replace("_", "-")]
        assert not missing, f"{name} has no {missing}"


def check_neuralsde(words):
    """A command's own parser takes the words; `train` is Hydra's."""
    if words[0] != "train":
        assert parser().parse_args(words).command == words[0]


def check_make(words):
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
    assert next(word for word in words if "=" not in word) in targets


def check_pip(words):
    """An extra of this package."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra in re.findall(r"neuralsde\[(.*?)\]", " ".join(words)):
        assert extra in extras


def check_wandb(words):
    assert words[0] in WANDB


@pytest.mark.parametrize(
    "line",
    [
        "python nowhere.py",
        "python -m benchmarks.nothing",
        "python -m benchmarks.stability --nothing",
        "neuralsde evaluate --nothing",
        "make nothing",
        "pip install 'neuralsde[nothing]'",
    ],
)
def test_a_wrong_line_is_seen(line):
    with pytest.raises((AssertionError, SystemExit, ModuleNotFoundError)):
        test_what_a_line_names_exists("", line)


def test_lines_are_found_in_blocks_and_in_prose():
    text = (
        "Run `make docs`.\n\n    make train   # first\n    git clone x && cd x\n\n```bash\nwandb login\n```\n\n    a picture\n"
    )
    assert shell_lines(text) == ["make train   # first", "git clone x", "cd x", "wandb login", "make docs"]


def test_the_view_of_the_dashboard_takes_the_words_of_its_page(monkeypatch, capsys):
    view = type("View", (), {"save": lambda self: None, "url": "https://example.org/view"})()
    monkeypatch.setattr(wandb_workspace, "workspace", lambda *words: view)
    wandb_workspace.main(["ENTITY", "PROJECT"])
    assert capsys.readouterr().out == "https://example.org/view\n"
