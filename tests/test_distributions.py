"""Wheel and source archive are complete, hold nothing else, and work away from the checkout."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from readme_example import README, example_code

import sklmat

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Source archive and wheel of this checkout."""
    for module in ("hatchling", "hatch_fancy_pypi_readme"):
        pytest.importorskip(module, reason=f"needs {module} (extra test)")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (source,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return source, wheel


def files_of_source(source):
    with tarfile.open(source) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def files_of_git(*options):
    """Files that git lists, and that exist."""
    command = ["git", "ls-files", "-z", *options]
    try:
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs a checkout of git")
    return {name for name in found.stdout.split("\0") if name and (ROOT / name).exists()}


def test_source_archive_is_what_git_tracks(archives):
    files = files_of_source(archives[0])
    tracked = files_of_git()
    if not tracked:
        pytest.skip("needs a checkout of git")
    assert tracked - files == set()
    # Files that are not committed yet are no mistake; files that git ignores are.
    assert files - tracked - files_of_git("--others", "--exclude-standard") == {"PKG-INFO"}


def test_archives_are_small_and_hold_no_caches(archives):
    source, wheel = archives
    assert source.stat().st_size < 3_000_000
    assert wheel.stat().st_size < 2_000_000
    files = files_of_source(source)
    assert {
        "tests/test_readme.py",
        "docs/conf.py",
        "examples/plot_compare_with_xgboost.py",
    } <= files
    unwanted = r"__pycache__|\.pyc$|_cache/|\.joblib$|_build/|auto_examples/|api/generated/"
    assert [name for name in files if re.search(unwanted, name)] == []


def test_wheel_holds_the_package(archives):
    source, wheel = archives
    info = f"sklmat-{sklmat.__version__}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        files = set(archive.namelist())
        metadata = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
        programs = archive.read(f"{info}/entry_points.txt").decode()
        licence = archive.read(f"{info}/licenses/LICENSE").decode()
    package = {name for name in files_of_source(source) if name.startswith("sklmat/")}
    assert {name for name in files if not name.startswith(info)} == package
    assert {"sklmat/py.typed", "sklmat/screening/am15g_spectrum.csv"} <= package
    assert "sklmat = sklmat.cli:main" in programs
    assert licence == (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload().startswith(README[:200])


def run(code_or_arguments, folder, path):
    """Run Python in a folder, with modules from a path."""
    environment = {**os.environ, "PYTHONPATH": str(path), "MPLBACKEND": "Agg"}
    command = [sys.executable, *code_or_arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_wheel_runs_the_example_with_core_dependencies_only(archives, tmp_path):
    with zipfile.ZipFile(archives[1]) as archive:
        archive.extractall(tmp_path / "installed")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    optional = {
        re.match(r"\w+", requirement).group()
        for extra in ("potentials", "uq", "scale")
        for requirement in extras[extra]
    }
    code = f"""
import sys

for module in {sorted(optional | {"distributed", "pvlib"})}:
    sys.modules[module] = None  # cannot be imported
{example_code()}
import sklmat
from sklmat.datasets import load_mixed_halide_perovskites

assert len(load_mixed_halide_perovskites().data) == 481
print(sklmat.__file__, predicted.shape)
"""
    (tmp_path / "elsewhere").mkdir()
    printed = run(["-c", code], tmp_path / "elsewhere", tmp_path / "installed")
    expected = f"{tmp_path / 'installed' / 'sklmat' / '__init__.py'} (6,)"
    assert printed.splitlines()[-1] == expected


@pytest.mark.slow
def test_unpacked_source_archive_runs_its_tests(archives, tmp_path):
    with tarfile.open(archives[0]) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    tests = [
        "tests/test_dependencies.py",
        "tests/test_elements.py",
        "tests/test_project_files.py",
        "tests/test_readme.py::test_commands_are_those_of_ci_and_of_the_examples",
        "tests/test_readme.py::test_links_lead_somewhere",
        "tests/structures/test_cif.py",
    ]
    options = ["-q", "-n", "0", "-m", "not slow", "-p", "no:cacheprovider"]
    printed = run(["-m", "pytest", *options, *tests], unpacked, unpacked)
    assert re.search(r"^\d+ passed", printed.splitlines()[-1])
