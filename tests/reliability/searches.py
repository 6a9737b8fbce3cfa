"""Searches in two processes, which are stopped or lose a process: ``python searches.py BACKEND``.

What is done is printed, one word or JSON in each line; the test answers with signals.
"""

import json
import os
import signal
import sys
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
from crystals import nickel_fraction, random_alloys
from sklearn.model_selection import GridSearchCV

from sklmat import CGCNNRegressor

SMALL = {"cutoff": 4.0, "hidden_dim": 4, "n_conv": 1, "random_state": 0, "device": "cpu"}
#: The folder in which processes say that they are training.
FOLDER = "FOLDER_OF_THE_SEARCH"


class Announces(CGCNNRegressor):
    """Makes a file with the number of its process when it begins to train."""

    def fit(self, X, y):
        (Path(os.environ[FOLDER]) / str(os.getpid())).touch()
        return super().fit(X, y)


class KillsItsProcess(CGCNNRegressor):
    """The first one that is fitted in another process than `main` kills this process."""

    def fit(self, X, y):
        if os.environ[FOLDER + "_MAIN"] != str(os.getpid()):
            try:
                (Path(os.environ[FOLDER]) / "killed").touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(X, y)


def search(Estimator, n_jobs=2, max_epochs=1):
    """Scores of a search, and predictions of the estimator that it finds."""
    X = random_alloys(8, n_cells=1)
    grid = GridSearchCV(
        Estimator(**SMALL, max_epochs=max_epochs),
        {"lr": [0.01, 0.03]},
        cv=2,
        scoring="r2",
        n_jobs=n_jobs,
    ).fit(X, nickel_fraction(X))
    return np.r_[grid.cv_results_["mean_test_score"], grid.predict(X)]


def say(*words):
    print(*words, flush=True)


def wait_for_the_end(folder):
    """Say how many of the processes in the folder have not ended after ten seconds."""
    end = time.time() + 10
    alive = [path for path in folder.iterdir() if path.name.isdigit()]
    while alive and time.time() < end:
        alive = [path for path in alive if Path("/proc", path.name).exists()]
        time.sleep(0.1)
    for path in folder.iterdir():
        path.unlink()
    say("alive", len(alive))


def loky():
    folder = Path(os.environ[FOLDER])
    try:
        search(Announces, max_epochs=1_000_000)
    except KeyboardInterrupt:
        wait_for_the_end(folder)
    try:
        search(KillsItsProcess)
    except Exception as error:
        say("error", json.dumps([type(error).__name__, str(error)]))
    say("equal", np.array_equal(search(CGCNNRegressor), search(CGCNNRegressor, n_jobs=1)))
    search(Announces, max_epochs=1_000_000)


def dask():
    from dask.distributed import Client, LocalCluster

    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**settings) as cluster, Client(cluster):
        with joblib.parallel_config(backend="dask"):
            found = search(KillsItsProcess)
        say("killed", (Path(os.environ[FOLDER]) / "killed").exists())
        say("equal", np.array_equal(found, search(CGCNNRegressor, n_jobs=1)))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    os.environ[FOLDER + "_MAIN"] = str(os.getpid())
    # Other processes import the classes from this file under its own name.
    import searches

    getattr(searches, sys.argv[1])()
