"""`build_graphs`, `stream_graphs`: the graphs of many crystals, in parallel and with a cache."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from itertools import chain, islice
from os import PathLike
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np

from sklmat.exceptions import InvalidStructureError
from sklmat.graphs._cache import GraphCache, content_key, file_state
from sklmat.graphs._crystal_graphs import CrystalGraphs
from sklmat.graphs._neighbor_search import find_edges
from sklmat.processes import count_processes, run_parallel
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
#: Atoms and crystals that are read at a time by `stream_graphs`: enough work for processes.
_BLOCK_ATOMS = 200_000
_BLOCK_CRYSTALS = 5_000
#: Notes about crystals that `stream_graphs` keeps, more than a warning shows.
_N_NOTES = 100


def build_graphs(
    X: Structures | CrystalGraphs,
    *,
    cache: GraphCache | None = None,
    n_jobs: int | None = None,
    verbose: bool = False,
    neighbors: NearNeighbors | None = None,
    **settings: Any,
) -> CrystalGraphs:
    """Build the graphs of all crystals of `X`; parameters as in `StructureToGraph`.

    Of the values of `cache`, it takes None and a `GraphCache` only.
    """
    build = _Builder(
        cache, count_processes(n_jobs), verbose, neighbors, settings, tell=warn_of_notes
    )
    parts = list(build.parts(as_items(X)))
    # Most crystals come in one chunk, and this one belongs to nobody else.
    if cache is None and len(parts) == 1:
        return parts[0]
    return CrystalGraphs.concatenate(parts)


def stream_graphs(
    X: Structures | Iterator[Any],
    *,
    cache: GraphCache | None = None,
    n_jobs: int | None = None,
    verbose: bool = False,
    neighbors: NearNeighbors | None = None,
    **settings: Any,
) -> Iterator[CrystalGraphs]:
    """Build the graphs of `X` in parts, so that few of them are in memory at a time.

    Parameters
    ----------
    X : sequence of structures, or iterator over structures
    cache, n_jobs, verbose, neighbors, **settings
        As in `build_graphs`.

    Yields
    ------
    CrystalGraphs
        Graphs of some consecutive crystals; at least one part, which may be empty.
    """
    notes: list[tuple[int, str, str]] = []

    def tell(found):
        # A warning shows the first notes and the number of all.
        notes.extend(found if len(notes) < _N_NOTES else notes[-1:] * len(found))

    build = _Builder(cache, count_processes(n_jobs), False, neighbors, settings, tell)
    total, remaining = None, X
    if not isinstance(X, Iterator):
        items = as_items(X)
        total, remaining = len(items), iter(items)
    first, size = 0, _N_FIRST
    with _progress_bar(total, verbose) as show:
        while (block := list(islice(remaining, size))) or first == 0:
            n_atoms = 0
            for part in build.parts(as_items(block), first):
                n_atoms += len(part.atomic_numbers)
                show(len(part))
                yield part
            if not block:
                break
            first += len(block)
            size = min(_BLOCK_ATOMS * len(block) // max(n_atoms, 1) + 1, _BLOCK_CRYSTALS)
            # The next crystals are read when these are no longer in memory.
            block.clear()
    warn_of_notes(notes)


class _Builder:
    """Builds the graphs of crystals with the parameters of `StructureToGraph`.

    The function `tell` gets what was assumed about crystals, once they are read.
    """

    def __init__(self, cache, n_jobs, verbose, neighbors, settings, tell):
        # Parameter grids made with numpy contain numpy integers, which JSON cannot store.
        self.settings = {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in settings.items()
        }
        # The settings that are stored with the graphs.
        self.description = {
            **self.settings,
            "cutoff": float(settings["cutoff"]),
            "neighbors": describe_strategy(neighbors),
        }
        self.store = None if cache is None else cache._store
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.neighbors = neighbors
        self.tell = tell

    def parts(self, items, first=0):
        """Yield the graphs of consecutive items in parts; errors count rows from `first` on."""
        rows = range(first, first + len(items))
        if not items:
            yield CrystalGraphs.from_edges([], [], **self.description)
        elif self.store is None:
            read = self._noted(_read(rows, items, self.n_jobs, self.verbose))
            for _, part in self._built(enumerate(read, first), items, first):
                yield part
        else:
            yield self._from_cache(rows, items)

    def _from_cache(self, rows, items):
        """Graphs of some items; those that are not in the cache are built."""
        key_settings = (repr(sorted(self.settings.items())), self.description["neighbors"])
        read = _read_changed(rows, items, self.store, self.n_jobs, self.verbose)
        crystals = list(self._noted(read))
        keys = [content_key(crystal, key_settings) for crystal in crystals]
        graphs = [self.store.result(key, CrystalGraphs) for key in keys]
        missing = [
            (row, crystal) for row, crystal, graph in zip(rows, crystals, graphs) if graph is None
        ]
        for built_rows, part in self._built(missing, items, rows.start):
            for row, graph in zip(built_rows, part):
                graphs[row - rows.start] = graph
                self.store.keep_result(keys[row - rows.start], graph)
        return CrystalGraphs.concatenate(graphs)

    def _noted(self, read):
        """Yield the crystals, and tell at the end what was assumed."""
        notes = []
        for crystal, of_crystal in read:
            notes += of_crystal
            yield crystal
        self.tell(notes)

    def _built(self, numbered, items, first):
        """Yield the rows of chunks and their graphs."""
        total = len(numbered) if isinstance(numbered, list) else len(items)
        chunks, processes = _divide(numbered, total, self.n_jobs, self.neighbors)
        if processes > 1:
            # A few arrays are sent faster than many small ones.
            chunks = (
                (rows, CrystalGraphs.from_edges(crystals, [], **self.description))
                for rows, crystals in chunks
            )
        args = self.neighbors, self.settings, self.description
        results = _run(_build_chunk, chunks, processes, *args)
        for rows, graphs in _show_progress(results, total, self.verbose):
            if isinstance(graphs, InvalidStructureError):
                raise with_file(graphs, items[graphs.index - first])
            yield rows, graphs


def _read_changed(rows, items, store, n_jobs, verbose):
    """Yield what `_read` yields; files that did not change since are taken from a cache."""
    states = [file_state(item) for item in items]
    known = [None if state is None else store.file(state) for state in states]
    unread = [k for k, found in enumerate(known) if found is None]
    read = _read([rows[k] for k in unread], [items[k] for k in unread], n_jobs, verbose)
    for k, (crystal, notes) in zip(unread, list(read)):
        known[k] = crystal, notes
        if states[k] is not None:
            store.keep_file(states[k], known[k])
    for row, (crystal, notes) in zip(rows, known):
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
    sent = deque()

    def tasks():
        for rows, items in chunks:
            sent.append(rows)
            yield rows, items, *args

    for result in run_parallel(function, tasks(), n_jobs=n_jobs):
        yield sent.popleft(), result


def _show_progress(results, total, verbose):
    """Yield pairs of rows and a result, with a progress bar."""
    with _progress_bar(total, verbose) as show:
        for rows, result in results:
            show(len(rows))
            yield rows, result


@contextlib.contextmanager
def _progress_bar(total, verbose):
    """Open a progress bar; the function that it gives advances it by a number of crystals."""
    if not verbose:
        yield lambda n_crystals: None
        return
    from tqdm.auto import tqdm

    with tqdm(total=total, unit="crystal", desc="graphs") as bar:
        yield bar.update


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
