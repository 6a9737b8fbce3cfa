"""`build_graphs` builds the graphs of many crystals, in parallel and with a cache."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend

from sklmat.exceptions import InvalidStructureError
from sklmat.graphs._cache import content_key, open_cache
from sklmat.graphs._crystal_graphs import CrystalGraphs
from sklmat.graphs._neighbor_search import find_edges
from sklmat.structures import (
    as_items,
    check_distances,
    close_atoms_error,
    convert_items,
    convert_structures,
    crystal_arrays,
    largest_smallest_distance,
    smallest_distances,
    warn_of_notes,
    with_file,
)

if TYPE_CHECKING:
    from pymatgen.analysis.local_env import NearNeighbors

    from sklmat.typing import Structures

#: Atoms per chunk of work: many compared with the cost of sending a chunk to a process (a few ms),
#: and few enough to show progress and to limit memory.
_CHUNK_ATOMS = 20_000
_CHUNK_FILES = 200


def build_graphs(
    X: Structures | CrystalGraphs,
    *,
    cache: int | str | PathLike[str] | None = None,
    n_jobs: int | None = None,
    verbose: bool = False,
    neighbors: NearNeighbors | None = None,
    **settings: Any,
) -> CrystalGraphs:
    """Build the graphs of all crystals of `X`; parameters as in `StructureToGraph`."""
    # Parameter grids made with numpy contain numpy integers, which JSON cannot store.
    settings = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in settings.items()
    }
    # The settings that are stored with the graphs.
    description = {
        **settings,
        "cutoff": float(settings["cutoff"]),
        "neighbors": describe_strategy(neighbors),
    }
    items = as_items(X)
    crystals = _read_crystals(items, n_jobs, verbose)

    def build(rows):
        chunks = _chunks(rows, crystals, _chunk_atoms(crystals, n_jobs, neighbors))
        args = neighbors, settings, description
        try:
            yield from _run(_build_chunk, chunks, crystals, n_jobs, verbose, args)
        except InvalidStructureError as error:
            raise with_file(error, items[error.index]) from error

    if cache is None:
        parts = [part for _, part in build(range(len(crystals)))]
    else:
        opened = open_cache(cache)
        key_settings = (repr(sorted(settings.items())), description["neighbors"])
        keys = [content_key(crystal, key_settings) for crystal in crystals]
        parts = [opened.get(key) for key in keys]
        for rows, graphs in build([row for row, graph in enumerate(parts) if graph is None]):
            for row, graph in zip(rows, graphs):
                parts[row] = opened[keys[row]] = graph
    if not parts:
        return CrystalGraphs.from_edges([], [], **description)
    return CrystalGraphs.concatenate(parts)


def _read_crystals(items, n_jobs, verbose):
    """Return each crystal as `CrystalArrays`; files are read in parallel."""
    if effective_n_jobs(n_jobs) == 1:
        return crystal_arrays(convert_structures(items))
    paths = [row for row, item in enumerate(items) if isinstance(item, str | bytes | PathLike)]
    if len(paths) < 2:
        return crystal_arrays(convert_structures(items))
    crystals = [None] * len(items)
    others = sorted(set(range(len(items))) - set(paths))
    chunks = [paths[start : start + _CHUNK_FILES] for start in range(0, len(paths), _CHUNK_FILES)]
    chunks += [[row] for row in others]
    notes = []
    for rows, (read, said) in _run(_read_chunk, chunks, items, n_jobs, verbose, ()):
        notes += said
        for row, crystal in zip(rows, read):
            crystals[row] = crystal
    warn_of_notes(notes)
    return crystals


def _read_chunk(rows, items):
    """Read some of the items; errors and notes name the row in the whole input."""
    structures, notes = convert_items(rows, items)
    return crystal_arrays(structures), notes


def _chunk_atoms(crystals, n_jobs, neighbors):
    """Atoms per chunk: few for slow pymatgen strategies, and so few that every process has work."""
    if neighbors is not None:
        return _CHUNK_ATOMS // 100
    n_jobs = effective_n_jobs(n_jobs)
    if n_jobs == 1:
        return _CHUNK_ATOMS
    n_atoms = sum(len(crystal.atomic_numbers) for crystal in crystals)
    return min(_CHUNK_ATOMS, n_atoms // (4 * n_jobs) + 1)


def _chunks(rows, crystals, chunk_atoms):
    """Divide rows, in their order, into lists of about equal numbers of atoms."""
    if not rows:
        return []
    n_atoms = np.cumsum([len(crystals[row].atomic_numbers) for row in rows])
    ends = np.flatnonzero(np.diff(n_atoms // chunk_atoms)) + 1
    return [chunk.tolist() for chunk in np.split(np.array(rows), ends)]


def _run(function, chunks, items, n_jobs, verbose, args):
    """Yield each chunk and the result of `function` for it, in order, with a progress bar."""
    from tqdm.auto import tqdm

    n_jobs = min(effective_n_jobs(n_jobs), max(len(chunks), 1))
    # The progress bar needs results one by one, which not every joblib backend supports.
    backend = get_active_backend()[0]
    in_order = n_jobs == 1 or getattr(backend, "supports_return_generator", False)
    results = Parallel(n_jobs=n_jobs, return_as="generator" if in_order else "list")(
        delayed(function)(rows, [items[row] for row in rows], *args) for rows in chunks
    )
    total = sum(map(len, chunks))
    with tqdm(total=total, unit="crystal", desc="graphs", disable=not verbose) as bar:
        for rows, result in zip(chunks, results):
            bar.update(len(rows))
            yield rows, result


def _build_chunk(rows, crystals, neighbors, settings, description):
    """Graphs of some crystals; errors name their rows in the whole input."""
    for row, crystal in zip(rows, crystals):
        # A strategy may omit neighbours, and a small cutoff may leave out two atoms that are too
        # close; otherwise such atoms are among the edges.
        if (
            neighbors is not None
            or largest_smallest_distance(crystal.atomic_numbers) > settings["cutoff"]
        ):
            check_distances(row, crystal.to_structure())
    edges = find_edges(crystals, neighbors, **settings)
    for row, crystal, (target, source, _, distance) in zip(rows, crystals, edges):
        numbers = crystal.atomic_numbers
        if len(distance) == 0 or distance.min() >= largest_smallest_distance(numbers):
            continue
        ratio = distance / smallest_distances(numbers[target], numbers[source])
        if ratio.min() < 1:
            pair = int(ratio.argmin())
            raise close_atoms_error(
                row, crystal.to_structure(), target[pair], source[pair], float(distance[pair])
            )
    return CrystalGraphs.from_edges(crystals, edges, **description)


def describe_strategy(neighbors: NearNeighbors | None) -> str | None:
    """Describe a pymatgen strategy by its class, its plain settings and a hash of all settings."""
    if neighbors is None:
        return None
    values = sorted(
        (name, value)
        for name, value in vars(neighbors).items()
        if isinstance(value, bool | int | float | str | tuple | None)
    )
    text = ", ".join(f"{name}={value!r}" for name, value in values)
    return f"{type(neighbors).__name__}({text}) {joblib.hash(vars(neighbors))[:8]}"
