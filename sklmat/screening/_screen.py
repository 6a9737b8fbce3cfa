"""`screen`: predictions for all compositions of a grid, in memory or in a Parquet file."""

from __future__ import annotations

import hashlib
import operator
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
import pandas as pd

from sklmat.argument_checks import checked_arguments
from sklmat.compositions import checked_fractions, fraction_columns
from sklmat.deprecation import renamed_parameters
from sklmat.files import expand_path
from sklmat.parallel import check_n_jobs
from sklmat.processes import count_processes, run_parallel
from sklmat.recorded_warnings import ignore_warnings
from sklmat.screening._composition_grid import CompositionGrid
from sklmat.screening._composition_model import CompositionModel
from sklmat.screening._resumable_parquet import ResumableFolder, ResumableParquet
from sklmat.screening._screening_task import make_task

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from sklmat.typing import PathLike

#: Largest number of rows that are kept in memory.
MAX_ROWS = 20_000_000
#: Largest number of files on disk during a run.
MAX_PARTS = 2_000
#: Number of compositions whose predictions identify a model.
N_PROBES = 8


@overload
def screen(
    estimator: BaseEstimator,
    grid: CompositionGrid | pd.DataFrame,
    phases: str | Sequence[str] | None = None,
    *,
    targets: str | Sequence[str] | None = None,
    keep: Literal["all"] | int = "all",
    by: str | None = None,
    largest: bool = False,
    stable_only: bool = False,
    temperature: float | Sequence[float] | None = None,
    return_std: bool = False,
    out: None = None,
    overwrite: bool = False,
    n_jobs: int | None = None,
    verbose: bool = False,
) -> pd.DataFrame: ...
@overload
def screen(
    estimator: BaseEstimator,
    grid: CompositionGrid | pd.DataFrame,
    phases: str | Sequence[str] | None = None,
    *,
    targets: str | Sequence[str] | None = None,
    keep: Literal["all"] | int = "all",
    by: str | None = None,
    largest: bool = False,
    stable_only: bool = False,
    temperature: float | Sequence[float] | None = None,
    return_std: bool = False,
    out: PathLike,
    overwrite: bool = False,
    n_jobs: int | None = None,
    verbose: bool = False,
) -> Path: ...
@renamed_parameters(model="estimator")
@checked_arguments()
def screen(
    estimator: BaseEstimator,
    grid: CompositionGrid | pd.DataFrame,
    phases: str | Sequence[str] | None = None,
    *,
    targets: str | Sequence[str] | None = None,
    keep: Literal["all"] | int = "all",
    by: str | None = None,
    largest: bool = False,
    stable_only: bool = False,
    temperature: float | Sequence[float] | None = None,
    return_std: bool = False,
    out: PathLike | None = None,
    overwrite: bool = False,
    n_jobs: int | None = None,
    verbose: bool = False,
) -> pd.DataFrame | Path:
    """Predict all compositions of a grid, table by table.

    Parameters
    ----------
    estimator : fitted regressor
        One of three kinds of models, also inside a search such as `GridSearchCV` (the best
        estimator predicts), a FrozenEstimator, an `AugmentedRegressor` or a
        `TransformedTargetRegressor`:

        - an `EFTGANRegressor`, or another regressor with the attributes ``elements_`` and
          ``phases_`` whose ``predict`` takes a table of fractions and a parameter ``phase``;
        - a regressor or pipeline of scikit-learn that was fitted on a DataFrame with the fractions
          ``x_Fe``, ... as columns. A model that distinguishes phases also has the 0/1 columns
          ``lattice_bcc``, ..., of which the column of the predicted phase is set to 1. The column
          ``mixing entropy (kB per atom)`` is optional.
          ``CompositionFeaturizer(fractions=True, properties=[])`` makes such a table, with
          ``lattice=True`` for phases;
        - a pipeline that predicts compositions, such as ``make_pipeline(CompositionFeaturizer(),
          XGBRegressor())``. It distinguishes the phases if its first step is a
          `CompositionFeaturizer` with ``lattice=True``.
    grid : CompositionGrid or DataFrame
        The compositions, as `composition_grid` makes them, or a table with the columns ``x_Fe``,
        ... . An element of `estimator` that has no column in the table has the fraction zero.
    phases : str, sequence of str or None, default=None
        Phases to predict at each composition; None takes all phases of the estimator.
    targets : str, sequence of str or None, default=None
        Names of the predictions, preferably with their unit. None takes ``target_names_`` of the
        estimator, with the unit if it is known, or "prediction".
    keep : "all" or int, default="all"
        Number of rows to keep: all, or this number of best rows.
    by : str or None, default=None
        Column by which rows are ranked. None takes the formation energy, or the only prediction.
    largest : bool, default=False
        Whether rows with the largest values are the best; by default those with the smallest are.
    stable_only : bool, default=False
        Whether to keep only the phase with the lowest formation energy at each composition (see
        `stable_phase`).
    temperature : float, sequence of float or None, default=None
        Temperatures (K) at which the free energy of the ideal solution is computed, each in a
        column such as ``free energy at 1000 K (eV/atom)``.
    return_std : bool, default=False
        Whether to add the standard deviations that the estimator predicts, in columns ``spread of
        ...``. Its ``predict`` must have the parameter `return_std`.
    out : str, Path or None, default=None
        What to write: one Parquet file, if the name ends with ``.parquet``, or else a folder of at
        most 2,000 Parquet files, one for each part of the grid, in order. pandas, polars, dask and
        others read such a folder as one data set. With None the rows are returned; with
        ``keep="all"`` they must then fit into memory.
    overwrite : bool, default=False
        Whether to replace `out` if it exists.
    n_jobs : int or None, default=None
        Number of processes (joblib); None means one, unless in a `joblib.parallel_config`. At most
        two tables of the grid per process are predicted at a time.
    verbose : bool, default=False
        Show a progress bar.

    Returns
    -------
    result : DataFrame or Path
        The rows, or the path of the file with the rows. The columns are the fractions, ``phase``
        (unless the estimator has no phases), the predictions and, if requested, their standard
        deviations and the free energies. With `keep="all"` the rows are in the order of the grid,
        with the phases of a composition one after the other; otherwise the best row is the first,
        and rows with equal values are in the order of the grid.

    Raises
    ------
    ValueError
        When the grid has an element, or `phases` a phase, on which the estimator was not fitted;
        when the estimator was fitted on a column that cannot be computed from composition and
        phase; when `targets` does not have one name for each prediction; when there is no column
        `by` or no formation energy; or when more than 20 million rows would have to be kept in
        memory.
    TypeError
        When the estimator was fitted without names of columns.
    FileExistsError
        When the file `out` exists and `overwrite` is False, or another call is writing `out`.

    Notes
    -----
    **Interruption and resumption.** During a run that writes one file, finished rows are in the
    folder ``<out>.parts``, one readable Parquet file for each part of the grid (one or several
    tables). A run that was interrupted is resumed when `screen` is called again with the same
    parameters; a few predictions are compared to check that the model is the same. In the end the
    parts are joined to `out` and then removed; for this time the rows are on the disk twice. If
    `out` is a folder, the parts are in it from the beginning and stay there; the same call again
    predicts only what is missing.

    Many tables of a grid may cause the same warning of the model, for example about compositions
    far from its training data. Of each category only the first warning is issued; its message has
    the number of the table that caused it, counted from 0.

    In some data sets, such as `fetch_hea`, ``phase`` is the lattice of a cell before relaxation. It
    may differ from the lattice after relaxation: see the notes of `stable_phase`.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklmat.screening import composition_grid, screen
    >>> X = pd.DataFrame({
    ...     "x_Fe": [1, 0, 1, 0], "x_Ni": [0, 1, 0, 1],
    ...     "lattice_bcc": [1, 1, 0, 0], "lattice_fcc": [0, 0, 1, 1],
    ... })
    >>> model = LinearRegression().fit(X, [-1.0, 0.5, -0.75, 0.75])
    >>> grid = composition_grid(["Fe", "Ni"], 0.5)
    >>> screen(model, grid, targets="formation energy (eV/atom)", keep=3).round(3)
       x_Fe  x_Ni phase  formation energy (eV/atom)
    0   1.0   0.0   bcc                       -1.00
    1   1.0   0.0   fcc                       -0.75
    2   0.5   0.5   bcc                       -0.25
    """
    check_n_jobs(n_jobs, "screen")
    tables = _as_tables(grid)
    first = tables[0]
    model = CompositionModel(estimator, fraction_columns(first.columns), phases, return_std)
    # The model issues these warnings again for the tables that the compositions are in.
    with ignore_warnings():
        task = make_task(model, first, targets, keep, by, largest, stable_only, temperature)
        probe = np.zeros((0, 1))
        if out is not None:
            probe = model.predict(_probe_compositions(tables))[0]
    if out is None:
        _check_memory(tables, task)
        parts = _split(len(tables), len(tables))
        return task.concatenate(_predict_parts(task, tables, parts, n_jobs, verbose))
    parts = _split(len(tables), MAX_PARTS)
    settings = {"grid": _describe_grid(tables), "parts": len(parts), **task.settings()}
    kind = ResumableParquet if _is_file(out) else ResumableFolder
    if kind is ResumableFolder and task.n_best is not None:
        raise ValueError(
            f"the best rows are one table: the name of out must end with .parquet, got {str(out)!r}"
        )
    file = kind(out, "screen", settings, probe.reshape(-1, probe.shape[-1]).tolist(), overwrite)
    try:
        _write_missing(file, task, tables, parts, n_jobs, verbose)
        return file.finish(len(parts), None if task.n_best is None else task.concatenate)
    except BaseException as error:
        error.add_note(
            f"Finished parts are in {file.folder}: the same call of screen resumes after them."
        )
        raise
    finally:
        file.close()


def _is_file(out):
    """Whether `out` is the name of one Parquet file, and not of a folder."""
    return expand_path(out).suffix.lower() in (".parquet", ".pq")


class _TableChunks:
    """A table of compositions as a sequence of smaller ones, like a `CompositionGrid`."""

    def __init__(self, table, size=20_000):
        checked_fractions(table)
        self.table = table[fraction_columns(table.columns)].reset_index(drop=True)
        self.chunk_size = size
        self.n_points = len(table)

    def __len__(self):
        return -(-self.n_points // self.chunk_size)

    def places(self, chunk):
        start = chunk * self.chunk_size
        return range(start, min(start + self.chunk_size, self.n_points))

    def __getitem__(self, index):
        return self.table.iloc[self.places(index)]


def _as_tables(grid):
    """A sequence of tables of compositions."""
    if isinstance(grid, CompositionGrid):
        return grid
    if not isinstance(grid, pd.DataFrame):
        raise TypeError(
            f"grid must come from composition_grid, or be a DataFrame with the columns x_Fe, ..., "
            f"not a {type(grid).__name__}"
        )
    if grid.empty:
        raise ValueError("the table of compositions is empty")
    return _TableChunks(grid)


def _describe_grid(tables):
    """What distinguishes a grid from others, for the description of a run."""
    if isinstance(tables, CompositionGrid):
        names = ("elements", "divisions", "lower", "upper", "chunk_size")
        return {name: getattr(tables, name) for name in names}
    hashes = pd.util.hash_pandas_object(tables.table, index=False).to_numpy()
    return {"columns": list(tables.table), "rows": hashlib.sha256(hashes.tobytes()).hexdigest()}


def _probe_compositions(tables):
    """A few compositions from the whole grid, by whose predictions a model is recognised."""
    points = np.unique(np.linspace(0, tables.n_points - 1, N_PROBES).astype(int))
    chunks, rows = np.divmod(points, tables.chunk_size)
    return pd.concat([tables[chunk].iloc[[row]] for chunk, row in zip(chunks.tolist(), rows)])


def _check_memory(tables, task):
    """Raise a ValueError when the rows to return are too many."""
    n_rows = tables.n_points * (1 if task.stable_only else len(task.model.phases))
    if task.n_best is None and n_rows > MAX_ROWS:
        raise ValueError(
            f"{n_rows:,} rows would have to be kept in memory: write them to a file with out=, or "
            "keep the best with keep="
        )


def _split(n_chunks, n_parts):
    """At most `n_parts` ranges of the same length that cover the tables of a grid."""
    size = -(-n_chunks // n_parts)
    return [range(start, min(start + size, n_chunks)) for start in range(0, n_chunks, size)]


def _write_missing(file, task, tables, parts, n_jobs, verbose):
    """Predict and write the parts that are not on disk."""
    missing = [number for number in range(len(parts)) if not file.has_part(number)]
    results = _predict_parts(task, tables, [parts[number] for number in missing], n_jobs, verbose)
    for number, rows in zip(missing, results):
        file.write(number, rows)


def _predict_parts(task, tables, parts, n_jobs, verbose):
    """Generate the rows to keep of each part of the grid, in order."""
    from tqdm.auto import tqdm

    chunks = [chunk for part in parts for chunk in part]
    n_points = sum(len(tables.places(chunk)) for chunk in chunks)
    settings = {"unit": "alloy", "unit_scale": True, "disable": not verbose}
    total = tables.n_points
    with tqdm(total=total, initial=total - n_points, desc="screening", **settings) as bar:
        predicted = _predict_chunks(task, tables, chunks, n_jobs, bar)
        for part in parts:
            rows = [next(predicted) for _ in part]
            yield rows[0] if len(rows) == 1 else task.best_rows(pd.concat(rows, ignore_index=True))


def _predict_chunks(task, tables, chunks, n_jobs, bar):
    """Generate the results of `task` in order; at most two per process wait to be used."""
    items = ((tables[chunk],) for chunk in chunks)
    n_waiting = 2 * count_processes(n_jobs)
    results = run_parallel(operator.call, items, common=(task,), n_jobs=n_jobs, n_waiting=n_waiting)
    warned = set()
    for (rows, caught), chunk in zip(results, chunks):
        _warn_once(caught, chunk, warned)
        bar.update(len(tables.places(chunk)))
        yield rows


def _warn_once(caught, chunk, warned):
    """Issue the first warning of each category, since all tables may cause the same ones."""
    for category, message in caught:
        if category not in warned:
            warned.add(category)
            text = f"table {chunk} of the grid: {message} (shown once for all tables)"
            warnings.warn(text, category, stacklevel=2)
