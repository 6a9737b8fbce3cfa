"""Every cell of the table of the page "Reproducibility" is a test.

A cell is "=" (the same bits), a number (the largest relative difference that was measured), "no"
(other results) or "–" (cannot be asked).
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import repeated_work
import torch
from repeated_work import GRID, WORK, largest_difference, quiet, rounded
from sklearn.base import clone
from skorch.callbacks import Callback
from threadpoolctl import threadpool_limits

import sklmat

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "user_guide" / "reproducibility.md"
#: Their labeler is an estimator of another package, which `save` refuses; or a class of the tests.
ONLY_JOBLIB = {"InfoGAN, `fit_resample`", "`EFTGANRegressor`", "`StructureAttack`"}
#: What other processors may round differently.
FACTOR = 10
SLOW = {"in another process", "4 threads", "`n_jobs=2`, threads", "`n_jobs=2`, processes"}


def table():
    """Header and rows of the first table of the page."""
    (lines, *_) = re.findall(r"(?:^\|.*\|\n)+", PAGE.read_text(encoding="utf-8"), re.M)
    header, _, *rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in lines.splitlines()
    ]
    return header, rows


def cells():
    """(row, column, cell) of the table."""
    if not PAGE.is_file():
        return
    header, rows = table()
    for name, *row in rows:
        for column, cell in zip(header[1:], row):
            if cell != "–":
                marks = [pytest.mark.slow] if column in SLOW else []
                yield pytest.param(name, column, cell, marks=marks, id=f"{name}-{column}")


@cache
def fitted(name):
    return WORK[name].fit()


@cache
def expected(name):
    return WORK[name].result(fitted(name))


def again(name, folder):
    return WORK[name].result(WORK[name].fit())


def in_another_process(name, folder):
    return results_of_a_process()[name]


@cache
def results_of_a_process():
    path = Path(tempfile.mkdtemp()) / "results.joblib"
    folders = [ROOT / "tests", ROOT / "tests" / "reliability", ROOT]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    subprocess.run([sys.executable, repeated_work.__file__, path], env=environment, check=True)
    results = joblib.load(path)
    shutil.rmtree(path.parent)
    return results


def four_threads(name, folder):
    before = torch.get_num_threads()
    try:
        with threadpool_limits(4):
            torch.set_num_threads(4)
            return again(name, folder)
    finally:
        torch.set_num_threads(before)


def jobs_in_threads(name, folder):
    with joblib.parallel_config(backend="threading", n_jobs=2):
        return again(name, folder)


def jobs_in_processes(name, folder):
    with joblib.parallel_config(backend="loky", n_jobs=2):
        return again(name, folder)


def saved(name, folder):
    """With `save` where there is one, and with joblib."""
    model = fitted(name)
    joblib.dump(model, folder / "model.joblib")
    rows = WORK[name].result(joblib.load(folder / "model.joblib"))
    if hasattr(model, "save") and name not in ONLY_JOBLIB:
        with quiet():
            model.save(folder / "model")
            loaded = type(model).load(folder / "model")
        assert largest_difference(WORK[name].result(loaded), rows) == 0
    return rows


def other_order(name, folder):
    work = WORK[name]
    return work.result(fitted(name), work.X[::-1])[::-1]


def one_by_one(name, folder):
    work = WORK[name]
    rows = [work.result(fitted(name), work.X[k : k + 1]) for k in range(len(work.X))]
    return [row for (row,) in rows]


def single_precision(name, folder):
    return WORK[name].result(fitted(name), rounded(WORK[name].X))


class Interrupt(Callback):
    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            raise MemoryError


def interrupted(name, folder):
    work = WORK[name]
    if name == "`StructureToGraph`":
        graphs = clone(work.estimator).set_params(cache=str(folder))
        graphs.transform(work.X[:5])
        return work.result(clone(graphs))
    if name == "`screen`":
        model = clone(work.estimator)
        model.fail_at = 3
        with pytest.raises(KeyboardInterrupt):
            sklmat.screen(model, GRID, out=folder / "grid.parquet")
        model.fail_at = None
        path = sklmat.screen(model, GRID, out=folder / "grid.parquet")
        return repeated_work.as_rows(pd.read_parquet(path).select_dtypes("number"))
    broken = clone(work.estimator).set_params(callbacks=[Interrupt()])
    with pytest.raises(MemoryError), quiet():
        broken.fit(work.X, work.y, checkpoint=folder / "state")
    return work.result(work.fit(checkpoint=folder / "state"))


#: Column of the table -> function that gives the results.
CHANGES = {
    "same seed": again,
    "in another process": in_another_process,
    "4 threads": four_threads,
    "`n_jobs=2`, threads": jobs_in_threads,
    "`n_jobs=2`, processes": jobs_in_processes,
    "saved, loaded": saved,
    "rows in another order": other_order,
    "row by row": one_by_one,
    "interrupted, continued": interrupted,
    "`X` in single precision": single_precision,
}


@pytest.mark.parametrize(("name", "column", "cell"), list(cells()))
def test_cell(name, column, cell, tmp_path):
    rows = CHANGES[column](name, tmp_path)
    if cell == "no":
        assert not np.array_equal(np.concatenate(rows), np.concatenate(expected(name)))
        return
    difference = largest_difference(rows, expected(name))
    print(f"\n{name}, {column}: {difference:.1e}")
    assert difference <= (0 if cell == "=" else FACTOR * float(cell))


@pytest.mark.skipif(not PAGE.is_file(), reason="the documentation is not part of this copy")
def test_all_work_and_all_changes_are_in_the_table():
    header, rows = table()
    assert header[1:] == list(CHANGES)
    assert [row[0] for row in rows] == list(WORK)


def test_differences_are_seen():
    """Relative to the largest number of a column; of rows of different lengths, of all numbers."""
    rows = [np.array([1.0, 200.0]), np.array([2.0, 100.0])]
    other = [np.array([1.0, 201.0]), np.array([2.0, 100.0])]
    assert largest_difference(rows, rows) == 0
    assert largest_difference(other, rows) == 1 / 200
    ragged = [np.array([4.0]), np.array([2.0, 1.0])]
    assert largest_difference([np.array([4.0]), np.array([2.0, 1.5])], ragged) == 0.5 / 4
    with pytest.raises(AssertionError):
        largest_difference(rows, [np.array([1.0, np.nan]), rows[1]])
