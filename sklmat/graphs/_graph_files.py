"""Writing files of graphs: `write_graphs` for a container, `GraphsWriter` for one part at a time.

A file is a safetensors file, as `safetensors.numpy.save_file` would write it. It is written here,
since that function needs all arrays in memory.
"""

from __future__ import annotations

import json
import math
import shutil
import struct
import tempfile
from pathlib import Path
from typing import Any, Self

import numpy as np

from sklmat.files import replace_file
from sklmat.graphs._crystal_graphs import (
    ATOM_ARRAYS,
    CRYSTAL_ARRAYS,
    DTYPES,
    EDGE_ARRAYS,
    FORMAT,
    CrystalGraphs,
)

_ARRAYS = (*ATOM_ARRAYS, *EDGE_ARRAYS, *CRYSTAL_ARRAYS)
_POINTERS = ("atom_ptr", "edge_ptr")
_CODES = {np.dtype(dtype): code for code, dtype in DTYPES.items()}
_COPIED_BYTES = 2**24


def write_graphs(graphs: CrystalGraphs, path: Path) -> None:
    """Write graphs to a file, one part after the other.

    Parameters
    ----------
    graphs : CrystalGraphs
    path : Path
        A file of this name is replaced when the new one is complete.
    """
    pointers = {name: getattr(graphs, name) for name in _POINTERS}
    sizes = {
        **dict.fromkeys(ATOM_ARRAYS, graphs.atom_ptr[-1]),
        **dict.fromkeys(EDGE_ARRAYS, graphs.edge_ptr[-1]),
        **dict.fromkeys(CRYSTAL_ARRAYS, len(graphs)),
    }
    arrays, settings = list(_ARRAYS), graphs.settings
    if graphs.extra is not None:
        arrays.append("extra")
        sizes["extra"] = len(graphs)
        settings["extra_names"] = graphs.extra_names
    # The type and the width of each array, without its items.
    none = graphs[:0]
    empty: dict[str, np.ndarray] = {name: getattr(none, name) for name in arrays}
    shapes = {name: (int(sizes[name]), *array.shape[1:]) for name, array in empty.items()}
    shapes |= {name: array.shape for name, array in pointers.items()}
    with replace_file(path) as temporary, temporary.open("wb") as file:
        file.write(_header(shapes, {**empty, **pointers}, settings))
        for name in _layout({**empty, **pointers}):
            if name in pointers:
                _write(file, [pointers[name]])
            else:
                _write(file, (getattr(part, name) for _, part in graphs.chunks()))


class GraphsWriter:
    """Context manager that writes parts of graphs and joins them to one file at the end.

    Each array is kept in a file of its own until the number of its items is known, in a hidden
    folder beside the final file. If an error is raised, this folder is removed and a file that is
    already there stays.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings: dict[str, Any] | None = None
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.examples: dict[str, np.ndarray] = {}

    def __enter__(self) -> Self:
        self.folder = tempfile.TemporaryDirectory(
            prefix=f".{self.path.name}.", suffix=".part", dir=self.path.parent
        )
        self.files = {
            name: (Path(self.folder.name) / name).open("wb") for name in (*_ARRAYS, *_POINTERS)
        }
        return self

    def append(self, part: CrystalGraphs) -> None:
        """Add graphs that were built with the same settings as those before."""
        arrays: dict[str, np.ndarray] = {name: getattr(part, name) for name in self.files}
        if self.settings is None:
            self.settings = part.settings
            self.examples = {name: array[:0] for name, array in arrays.items()}
            self.shapes = {name: array.shape for name, array in arrays.items()}
        else:
            # The pointer of a part begins with zero, where those before have ended.
            for name, items in (("atom_ptr", "atomic_numbers"), ("edge_ptr", "edge_source")):
                arrays[name] = arrays[name][1:] + self.shapes[items][0]
            for name, array in arrays.items():
                self.shapes[name] = (self.shapes[name][0] + len(array), *array.shape[1:])
        for name, array in arrays.items():
            _write(self.files[name], [array])

    def __exit__(self, error_type: object, error: object, traceback: object) -> None:
        with self.folder:
            for file in self.files.values():
                file.close()
            if error_type is None:
                self._join()

    def _join(self):
        with replace_file(self.path) as temporary, temporary.open("wb") as file:
            file.write(_header(self.shapes, self.examples, self.settings))
            for name in _layout(self.examples):
                part = Path(self.folder.name) / name
                with part.open("rb") as items:
                    shutil.copyfileobj(items, file, _COPIED_BYTES)
                # So that the largest array only is on the disk twice.
                part.unlink()


def _layout(arrays: dict[str, np.ndarray]) -> list[str]:
    """Names in the order of their places in a file: wide numbers first, so that all are aligned."""
    codes = list(DTYPES)
    return sorted(arrays, key=lambda name: (-codes.index(_CODES[arrays[name].dtype]), name))


def _header(shapes, arrays, settings):
    """First bytes of a file, up to the arrays."""
    header: dict[str, Any] = {"__metadata__": {"format": FORMAT, "settings": json.dumps(settings)}}
    start = 0
    for name in _layout(arrays):
        dtype, shape = arrays[name].dtype, list(map(int, shapes[name]))
        stop = start + dtype.itemsize * math.prod(shape)
        header[name] = {
            "dtype": _CODES[dtype],
            "shape": shape,
            "data_offsets": [start, stop],
        }
        start = stop
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _write(file, arrays):
    for array in arrays:
        file.write(np.ascontiguousarray(array).data)
