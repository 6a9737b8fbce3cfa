"""Tables that grow on disk, and survive being stopped."""

import itertools
import json
import shutil
from pathlib import Path

import numpy as np

from sklmat.files import replace_file

KEY = b"sklmat.screen"


class PartFiles:
    """A folder of numbered Parquet files, each whole or not there, that become one file at the end.

    A Parquet file is unreadable until its last byte is written, so a run that grows a single one
    loses everything when it is killed. The folder, ``<out>.parts``, can be read at any time.

    Parameters
    ----------
    out : str or Path
        The file to make.
    settings : dict
        What makes two runs the same, in a form that JSON keeps.
    probe : list of list of float
        A few predictions, a row for each alloy, by which a changed model is noticed.
    overwrite : bool
        Whether a finished file, or parts of another run, may be replaced.
    """

    def __init__(self, out, settings, probe, overwrite):
        self.out = Path(out)
        self.folder = self.out.with_name(self.out.name + ".parts")
        self.description = {"settings": settings, "probe": probe}
        if self.out.exists() and not overwrite:
            raise FileExistsError(f"{self.out} exists: take another name, or overwrite=True")
        self._open_folder(overwrite)

    def _open_folder(self, overwrite):
        # Readers of a folder of Parquet files pass over names that begin with _ or a dot.
        journal = self.folder / "_screen.json"
        if journal.is_file():
            difference = self._difference(json.loads(journal.read_text(encoding="utf-8")))
            if difference is None:
                return
            if not overwrite:
                raise ValueError(
                    f"{self.folder} holds an unfinished run with {difference}: finish it with what "
                    "it was started with, delete the folder, or pass overwrite=True"
                )
        elif any(not path.name.startswith(".") for path in self.folder.glob("*")):
            raise FileExistsError(f"{self.folder} exists and is not ours: rename or delete it")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        text = json.dumps(self.description, ensure_ascii=False, indent=1)
        with replace_file(journal) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def _difference(self, before):
        """What distinguishes a run from this one, in words, or None."""
        ours = json.loads(json.dumps(self.description))
        for name, value in ours["settings"].items():
            if before["settings"].get(name) != value:
                return f"another {name}: {before['settings'].get(name)}, now {value}"
        old, new = np.array(before["probe"]), np.array(ours["probe"])
        close = old.shape == new.shape and np.allclose(
            old, new, rtol=1e-4, atol=1e-4 * np.ptp(new, axis=0)
        )
        return None if close else "another model: its predictions differ"

    def path(self, number):
        """Where a part is, or will be."""
        return self.folder / f"part-{number:05d}.parquet"

    def write(self, number, table):
        """Keep a table as a part."""
        import pyarrow as pa
        from pyarrow import parquet

        table = pa.Table.from_pandas(table, preserve_index=False)
        with replace_file(self.path(number)) as temporary:
            parquet.write_table(table, temporary)

    def finish(self, n_parts, gather=None):
        """Make one file of the parts, and remove them.

        Parameters
        ----------
        n_parts : int
            Number of parts.
        gather : callable or None
            Makes one table of the tables of all parts; None writes them one after the other.
        """
        import pandas as pd
        import pyarrow as pa
        from pyarrow import parquet

        paths = [self.path(number) for number in range(n_parts)]
        if gather is None:
            tables = (parquet.read_table(path) for path in paths)
        else:
            frames = (pd.read_parquet(path) for path in paths)
            tables = iter([pa.Table.from_pandas(gather(frames), preserve_index=False)])
        note = {KEY: json.dumps(self.description, ensure_ascii=False).encode()}
        # In the folder of the parts, which the next run removes should this one be killed here.
        with replace_file(self.out, folder=self.folder) as temporary:
            _write_all(temporary, tables, note)
        shutil.rmtree(self.folder)
        return self.out


def _write_all(path, tables, note):
    """Write tables to one file, with a note in its metadata."""
    from pyarrow import parquet

    first = next(tables)
    schema = first.schema.with_metadata({**first.schema.metadata, **note})
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for table in itertools.chain([first], tables):
            writer.write_table(table.replace_schema_metadata(schema.metadata))
