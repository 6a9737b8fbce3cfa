"""Predictions for all compositions of a grid."""

import hashlib
import warnings

import numpy as np
import pandas as pd

from sklmat.screening._composition_grid import CompositionGrid
from sklmat.screening._composition_model import CompositionModel
from sklmat.screening._prediction_columns import fraction_columns, fractions_of
from sklmat.screening._resumable_parquet import PartFiles
from sklmat.screening._screening_task import make_task

#: Rows that are kept in memory at most when there is no file for them.
MAX_ROWS = 20_000_000
#: Files on disk at most while a run is under way.
MAX_PARTS = 2_000
#: Compositions whose predictions identify a model.
N_PROBES = 8


def screen(
    model,
    grid,
    phases=None,
    *,
    targets=None,
    keep="all",
    by=None,
    largest=False,
    stable_only=False,
    temperature=None,
    return_std=False,
    out=None,
    overwrite=False,
    n_jobs=None,
    verbose=False,
):
    """Predict all compositions of a grid, in constant memory.

    Parameters
    ----------
    model : fitted regressor
        An `EFTGANRegressor`, or any regressor whose ``predict`` takes a table of fractions and a
        ``phase``; or a regressor or pipeline of scikit-learn that was fitted on a DataFrame with
        the columns ``x_Fe``, ... and, for phases, ``lattice_bcc``, ... (and at most ``mixing
        entropy (kB per atom)`` besides: what ``CompositionFeaturizer(properties=[])`` makes).
    grid : CompositionGrid or DataFrame
        The compositions, as `composition_grid` makes them, or a table with the columns ``x_Fe``,
        ... . Elements of the model that have no column are absent.
    phases : str, sequence of str or None, default=None
        Phases to predict at each composition; None takes all that the model knows.
    targets : str, sequence of str or None, default=None
        Names of the predictions, best with their unit. None takes the model's
        ``target_names_``, with the unit where it is known, else "prediction".
    keep : "all" or int, default="all"
        How many rows to keep: all, or the so many best ones.
    by : str or None, default=None
        The column that decides which rows are best. None takes the formation energy, or the only
        prediction.
    largest : bool, default=False
        Whether the best are those with the largest value; by default those with the smallest.
    stable_only : bool, default=False
        Whether to keep at each composition only the phase with the lowest formation energy, as
        `stable_phase` does.
    temperature : float, sequence of float or None, default=None
        Temperatures (K) at which to add the free energy of the ideal solution, each in a column
        ``free energy at 1000 K (eV/atom)``.
    return_std : bool, default=False
        Whether to add what the model thinks its standard deviation is, in columns ``spread of
        ...``. Its ``predict`` must have this parameter.
    out : str, Path or None, default=None
        Parquet file to write. None returns the rows.
    overwrite : bool, default=False
        Whether `out` may be there already, and is replaced.
    n_jobs : int or None, default=None
        Processes (joblib); None means one, unless in a `joblib.parallel_config`. Not more than two
        tables for each are under way at a time.
    verbose : bool, default=False
        Show a progress bar.

    Returns
    -------
    result : DataFrame or Path
        The rows, or the file they are in. The columns are the fractions, ``phase`` (unless the
        model has none) and the predictions. With `keep="all"` the rows are in the order of the
        grid, the phases of a composition one after the other; otherwise the best comes first, and
        of equal ones the first in the grid.

    Raises
    ------
    ValueError
        When the model does not know an element or a phase, names do not fit, `by` or the formation
        energy cannot be told, or more than 20 million rows would have to be kept in memory.
    TypeError
        When the model does not know what its columns mean.
    FileExistsError
        When `out` exists and `overwrite` is False.

    Notes
    -----
    **Stopping and going on.** While it runs, what is finished is in the folder ``<out>.parts``, one
    readable Parquet file for each stretch of the grid. A run that was stopped, by whatever, goes on
    when it is called again with the same parameters; that the model is the same is judged by a few
    of its predictions. In the end the parts become `out`, for which there must be as much disk
    again for a moment.

    What the model warns of, such as compositions far from those it was fitted on, is passed on once
    for each kind of warning, with the number of the first table it happened in.

    Different lattices are not different crystals for every data set: see the notes of
    `stable_phase`.

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
    tables = _as_tables(grid)
    first = tables[0]
    asked = CompositionModel(model, fraction_columns(first.columns), phases, return_std)
    with warnings.catch_warnings():
        # What a model has to say of these few it says again of the table they are in.
        warnings.simplefilter("ignore")
        task = make_task(asked, first, targets, keep, by, largest, stable_only, temperature)
        probe = None if out is None else asked.predict(_probes(tables))[0]
    if out is None:
        _check_memory(tables, task)
        stretches = [range(i, i + 1) for i in range(len(tables))]
        return task.gather(_run(task, tables, stretches, n_jobs, verbose))
    size = -(-len(tables) // MAX_PARTS)
    stretches = [range(i, min(i + size, len(tables))) for i in range(0, len(tables), size)]
    settings = {"grid": _describe_grid(tables), "parts": len(stretches), **task.settings()}
    probe = probe.reshape(-1, probe.shape[-1]).tolist()
    parts = PartFiles(out, settings, probe, overwrite)
    try:
        _fill(parts, task, tables, stretches, n_jobs, verbose)
    except BaseException as error:
        error.add_note(
            f"What is finished is in {parts.folder}: screen goes on when it is called again."
        )
        raise
    return parts.finish(len(stretches), None if task.n_best is None else task.gather)


class _Chunks:
    """A table of compositions, a piece at a time, like a `CompositionGrid`."""

    def __init__(self, table, size=20_000):
        fractions_of(table)
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
    if isinstance(grid, CompositionGrid):
        return grid
    if not isinstance(grid, pd.DataFrame):
        raise TypeError(
            f"grid must come from composition_grid, or be a DataFrame with the columns x_Fe, ..., "
            f"not a {type(grid).__name__}"
        )
    if grid.empty:
        raise ValueError("the table of compositions is empty")
    return _Chunks(grid)


def _describe_grid(tables):
    """What distinguishes a grid from others."""
    if isinstance(tables, CompositionGrid):
        names = ("elements", "divisions", "lower", "upper", "chunk_size")
        return {name: getattr(tables, name) for name in names}
    rows = pd.util.hash_pandas_object(tables.table, index=False).to_numpy()
    return {"columns": list(tables.table), "rows": hashlib.sha256(rows.tobytes()).hexdigest()}


def _probes(tables):
    """Compositions spread over the grid."""
    places = np.unique(np.linspace(0, tables.n_points - 1, N_PROBES).astype(int))
    chunk, row = np.divmod(places, tables.chunk_size)
    return pd.concat([tables[c].iloc[[r]] for c, r in zip(chunk.tolist(), row)])


def _check_memory(tables, task):
    rows = tables.n_points * (1 if task.stable_only else len(task.model.phases))
    if task.n_best is None and rows > MAX_ROWS:
        raise ValueError(
            f"{rows:,} rows would have to be kept in memory: write them to a file with out=, or "
            "keep the best with keep="
        )


def _fill(parts, task, tables, stretches, n_jobs, verbose):
    """Predict what no part holds yet."""
    missing = [number for number in range(len(stretches)) if not parts.path(number).exists()]
    runs = _run(task, tables, [stretches[number] for number in missing], n_jobs, verbose)
    for number, rows in zip(missing, runs):
        parts.write(number, rows)


def _run(task, tables, stretches, n_jobs, verbose):
    """The rows to keep of each stretch of the grid, in order."""
    from tqdm import tqdm

    chunks = [chunk for stretch in stretches for chunk in stretch]
    left = sum(len(tables.places(chunk)) for chunk in chunks)
    settings = {"unit": "alloy", "unit_scale": True, "disable": not verbose}
    total = tables.n_points
    with tqdm(total=total, initial=total - left, desc="screening", **settings) as bar:
        predicted = _predict(task, tables, chunks, n_jobs, bar)
        for stretch in stretches:
            rows = [next(predicted) for _ in stretch]
            yield rows[0] if len(rows) == 1 else task.best(pd.concat(rows, ignore_index=True))


def _predict(task, tables, chunks, n_jobs, bar):
    """Results of `task` in order, of which no more than two per process wait at a time.

    joblib bounds what it sends, not what has come back and waits to be written: so it gets a few
    tables at a time.
    """
    from joblib import Parallel, delayed, effective_n_jobs

    width = effective_n_jobs(n_jobs)
    width = 1 if width == 1 else 2 * width
    told = set()
    with Parallel(n_jobs=n_jobs, return_as="generator", batch_size=1) as parallel:
        for start in range(0, len(chunks), width):
            some = chunks[start : start + width]
            results = parallel(delayed(task)(tables[i]) for i in some)
            # The results come first: joblib takes no more tasks until it has seen their end.
            for (rows, caught), i in zip(results, some):
                _warn_once(caught, i, told)
                bar.update(len(tables.places(i)))
                yield rows


def _warn_once(caught, chunk, told):
    """Pass on the first warning of each kind: thousands of tables may have the same to say."""
    for category, message in caught:
        if category not in told:
            told.add(category)
            text = f"table {chunk} of the grid: {message} (said once for all tables)"
            warnings.warn(text, category, stacklevel=2)
