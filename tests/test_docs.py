"""README and docs hold what they say: links lead somewhere, commands compose, Python runs."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import neuralsde.sde
from neuralsde.training.settings import check_settings
from neuralsde.workflow import train
from tests.helpers.tiny import composed, tiny_config, tiny_simulated

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = {page: page.read_text() for page in PAGES}
TRAIN = re.compile(r"(?:python train\.py|neuralsde train|python -m neuralsde\.search) ([^`#\n]*)")
COMMANDS = sorted({match.strip() for text in TEXT.values() for match in TRAIN.findall(text)})
FILES = ROOT / "docs" / "add_a_dynamics.md"  # its blocks are three files that belong together
BLOCKS = [
    (page.name, block)
    for page, text in TEXT.items()
    if page != FILES
    for block in re.findall(r"```python\n(.*?)```", text, re.S)
    if "runs/patients" not in block  # tests/evaluation/test_new_series.py runs it
]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", TEXT[page]):
        assert (page.parent / target).exists(), f"{page.name} links to {target}, which does not exist"


def news_first(commands: list[str]) -> list:
    """All commands; those whose every choice and every setting stands in longer ones too, in the slow lane."""
    seen, cases = set(), []
    for command in sorted(commands, key=lambda command: (-len(command.split()), command)):
        words = {word if "." not in (key := word.partition("=")[0]) else key for word in shlex.split(command)}
        cases.append(pytest.param(command, marks=[] if words - seen else pytest.mark.slow))
        seen |= words
    return cases


@pytest.mark.parametrize("command", news_first([c for c in COMMANDS if not re.search("…|--|^-m ", c)]))
def test_training_commands_compose_into_possible_settings(command):
    check_settings(composed(*shlex.split(command), "run_dir=unused"))


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """The run that blocks read from `runs/mine`, trained once."""
    folder = tmp_path_factory.mktemp("docs") / "mine"
    train(tiny_config(folder))
    return folder


@pytest.mark.parametrize(("name", "block"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_python_blocks_run(name, block, tmp_path, monkeypatch, request):
    if "runs/mine" in block:
        shutil.copytree(request.getfixturevalue("mine"), tmp_path / "runs" / "mine")
    monkeypatch.chdir(tmp_path)
    exec(compile(block, name, "exec"), {"__name__": "__main__"})


def test_the_example_of_a_dynamics_passes_its_own_test_and_trains(tmp_path, monkeypatch):
    equation, check = re.findall(r"```python\n(.*?)```", TEXT[FILES], re.S)
    (config,) = re.findall(r"```yaml\n(.*?)```", TEXT[FILES], re.S)
    (tmp_path / "bistable.py").write_text(equation)
    monkeypatch.setattr(neuralsde.sde, "__path__", [*neuralsde.sde.__path__, str(tmp_path)])
    names = {}
    exec(compile(check, "test_bistable.py", "exec"), names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()
    words = [*tiny_simulated("double_well"), "model=latent_sde", "model/likelihood=gaussian", "training.baselines=false"]
    whole = tiny_config(tmp_path / "run", *words)
    whole.model.dynamics = OmegaConf.create(config)
    assert train(whole) > -50


def test_readme_is_one_screen():
    assert len(TEXT[ROOT / "README.md"].splitlines()) < 60
