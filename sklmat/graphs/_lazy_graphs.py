"""`LazyGraphs`: crystals of other graphs, in memory or in a file, that are copied when used."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from sklmat.graphs._crystal_graphs import (
    ATOM_ARRAYS,
    CRYSTAL_ARRAYS,
    EDGE_ARRAYS,
    CrystalGraphs,
    chunk_slices,
    gather_ranges,
    pointer_from_counts,
)
from sklmat.graphs._read_graphs import check_crystals

_ARRAYS = (*ATOM_ARRAYS, *EDGE_ARRAYS, *CRYSTAL_ARRAYS)
#: Edges that are in memory at a time while edges are counted: about 30 MB with all intermediates.
_CHUNK_EDGES = 2**18


@dataclass
class MappedFile:
    """A file of graphs as it was when it was mapped into memory.

    Parameters
    ----------
    path : Path
        Absolute.
    size, changed : int
        Size (bytes) and time of the last change (ns).
    """

    path: Path
    size: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> MappedFile:
        """Describe a file."""
        path = path.absolute()
        state = os.stat(path)
        return cls(path, state.st_size, state.st_mtime_ns)

    def check(self) -> None:
        """Raise a ValueError if the file was changed or removed."""
        if not self.path.exists() or MappedFile.of(self.path) != self:
            raise ValueError(
                f"{self.path}, the mapped file of these graphs, was changed or removed after it "
                "was loaded; load it again, or pickle graphs.in_memory()"
            )


class LazyGraphs(CrystalGraphs):
    """Crystals of other graphs, chosen by rows and by the largest distance of neighbours.

    It holds the rows only. Each array is gathered when it is read, so that code which reads all
    arrays should do so in batches (`make_batch`) or `chunks`. Consecutive crystals are views of the
    arrays of the other graphs.

    Attributes
    ----------
    whole : CrystalGraphs
        The other graphs, with arrays in memory or in a mapped file.
    file : MappedFile or None
        The mapped file of `whole`.
    rows : slice or ndarray of integers
    """

    whole: CrystalGraphs
    file: MappedFile | None
    rows: slice | np.ndarray

    def __new__(cls, **arrays: Any) -> CrystalGraphs:  # type: ignore[misc]
        """Return a container in memory: `dataclasses.replace` calls the class of its argument."""
        return CrystalGraphs(**arrays)

    @classmethod
    def of(
        cls,
        whole: CrystalGraphs,
        rows: slice | np.ndarray,
        *,
        file: MappedFile | None = None,
        cutoff: float | None = None,
        max_neighbors: int | None = None,
        extra: dict[str, Any] | None = None,
    ) -> LazyGraphs:
        """Select rows of other graphs.

        Parameters
        ----------
        whole : CrystalGraphs
        rows : slice with step 1, or ndarray of shape (C,), integers
        file : MappedFile, default=None
        cutoff, max_neighbors : default=None
            As in `CrystalGraphs.restrict`.
        extra : dict, default=None
            The fields `extra` and `extra_names` of the rows; None takes those of `whole`.
        """
        self = object.__new__(cls)
        vars(self).update(whole.settings)
        vars(self).update(whole=whole, rows=rows, file=file)
        if cutoff is not None:
            vars(self).update(cutoff=cutoff, max_neighbors=max_neighbors)
        vars(self).update(whole._extra_of(rows) if extra is None else extra)
        return self

    def __getattr__(self, name):
        if name in _ARRAYS:
            return self._array(name)
        if name in ("atom_ptr", "edge_ptr"):
            # The pointers are small and are read often.
            pointer = self._atom_ptr() if name == "atom_ptr" else self._edge_ptr()
            vars(self)[name] = pointer
            return pointer
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __len__(self) -> int:
        if isinstance(self.rows, slice):
            return self.rows.stop - self.rows.start
        return len(self.rows)

    def __setattr__(self, name, value):
        raise AttributeError(
            f"{name} cannot be set: these graphs are in a file or belong to other graphs; change "
            "those that in_memory() returns"
        )

    def __copy__(self) -> CrystalGraphs:
        return self._with(self.rows, slice(None))

    def __deepcopy__(self, memo: object) -> CrystalGraphs:
        return self._with(self.rows, slice(None))

    def __reduce__(self):
        if self.file is not None:
            self.file.check()
        if self.file is None:
            graphs = self.in_memory()
            return _from_fields, ({item.name: getattr(graphs, item.name) for item in fields(self)},)
        extra = self._extra_of(slice(None))
        return _load_again, (self.file, self.rows, self.cutoff, self.max_neighbors, extra)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays when they are in memory."""
        n_bytes = self.atom_ptr.nbytes + self.edge_ptr.nbytes
        for names, n_items in (
            (ATOM_ARRAYS, self.atom_ptr[-1]),
            (EDGE_ARRAYS, self.edge_ptr[-1]),
            (CRYSTAL_ARRAYS, len(self)),
        ):
            for array in (getattr(self.whole, name) for name in names):
                n_bytes += int(n_items) * array.itemsize * math.prod(array.shape[1:])
        return n_bytes

    def in_memory(self) -> CrystalGraphs:
        """Return a copy of these graphs in memory.

        Returns
        -------
        CrystalGraphs
        """
        graphs = self.whole[self.rows]
        if self.file is not None:
            check_crystals(graphs, self.file.path)
        if self.extra is not graphs.extra:
            graphs = graphs._replace_extra(self.extra, self.extra_names)
        if self._is_restricted:
            return graphs.restrict(self.cutoff, self.max_neighbors)
        if isinstance(self.rows, slice):
            arrays: dict[str, Any] = {name: np.array(getattr(graphs, name)) for name in _ARRAYS}
            return CrystalGraphs(
                **arrays,
                atom_ptr=graphs.atom_ptr,
                edge_ptr=graphs.edge_ptr,
                **self._extra_of(slice(None)),
                **self.settings,
            )
        return graphs

    @property
    def _is_restricted(self):
        return self.settings != self.whole.settings

    def _with(self, rows, crystals, **settings):
        """Graphs of some rows of `whole`, which are the given crystals of these graphs."""
        settings = {
            "cutoff": self.cutoff,
            "max_neighbors": self.max_neighbors,
            "extra": self._extra_of(crystals),
            **settings,
        }
        return LazyGraphs.of(self.whole, rows, file=self.file, **settings)

    def _gather(self, crystals):
        start = self.rows.start if isinstance(self.rows, slice) else None
        return self._with(self.rows[crystals] if start is None else crystals + start, crystals)

    def _slice(self, start, stop):
        crystals = slice(start, stop)
        if isinstance(self.rows, slice):
            return self._with(slice(self.rows.start + start, self.rows.start + stop), crystals)
        return self._with(self.rows[start:stop], crystals)

    def _restricted(self, cutoff, max_neighbors):
        return self._with(self.rows, slice(None), cutoff=cutoff, max_neighbors=max_neighbors)

    def _replace_extra(self, extra, names):
        return self._with(self.rows, slice(None), extra={"extra": extra, "extra_names": names})

    def _array(self, name):
        if name in CRYSTAL_ARRAYS:
            return getattr(self.whole, name)[self.rows]
        if name in EDGE_ARRAYS and self._is_restricted:
            parts = [getattr(part, name) for part in self._parts()]
            return np.concatenate(parts)
        pointer = self.whole.atom_ptr if name in ATOM_ARRAYS else self.whole.edge_ptr
        if isinstance(self.rows, slice):
            return getattr(self.whole, name)[pointer[self.rows.start] : pointer[self.rows.stop]]
        return getattr(self.whole, name)[gather_ranges(pointer, self.rows)[1]]

    def _atom_ptr(self):
        return self._pointer(self.whole.atom_ptr)

    def _edge_ptr(self):
        if not self._is_restricted:
            return self._pointer(self.whole.edge_ptr)
        return pointer_from_counts(np.concatenate([part.n_edges for part in self._parts()]))

    def _pointer(self, pointer):
        if isinstance(self.rows, slice):
            return (
                np.array(pointer[self.rows.start : self.rows.stop + 1]) - pointer[self.rows.start]
            )
        return pointer_from_counts(pointer[self.rows + 1] - pointer[self.rows])

    def _parts(self):
        """Yield all crystals in memory, in chunks with few edges."""
        for crystals in chunk_slices(self._pointer(self.whole.edge_ptr), _CHUNK_EDGES):
            yield self[crystals].in_memory()


def _from_fields(values):
    return CrystalGraphs(**values)


def _load_again(file, rows, cutoff, max_neighbors, extra=None):
    """Map the file of pickled graphs again."""
    file.check()
    whole = CrystalGraphs.load(file.path, mmap=True)
    return LazyGraphs.of(
        whole.whole, rows, file=file, cutoff=cutoff, max_neighbors=max_neighbors, extra=extra
    )


def lazy_rows(graphs: CrystalGraphs, rows: np.ndarray) -> CrystalGraphs:
    """Select crystals by an index array without copying them, also if they are in memory.

    Parameters
    ----------
    graphs : CrystalGraphs
    rows : ndarray of shape (C,), integers

    Returns
    -------
    CrystalGraphs
    """
    return graphs[rows] if isinstance(graphs, LazyGraphs) else LazyGraphs.of(graphs, rows)
