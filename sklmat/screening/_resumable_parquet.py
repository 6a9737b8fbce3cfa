"""`ResumableFolder`: Parquet files of a run that can be resumed; `ResumableParquet` joins them."""

import itertools
import json
import shutil
import warnings
from pathlib import Path
from textwrap import shorten

import numpy as np
from filelock import FileLock, Timeout

from sklmat.files import expand_path, replace_file, unfinished_path

#: Metadata of a part: its number.
_NUMBER = b"sklmat.part"


def damage(path):
    """Say what is wrong with a Parquet file; None if all of it can be read."""
    from pyarrow import parquet

    try:
        parquet.read_table(path, page_checksum_verification=True)
    # pyarrow reports damaged files by errors of many kinds.
    except Exception as error:
        return shorten(str(error), 200, placeholder=" ...")
    return None


def _metadata(path):
    from pyarrow import parquet

    return parquet.read_schema(path).metadata or {}


class ResumableFolder:
    """A folder of Parquet files, each of which is written completely or not at all.

    A Parquet file cannot be read before it is complete, so an interrupted run that writes a single
    file loses all results. Such a folder can be read at any time.

    Parameters
    ----------
    folder : str or path-like
    function : str
        Name of the function that writes the folder.
    settings : dict
        Settings that identify a run: a run is resumed only if they are equal. Must be storable as
        JSON.
    probe : list of list of float
        A few predictions, one for each row, which identify the model; may be empty.
    overwrite : bool
        Whether the files of another run may be replaced.
    """

    def __init__(self, folder, function, settings, probe, overwrite):
        self.folder = expand_path(folder)
        self.function = function
        self.description = {"settings": settings, "probe": probe}
        # Programs that read a folder of Parquet files ignore names that begin with _ or a dot.
        self._described_by = self.folder / f"_{function}.json"
        # The system takes the lock from a process that dies.
        self._lock = FileLock(self.folder / ".lock")
        self._check_content()
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise FileExistsError(
                f"another call of {function} is writing {self.folder}: wait for it, or take "
                "another name"
            ) from None
        try:
            # That call may have finished since.
            self._check_content()
            self._open(overwrite)
        except BaseException:
            self.close()
            raise

    def close(self):
        """Let other calls write the folder."""
        self._lock.release()

    def _check_content(self):
        """Raise a FileExistsError if the folder holds anything else."""
        if self.folder.exists() and not self.folder.is_dir():
            raise FileExistsError(f"{self.folder} is a file: take another name, or delete it")
        is_ours = self._described_by.is_file()
        if not is_ours and any(not path.name.startswith(".") for path in self.folder.glob("*")):
            raise FileExistsError(f"{self.folder} exists and is not ours: rename or delete it")

    def _open(self, overwrite):
        """Describe the run in the folder, or check that its files belong to this run."""
        # Nobody else is writing, so that these are of a process that was killed.
        for path in filter(Path.is_file, self.folder.rglob(".*.part")):
            path.unlink()
        if self._described_by.is_file():
            difference = self._difference(self._previous())
            if difference is None:
                return
            if not overwrite:
                raise ValueError(
                    f"{self.folder} holds a run with {difference}: finish it with what it was "
                    "started with, delete the folder, or pass overwrite=True to start over"
                )
        # The description stays until it is replaced: without it, the folder is not ours.
        for path in set(self.folder.glob("[!.]*")) - {self._described_by}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        text = json.dumps(self.description, ensure_ascii=False, indent=1)
        with replace_file(self._described_by) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def _previous(self):
        """Description of the run in the folder; None if its file is damaged."""
        try:
            previous = json.loads(self._described_by.read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            return None
        is_whole = isinstance(previous, dict) and isinstance(previous.get("settings"), dict)
        return previous if is_whole and isinstance(previous.get("probe"), list) else None

    def _difference(self, previous):
        """Describe the difference to the run with the description `previous`; None if equal."""
        if previous is None:
            return f"a damaged description, {self._described_by.name}"
        present = json.loads(json.dumps(self.description))
        for name, value in present["settings"].items():
            if previous["settings"].get(name) != value:
                return f"another {name}: {previous['settings'].get(name)}, now {value}"
        if previous["probe"] == present["probe"]:
            return None
        old, new = np.array(previous["probe"]), np.array(present["probe"])
        is_close = old.shape == new.shape and np.allclose(
            old, new, rtol=1e-4, atol=1e-4 * np.ptp(new, axis=0)
        )
        return None if is_close else "another model: its predictions differ"

    def path(self, number):
        """Path of a numbered part, which may not exist yet."""
        return self.folder / f"part-{number:05d}.parquet"

    def write(self, number, table):
        """Write a table as a numbered part."""
        import pyarrow as pa
        from pyarrow import parquet

        table = pa.Table.from_pandas(table, preserve_index=False)
        metadata = {**table.schema.metadata, _NUMBER: str(number).encode()}
        with replace_file(self.path(number)) as temporary:
            parquet.write_table(
                table.replace_schema_metadata(metadata),
                temporary,
                compression="zstd",
                write_page_checksum=True,
            )

    def has_part(self, number):
        """Whether a numbered part is there; a damaged one is named in a warning, and is not.

        Its file is read, which takes little time compared with a prediction of its rows.
        """
        path = self.path(number)
        if not path.exists():
            return False
        reason = damage(path)
        if reason is None:
            # Parts of earlier versions have no number.
            written = _metadata(path).get(_NUMBER, str(number).encode())
            reason = None if written == str(number).encode() else "it is another part"
        if reason is not None:
            warnings.warn(
                f"{path} is damaged and is made again: {reason}", UserWarning, stacklevel=2
            )
        return reason is None

    def finish(self, n_parts, concatenate=None):
        """Return the folder, which is the result."""
        return self.folder


class ResumableParquet(ResumableFolder):
    """A Parquet file whose parts are in the folder ``<out>.parts`` until they are joined.

    Parameters
    ----------
    out : str or path-like
        The file to write.
    function, settings, probe, overwrite
        See `ResumableFolder`. A finished file is replaced only with `overwrite`.
    """

    def __init__(self, out, function, settings, probe, overwrite):
        self.out = expand_path(out)
        self.replaces = overwrite
        folder = self.out.with_name(self.out.name + ".parts")
        super().__init__(folder, function, settings, probe, overwrite)

    def _check_content(self):
        if self.out.exists() and not self.replaces:
            raise FileExistsError(f"{self.out} exists: take another name, or overwrite=True")
        super()._check_content()

    def finish(self, n_parts, concatenate=None):
        """Join the parts to one file, and remove them.

        Parameters
        ----------
        n_parts : int
            Number of parts.
        concatenate : callable or None
            Makes one DataFrame from an iterator over the DataFrames of all parts. With None the
            parts are written one after the other, with only one in memory.

        Returns
        -------
        out : Path
        """
        import pandas as pd
        import pyarrow as pa
        from pyarrow import parquet

        paths = [self.path(number) for number in range(n_parts)]
        if concatenate is None:
            tables = (parquet.read_table(path) for path in paths)
        else:
            frames = (pd.read_parquet(path) for path in paths)
            tables = iter([pa.Table.from_pandas(concatenate(frames), preserve_index=False)])
        key = f"sklmat.{self.function}".encode()
        metadata = {key: json.dumps(self.description, ensure_ascii=False).encode()}
        # If the process is killed here, the next run removes the folder with the temporary file.
        with replace_file(self.out, folder=self.folder) as temporary:
            _write_tables(temporary, tables, metadata)
        # A half of the folder would be in the way of the next run.
        with unfinished_path(self.folder) as removed:
            self.folder.rename(removed)
        return self.out


def _write_tables(path, tables, metadata):
    """Write an iterator of tables to one file, and add to its metadata."""
    from pyarrow import parquet

    first = next(tables)
    kept = {name: value for name, value in first.schema.metadata.items() if name != _NUMBER}
    schema = first.schema.with_metadata({**kept, **metadata})
    settings = {"compression": "zstd", "write_page_checksum": True}
    with parquet.ParquetWriter(path, schema, **settings) as writer:
        for table in itertools.chain([first], tables):
            writer.write_table(table.replace_schema_metadata(schema.metadata))
