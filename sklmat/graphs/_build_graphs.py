"""`build_graphs` builds the graphs of many crystals, in parallel and with a cache."""

from __future__ import annotations

from pathlib import Path
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
    MIN_DISTANCE,
    as_items,
    check_distances,
    close_atoms_error,
    convert_structures,
    crystal_arrays,
)

if TYPE_CHECKING:
    from pymatgen.analysis.local_env import NearNeighbors

    from sklmat.typing import PathLike, Structures

#: Atoms per chunk of work: many compared with the cost of sending a chunk to a process (a few ms),
#: and few enough to show progress and to limit memory.
_CHUNK_ATOMS = 20_000
_CHUNK_FILES = 200


def build_graphs(
    X: Structures | CrystalGraphs,
    *,
    cache: int | PathLike | None = None,
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
    crystals = _read_crystals(X, n_jobs, verbose)

    def build(rows):
        chunks = _chunks(rows, crystals, _chunk_atoms(crystals, n_jobs, neighbors))
        args = neighbors, settings, description
        return _run(_build_chunk, chunks, crystals, n_jobs, verbose, args)

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


def _read_crystals(X, n_jobs, verbose):
    """Return each crystal as `CrystalArrays`; files are read in parallel."""
    if effective_n_jobs(n_jobs) == 1:
        return crystal_arrays(convert_structures(X))
    items = as_items(X)
    paths = [row for row, item in enumerate(items) if isinstance(item, str | Path)]
    if len(paths) < 2:
        return crystal_arrays(convert_structures(items))
    crystals = [None] * len(items)
    others = [row for row in range(len(items)) if not isinstance(items[row], str | Path)]
    chunks = [paths[start : start + _CHUNK_FILES] for start in range(0, len(paths), _CHUNK_FILES)]
    chunks += [[row] for row in others]
    for rows, read in _run(_read_chunk, chunks, items, n_jobs, verbose, ()):
        for row, crystal in zip(rows, read):
            crystals[row] = crystal
    return crystals


def _read_chunk(rows, items):
    """Read some of the items; an error names the row in the whole input."""
    structures = []
    for row, item in zip(rows, items):
        try:
            structures.extend(convert_structures([item]))
        except InvalidStructureError as error:
            raise InvalidStructureError(row, error.formula, error.reason) from error
    return crystal_arrays(structures)


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
    if neighbors is not None:
        # A strategy may omit neighbours, so its edges may lack two atoms that are too close.
        for row, crystal in zip(rows, crystals):
            check_distances(row, crystal.to_structure())
    edges = find_edges(crystals, neighbors, **settings)
    for row, crystal, (target, source, _, distance) in zip(rows, crystals, edges):
        if len(distance) and distance.min() < MIN_DISTANCE:
            nearest = int(distance.argmin())
            raise close_atoms_error(
                row,
                crystal.to_structure(),
                target[nearest],
                source[nearest],
                float(distance[nearest]),
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
