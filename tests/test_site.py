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
