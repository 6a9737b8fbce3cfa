"""`CrystalGraphs`: many crystal graphs in flat arrays, and functions to index such arrays.

The atoms and the edges of all crystals are stored in flat arrays, group after group: all items of
the first crystal, then all items of the second. ``counts[g]`` is the number of items of group g,
and ``pointer[g]:pointer[g + 1]`` are their positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sklmat.argument_checks import checked_arguments
from sklmat.files import expand_path
from sklmat.graphs._neighbor_search import Edges, keep_nearest
from sklmat.graphs._number_columns import named_columns
from sklmat.structures import CrystalArrays

if TYPE_CHECKING:
    from pymatgen.core import Structure
    from torch_geometric.data import Data

    from sklmat.typing import ArrayLike, PathLike

ATOM_ARRAYS = ("atomic_numbers", "positions")
EDGE_ARRAYS = ("edge_source", "edge_target", "edge_image", "edge_distance")
CRYSTAL_ARRAYS = ("lattices", "pbc")
_SETTINGS = ("cutoff", "max_neighbors", "ties", "tie_tolerance", "symmetrize", "neighbors")
FORMAT = "sklmat-graphs-1"
#: Names of the types of numbers in a safetensors file, in the order in which it sorts arrays.
DTYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I16": "<i2",
    "I32": "<i4",
    "F32": "<f4",
    "F64": "<f8",
    "I64": "<i8",
}


@dataclass(eq=False, repr=False)
class CrystalGraphs:
    """Container that holds many crystal graphs in a few flat arrays.

    `StructureToGraph` makes it. Graph estimators, embeddings, attacks and splitters accept it as
    `X` instead of a list of structures; featurizers such as `StructureFeaturizer` need the
    structures themselves. scikit-learn can index, slice and split it, without a Python loop over
    crystals. In the shapes, C is the number of crystals; N and E are the numbers of atoms and edges
    of all crystals together.

    Parameters
    ----------
    atomic_numbers : ndarray of shape (N,), uint8
        Atomic number of each atom, crystal after crystal.
    positions : ndarray of shape (N, 3), float64
        Cartesian positions (Å).
    lattices : ndarray of shape (C, 3, 3), float64
        Lattice vectors as rows (Å).
    pbc : ndarray of shape (C, 3), bool
        Periodic directions.
    edge_source, edge_target : ndarray of shape (E,), int32
        Edge e carries a message from neighbour ``edge_source[e]`` to the central atom
        ``edge_target[e]``; both count from the first atom of their own crystal. Edges are sorted
        by central atom, then by distance.
    edge_image : ndarray of shape (E, 3), int16
        Lattice translation of the neighbour, in units of the lattice vectors.
    edge_distance : ndarray of shape (E,), float32
        ``|positions[source] + image @ lattice - positions[target]|`` (Å).
    atom_ptr, edge_ptr : ndarray of shape (C + 1,), int64
        Crystal c has the atoms ``atom_ptr[c]:atom_ptr[c + 1]`` and the edges
        ``edge_ptr[c]:edge_ptr[c + 1]``.
    cutoff, max_neighbors, ties, tie_tolerance, symmetrize, neighbors : as in `StructureToGraph`
        How the edges were chosen.
    extra : ndarray of shape (C, K), float64, or None
        Further numbers for each crystal, such as a temperature; see `with_extra`.
    extra_names : tuple of K names
        Names of the columns of `extra`.

    Notes
    -----
    The arrays take ``91 C + 25 N + 18 E`` bytes: about 240 bytes per atom at 12 neighbours. The
    Gaussian expansion of the distances is computed by the network for each batch and not stored.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import StructureToGraph
    >>> fcc = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.61), ["Cu"], [[0, 0, 0]])
    >>> bcc = Structure.from_spacegroup("Im-3m", Lattice.cubic(2.87), ["Fe"], [[0, 0, 0]])
    >>> graphs = StructureToGraph().fit_transform([fcc, bcc])
    >>> graphs
    CrystalGraphs(2 crystals, 6 atoms, 76 edges, cutoff=8.0 Å, max_neighbors=12)
    >>> graphs[1].neighbor_counts.tolist()  # 8 + 6: the second shell is not cut in two
    [14, 14]
    """

    atomic_numbers: np.ndarray
    positions: np.ndarray
    lattices: np.ndarray
    pbc: np.ndarray
    edge_source: np.ndarray
    edge_target: np.ndarray
    edge_image: np.ndarray
    edge_distance: np.ndarray
    atom_ptr: np.ndarray
    edge_ptr: np.ndarray
    cutoff: float
    max_neighbors: int | None
    ties: str
    tie_tolerance: float
    symmetrize: bool = False
    neighbors: str | None = None
    extra: np.ndarray | None = None
    extra_names: tuple[Any, ...] = ()

    def __len__(self) -> int:
        return len(self.atom_ptr) - 1

    @property
    def shape(self) -> tuple[int]:
        """``(C,)``, the shape of a one-dimensional array of C crystals."""
        return (len(self),)

    @property
    def n_atoms(self) -> np.ndarray:
        """Atoms per crystal, ndarray of shape (C,)."""
        return np.diff(self.atom_ptr)

    @property
    def n_edges(self) -> np.ndarray:
        """Edges per crystal, ndarray of shape (C,)."""
        return np.diff(self.edge_ptr)

    @property
    def neighbor_counts(self) -> np.ndarray:
        """Neighbours of each atom, ndarray of shape (N,)."""
        return np.bincount(self.flat_target, minlength=len(self.atomic_numbers))

    @property
    def crystal_of_atom(self) -> np.ndarray:
        """Index of the crystal of each atom, ndarray of shape (N,)."""
        return np.repeat(np.arange(len(self)), self.n_atoms)

    @property
    def crystal_of_edge(self) -> np.ndarray:
        """Index of the crystal of each edge, ndarray of shape (E,)."""
        return np.repeat(np.arange(len(self)), self.n_edges)

    @property
    def flat_source(self) -> np.ndarray:
        """Index of each edge's neighbour among all N atoms, ndarray of shape (E,), int64."""
        return self.edge_source + np.repeat(self.atom_ptr[:-1], self.n_edges)

    @property
    def flat_target(self) -> np.ndarray:
        """Index of each edge's central atom among all N atoms, ndarray of shape (E,), int64."""
        return self.edge_target + np.repeat(self.atom_ptr[:-1], self.n_edges)

    @property
    def edge_vectors(self) -> np.ndarray:
        """Vectors from the central atom to its neighbour (Å), ndarray of shape (E, 3), float64."""
        lattices = np.repeat(self.lattices, self.n_edges, axis=0)
        shift = np.einsum("ei,eij->ej", self.edge_image.astype(np.float64), lattices)
        return self.positions[self.flat_source] + shift - self.positions[self.flat_target]

    @property
    def settings(self) -> dict[str, Any]:
        """Dict of `cutoff`, `max_neighbors` and the other parameters that chose the edges."""
        return {name: getattr(self, name) for name in _SETTINGS}

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        return sum(array.nbytes for array in vars(self).values() if isinstance(array, np.ndarray))

    def __repr__(self):
        return (
            f"CrystalGraphs({len(self)} crystals, {self.atom_ptr[-1]} atoms, "
            f"{self.edge_ptr[-1]} edges, cutoff={self.cutoff} Å, "
            f"max_neighbors={self.max_neighbors}"
            + (f", columns {', '.join(map(str, self.extra_names))})" if self.extra_names else ")")
        )

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            "CrystalGraphs cannot become a numpy array. Bagging, AdaBoost, permutation_importance "
            "and passthrough=True try this and are not supported on crystals; use n_ensemble for "
            "bagging, and a feature table for importances"
        )

    def __iter__(self) -> Iterator[CrystalGraphs]:
        return (self[c] for c in range(len(self)))

    def __getitem__(
        self, key: int | slice | np.ndarray | Sequence[int] | tuple[Any, ...]
    ) -> CrystalGraphs:
        """Select crystals by int, slice, mask, index array, or ``(key, ...)``.

        An int returns a container with one crystal, so that every selection can be predicted.
        """
        if isinstance(key, tuple):
            if len(key) != 2 or key[1] is not Ellipsis:
                raise IndexError(f"CrystalGraphs is one-dimensional, got the index {key!r}")
            key = key[0]
        if isinstance(key, slice) and key.step in (None, 1):
            start, stop, _ = key.indices(len(self))
            return self._slice(start, max(start, stop))
        rows = np.atleast_1d(np.arange(len(self))[key])
        if rows.ndim > 1:
            raise IndexError(
                f"CrystalGraphs is one-dimensional, got an index of shape {rows.shape}"
            )
        return self._gather(rows)

    def _gather(self, crystals):
        """Return crystals in any order, as copies."""
        atom_ptr, atoms = gather_ranges(self.atom_ptr, crystals)
        edge_ptr, edges = gather_ranges(self.edge_ptr, crystals)
        return CrystalGraphs(
            **{name: getattr(self, name)[atoms] for name in ATOM_ARRAYS},
            **{name: getattr(self, name)[edges] for name in EDGE_ARRAYS},
            **{name: getattr(self, name)[crystals] for name in CRYSTAL_ARRAYS},
            atom_ptr=atom_ptr,
            edge_ptr=edge_ptr,
            **self._extra_of(crystals),
            **self.settings,
        )

    def _slice(self, start, stop):
        """Return consecutive crystals as views, without copying."""
        atoms = slice(self.atom_ptr[start], self.atom_ptr[stop])
        edges = slice(self.edge_ptr[start], self.edge_ptr[stop])
        return CrystalGraphs(
            **{name: getattr(self, name)[atoms] for name in ATOM_ARRAYS},
            **{name: getattr(self, name)[edges] for name in EDGE_ARRAYS},
            **{name: getattr(self, name)[start:stop] for name in CRYSTAL_ARRAYS},
            atom_ptr=self.atom_ptr[start : stop + 1] - atoms.start,
            edge_ptr=self.edge_ptr[start : stop + 1] - edges.start,
            **self._extra_of(slice(start, stop)),
            **self.settings,
        )

    def _extra_of(self, crystals):
        """Keyword arguments for the columns of some crystals."""
        if self.extra is None:
            return {}
        return {"extra": self.extra[crystals], "extra_names": self.extra_names}

    @classmethod
    def from_edges(
        cls, crystals: list[CrystalArrays], edges: list[Edges], **settings: Any
    ) -> CrystalGraphs:
        """Make a container from the arrays and the edges of each crystal.

        Parameters
        ----------
        crystals : list of C tuples
            Atoms and lattice of each crystal, as in the result of `to_arrays`.
        edges : list of C tuples
            For the e edges of each crystal: ``target`` (e,), ``source`` (e,), ``image`` (e, 3) and
            ``distance`` (e,), defined as for the class.
        **settings
            The parameters `cutoff` to `neighbors` of the class: how the edges were chosen.

        Returns
        -------
        CrystalGraphs
        """
        numbers, positions, lattices, pbc = zip(*crystals) if crystals else ([], [], [], [])
        target, source, image, distance = zip(*edges) if edges else ([], [], [], [])
        return cls(
            atomic_numbers=_concatenated(numbers, np.uint8),
            positions=_concatenated(positions, np.float64, (3,)),
            lattices=np.array(lattices, dtype=np.float64).reshape(-1, 3, 3),
            pbc=np.array(pbc, dtype=bool).reshape(-1, 3),
            edge_source=_concatenated(source, np.int32),
            edge_target=_concatenated(target, np.int32),
            edge_image=_concatenated(image, np.int16, (3,)),
            edge_distance=_concatenated(distance, np.float32),
            atom_ptr=pointer_from_counts(list(map(len, numbers))),
            edge_ptr=pointer_from_counts(list(map(len, target))),
            **settings,
        )

    @classmethod
    @checked_arguments()
    def concatenate(cls, parts: Sequence[CrystalGraphs]) -> CrystalGraphs:
        """Join containers whose edges were chosen with the same settings.

        Parameters
        ----------
        parts : sequence of CrystalGraphs
            Graphs built with the same settings.

        Returns
        -------
        CrystalGraphs

        Raises
        ------
        ValueError
            When there are no parts, or the settings of two parts differ.
        """
        parts = list(parts)
        if not parts:
            raise ValueError("nothing to concatenate")
        for number, part in enumerate(parts):
            if part.settings != parts[0].settings:
                raise ValueError(
                    f"part {number} was built with {part.settings}, part 0 with "
                    f"{parts[0].settings}; rebuild them alike or bring them together with "
                    "restrict()"
                )
            if part.extra_names != parts[0].extra_names:
                raise ValueError(
                    f"part {number} has the columns {list(part.extra_names)}, part 0 has "
                    f"{list(parts[0].extra_names)}; give all parts the same with_extra()"
                )
        joined: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ATOM_ARRAYS + EDGE_ARRAYS + CRYSTAL_ARRAYS
        }
        if parts[0].extra is not None:
            joined["extra"] = np.concatenate([part.extra for part in parts])
            joined["extra_names"] = parts[0].extra_names
        return cls(
            **joined,
            atom_ptr=pointer_from_counts(np.concatenate([part.n_atoms for part in parts])),
            edge_ptr=pointer_from_counts(np.concatenate([part.n_edges for part in parts])),
            **parts[0].settings,
        )

    @checked_arguments()
    def restrict(
        self, cutoff: float | None = None, max_neighbors: int | None = None
    ) -> CrystalGraphs:
        """Remove the edges beyond a smaller cutoff or a smaller number of neighbours.

        The result is the same as when the graphs are built with these settings.

        Parameters
        ----------
        cutoff : float, default=None
            New cutoff (Å), at most the present one; ``None`` keeps the present one.
        max_neighbors : int, default=None
            New number of neighbours, at most the present one; ``None`` keeps the present one.

        Returns
        -------
        CrystalGraphs
            ``self`` if nothing changes.

        Raises
        ------
        ValueError
            When a new value is larger than the present one; or when reverse edges were added
            (`symmetrize`) or a pymatgen strategy chose the edges, so that building the graphs with
            the new settings would give other edges.
        """
        if cutoff is not None and cutoff > self.cutoff:
            raise ValueError(
                f"cutoff={cutoff} Å is larger than the {self.cutoff} Å these graphs were built "
                "with; build them again from the structures"
            )
        largest = np.inf if self.max_neighbors is None else self.max_neighbors
        if max_neighbors is not None and max_neighbors > largest:
            raise ValueError(
                f"max_neighbors={max_neighbors} is larger than the {self.max_neighbors} these "
                "graphs were built with; build them again from the structures"
            )
        cutoff = self.cutoff if cutoff is None else float(cutoff)
        max_neighbors = self.max_neighbors if max_neighbors is None else int(max_neighbors)
        if (cutoff, max_neighbors) == (self.cutoff, self.max_neighbors):
            return self
        if self.symmetrize or self.neighbors is not None:
            raise ValueError(
                "the edges of these graphs were symmetrised or chosen by a pymatgen strategy, so "
                "they cannot be restricted; build the graphs again"
            )
        return self._restricted(cutoff, max_neighbors)

    def _restricted(self, cutoff, max_neighbors):
        """Remove edges, after the checks of `restrict`."""
        keep = self.edge_distance <= np.float32(cutoff + 1e-8)
        if max_neighbors is not None:
            keep &= keep_nearest(
                self.flat_target,
                self.edge_distance,
                len(self.atomic_numbers),
                max_neighbors,
                self.ties,
                self.tie_tolerance,
            )
        return replace(self.select_edges(keep), cutoff=cutoff, max_neighbors=max_neighbors)

    def with_extra(self, table: Any) -> CrystalGraphs:
        """Add a table of further numbers for each crystal, for the parameter `extra` of networks.

        Parameters
        ----------
        table : DataFrame with C rows, dict, ndarray of shape (C, K), or None
            The columns, by name, or an array whose columns are then named 0, 1, ... They replace
            those that are already there. Whatever selects crystals selects their rows too. None
            removes all columns.

        Returns
        -------
        CrystalGraphs
            A container with the same arrays, which are not copied.

        Raises
        ------
        ValueError
            When a column has another length, or holds something else than finite numbers (the
            message names the column and the row); or when a name is neither text, a number nor a
            tuple of these, so that a file of graphs cannot keep it.

        Examples
        --------
        >>> from pymatgen.core import Lattice, Structure
        >>> from sklmat import StructureToGraph
        >>> cell = Structure(Lattice.cubic(2.87), ["Fe"], [[0, 0, 0]])
        >>> graphs = StructureToGraph(cutoff=4.0).transform([cell, cell])
        >>> graphs.with_extra({"temperature (K)": [300, 900]})[1].extra
        array([[900.]])
        """
        if table is None:
            return self._replace_extra(None, ())
        names, values = named_columns(table, len(self))
        return self._replace_extra(values, names) if names else self._replace_extra(None, ())

    def _replace_extra(self, extra, names):
        return replace(self, extra=extra, extra_names=names)

    def select_edges(self, keep: np.ndarray) -> CrystalGraphs:
        """Keep some of the edges of all crystals.

        Parameters
        ----------
        keep : ndarray of shape (E,), bool
            Whether to keep each edge.

        Returns
        -------
        CrystalGraphs
            The same atoms with the selected edges only. The parameters `cutoff`, `max_neighbors`,
            `ties`, `tie_tolerance`, `symmetrize` and `neighbors` are copied without a change, so
            they describe the edges before the selection.
        """
        n_edges = int(self.edge_ptr[-1])
        if not (getattr(keep, "shape", None) == (n_edges,) and keep.dtype.kind == "b"):
            raise ValueError(f"keep must be an array of {n_edges} bool, one for each edge")
        n_kept_before = pointer_from_counts(keep)
        arrays = {name: getattr(self, name)[keep] for name in EDGE_ARRAYS}
        return replace(self, **arrays, edge_ptr=n_kept_before[self.edge_ptr])

    def in_memory(self) -> CrystalGraphs:
        """Return these graphs in memory: a copy if they are in a mapped file, else ``self``.

        Returns
        -------
        CrystalGraphs
            The same graphs.
        """
        return self

    @checked_arguments()
    def chunks(self, n_atoms: int = 2**16) -> Iterator[tuple[int, CrystalGraphs]]:
        """Iterate over parts of consecutive crystals, without copying.

        Parameters
        ----------
        n_atoms : int, default=65536
            Largest number of atoms of a part that has more than one crystal.

        Yields
        ------
        first : int
            Row of the first crystal of the part.
        part : CrystalGraphs
        """
        if self.atom_ptr[-1] <= n_atoms:
            yield 0, self
            return
        for crystals in chunk_slices(self.atom_ptr, n_atoms):
            yield crystals.start, self[crystals]

    def to_arrays(self) -> list[CrystalArrays]:
        """Return the atoms and the lattice of each crystal, without edges.

        Returns
        -------
        list of C tuples
            ``atomic_numbers`` (n,), ``positions`` (n, 3), ``lattice`` (3, 3) and ``pbc`` (3,) of
            each crystal, with its number of atoms n.
        """
        ends = self.atom_ptr[1:-1]
        numbers, positions = np.split(self.atomic_numbers, ends), np.split(self.positions, ends)
        return list(map(CrystalArrays, numbers, positions, self.lattices, self.pbc))

    def to_structures(self) -> list[Structure]:
        """Convert the crystals to pymatgen structures.

        Returns
        -------
        list of C pymatgen Structure
            The crystals, in their order.
        """
        return [crystal.to_structure() for crystal in self.to_arrays()]

    def _number_of(self, c):
        """Number of a crystal, from 0; negative ones count from the end."""
        if not -len(self) <= c < len(self):
            raise IndexError(f"there is no crystal {c} among {len(self)}")
        return int(c) % len(self)

    @checked_arguments()
    def formula(self, c: int) -> str:
        """Return the chemical formula of crystal `c`.

        Parameters
        ----------
        c : int
            Number of the crystal.

        Returns
        -------
        str
            The formula, such as ``Fe2 O3``.
        """
        from pymatgen.core import Composition, Element

        c = self._number_of(c)
        numbers = self[c : c + 1].atomic_numbers
        elements, counts = np.unique(numbers, return_counts=True)
        amounts = {
            Element.from_Z(int(number)).symbol: int(count)
            for number, count in zip(elements, counts)
        }
        return Composition(amounts).formula.replace(" ", "")

    @checked_arguments()
    def to_pyg(self, c: int) -> Data:
        """Convert crystal `c` to a ``torch_geometric.data.Data``.

        Parameters
        ----------
        c : int
            Number of the crystal.

        Returns
        -------
        torch_geometric.data.Data
            For the n atoms and e edges of this crystal: ``z`` (n,), ``pos`` (n, 3), ``edge_index``
            (2, e) with the neighbour in row 0 and the central atom in row 1, ``edge_weight`` (e,)
            distances (Å), ``edge_image`` (e, 3), ``cell`` (1, 3, 3); and with columns of
            `with_extra` ``extra`` (1, K), in the order of `extra_names`.
        """
        import torch
        from torch_geometric.data import Data

        crystal = self[self._number_of(c)]
        columns = {}
        if crystal.extra is not None:
            columns["extra"] = torch.from_numpy(crystal.extra.astype(np.float32))
        return Data(
            z=torch.from_numpy(crystal.atomic_numbers.astype(np.int64)),
            pos=torch.from_numpy(crystal.positions.astype(np.float32)),
            edge_index=torch.from_numpy(
                np.stack([crystal.edge_source, crystal.edge_target]).astype(np.int64)
            ),
            edge_weight=torch.from_numpy(crystal.edge_distance.copy()),
            edge_image=torch.from_numpy(crystal.edge_image.astype(np.int64)),
            cell=torch.from_numpy(crystal.lattices.astype(np.float32)),
            **columns,
        )

    @checked_arguments()
    def save(self, path: PathLike) -> None:
        """Write the graphs to one safetensors file (arrays and a JSON header, no code).

        Parameters
        ----------
        path : str or path-like
            A file of this name is replaced when the new one is complete.
        """
        from sklmat.graphs._graph_files import write_graphs

        write_graphs(self, expand_path(path))

    @classmethod
    @checked_arguments()
    def load(cls, path: PathLike, *, mmap: bool = False) -> CrystalGraphs:
        """Read graphs that `save` wrote.

        Parameters
        ----------
        path : str or path-like
            Path of a file that ``save`` has written.
        mmap : bool, default=False
            Map the file into memory instead of reading it, so that a file larger than memory can be
            used. The arrays are then read-only, a selection keeps the numbers of its rows only, and
            its crystals are read when they are used. It is pickled, also when joblib sends it to
            another process, as the path of the file and the rows; see `in_memory`.

        Returns
        -------
        CrystalGraphs

        Raises
        ------
        ValueError
            When the file was not written by `CrystalGraphs.save`, or is damaged: header, sizes,
            pointers, atoms and edges are checked, and a digest of all numbers and settings (which
            files of earlier versions do not have). The atoms and edges of a mapped file are checked
            when they are read into memory, as for a batch; the digest is not.
        """
        from sklmat.graphs._read_graphs import read_graphs

        path = expand_path(path)
        graphs = read_graphs(path, mmap=mmap)
        if not mmap:
            return graphs
        from sklmat.graphs._lazy_graphs import LazyGraphs, MappedFile

        return LazyGraphs.of(graphs, slice(0, len(graphs)), file=MappedFile.of(path))


def _concatenated(arrays, dtype, width=()):
    return np.concatenate([np.zeros((0, *width), dtype), *arrays]).astype(dtype, copy=False)


def pointer_from_counts(counts: ArrayLike) -> np.ndarray:
    """Start of each of G groups, and the end of the last one: shape (G + 1,), int64."""
    pointer = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, dtype=np.int64, out=pointer[1:])
    return pointer


def chunk_slices(pointer: np.ndarray, size: int) -> Iterator[slice]:
    """Divide consecutive groups into chunks; there is one empty chunk if there are no groups.

    Parameters
    ----------
    pointer : ndarray of shape (G + 1,)
        Pointer of an array with G groups.
    size : int
        Largest number of items of a chunk that has more than one group.

    Yields
    ------
    slice
    """
    start = 0
    while start < max(len(pointer) - 1, 1):
        end = np.searchsorted(pointer, pointer[start] + size, side="right")
        stop = max(int(end) - 1, start + 1)
        yield slice(start, stop)
        start = stop


def gather_ranges(pointer: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the items of some groups in a flat array, and the pointer of the selection.

    Parameters
    ----------
    pointer : ndarray of shape (G + 1,)
        Pointer of the array, with G groups.
    groups : ndarray of integers, shape (H,)
        Groups to select.

    Returns
    -------
    new_pointer : ndarray of shape (H + 1,)
        Pointer of the array that holds the selected groups only.
    positions : ndarray of shape (number of selected items,)
        Positions of the selected items in the original array.
    """
    counts = pointer[groups + 1] - pointer[groups]
    new_pointer = pointer_from_counts(counts)
    shift = np.repeat(pointer[groups] - new_pointer[:-1], counts)
    return new_pointer, np.arange(new_pointer[-1]) + shift
