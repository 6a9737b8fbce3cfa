"""Fixtures shared by all tests."""

import os
from functools import cache
from pathlib import Path

import pytest
from joblib import parallel_config

#: Files of fixtures share their name; read as test files, for doctests, they would clash.
collect_ignore_glob = ["*conftest.py"]


#: Pages of the guide whose code trains for long.
SLOW_PAGES = {"adversarial.md", "eftgan.md", "infogan.md"}


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.name in SLOW_PAGES:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Tiny networks gain nothing from threads, and on a busy machine they wait for each other."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def processes():
    """Jobs of joblib run in processes, as they do for users."""


@pytest.fixture(autouse=True)
def _jobs_run_in_threads(request):
    """Except in slow tests and where `processes` are asked for: each has to import torch first."""
    if "processes" in request.fixturenames or request.node.get_closest_marker("slow"):
        yield
    else:
        with parallel_config(backend="threading"):
            yield


@pytest.fixture(scope="session")
def data_home():
    """A filled cache of the real data sets, where there is one."""
    candidates = [os.environ.get("SKLMAT_DATA"), Path(__file__).parents[2] / "shared" / "data"]
    for candidate in filter(None, candidates):
        if (Path(candidate) / "eftgan").is_dir():
            with pytest.MonkeyPatch.context() as patch:
                _parse_each_alloy_once(patch)
                yield Path(candidate)
            return
    pytest.skip("the real data sets are not here: set SKLMAT_DATA to a filled cache")


def _parse_each_alloy_once(patch):
    """The alloys of `fetch_hea`, which several files of tests need; no test changes them."""
    from sklmat.datasets import _fetch_hea

    patch.setattr(_fetch_hea, "_read_cell", cache(_fetch_hea._read_cell))


@pytest.fixture
def double():
    """Make new tensors in double precision."""
    import torch

    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def few_trees(request):
    """Forests of five trees, or N_TREES of the test file, not 200, for generated rows.

    They label classes, and the report of the rows is made with them, which few tests read; both
    take most of the time of fitting a small network.
    """
    from sklmat.augmentation import _labeler, _quality_report

    number = getattr(request.module, "N_TREES", 5)
    with pytest.MonkeyPatch.context() as patch:
        for module, name in (
            (_labeler, "ExtraTreesClassifier"),
            (_quality_report, "ExtraTreesClassifier"),
            (_quality_report, "ExtraTreesRegressor"),
        ):
            Trees = getattr(module, name)
            patch.setattr(module, name, lambda n, Trees=Trees, **params: Trees(number, **params))
        yield
