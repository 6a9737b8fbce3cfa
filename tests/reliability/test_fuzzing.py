"""Damaged and made-up files: what every reader does with seeded mutations of small files."""

from types import SimpleNamespace

import pytest
import skorch.callbacks.logging
from damaged_files import LOADS, READERS
from fuzzing import failures, without_digest

from sklmat.training import _gan_loop

#: Files with a digest, which are also read without it, as those of earlier versions.
WITH_DIGEST = ("graphs", "cgcnn", "ecnet", "delta", "featurizer", "infogan", "eftgan")
#: Those that are read more slowly than others, in the quick suite.
FEW = {"checkpoint": 6, "id_prop": 8}

pytestmark = pytest.mark.usefixtures("few_trees", "without_durations")


@pytest.fixture
def without_durations(monkeypatch):
    """Epochs take no time, so that the history in a file is the same in each run."""
    stopped = SimpleNamespace(time=lambda: 0.0, perf_counter=lambda: 0.0)
    for module in (skorch.callbacks.logging, _gan_loop):
        monkeypatch.setattr(module, "time", stopped)


@pytest.mark.parametrize("kind", [*LOADS, *READERS])
def test_damaged_files_are_refused_or_read_rightly(kind, tmp_path):
    case = {**LOADS, **READERS}[kind](tmp_path)
    assert case.is_right(case.read(case.path))
    found = failures(case.read, case.path, FEW.get(kind, 25), seed=0, is_right=case.is_right)
    assert found == {}


@pytest.mark.parametrize("kind", WITH_DIGEST)
def test_files_without_a_digest(kind, tmp_path):
    """Someone who makes a file up leaves the digest out: other numbers are then not noticed."""
    case = LOADS[kind](tmp_path)
    without_digest(case.path)
    assert case.is_right(case.read(case.path)), "files of earlier versions have no digest"
    assert failures(case.read, case.path, 25, seed=1, is_right=case.is_usable) == {}


@pytest.mark.parametrize("kind", ["graphs", "infogan", "ase db", "saved structures"])
def test_files_are_the_same_bytes_each_time(kind, tmp_path):
    """Otherwise a seed would give other mutations in the next run."""
    assert_same_bytes(kind, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*LOADS, *READERS])
def test_all_files_are_the_same_bytes_each_time(kind, tmp_path):
    assert_same_bytes(kind, tmp_path)


def assert_same_bytes(kind, tmp_path):
    contents = []
    for name in "ab":
        (tmp_path / name).mkdir()
        contents.append({**LOADS, **READERS}[kind](tmp_path / name).path.read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3, 5])
@pytest.mark.parametrize("kind", [*LOADS, *READERS])
def test_many_damaged_files(kind, seed, tmp_path):
    case = {**LOADS, **READERS}[kind](tmp_path)
    n = 4 * FEW.get(kind, 100)
    assert failures(case.read, case.path, n, seed, case.is_right) == {}
    if kind in WITH_DIGEST:
        without_digest(case.path)
        assert failures(case.read, case.path, n, seed, case.is_usable) == {}
