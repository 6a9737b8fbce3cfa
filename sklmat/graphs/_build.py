"""Structures to containers of graphs: reading, caching and distributing the work."""

from pathlib import Path

import joblib
import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend

from sklmat.exceptions import InvalidStructureError
from sklmat.graphs._cache import content_key, open_cache
from sklmat.graphs._consecutive_groups import pointer_from_counts
from sklmat.graphs._crystal_arrays import crystal_arrays
from sklmat.graphs._crystal_graphs import CrystalGraphs
from sklmat.graphs._edges import build_edges, strategy_edges
from sklmat.structures import (
    MIN_DISTANCE,
    as_items,
    check_distances,
    close_atoms_error,
    convert_structures,
)

#: Atoms per chunk of work: large enough to hide the cost of sending it (a few ms), small enough
#: to show progress and to bound memory.
_CHUNK_ATOMS = 20_000
_CHUNK_FILES = 200


def build_graphs(X, *, cache=None, n_jobs=None, verbose=False, neighbors=None, **settings):
    """Build the graphs of all crystals of `X`; parameters as in `StructureToGraph`."""
    # A grid made with numpy gives numpy's integers, which JSON and other readers do not know.
    settings = {k: v.item() if isinstance(v, np.generic) else v for k, v in settings.items()}
    crystals = _read_crystals(as_items(X), n_jobs, verbose)
    cache = open_cache(cache)
    key_settings = (repr(sorted(settings.items())), describe(neighbors))
    keys = [content_key(crystal, key_settings) for crystal in crystals] if cache else []
    graphs = [cache.get(key) if cache else None for key in (keys or crystals)]
    todo = [c for c, graph in enumerate(graphs) if graph is None]
    for chunk, built in _run(
        _build_chunk,
        _chunks(todo, crystals, _chunk_atoms(crystals, n_jobs, neighbors)),
        crystals,
        n_jobs,
        verbose,
        (neighbors, settings),
    ):
        if not cache and len(todo) == len(crystals):
            graphs[chunk[0]] = built
            continue
        for k, c in enumerate(chunk):
            graphs[c] = built[k]
            if cache:
                cache[keys[c]] = built[k]
    return _join([graph for graph in graphs if graph is not None], neighbors, settings)


def _read_crystals(items, n_jobs, verbose):
    """Each crystal as a tuple of compact arrays; files are read in parallel."""
    paths = [i for i, item in enumerate(items) if isinstance(item, str | Path)]
    if effective_n_jobs(n_jobs) == 1 or len(paths) < 2:
        return crystal_arrays(convert_structures(items))
    crystals = [None] * len(items)
    others = [i for i in range(len(items)) if not isinstance(items[i], str | Path)]
    chunks = [paths[k : k + _CHUNK_FILES] for k in range(0, len(paths), _CHUNK_FILES)]
    chunks += [[i] for i in others]
    for chunk, read in _run(_read_chunk, chunks, items, n_jobs, verbose, ()):
        for i, crystal in zip(chunk, read):
            crystals[i] = crystal
    return crystals


def _read_chunk(rows, items):
    return [
        _at_row(row, lambda item=item: crystal_arrays(convert_structures([item]))[0])
        for row, item in zip(rows, items)
    ]


def _at_row(row, work):
    """Run `work` on a single item and put its place in the whole input into its error."""
    try:
        return work()
    except InvalidStructureError as error:
        raise InvalidStructureError(row, error.formula, error.reason) from error


def _chunk_atoms(crystals, n_jobs, neighbors):
    """Atoms per chunk: small where building is slow, and enough chunks for all processes."""
    if neighbors is not None:
        return _CHUNK_ATOMS // 100
    n_jobs = effective_n_jobs(n_jobs)
    share = sum(len(crystal[0]) for crystal in crystals) // (4 * n_jobs) + 1
    return _CHUNK_ATOMS if n_jobs == 1 else min(_CHUNK_ATOMS, share)


def _chunks(todo, crystals, chunk_atoms):
    """Runs of rows of about equal numbers of atoms."""
    if not todo:
        return []
    atoms = np.cumsum([len(crystals[c][0]) for c in todo])
    cuts = np.flatnonzero(np.diff(atoms // chunk_atoms)) + 1
    return [chunk.tolist() for chunk in np.split(np.array(todo), cuts)]


def _run(function, chunks, items, n_jobs, verbose, args):
    """Yield each chunk with what `function` makes of it, in order, under a progress bar."""
    from tqdm import tqdm

    n_jobs = min(effective_n_jobs(n_jobs), max(len(chunks), 1))
    # Results one by one move the progress bar; not every backend can give them so.
    backend = get_active_backend()[0]
    in_order = n_jobs == 1 or getattr(backend, "supports_return_generator", False)
    results = Parallel(n_jobs=n_jobs, return_as="generator" if in_order else "list")(
        delayed(function)(chunk, [items[c] for c in chunk], *args) for chunk in chunks
    )
    total = sum(map(len, chunks))
    with tqdm(total=total, unit="crystal", desc="graphs", disable=not verbose) as bar:
        for chunk, result in zip(chunks, results):
            bar.update(len(chunk))
            yield chunk, result


def _build_chunk(rows, crystals, neighbors, settings):
    edges = []
    for row, crystal in zip(rows, crystals):
        found = (
            build_edges(crystal, **settings)
            if neighbors is None
            else strategy_edges(crystal, neighbors, **settings)
        )
        _refuse_close_atoms(row, crystal, found, complete=neighbors is None)
        edges.append(found)
    return _pack(crystals, edges, neighbors, settings)


def _refuse_close_atoms(row, crystal, edges, complete):
    target, source, _, distance = edges
    if not complete:
        check_distances(row, crystal.to_structure())
    elif len(distance) and distance.min() < MIN_DISTANCE:
        k = int(distance.argmin())
        raise close_atoms_error(
            row, crystal.to_structure(), target[k], source[k], float(distance[k])
        )


def _pack(crystals, edges, neighbors, settings):
    numbers, positions, lattices, pbc = zip(*crystals) if crystals else ([], [], [], [])
    target, source, image, distance = zip(*edges) if edges else ([], [], [], [])
    return CrystalGraphs(
        atomic_numbers=_cat(numbers, np.uint8),
        positions=_cat(positions, np.float64, (3,)),
        lattices=np.array(lattices, dtype=np.float64).reshape(-1, 3, 3),
        pbc=np.array(pbc, dtype=bool).reshape(-1, 3),
        edge_source=_cat(source, np.int32),
        edge_target=_cat(target, np.int32),
        edge_image=_cat(image, np.int16, (3,)),
        edge_distance=_cat(distance, np.float32),
        atom_ptr=pointer_from_counts([len(part) for part in numbers]),
        edge_ptr=pointer_from_counts([len(part) for part in target]),
        neighbors=describe(neighbors),
        **{**settings, "cutoff": float(settings["cutoff"])},
    )


def _cat(arrays, dtype, width=()):
    return np.concatenate([np.zeros((0, *width), dtype), *arrays]).astype(dtype, copy=False)


def _join(graphs, neighbors, settings):
    return CrystalGraphs.concatenate(graphs) if graphs else _pack([], [], neighbors, settings)


def describe(neighbors):
    """A strategy in words: its class, its plain settings, and a digest of all of them."""
    if neighbors is None:
        return None
    values = sorted(
        (name, value)
        for name, value in vars(neighbors).items()
        if isinstance(value, bool | int | float | str | tuple | None)
    )
    text = ", ".join(f"{k}={v!r}" for k, v in values)
    return f"{type(neighbors).__name__}({text}) {joblib.hash(vars(neighbors))[:8]}"
