"""What mkdocs builds beside the pages in docs/: front page, changelog, API pages; and equations as MathML, without scripts."""

import html
import re
import unicodedata
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File
from mkdocs.utils import get_relative_url

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "neuralsde"
ALONE = ("__init__", "workflow", "cli", "errors")
"""Modules of the package itself that get a page together."""
EQUATION = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.S)
BRACKET_SIZES = re.compile(r"\\[bB]igg?[lr]?(?![A-Za-z])")
"""MathML's brackets grow by themselves, and the converter does not know these."""
PAIRS = {"lvert": r"\left|", "rvert": r"\right|", "lVert": r"\left\|", "rVert": r"\right\|"}
"""Brackets that the converter sets low."""
SHIM = "https://unpkg.com/iframe-worker/shim"
"""What the plugin `offline` would fetch; a copy lies in the site."""
REPOSITORY = {
    "index.md": "README.md",
    "arrays.md": "data/arrays/README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
}


def on_files(files, config):
    """Add pages that are made from the repository's files."""
    for page, source in REPOSITORY.items():
        text = (ROOT / source).read_text().replace("](docs/", "](")
        text = f"---\nhide: [navigation]\n---\n{text}" if page == "index.md" else text
        files.append(File.generated(config, page, content=text))
    for package in sorted(path.parent for path in PACKAGE.glob("*/__init__.py")):
        files.append(File.generated(config, f"api/{package.name}.md", content=package_page(package)))
    files.append(File.generated(config, "api/neuralsde.md", content=page_of("neuralsde", [PACKAGE / f"{n}.py" for n in ALONE])))
    return files


def package_page(package):
    """Every module of a package, those of its subpackages last."""
    modules = sorted(package.rglob("*.py"), key=lambda path: (len(path.parts), path))
    return page_of(f"neuralsde.{package.name}", [m for m in modules if not m.name.startswith("_") or m.parent == package])


def page_of(title, modules):
    """A page that asks mkdocstrings for each module; of a package's own file only what it says."""
    blocks = [f"# {title}\n"]
    for module in modules:
        name = ".".join(module.relative_to(ROOT).with_suffix("").parts)
        if module.stem == "__init__":
            blocks.append(f"::: {name.removesuffix('.__init__')}\n    options: {{members: false, show_root_heading: false}}\n")
        else:
            blocks.append(f"::: {name}\n")
    return "\n".join(blocks)


def on_page_markdown(markdown, page, config, files):
    """Let links to a file of the repository lead to the page that is made from it."""
    for name, source in REPOSITORY.items():
        markdown = markdown.replace(f"](../{source})", f"]({name})")
    return markdown


def on_page_content(content, page, config, files):
    """Turn the LaTeX that `arithmatex` has marked into MathML."""
    return EQUATION.sub(lambda found: mathml(found[2], found[1] == "div", page.file.src_uri), content)


def on_post_page(output, page, config):
    """Load the search's shim from the site itself."""
    return output.replace(SHIM, get_relative_url("_site/iframe-worker.js", page.url))


def on_post_template(output, template_name, config):
    """The same on the page for what is not found."""
    return output.replace(SHIM, "_site/iframe-worker.js")


def mathml(latex, display, where):
    """An equation as MathML.

    Raises:
        PluginError: it holds a command that the converter does not know.
    """
    latex = BRACKET_SIZES.sub("", html.unescape(latex).strip())
    for command, bracket in PAIRS.items():
        latex = re.sub(rf"\\{command}(?![A-Za-z])", lambda _, text=bracket: text, latex)
    made = convert(latex, display="block" if display else "inline").replace("<mi>&#x0007E;</mi>", "<mo>&#x0223C;</mo>")
    made = re.sub(
        r'<mi mathvariant="(script|double-struck)">([A-Z])</mi>', lambda found: f"<mi>{letter(*found.groups())}</mi>", made
    )
    made = re.sub(r"(<mi>(?:ln|log|exp|sin|cos|tanh)</mi>)(?=<m[is])", r'\1<mspace width="0.17em"/>', made)
    if re.search(r"\\[A-Za-z]", made):
        raise PluginError(f"{where}: the equation {latex!r} cannot be written as MathML.")
    return made


def letter(style, plain):
    """The capital of that style: browsers know no other styles of letters than Unicode's own."""
    names = (f"{prefix}{style.upper()} CAPITAL {plain}" for prefix in ("", "MATHEMATICAL "))
    return next(found for name in names if (found := named(name)))


def named(name):
    """The character of that name, empty where there is none."""
    try:
        return unicodedata.lookup(name)
    except KeyError:
        return ""
