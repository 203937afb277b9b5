"""The documentation's site: built strictly, whole without the network, equations as MathML."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
pytest.importorskip("latex2mathml", reason="the extra `docs` is not installed")


def hooks():
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "docs" / "_site" / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_equations_become_mathml():
    page = SimpleNamespace(file=SimpleNamespace(src_uri="page.md"))
    marked = r'<p><span class="arithmatex">\(\lvert u\rvert^2 &lt; \mathcal N(0, \tfrac12), x \sim p\)</span>.</p>'
    made = hooks().on_page_content(marked, page, None, None)
    assert made.startswith("<p><math")
    assert made.endswith("</math>.</p>")
    assert "𝒩" in made
    assert "&#x0223C;" in made
    assert "<mfrac>" in made


def test_an_equation_that_cannot_be_written_stops_the_build():
    module = hooks()
    with pytest.raises(module.PluginError, match=r"quickstart\.md"):
        module.mathml(r"\nosuchcommand x", False, "quickstart.md")


def test_equations_of_pages_and_docstrings_can_be_written():
    module = hooks()
    for path in [*(ROOT / "docs").rglob("*.md"), *(ROOT / "neuralsde").rglob("*.py")]:
        for block, inline in re.findall(r"\$\$(.+?)\$\$|\$([^$\n`]+)\$", path.read_text(), re.S):
            if "\\" in block + inline:
                module.mathml(block or inline, bool(block), path.name)


def test_every_made_page_has_a_place_in_the_menu():
    files = []
    module = hooks()
    module.File = SimpleNamespace(generated=lambda config, page, content: page)
    module.on_files(files, None)
    menu = (ROOT / "mkdocs.yml").read_text()
    assert [page for page in files if f": {page}\n" not in menu] == []


def test_links_to_the_repository_lead_to_the_page_made_from_it():
    text = "[data/arrays](../data/arrays/README.md) and [this](quickstart.md)"
    assert hooks().on_page_markdown(text, None, None, None) == "[data/arrays](arrays.md) and [this](quickstart.md)"


@pytest.mark.slow
def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path):
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    pages = sorted((tmp_path / "site").rglob("*.html"))
    assert {"index.html", "quickstart.html", "changelog.html", "sde.html", "langevinflow.html"} <= {page.name for page in pages}
    for page in pages:
        text = page.read_text()
        loads = re.findall(r'<(?:script|img|iframe|source)[^>]*\ssrc="([^"]*)"|<link[^>]*href="([^"]*)"', text)
        outside = [a or b for a, b in loads if (a or b).startswith(("http:", "https:", "//"))]
        assert not outside, (page, outside)
        assert "arithmatex" not in text, page
    assert "<math" in (tmp_path / "site" / "api" / "sde.html").read_text()
