"""How C code comes to be compiled."""

import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch.autograd import forward_ad

from neuralsde.errors import ConfigError
from neuralsde.kernels.build import SETTING, compiled, library, runs_plainly

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang") or ""
needs_compiler = pytest.mark.skipif(not COMPILER, reason="there is no C compiler")


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(SETTING, raising=False)
    file = tmp_path / "four.c"
    file.write_text("int four(void) { return 4; }\n")
    return file


@needs_compiler
def test_several_at_once_compile_one_file_that_is_found_again(source):
    with ThreadPoolExecutor(4) as pool:
        (path,) = set(pool.map(lambda _: compiled(COMPILER, source), range(4)))
    made = path.stat().st_mtime_ns
    assert list(path.parent.iterdir()) == [path]
    assert compiled(COMPILER, source).stat().st_mtime_ns == made
    found = library(source)
    assert found is not None
    assert found.four() == 4
    source.write_text("int four(void) { return 2 + 2; }\n")
    assert compiled(COMPILER, source) != path


@needs_compiler
def test_what_cannot_be_compiled_is_said_once(source, monkeypatch):
    source.write_text("int four(void) { return for; }\n")
    with pytest.warns(UserWarning, match=r"four\.c could not be compiled by .*error: expected expression.*torch's slower loop"):
        assert library(source) is None
    assert library(source) is None
    monkeypatch.setenv(SETTING, "1")
    with pytest.raises(ConfigError, match=r"is 1, but four\.c could not be compiled"):
        library(source)


def test_without_a_compiler_nothing_is_said_unless_one_is_demanded(source, monkeypatch):
    monkeypatch.setenv("PATH", str(source.parent))
    monkeypatch.delenv("CC", raising=False)
    assert library(source) is None
    monkeypatch.setenv(SETTING, "1")
    with pytest.raises(ConfigError, match="NEURALSDE_KERNELS is 1, but there is no C compiler"):
        library(source)


def test_the_setting_is_checked(source, monkeypatch):
    monkeypatch.setenv(SETTING, "yes")
    with pytest.raises(ConfigError, match="NEURALSDE_KERNELS is 'yes'; set it to 0 or 1"):
        library(source)
    monkeypatch.setenv(SETTING, "0")
    assert library(source) is None


@needs_compiler
def test_torch_and_the_kernels_share_their_threads(source):
    """Of two OpenMP libraries each would wait for the other's idle threads, which spin."""
    before = openmp_libraries()
    source.write_text(
        "int four(void) { int n = 0;\n#pragma omp parallel for reduction(+ : n)\nfor (int i = 0; i < 4; i++) n++; return n; }\n"
    )
    found = library(source)
    assert found is not None
    assert found.four() == 4
    if "gomp" not in "".join(before):
        pytest.skip("this torch has another OpenMP library than GCC")
    assert openmp_libraries() == before


def openmp_libraries() -> set[str]:
    maps = Path("/proc/self/maps")
    return {line.split()[-1] for line in maps.read_text().splitlines() if "omp" in line.split()[-1]} if maps.exists() else set()


@needs_compiler
def test_a_compiler_without_openmp_will_do(source, monkeypatch):
    picky = source.with_name("picky")
    picky.write_text(
        f'#!/bin/sh\ncase " $* " in *" -fopenmp "*) echo "error: no such option" >&2; exit 1;; esac\nexec {COMPILER} "$@"\n'
    )
    picky.chmod(0o755)
    monkeypatch.setenv("CC", str(picky))
    found = library(source)
    assert found is not None
    assert found.four() == 4


def test_what_torch_watches_is_left_to_torch():
    x = torch.zeros(3)
    assert runs_plainly(x)
    assert not runs_plainly(x, x.double())
    assert not runs_plainly(torch.zeros(3, device="meta"))
    seen = []

    def watched(y):
        seen.append(runs_plainly(x))
        return y.sum()

    torch.func.grad(watched)(x)
    torch.func.vmap(watched)(torch.zeros(2, 3))
    with warnings.catch_warnings(action="ignore"):
        torch.jit.trace(watched, x, check_trace=False)
    with forward_ad.dual_level():
        watched(x)
    with FakeTensorMode():
        watched(torch.zeros(3))
    assert seen
    assert not any(seen)
    assert runs_plainly(x)
