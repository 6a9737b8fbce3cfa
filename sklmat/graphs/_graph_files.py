"""Writing files of graphs: `write_graphs` for a container, `GraphsWriter` for one part at a time.

A file is a safetensors file, as `safetensors.numpy.save_file` would write it. It is written here,
since that function needs all arrays in memory. The digest in the header is set at the end.
"""

from __future__ import annotations

import json
import math
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np

from sklmat.files import replace_file, unfinished_path
from sklmat.graphs._crystal_graphs import (
    ATOM_ARRAYS,
    CRYSTAL_ARRAYS,
    DTYPES,
    EDGE_ARRAYS,
    FORMAT,
    CrystalGraphs,
)
from sklmat.safetensors_files import Digest, safetensors_beginning

_ARRAYS = (*ATOM_ARRAYS, *EDGE_ARRAYS, *CRYSTAL_ARRAYS)
_POINTERS = ("atom_ptr", "edge_ptr")
_CODES = {np.dtype(dtype): code for code, dtype in DTYPES.items()}
_COPIED_BYTES = 2**24
#: What stands in the header until the digest is known.
_NO_DIGEST = "0" * len(str(Digest([])))


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

    def parts(name):
        if name in pointers:
            return [pointers[name]]
        return (getattr(part, name) for _, part in graphs.chunks())

    _write_file(path, shapes, {**empty, **pointers}, settings, parts)


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
        with ExitStack() as stack:
            self.folder = stack.enter_context(unfinished_path(self.path))
            self.folder.mkdir()
            self.files = {
                name: stack.enter_context((self.folder / name).open("wb"))
                for name in (*_ARRAYS, *_POINTERS)
            }
            self.stack = stack.pop_all()
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
            self.files[name].write(np.ascontiguousarray(array).data)

    def __exit__(self, error_type: Any, error: Any, traceback: Any) -> None:
        if error is not None:
            self.stack.__exit__(error_type, error, traceback)
            return
        with self.stack:
            for file in self.files.values():
                file.close()
            _write_file(self.path, self.shapes, self.examples, self.settings, self._parts)

    def _parts(self, name):
        """Yield the items of an array, and remove its file."""
        part = self.folder / name
        with part.open("rb") as items:
            while content := items.read(_COPIED_BYTES):
                yield np.frombuffer(content, dtype=np.uint8)
        # So that the largest array only is on the disk twice.
        part.unlink()


def _layout(arrays: dict[str, np.ndarray]) -> list[str]:
    """Names in the order of their places in a file: wide numbers first, so that all are aligned."""
    codes = list(DTYPES)
    return sorted(arrays, key=lambda name: (-codes.index(_CODES[arrays[name].dtype]), name))


def _write_file(path, shapes, arrays, settings, parts):
    """Write a file.

    Parameters
    ----------
    path : Path
    shapes : dict of str to tuple
    arrays : dict of str to ndarray
        Arrays of the right types; their items are not used.
    settings : dict
    parts : callable
        Takes the name of an array, and returns an iterable of its items in parts.
    """
    settings = json.dumps(settings)
    digest = Digest([FORMAT, settings])
    layout = [(name, arrays[name].dtype, shapes[name]) for name in _layout(arrays)]
    with replace_file(path) as temporary, temporary.open("wb") as file:
        file.write(_header(layout, settings, _NO_DIGEST))
        for name, dtype, shape in layout:
            digest.add(name, dtype, shape)
            for part in parts(name):
                digest.add_items(part)
                file.write(np.ascontiguousarray(part).data)
        file.seek(0)
        file.write(_header(layout, settings, str(digest)))


def _header(layout, settings, digest):
    """First bytes of a file, up to the arrays."""
    metadata = {"format": FORMAT, "settings": settings, "digest": digest}
    header: dict[str, Any] = {"__metadata__": metadata}
    start = 0
    for name, dtype, shape in layout:
        shape = list(map(int, shape))
        stop = start + dtype.itemsize * math.prod(shape)
        header[name] = {"dtype": _CODES[dtype], "shape": shape, "data_offsets": [start, stop]}
        start = stop
    return safetensors_beginning(header)
