"""`predict_dataset`: predictions for a data set of many Parquet files, file by file."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from sklmat.argument_checks import PREDICTOR, checked_arguments
from sklmat.compositions import fraction_column, fraction_columns
from sklmat.exceptions import InvalidStructureError, InvalidStructureWarning
from sklmat.files import expand_path, replace_file
from sklmat.model_inside import find_model
from sklmat.parallel import check_n_jobs
from sklmat.processes import count_processes, run_parallel
from sklmat.readers import find_id_column, is_saved, load_structures
from sklmat.recorded_warnings import frames_inside, ignore_warnings, record_warnings
from sklmat.screening._composition_model import takes_phase, target_columns
from sklmat.screening._prediction_columns import PHASE
from sklmat.screening._resumable_parquet import ResumableFolder, damage
from sklmat.screening._screening_task import spread_column

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from sklmat.typing import PathLike

#: Key in the metadata of a file of predictions: size and time of change of the file it is for.
_KEY = b"sklmat.predict_dataset"
#: Columns of reasons why there is no prediction, and of ids.
_INVALID, _ID = "invalid", "id"
#: Column by which rows are told apart while they are read.
_ROW = "number of the row"
#: Rows of each file, and files, whose predictions identify a model.
_N_PROBES, _N_PROBED_FILES = 8, 4


@checked_arguments(estimator=PREDICTOR)
def predict_dataset(
    estimator: BaseEstimator,
    source: PathLike | Sequence[PathLike],
    out: PathLike,
    columns: str | Sequence[str] | None = None,
    *,
    id: str | None = None,
    targets: str | Sequence[str] | None = None,
    return_std: bool = False,
    on_invalid: Literal["raise", "warn"] = "raise",
    overwrite: bool = False,
    n_jobs: int | None = None,
    verbose: bool = False,
) -> Path:
    """Predict the rows of a data set of Parquet files, and write a data set of predictions.

    Each file is read, predicted and written by itself, so that only one file for each process is in
    memory. What is finished is not computed again.

    Parameters
    ----------
    estimator : fitted estimator or pipeline
        It predicts the rows of all files.
    source : str, Path or sequence of these
        Folder with Parquet files, also in folders within it, or a list of files. A file holds

        - structures, as `save_structures` or another program has written them (see
          `load_structures`), or
        - a table of numbers or formulas with the columns that `estimator` takes, or
        - fractions ``x_Fe``, ... and a column ``phase``, for an `EFTGANRegressor`.
    out : str or Path
        Folder for the predictions. For each file of `source` it gets a file of the same name.
    columns : str, sequence of str or None, default=None
        What to pass to ``estimator.predict``: the values of one column (such as formulas) as a
        Series, or several columns as a DataFrame. None takes the columns on which `estimator` was
        fitted if it knows them and the files have them, and else the structures.
    id : str or None, default=None
        Column of ids, which is copied. None takes one with a usual name such as "id" or
        "material_id" if there is one. Files of `save_structures` have the column "id".
    targets : str, sequence of str or None, default=None
        Names of the predictions, preferably with their unit. None takes ``target_names_`` of the
        estimator, or "prediction".
    return_std : bool, default=False
        Whether to add the standard deviations that the estimator predicts, in columns ``spread of
        ...``. Its ``predict`` must have the parameter `return_std`.
    on_invalid : {"raise", "warn"}, default="raise"
        What happens at a structure that cannot be read or is no valid crystal. "raise": an error
        that names the file and the row. "warn": a row without prediction and with the reason in a
        column ``invalid``, and one warning for each file. If no row of a file is valid, it is an
        error in both cases.
    overwrite : bool, default=False
        Whether to replace predictions in `out` that were made with another model or other
        parameters.
    n_jobs : int or None, default=None
        Number of processes (joblib), each of which works on one file at a time; None means one,
        unless in a `joblib.parallel_config`. Processes on other computers need the same paths.
    verbose : bool, default=False
        Show a progress bar.

    Returns
    -------
    out : Path
        The folder. Its files have the rows of the files in `source`, in order, with the column of
        ids, the predictions, and for classifiers the columns ``probability of ...``. pandas,
        polars, dask and others read the folder as one data set.

    Raises
    ------
    InvalidRowsError
        At structures that cannot be used, with ``on_invalid="raise"``.
    FileNotFoundError
        When `source` has no Parquet file.
    FileExistsError
        When `out` holds something else, or another call is writing it.
    ValueError
        When a file has neither the columns nor structures that `estimator` takes; when `targets`
        does not have one name for each prediction; or when `out` holds predictions of another model
        or with other parameters and `overwrite` is False.

    Notes
    -----
    **Interruption and resumption.** A file of predictions is written completely or not at all. The
    same call again predicts only files that have no predictions yet, or have changed since. The
    first rows of four of the others are predicted again, to check that the model is the same.
    Predictions of files that are not in `source` any more stay, with a warning.

    Errors and warnings name the file in which they occur.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pandas as pd
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklmat.screening import predict_dataset
    >>> X = pd.DataFrame({"volume": [10.0, 20.0, 30.0, 40.0]})
    >>> model = LinearRegression().fit(X, [1.0, 2.0, 3.0, 4.0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     source, out = Path(folder) / "cells", Path(folder) / "predictions"
    ...     source.mkdir()
    ...     X[:3].assign(id=["a", "b", "c"]).to_parquet(source / "1.parquet")
    ...     X[3:].assign(id=["d"]).to_parquet(source / "2.parquet")
    ...     out = predict_dataset(model, source, out, targets="energy (eV)")
    ...     pd.read_parquet(out).round(6)
      id  energy (eV)
    0  a          1.0
    1  b          2.0
    2  c          3.0
    3  d          4.0
    """
    check_n_jobs(n_jobs, "predict_dataset")
    if on_invalid not in ("raise", "warn"):
        raise ValueError(f"on_invalid must be 'raise' or 'warn', got {on_invalid!r}")
    out = expand_path(out)
    files = _find_files(source, out)
    columns = columns if columns is None or isinstance(columns, str) else list(columns)
    targets = targets if targets is None or isinstance(targets, str) else [*map(str, targets)]
    predict = _FilePrediction(estimator, columns, id, targets, return_std, on_invalid)
    with_rows = (path for path in files.values() if _n_rows(path))
    if (path := next(with_rows, None)) is None:
        raise ValueError("all files of source are empty")
    with ignore_warnings():
        predict.schema = _schema(predict.table(path, n_rows=_N_PROBES))
    settings = {**predict.settings(), "columns of the predictions": predict.schema.names}
    folder = ResumableFolder(out, "predict_dataset", settings, [], overwrite)
    try:
        missing = {name for name, path in files.items() if _state(path) != _predicted(out / name)}
        finished = [name for name in files if name not in missing]
        if not _is_same_model(predict, [(files[name], out / name) for name in finished]):
            if not overwrite:
                raise ValueError(
                    f"{out} holds predictions of another model: take another folder, delete it, "
                    "or pass overwrite=True"
                )
            missing = set(files)
        _warn_of_others(out, files)
        work = [(files[name], out / name) for name in files if name in missing]
        try:
            _predict_files(predict, work, len(files), n_jobs, verbose)
        except BaseException as error:
            error.add_note(f"Finished files are in {out}: the same call resumes after them.")
            raise
        return out
    finally:
        folder.close()


def _find_files(source, out):
    """Name of each Parquet file relative to `out`, and its path."""
    if isinstance(source, str | os.PathLike):
        folder = expand_path(source)
        if out.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"out is the folder source or within it, {out}: take another one")
        if folder.is_dir():
            # Names that begin with _ or a dot hold no data, as for other programs.
            paths = sorted(
                path
                for path in folder.rglob("*.parquet")
                if path.is_file()
                and not any(part[0] in "_." for part in path.relative_to(folder).parts)
            )
            files = {str(path.relative_to(folder)): path for path in paths}
            if not files:
                raise FileNotFoundError(f"there is no Parquet file in {folder}")
            return files
        source = [folder]
    files = {}
    for path in map(expand_path, source):
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        if path.name in files:
            raise ValueError(f"two files of source have the name {path.name}")
        files[path.name] = path
    if not files:
        raise FileNotFoundError("source is an empty list")
    return files


def _predict_files(predict, work, n_files, n_jobs, verbose):
    """Predict pairs of a file and the file for its predictions."""
    from tqdm.auto import tqdm

    results = run_parallel(predict, work, n_jobs=n_jobs, n_waiting=2 * count_processes(n_jobs))
    settings = {"desc": "predictions", "unit": "file", "disable": not verbose}
    with tqdm(total=n_files, initial=n_files - len(work), **settings) as bar:
        n_rows = 0
        for n_rows_of_file in results:
            n_rows += n_rows_of_file
            bar.set_postfix(rows=f"{n_rows:,}")
            bar.update()


def _schema(table):
    """Types of the columns, the same in all files, also where values are missing."""
    import pyarrow as pa

    schema = pa.Schema.from_pandas(table, preserve_index=False).remove_metadata()
    for place, field in enumerate(schema):
        if field.name == _INVALID or pa.types.is_null(field.type):
            schema = schema.set(place, pa.field(field.name, pa.string()))
    return schema


def _is_same_model(predict, finished):
    """Whether a few predictions are those that were written."""
    with_rows = [pair for pair in finished if _n_rows(pair[0])]
    places = np.unique(np.linspace(0, len(with_rows) - 1, _N_PROBED_FILES).astype(int))
    for path, out in (with_rows[place] for place in places if with_rows):
        with ignore_warnings():
            now = predict.table(path, n_rows=_N_PROBES)
        before = pd.read_parquet(out)[: len(now)]
        for name in now:
            if not _are_close(before[name], now[name]):
                return False
    return True


def _are_close(before, now):
    if not (pd.api.types.is_float_dtype(before) and pd.api.types.is_float_dtype(now)):
        return before.astype("str").tolist() == now.astype("str").tolist()
    before, now = before.to_numpy(float), now.to_numpy(float)
    return np.allclose(before, now, rtol=1e-4, atol=1e-4 * np.ptp(now), equal_nan=True)


def _warn_of_others(out, files):
    """Warn of predictions of files that are not in the source any more."""
    others = {str(path.relative_to(out)) for path in out.rglob("*.parquet")} - set(files)
    if others:
        warnings.warn(
            f"{out} also holds predictions of {len(others)} files that are not in source, such as "
            f"{min(others)}: delete those that are out of date",
            UserWarning,
            stacklevel=frames_inside(),
        )


def _n_rows(path):
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.read_metadata(path).num_rows
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is no Parquet file, or a damaged one: {error}") from error


def _state(path):
    """Size of a file, and the time of its last change (ns)."""
    state = path.stat()
    return [state.st_size, state.st_mtime_ns]


def _predicted(path):
    """State of the file that these predictions are for; None if there are none."""
    from pyarrow import parquet

    if not path.exists():
        return None
    reason = damage(path)
    if reason is not None:
        warnings.warn(
            f"{path} is damaged and is made again: {reason}",
            UserWarning,
            stacklevel=frames_inside(),
        )
        return None
    metadata = parquet.read_schema(path).metadata or {}
    return json.loads(metadata.get(_KEY, b"null"))


class _FilePrediction:
    """Reads a file, predicts its rows and writes them."""

    def __init__(self, estimator, columns, id, targets, return_std, on_invalid):
        self.estimator = estimator
        self.columns = columns
        self.id = id
        self.targets = targets
        self.return_std = return_std
        self.on_invalid = on_invalid
        # Columns of the predictions; set before any file is predicted.
        self.schema: Any = None

    def settings(self):
        """What distinguishes a run from others, apart from the model."""
        names = ("columns", "id", "targets", "return_std", "on_invalid")
        return {name: getattr(self, name) for name in names}

    def __call__(self, path, out):
        """Write the predictions of a file; return the number of rows."""
        import pyarrow as pa
        from pyarrow import parquet

        # If the file changes in the meantime, its predictions are of an earlier state.
        state = _state(path)
        try:
            with record_warnings() as caught:
                table = (
                    self.table(path) if _n_rows(path) else pd.DataFrame(columns=self.schema.names)
                )
            written = pa.Table.from_pandas(table, schema=self.schema, preserve_index=False)
        except Exception as error:
            error.add_note(f"This happened in the file {path}.")
            raise
        for category, message in dict.fromkeys((w.category, str(w.message)) for w in caught):
            warnings.warn(f"{path}: {message}", category, stacklevel=2)
        metadata = {**(written.schema.metadata or {}), _KEY: json.dumps(state).encode()}
        out.parent.mkdir(parents=True, exist_ok=True)
        with replace_file(out) as temporary:
            parquet.write_table(
                written.replace_schema_metadata(metadata),
                temporary,
                compression="zstd",
                write_page_checksum=True,
            )
        return len(table)

    def table(self, path, n_rows=None):
        """Predictions of all or the first rows of a file."""
        rows = self._read(path, n_rows)
        predicted = pd.DataFrame(self._predict(rows), index=rows.at)
        if self.on_invalid == "warn":
            # Of whole numbers, too, some may be missing.
            whole = predicted.select_dtypes("integer").columns
            predicted = predicted.astype(dict.fromkeys(whole, "Int64")).reindex(range(rows.n_rows))
            predicted[_INVALID] = pd.Series(rows.reasons, dtype="str").reindex(predicted.index)
        if rows.ids is not None:
            if rows.ids.name in predicted:
                raise ValueError(
                    f"the column of ids and a prediction are called {rows.ids.name!r}: name the "
                    "predictions otherwise, with targets"
                )
            predicted.insert(0, rows.ids.name, rows.ids.to_numpy())
        return predicted

    def _read(self, path, n_rows):
        from pyarrow import parquet

        model = find_model(self.estimator).readers[0]
        present = parquet.read_schema(path).names
        wanted = self.columns
        if wanted is None:
            known = [str(name) for name in getattr(model, "feature_names_in_", [])]
            if known and set(known) <= set(present):
                wanted = known
            elif takes_phase(model) and fraction_columns(present):
                return self._read_fractions(path, n_rows, model)
            else:
                return self._read_structures(path, n_rows)
        return self._read_columns(path, n_rows, wanted)

    def _read_table(self, path, n_rows):
        table = pd.read_parquet(path)
        if table.index.names != [None]:
            table = table.reset_index()
        table = table if n_rows is None else table[:n_rows]
        column = find_id_column(table, self.id, path)
        return table, None if column is None else table[column]

    def _read_columns(self, path, n_rows, wanted):
        table, ids = self._read_table(path, n_rows)
        missing = [
            name for name in ([wanted] if isinstance(wanted, str) else wanted) if name not in table
        ]
        if missing:
            raise ValueError(
                f"{path}: there is no column {missing[0]!r}; the columns are {list(table)}"
            )
        return _Rows(table[wanted], ids, np.arange(len(table)), len(table))

    def _read_fractions(self, path, n_rows, model):
        table, ids = self._read_table(path, n_rows)
        given = fraction_columns(table.columns)
        fractions = [fraction_column(symbol) for symbol in model.elements_]
        unknown = [name for name in given if name not in fractions and table[name].any()]
        if unknown:
            raise ValueError(f"the model was not fitted on the element of the column {unknown[0]}")
        X = table.reindex(columns=fractions, fill_value=0.0)
        phases = table.get(PHASE)
        if phases is not None and phases.isna().any():
            raise ValueError(f"row {int(phases.isna().to_numpy().argmax())} has no phase")
        return _Rows(X, ids, np.arange(len(table)), len(table), phases)

    def _read_structures(self, path, n_rows):
        drops = "drop" if self.on_invalid == "warn" else "raise"
        if is_saved(path):
            source, ids = path, None
            n_found = _n_rows(path)
        else:
            # Ids may be missing, or be the same in two rows.
            source, ids = self._read_table(path, n_rows)
            n_found = len(source)
            source = source.drop(columns=[] if ids is None else ids.name)
            source = source.reset_index(drop=True).assign(**{_ROW: np.arange(n_found)})
        n_found = n_found if n_rows is None else min(n_rows, n_found)
        try:
            read = load_structures(
                source,
                target=[],
                id=_ROW if source is not path else None,
                index=slice(n_found),
                on_invalid=drops,
            )
        except InvalidStructureError as error:
            if self.on_invalid == "raise":
                error.add_note("With on_invalid='warn', these rows get no prediction.")
            raise
        rejected = read.rejected
        at = np.setdiff1d(np.arange(n_found), rejected["row"])
        if ids is None and source is path:
            ids = pd.Series(read.ids, index=at, dtype=object, name=_ID).reindex(range(n_found))
            ids[rejected["row"]] = rejected["id"].to_numpy()
        if len(rejected):
            warnings.warn(
                f"{len(rejected)} of {n_found} rows have no prediction; the first is row "
                f"{rejected['row'][0]}: {rejected['reason'][0]}",
                InvalidStructureWarning,
                stacklevel=2,
            )
        reasons = dict(zip(rejected["row"], rejected["reason"]))
        return _Rows(list(read.data), ids, at, n_found, None, reasons)

    def _predict(self, rows):
        """Name and values of each column of predictions, for the valid rows."""
        estimator, settings = self.estimator, {"return_std": True} if self.return_std else {}
        if rows.phases is None:
            output = estimator.predict(rows.X, **settings)
            values, spread = output if self.return_std else (output, None)
        else:
            values, spread = self._predict_phases(rows, settings)
        values = np.asarray(values).reshape(len(rows.at), -1)
        fitted_names = getattr(find_model(estimator).readers[0], "target_names_", None)
        names = target_columns(fitted_names, self.targets, values.shape[1])
        columns = dict(zip(names, values.T))
        if spread is not None:
            spread = np.asarray(spread).reshape(values.shape)
            columns |= dict(zip(map(spread_column, names), spread.T))
        if hasattr(estimator, "predict_proba"):
            probabilities, classes = estimator.predict_proba(rows.X), estimator.classes_
            of_targets = isinstance(probabilities, list)
            for name, of_name, labels in (
                zip(names, probabilities, classes) if of_targets else [("", probabilities, classes)]
            ):
                for label, column in zip(labels, of_name.T):
                    columns[f"probability of {name + ' ' if name else ''}{label}"] = column
        return columns

    def _predict_phases(self, rows, settings):
        """Predictions, and their standard deviations or None, with a phase for each row."""
        values = spread = None
        for phase in pd.unique(rows.phases):
            own = (rows.phases == phase).to_numpy()
            try:
                output = self.estimator.predict(rows.X[own], phase=phase, **settings)
            except Exception as error:
                error.add_note(f"Rows are counted among those with the phase {phase!r}.")
                raise
            parts = [np.asarray(part) for part in (output if self.return_std else [output])]
            if values is None:
                values, spread = (np.empty((len(own), *part.shape[1:])) for part in (parts * 2)[:2])
            values[own] = parts[0]
            spread[own] = parts[-1]
        return values, spread if self.return_std else None


class _Rows(NamedTuple):
    """Rows of a file.

    Parameters
    ----------
    X : DataFrame, Series or list of Structure
        Input of the estimator: the valid rows.
    ids : Series of n_rows values, or None
    at : ndarray of int
        Positions of the valid rows in the file.
    n_rows : int
    phases : Series of n_rows values, or None
    reasons : dict of int to str
        Why a row is invalid.
    """

    X: Any
    ids: pd.Series | None
    at: np.ndarray
    n_rows: int
    phases: pd.Series | None = None
    reasons: dict[int, str] = {}
