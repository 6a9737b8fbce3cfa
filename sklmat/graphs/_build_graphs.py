"""`build_graphs` builds the graphs of many crystals, in parallel and with a cache."""

from __future__ import annotations

from itertools import chain, islice
from os import PathLike
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend

from sklmat.exceptions import InvalidStructureError
from sklmat.graphs._cache import content_key, file_state, open_cache
from sklmat.graphs._crystal_graphs import CrystalGraphs
from sklmat.graphs._neighbor_search import find_edges
from sklmat.structures import (
    as_items,
    check_distances,
    close_atoms_error,
    convert_items,
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
#: To build the graphs of fewer atoms takes less time than to start processes.
_ATOMS_FOR_PROCESSES = 50_000
#: Crystals from which the number of atoms of all is estimated.
_N_FIRST = 100
#: The strategies of pymatgen take at least this many times longer.
_SLOWNESS_OF_STRATEGIES = 100


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
    n_jobs = effective_n_jobs(n_jobs)

    def build(numbered, total):
        chunks, processes = _divide(numbered, total, n_jobs, neighbors)
        if processes > 1:
            # A few arrays are sent faster than many small ones.
            chunks = (
                (rows, CrystalGraphs.from_edges(crystals, [], **description))
                for rows, crystals in chunks
            )
        results = _run(_build_chunk, chunks, processes, neighbors, settings, description)
        for rows, graphs in _show_progress(results, total, verbose):
            if isinstance(graphs, InvalidStructureError):
                raise with_file(graphs, items[graphs.index])
            yield rows, graphs

    if cache is None:
        crystals = _warned(_read(range(len(items)), items, n_jobs, verbose))
        parts = [part for _, part in build(enumerate(crystals), len(items))]
        # Most crystals come in one chunk, and this one belongs to nobody else.
        if len(parts) == 1:
            return parts[0]
    else:
        opened = open_cache(cache)
        key_settings = (repr(sorted(settings.items())), description["neighbors"])
        crystals = list(_warned(_read_changed(items, opened.files, n_jobs, verbose)))
        keys = [content_key(crystal, key_settings) for crystal in crystals]
        parts = [opened.get(key) for key in keys]
        missing = [(row, crystals[row]) for row, graph in enumerate(parts) if graph is None]
        for rows, graphs in build(missing, len(missing)):
            for row, graph in zip(rows, graphs):
                parts[row] = opened[keys[row]] = graph
    if not parts:
        return CrystalGraphs.from_edges([], [], **description)
    return CrystalGraphs.concatenate(parts)


def _read_changed(items, files, n_jobs, verbose):
    """Yield what `_read` yields; files that did not change since are taken from a cache."""
    states = [file_state(item) for item in items]
    known = [None if state is None else files.get(state) for state in states]
    unread = [row for row, found in enumerate(known) if found is None]
    read = _read(unread, [items[row] for row in unread], n_jobs, verbose)
    for row, (crystal, notes) in zip(unread, list(read)):
        known[row] = crystal, notes
        if states[row] is not None:
            files[states[row]] = known[row]
    for row, (crystal, notes) in enumerate(known):
        yield crystal, [(row, *said) for _, *said in notes]


def _read(rows, items, n_jobs, verbose):
    """Yield the `CrystalArrays` of each item and what was assumed; files are read in parallel."""
    paths = [k for k, item in enumerate(items) if isinstance(item, str | bytes | PathLike)]
    if n_jobs == 1 or len(paths) < 2:
        for row, item in zip(rows, items):
            yield from _read_chunk([row], [item])
        return
    others = sorted(set(range(len(items))) - set(paths))
    chunks = [paths[start : start + _CHUNK_FILES] for start in range(0, len(paths), _CHUNK_FILES)]
    chunks += [[k] for k in others]
    with_items = (([rows[k] for k in chunk], [items[k] for k in chunk]) for chunk in chunks)
    results = _run(_read_chunk, with_items, min(n_jobs, len(chunks)))
    read = {}
    for chunk, (_, found) in zip(chunks, _show_progress(results, len(items), verbose)):
        read |= zip(chunk, found)
    yield from (read[k] for k in range(len(items)))


def _read_chunk(rows, items):
    """Read some items; errors and notes name the row in the whole input."""
    read = []
    for row, item in zip(rows, items):
        structures, notes = convert_items([row], [item])
        read += [(crystal, notes) for crystal in crystal_arrays(structures)]
    return read


def _warned(read):
    """Yield the crystals, and warn at the end of all that was assumed."""
    notes = []
    for crystal, said in read:
        notes += said
        yield crystal
    warn_of_notes(notes)


def _divide(numbered, total, n_jobs, neighbors):
    """Divide pairs of a row and its crystal into chunks, and choose the number of processes.

    One process reads all crystals before it builds graphs, so that an error in reading comes first.
    Several are given the first chunks while the other crystals are still being read.

    Parameters
    ----------
    numbered : iterable of (row, CrystalArrays)
    total : int
        Number of pairs.
    n_jobs : int
    neighbors : NearNeighbors or None

    Returns
    -------
    chunks : iterator of (list of rows, list of CrystalArrays)
    n_jobs : int
        1 if there is too little work for several processes.
    """
    slowness = 1 if neighbors is None else _SLOWNESS_OF_STRATEGIES
    chunk_atoms = _CHUNK_ATOMS // slowness
    numbered = iter(numbered)
    if n_jobs > 1:
        first = list(islice(numbered, _N_FIRST))
        n_atoms = sum(len(crystal.atomic_numbers) for _, crystal in first)
        n_atoms = n_atoms * total // max(len(first), 1)
        numbered = chain(first, numbered)
        if n_atoms * slowness >= _ATOMS_FOR_PROCESSES:
            # Every process gets about eight chunks, or more: the first are sent early, and at the
            # end no process waits long for another.
            return _chunks(numbered, min(chunk_atoms, n_atoms // (8 * n_jobs) + 1)), n_jobs
    return _chunks(list(numbered), chunk_atoms), 1


def _chunks(numbered, chunk_atoms):
    """Yield the rows and the crystals of chunks with about equal numbers of atoms."""
    rows, crystals, n_atoms = [], [], 0
    for row, crystal in numbered:
        rows.append(row)
        crystals.append(crystal)
        n_atoms += len(crystal.atomic_numbers)
        if n_atoms >= chunk_atoms:
            yield rows, crystals
            rows, crystals, n_atoms = [], [], 0
    if rows:
        yield rows, crystals


def _run(function, chunks, n_jobs, *args):
    """Yield the rows of each chunk and the result of `function` for it, in order."""
    if n_jobs == 1:
        for rows, items in chunks:
            yield rows, function(rows, items, *args)
        return
    sent = []

    def tasks():
        for rows, items in chunks:
            sent.append(rows)
            yield delayed(function)(rows, items, *args)

    # The progress bar needs results one by one, which not every joblib backend supports.
    in_order = getattr(get_active_backend()[0], "supports_return_generator", False)
    parallel = Parallel(
        n_jobs=n_jobs,
        return_as="generator" if in_order else "list",
        # Chunks are sent at once, by this thread, which may have to read their crystals first.
        pre_dispatch="all",
        batch_size=1,
    )
    results = parallel(tasks())
    yield from zip(sent, results)


def _show_progress(results, total, verbose):
    """Yield pairs of rows and a result, with a progress bar."""
    if not verbose:
        yield from results
        return
    from tqdm.auto import tqdm

    with tqdm(total=total, unit="crystal", desc="graphs") as bar:
        for rows, result in results:
            bar.update(len(rows))
            yield rows, result


def _build_chunk(rows, crystals, neighbors, settings, description):
    """Graphs of some crystals, or the error for the first that is invalid.

    The error is returned, since joblib ends its processes when a task raises one.
    """
    if isinstance(crystals, CrystalGraphs):
        crystals = crystals.to_arrays()
    try:
        edges = [
            _checked_edges(row, crystal, neighbors, settings)
            for row, crystal in zip(rows, crystals)
        ]
    except InvalidStructureError as error:
        return error
    return CrystalGraphs.from_edges(crystals, edges, **description)


def _checked_edges(row, crystal, neighbors, settings):
    """Edges of a crystal; raise if two atoms are too close."""
    numbers = crystal.atomic_numbers
    largest = largest_smallest_distance(numbers)
    # A strategy may omit neighbours, and a small cutoff may leave out two atoms that are too
    # close; otherwise such atoms are among the edges.
    if neighbors is not None or largest > settings["cutoff"]:
        check_distances(row, crystal.to_structure())
    (edges,) = find_edges([crystal], neighbors, **settings)
    target, source, _, distance = edges
    if len(distance) > 0 and distance.min() < largest:
        ratio = distance / smallest_distances(numbers[target], numbers[source])
        if ratio.min() < 1:
            pair = int(ratio.argmin())
            raise close_atoms_error(
                row, crystal.to_structure(), target[pair], source[pair], float(distance[pair])
            )
    return edges


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
