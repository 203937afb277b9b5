"""Imports point downward only: the package's layers, read from its own import statements."""

import ast
from pathlib import Path

import pytest

PACKAGE = "neuralsde"
ROOT = Path(__file__).parents[1] / PACKAGE
LAYERS = {
    "errors": 0, "files": 0, "kernels": 0, "shares": 0, "noise": 0, "nn": 0,
    "sde": 1,
    "solvers": 2, "likelihoods": 2, "metrics": 2, "plots": 2,
    "inference": 3, "datamodules": 3,
    "models": 4,
    "training": 5,
    "analysis": 6, "evaluation": 6,
    "workflow": 7, "search": 7,
    "cli": 8, "__main__": 8,
}  # fmt: skip


def imported_parts(path: Path) -> set[str]:
    """First-level parts of the package that the module at `path` imports, wherever in the module the import stands."""
    parts = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            parts |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(f"{PACKAGE}."):
            parts.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            parts |= {a.name.split(".")[1] for a in node.names if a.name.startswith(f"{PACKAGE}.")}
    return parts & LAYERS.keys()


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    part = "__main__" if path.stem == "__main__" else path.relative_to(ROOT).parts[0].removesuffix(".py")
    if part == "__init__":
        return
    for other in imported_parts(path):
        assert LAYERS[other] <= LAYERS[part], f"{part} (L{LAYERS[part]}) imports {other} (L{LAYERS[other]})"


def test_every_part_has_a_layer():
    parts = {p.relative_to(ROOT).parts[0].removesuffix(".py") for p in ROOT.rglob("*.py")}
    assert parts - {"__init__"} <= LAYERS.keys()


def test_an_upward_import_is_seen(tmp_path):
    module = tmp_path / "upward.py"
    module.write_text("def f():\n    from neuralsde.training.module import X\n    import neuralsde.cli\n")
    assert imported_parts(module) == {"training", "cli"}
