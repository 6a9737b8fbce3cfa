"""Fixtures shared by all tests."""

import os
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
            return Path(candidate)
    pytest.skip("the real data sets are not here: set SKLMAT_DATA to a filled cache")


@pytest.fixture
def double():
    """Make new tensors in double precision."""
    import torch

    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def few_trees():
    """Forests of five trees, not 200, in the report of generated rows.

    It takes most of the time of fitting a small EFTGAN, and few tests read it.
    """
    from sklmat.augmentation import _quality_report

    with pytest.MonkeyPatch.context() as patch:
        for name in ("ExtraTreesClassifier", "ExtraTreesRegressor"):
            Trees = getattr(_quality_report, name)
            patch.setattr(
                _quality_report, name, lambda n, Trees=Trees, **params: Trees(5, **params)
            )
        yield
