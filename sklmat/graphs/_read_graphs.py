"""`read_graphs` reads a file of graphs; what does not fit together in it is an error.

Nothing is allocated before the sizes that the header states are compared with that of the file.
`check_crystals` looks at the atoms and edges themselves.
"""

from __future__ import annotations

import json
import math
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from sklmat.files import describe_file
from sklmat.graphs._crystal_graphs import DTYPES, FORMAT, CrystalGraphs
from sklmat.safetensors_files import Digest, read_safetensors_header

#: Array -> name of its type in the file, what it has an item for, and the shape of an item.
_LAYOUT: dict[str, tuple[str, str, tuple[int, ...]]] = {
    "atomic_numbers": ("U8", "atoms", ()),
    "positions": ("F64", "atoms", (3,)),
    "lattices": ("F64", "crystals", (3, 3)),
    "pbc": ("BOOL", "crystals", (3,)),
    "edge_source": ("I32", "edges", ()),
    "edge_target": ("I32", "edges", ()),
    "edge_image": ("I16", "edges", (3,)),
    "edge_distance": ("F32", "edges", ()),
    "atom_ptr": ("I64", "crystals + 1", ()),
    "edge_ptr": ("I64", "crystals + 1", ()),
}
_LAST_ELEMENT = 118


def read_graphs(path: Path, *, mmap: bool) -> CrystalGraphs:
    """Read a file of graphs, or map it into memory.

    Parameters
    ----------
    path : Path
    mmap : bool
        The atoms and edges of a mapped file are not read here, and not checked.

    Raises
    ------
    ValueError
        When the file is not of this format, or is damaged.
    """
    header, start = ({}, 0) if path.is_dir() else read_safetensors_header(path)
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise ValueError(
            f"{path} does not hold crystal graphs in the format {FORMAT!r}: it is "
            f"{describe_file(path)}. Build graphs with StructureToGraph and save() them"
        )
    try:
        _check_header(header, path.stat().st_size - start)
        settings = _settings(metadata.get("settings"), header)
    except _DamagedError as error:
        raise _error(path, error) from error
    buffer = np.memmap(path, mode="r") if mmap else np.fromfile(path, dtype=np.uint8)
    arrays: dict[str, Any] = {}
    for name, entry in header.items():
        first, last = (start + offset for offset in entry["data_offsets"])
        arrays[name] = buffer[first:last].view(DTYPES[entry["dtype"]]).reshape(entry["shape"])
    graphs = CrystalGraphs(**arrays, **settings)
    try:
        _check_pointer("atom_ptr", graphs.atom_ptr, len(graphs.positions), fewest=1)
        _check_pointer("edge_ptr", graphs.edge_ptr, len(graphs.edge_source), fewest=0)
    except _DamagedError as error:
        raise _error(path, error) from error
    if not mmap:
        # First, since it says which numbers are impossible.
        check_crystals(graphs, path)
        # Files of earlier versions have no digest.
        if "digest" in metadata and metadata["digest"] != _digest(metadata, header, arrays):
            raise _error(path, "its numbers or settings are not those that were written")
    return graphs


def _digest(metadata, header, arrays):
    """Hash of everything in a file, in the order in which it was written."""
    digest = Digest([FORMAT, metadata["settings"]])
    for name in sorted(header, key=lambda name: header[name]["data_offsets"]):
        digest.add(name, arrays[name].dtype, arrays[name].shape)
        digest.add_items(arrays[name])
    return str(digest)


def check_crystals(graphs: CrystalGraphs, path: Path) -> None:
    """Raise a ValueError if numbers of crystals from a file are impossible.

    Parameters
    ----------
    graphs : CrystalGraphs
        In memory.
    path : Path
        The file.
    """
    try:
        for name in ("lattices", "positions", "extra"):
            values = getattr(graphs, name)
            if values is not None:
                _check_range(name, values, -np.inf, np.inf)
        _check_range("atomic_numbers", graphs.atomic_numbers, 1, _LAST_ELEMENT)
        _check_range("edge_distance", graphs.edge_distance, 0, np.inf)
        _check_range("pbc", graphs.pbc.view(np.uint8), 0, 1)
        _check_edges(graphs)
    except _DamagedError as error:
        raise _error(path, error) from error


class _DamagedError(Exception):
    """What is wrong with a file, as the end of a sentence."""


def _error(path, problem):
    return ValueError(
        f"{path} is damaged: {problem}; copy it again, or build the graphs with StructureToGraph"
    )


def _check_header(header, n_bytes):
    """Compare names, types, shapes and places of the arrays with each other and with the file."""
    missing = sorted(set(_LAYOUT) - set(header))
    others = sorted(set(header) - set(_LAYOUT) - {"extra"})
    if missing or others:
        raise _DamagedError(f"it has no array {missing}" if missing else f"it has arrays {others}")
    sizes: dict[str, int] = {}
    places = []
    for name, entry in header.items():
        dtype, shape, place = _entry(name, entry)
        wanted, of, item = _LAYOUT.get(name, ("F64", "crystals", tuple(shape[1:2])))
        if dtype != wanted or not shape or tuple(shape[1:]) != item:
            raise _DamagedError(f"{name} has the type {dtype} and the shape {shape}")
        n_items = shape[0] - 1 if of == "crystals + 1" else shape[0]
        if sizes.setdefault(of.removesuffix(" + 1"), n_items) != n_items or n_items < 0:
            raise _DamagedError(f"{name} has {shape[0]} items, which others do not have")
        if place[1] - place[0] != np.dtype(DTYPES[dtype]).itemsize * math.prod(shape):
            raise _DamagedError(f"{name} has the shape {shape}, but the bytes {place}")
        places.append(place)
    end = 0
    for first, last in sorted(places):
        if first != end:
            raise _DamagedError("its arrays overlap, or there is something between them")
        end = last
    if end != n_bytes:
        raise _DamagedError(f"its arrays take {end} bytes, and {n_bytes} are there")


def _entry(name, entry):
    """Type, shape and place of an array."""
    try:
        dtype, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (LookupError, TypeError):
        dtype = None
    if not (
        isinstance(dtype, str)
        and all(isinstance(numbers, list) for numbers in (shape, place))
        and all(type(number) is int and number >= 0 for number in (*shape, *place))
        and len(place) == 2
    ):
        raise _DamagedError(f"its header says of {name}: {entry}"[:200])
    return dtype, shape, place


def _settings(text, header):
    """How the graphs were built, as keywords of `CrystalGraphs`."""
    try:
        settings = json.loads(text)
        names = settings.pop("extra_names", [])
    except (AttributeError, TypeError, ValueError, RecursionError):
        raise _DamagedError("its settings cannot be read") from None
    is_right: dict[str, Any] = {
        "cutoff": lambda value: _is_number(value) and value > 0,
        "max_neighbors": lambda value: value is None or (_is_whole(value) and value > 0),
        "ties": lambda value: value in ("complete", "truncate"),
        "tie_tolerance": lambda value: _is_number(value) and value >= 0,
        "symmetrize": lambda value: isinstance(value, bool),
        "neighbors": lambda value: value is None or isinstance(value, str),
    }
    for name, value in settings.items():
        if name not in is_right or not is_right[name](value):
            raise _DamagedError(f"its settings say {name}={value!r}"[:200])
    missing = {"cutoff", "max_neighbors", "ties", "tie_tolerance"} - set(settings)
    if missing:
        raise _DamagedError(f"its settings have no {min(missing)}")
    n_extra = header["extra"]["shape"][1] if "extra" in header else 0
    if not isinstance(names, list) or len(names) != n_extra:
        raise _DamagedError(f"it has {n_extra} further columns and the names {names!r}"[:200])
    return {**settings, "extra_names": _names_of_json(names)}


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value):
    return isinstance(value, Integral) and not isinstance(value, bool)


def _names_of_json(names):
    """Names of columns: what is a list in JSON was a tuple."""
    return tuple(_names_of_json(name) if isinstance(name, list) else name for name in names)


def _check_pointer(name, pointer, n_items, fewest):
    if pointer[0] != 0 or pointer[-1] != n_items:
        raise _DamagedError(f"{name} does not lead from 0 to {n_items}")
    # Differences of damaged numbers can be too large for the type.
    wrong = pointer[1:] < pointer[:-1] + fewest
    if wrong.any() or (pointer < 0).any():
        raise _DamagedError(f"{name} falls at crystal {int(np.argmax(wrong))}")


def _check_range(name: str, values: np.ndarray, low: float, high: float) -> None:
    """Raise if a value is outside; an infinite bound is outside itself, and NaN always is."""
    if not values.size:
        return
    # A NaN is the minimum and the maximum, and compares with nothing.
    least, most = values.min(), values.max()
    is_inside = (least > low if low == -np.inf else least >= low) and (
        most < high if high == np.inf else most <= high
    )
    if not is_inside:
        raise _DamagedError(f"{name} holds values from {least} to {most}")


def _check_edges(graphs):
    """Edges join atoms of their own crystal, and those of an atom stand together."""
    source, target, n_edges = graphs.edge_source, graphs.edge_target, graphs.n_edges
    crystals = np.flatnonzero(n_edges)
    if not len(crystals):
        return
    starts, n_atoms = graphs.edge_ptr[crystals], graphs.n_atoms[crystals]
    for name, atoms in (("edge_source", source), ("edge_target", target)):
        first = np.minimum.reduceat(atoms, starts)
        last = np.maximum.reduceat(atoms, starts)
        wrong = (first < 0) | (last >= n_atoms)
        if wrong.any():
            at = int(np.argmax(wrong))
            raise _DamagedError(
                f"{name} of crystal {crystals[at]} holds the atoms {first[at]} to {last[at]} of "
                f"{n_atoms[at]}"
            )
    falls = target[1:] < target[:-1]
    falls[starts[1:] - 1] = False
    if falls.any():
        crystal = np.searchsorted(graphs.edge_ptr, int(np.argmax(falls)), side="right") - 1
        raise _DamagedError(f"edge_target of crystal {crystal} is not in ascending order")
