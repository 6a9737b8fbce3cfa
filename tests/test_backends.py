"""The same work on every backend of joblib gives the same bits, also when a worker dies."""

import os
import sys
import warnings
from contextlib import contextmanager
from functools import cache

import joblib
import pytest
from parallel_work import (
    WORK,
    KillsItsWorker,
    assert_same,
    build_graphs,
    screen,
)

#: What the packages of the backends warn of is theirs.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@contextmanager
def dask_cluster(n_workers, threads_per_worker, processes):
    pytest.importorskip("distributed", reason="needs dask[distributed]")
    from dask.distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=threads_per_worker,
            processes=processes,
            dashboard_address=None,
        ) as cluster,
        Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        yield


@contextmanager
def ray_cluster():
    ray = pytest.importorskip("ray", reason="needs ray")
    from ray.util.joblib import register_ray

    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        # Modules of the tests, such as this one.
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}},
    )
    register_ray()
    try:
        with joblib.parallel_config(backend="ray", n_jobs=2):
            yield
    finally:
        ray.shutdown()


def of_joblib(name):
    return joblib.parallel_config(backend=name, n_jobs=2)


BACKENDS = {
    "threading": lambda: of_joblib("threading"),
    "loky": lambda: of_joblib("loky"),
    "dask": lambda: dask_cluster(2, 1, processes=True),
    "dask in threads": lambda: dask_cluster(1, 2, processes=False),
    "ray": ray_cluster,
}


@cache
def serial(work):
    return work()


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_same_bits_on_every_backend(backend):
    # Each call on ray starts new processes, which takes ten seconds and more.
    works = [build_graphs, screen] if backend == "ray" else WORK
    expected = [serial(work) for work in works]
    with BACKENDS[backend]():
        for work, result in zip(works, expected):
            assert_same(work(), result)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["loky", "dask", "ray"])
def test_a_worker_dies_and_nothing_is_lost(backend, tmp_path):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "a worker process died", RuntimeWarning)
        with BACKENDS[backend]():
            assert_same(screen(KillsItsWorker(tmp_path / "killed")), serial(screen))
    assert (tmp_path / "killed").exists()


def test_screening_in_threads_of_dask():
    """Its tasks are keys of a dict there."""
    with BACKENDS["dask in threads"]():
        assert_same(screen(), serial(screen))
