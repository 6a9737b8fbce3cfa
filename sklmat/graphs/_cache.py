"""`GraphCache` keeps graphs in memory or in a folder; keys hash the content of the crystals.

A cache also keeps, in memory, the atoms that were read from files. Instead of graphs, it can keep
other results for crystals, whose classes satisfy `CachedResult`.
"""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import threading
import time
import warnings
from collections import OrderedDict
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar
from weakref import WeakValueDictionary

from sklmat.argument_checks import checked_arguments
from sklmat.files import expand_path, replace_file
from sklmat.safetensors_files import read_safetensors_header, with_metadata

if TYPE_CHECKING:
    from sklmat.structures import CrystalArrays
    from sklmat.typing import PathLike

#: Memory of a graph or of the atoms of a file beside the items of their arrays (bytes).
_OVERHEAD = 2_500
#: Memory for the atoms that were read from files, beside the graphs in a folder (bytes).
_FILES_BESIDE_FOLDER = 100_000_000
#: A folder that is too large is emptied to this fraction of its limit, so that this is done seldom.
_KEPT_FRACTION = 0.9
#: Other processes write too: the files are counted again after this fraction of the limit.
_COUNT_AGAIN = 0.05
#: An unfinished file that is older (s) was left by a process that was killed.
_ABANDONED = 3600
#: A file that was changed so recently (ns) can change again within the resolution of its time.
_RECENTLY = 2_000_000_000
#: Metadata of a file in a folder: hash of its key and content. Those of earlier versions have none.
_SEAL = "sealed by"
_NO_SEAL = "0" * 32


class CachedResult(Protocol):
    """What a cache keeps for one crystal: `CrystalGraphs`, or the outputs of a potential."""

    @property
    def nbytes(self) -> int:
        """Size of the arrays (bytes)."""

    def save(self, path: PathLike) -> None:
        """Write a safetensors file."""

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """Read a file; raise a ValueError if it is damaged."""


Result = TypeVar("Result", bound=CachedResult)


class GraphCache:
    """Cache of built graphs, with a limit of its size, for ``StructureToGraph(cache=...)``.

    It can also be the `cache` of a `PotentialFeaturizer`, and keeps the outputs of its model then.

    Transformers that have the same cache as a parameter share its graphs, and so do their clones:
    `sklearn.base.clone` and `copy.deepcopy` keep the cache itself. The graphs in memory are freed
    with the cache, that is with the last transformer that has it.

    Parameters
    ----------
    max_bytes : int or float, default=None
        Largest size of the graphs in memory, together with the atoms that were read from files, or
        of the files in the folder. Those that were not used for the longest time are removed first.
        ``None`` is no limit.
    max_crystals : int, default=None
        Largest number of graphs in memory. ``None`` is no limit.
    folder : path, default=None
        Folder in which graphs are kept, one file per crystal. Several processes and sessions can
        use it at the same time, also with different limits. By default, graphs are kept in memory.

    Raises
    ------
    ValueError
        When a cache in memory has no limit, when `max_crystals` is given for a folder, or when a
        limit is not positive.

    Notes
    -----
    A pickled cache holds its settings and no graphs. Processes that joblib starts therefore keep
    their own graphs, each up to the limits, for all tasks that they get.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import GraphCache, StructureToGraph
    >>> cache = GraphCache(max_bytes=100_000_000)
    >>> transformer = StructureToGraph(cache=cache)
    >>> po = Structure(Lattice.cubic(3.35), ["Po"], [[0, 0, 0]])
    >>> _ = transformer.fit_transform([po, po])
    >>> len(cache)
    1
    """

    @checked_arguments()
    def __init__(
        self,
        max_bytes: float | None = None,
        *,
        max_crystals: int | None = None,
        folder: PathLike | None = None,
    ) -> None:
        for name, limit, kind in (
            ("max_bytes", max_bytes, Real),
            ("max_crystals", max_crystals, Integral),
        ):
            if limit is not None and not (isinstance(limit, kind) and limit > 0):
                raise ValueError(f"{name} must be a positive number or None, got {limit!r}")
        if folder is None and max_bytes is None and max_crystals is None:
            raise ValueError("a cache in memory needs a limit: set max_bytes, or give a folder")
        if folder is not None and max_crystals is not None:
            raise ValueError("max_crystals limits a cache in memory: use max_bytes for a folder")
        self._set(max_bytes, max_crystals, None if folder is None else _folder(folder))

    @classmethod
    def _of(cls, settings):
        self = object.__new__(cls)
        self._set(*settings)
        return self

    def _set(self, max_bytes, max_crystals, folder):
        self.max_bytes = max_bytes
        self.max_crystals = max_crystals
        self.folder = folder
        self._store: Any = (
            _MemoryStore(max_bytes, max_crystals)
            if folder is None
            else _FolderStore(folder, max_bytes)
        )

    @property
    def _settings(self):
        return self.max_bytes, self.max_crystals, self.folder

    @property
    def nbytes(self) -> int:
        """Bytes in use, of memory or of the files in the folder."""
        return self._store.nbytes

    def __len__(self) -> int:
        """Return the number of graphs."""
        return len(self._store)

    def __bool__(self) -> bool:
        return True

    def clear(self) -> None:
        """Remove all graphs, and the atoms that were read from files."""
        self._store.clear()

    def __repr__(self):
        values = zip(("max_bytes", "max_crystals", "folder"), self._settings)
        shown = (
            (name, value if name != "folder" else str(value))
            for name, value in values
            if value is not None
        )
        return f"GraphCache({', '.join(f'{name}={value!r}' for name, value in shown)})"

    def __sklearn_clone__(self) -> Self:
        return self

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self):
        return _unpickled, self._settings


#: Caches that were unpickled in this process: tasks of one transformer find the same one.
_UNPICKLED: WeakValueDictionary[Any, GraphCache] = WeakValueDictionary()
#: In a process that another one started: the last one of them, which stays between two tasks.
_OF_LAST_TASK: list[GraphCache] = []


def _unpickled(*settings):
    cache = _UNPICKLED.get(settings)
    if cache is None:
        cache = _UNPICKLED[settings] = GraphCache._of(settings)
    if multiprocessing.parent_process() is not None:
        _OF_LAST_TASK[:] = [cache]
    return cache


def open_cache(
    cache: int | PathLike | GraphCache | None, opened: GraphCache | None
) -> GraphCache | None:
    """Return the cache for a value of the parameter `cache`.

    Parameters
    ----------
    cache : int, path, GraphCache or None
    opened : GraphCache or None
        A cache that was opened before; it is returned again if it has the same settings.
    """
    if cache is None or isinstance(cache, GraphCache):
        return cache
    settings: tuple[None, int | None, Path | None]
    if isinstance(cache, str | os.PathLike):
        settings = None, None, _folder(cache)
    else:
        settings = None, int(cache), None
    if opened is not None and opened._settings == settings:
        return opened
    return GraphCache._of(settings)


def cached_result(cache: GraphCache, key: str, kind: type[Result]) -> Result | None:
    """Return what a cache has for a key, or None.

    Parameters
    ----------
    cache : GraphCache
    key : str
        Result of `content_key`, with settings that say what was computed.
    kind : type
        Class of the results; its `load` reads a file.
    """
    return cache._store.result(key, kind)


def keep_result(cache: GraphCache, key: str, result: CachedResult) -> None:
    """Put a result into a cache, under a key as in `cached_result`."""
    cache._store.keep_result(key, result)


def _folder(path):
    return expand_path(path).resolve()


def content_key(crystal: CrystalArrays, settings: object) -> str:
    """Hash everything on which a graph depends: atoms, positions, lattice, pbc and settings."""
    digest = hashlib.blake2b(repr(settings).encode(), digest_size=16)
    for array in crystal:
        digest.update(repr(array.shape).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def file_state(item):
    """Path, size and time of change of a file; None if there is none, or if it is too new."""
    try:
        path = expand_path(os.fsdecode(item)).absolute()
        state = path.stat()
    except (TypeError, ValueError, OSError):
        return None
    if time.time_ns() - state.st_mtime_ns < _RECENTLY:
        return None
    return path, state.st_ino, state.st_size, state.st_mtime_ns


class _Recent:
    """Values in the order in which they were used, and the sum of their sizes (bytes)."""

    def __init__(self):
        self.values = OrderedDict()
        self.nbytes = 0

    def get(self, key):
        """Return the value, or None."""
        if key not in self.values:
            return None
        self.values.move_to_end(key)
        return self.values[key][0]

    def add(self, key, value, arrays):
        """Keep a value that consists of some arrays, or replace it."""
        size = _OVERHEAD + sum(array.nbytes for array in arrays)
        if key in self.values:
            self.nbytes -= self.values.pop(key)[1]
        self.values[key] = value, size
        self.nbytes += size

    def drop_oldest(self):
        """Remove the value that was not used for the longest time."""
        _, (_, size) = self.values.popitem(last=False)
        self.nbytes -= size


class _MemoryStore:
    """Results and the atoms of files, in memory. Several threads can use it."""

    def __init__(self, max_bytes, max_crystals):
        self.max_bytes = float("inf") if max_bytes is None else max_bytes
        self.max_crystals = float("inf") if max_crystals is None else max_crystals
        self.lock = threading.Lock()
        self.clear()

    def clear(self):
        self.results, self.files = _Recent(), _Recent()

    def __len__(self):
        return len(self.results.values)

    @property
    def nbytes(self):
        return self.results.nbytes + self.files.nbytes

    def result(self, key, kind):
        with self.lock:
            return self.results.get(key)

    def keep_result(self, key, result):
        self._keep(self.results, key, result, [result])

    def file(self, state):
        with self.lock:
            return self.files.get(state)

    def keep_file(self, state, crystal_and_notes):
        self._keep(self.files, state, crystal_and_notes, crystal_and_notes[0])

    def _keep(self, recent, key, value, arrays):
        with self.lock:
            recent.add(key, value, arrays)
            while len(recent.values) > self.max_crystals:
                recent.drop_oldest()
            while self.nbytes > self.max_bytes:
                # Atoms take less memory than graphs, and reading a file takes longer.
                (self.results if self.results.values else self.files).drop_oldest()


class _FolderStore:
    """Results in files, one per crystal, and in memory the atoms that were read from other files.

    Processes may share the folder: files are replaced as a whole, and one that another process
    removes is missing, which is no error.
    """

    def __init__(self, folder, max_bytes):
        self.folder = folder
        self.max_bytes = max_bytes
        self.atoms = _MemoryStore(_FILES_BESIDE_FOLDER, None)
        # Bytes of the files when they were counted, and of those written since.
        self.counted, self.written = None, 0
        self.warned = set()

    def _path(self, key):
        return self.folder / key[:2] / f"{key}.safetensors"

    def result(self, key, kind):
        path = self._path(key)
        try:
            _check_seal(path, key)
            result = kind.load(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            self._warn_once(
                f"a file of the cache cannot be used and is made anew: {error} (this is said once)"
            )
            return None
        if self.max_bytes is not None:
            # The time of change says when the file was used. It may be removed, or read-only.
            with contextlib.suppress(OSError):
                os.utime(path)
        return result

    def keep_result(self, key, result):
        path = self._path(key)
        try:
            with replace_file(path, make_folder=True) as temporary:
                result.save(temporary)
                temporary.write_bytes(_sealed(key, temporary))
        except OSError as error:
            self._warn_once(
                f"the cache {self.folder} cannot be written to, and what is not in it is computed "
                f"each time: {error} (this is said once)"
            )
            return
        if self.max_bytes is None:
            return
        self.written += result.nbytes + _OVERHEAD
        if (
            self.counted is None
            or self.counted + self.written > self.max_bytes
            or self.written > _COUNT_AGAIN * self.max_bytes
        ):
            self._remove_oldest()

    def _warn_once(self, message):
        kind = message[:20]
        if kind not in self.warned:
            self.warned.add(kind)
            warnings.warn(message, UserWarning, stacklevel=2)

    def file(self, state):
        return self.atoms.file(state)

    def keep_file(self, state, crystal_and_notes):
        self.atoms.keep_file(state, crystal_and_notes)

    def _files(self):
        """Time of use, size and path of each file."""
        found = []
        for path in self.folder.glob("*/*"):
            with contextlib.suppress(FileNotFoundError):
                state = path.stat()
                is_result = path.suffix == ".safetensors"
                is_abandoned = path.suffix == ".part" and time.time() - state.st_mtime > _ABANDONED
                if is_result or is_abandoned:
                    found.append((state.st_mtime_ns, state.st_size, path))
        return sorted(found)

    def _remove_oldest(self):
        files = self._files()
        total = sum(size for _, size, _ in files)
        if total > self.max_bytes:
            for _, size, path in files:
                path.unlink(missing_ok=True)
                total -= size
                if total <= _KEPT_FRACTION * self.max_bytes:
                    break
        self.counted, self.written = total, 0

    @property
    def nbytes(self):
        return sum(size for _, size, _ in self._files())

    def __len__(self):
        return sum(path.suffix == ".safetensors" for *_, path in self._files())

    def clear(self):
        self.atoms.clear()
        for *_, path in self._files():
            path.unlink(missing_ok=True)
        self.counted, self.written = None, 0


def _sealed(key, path):
    """Content of a safetensors file, with the hash of its key and of the rest of the content."""
    header, start = read_safetensors_header(path)
    content = with_metadata(header, path.read_bytes()[start:], {_SEAL: _NO_SEAL})
    return content.replace(_NO_SEAL.encode(), _seal(key, content), 1)


def _seal(key, content):
    return hashlib.blake2b(key.encode() + content, digest_size=16).hexdigest().encode()


def _check_seal(path, key):
    """Raise a ValueError if a file was changed, or belongs to another crystal."""
    content = path.read_bytes()
    name = f'"{_SEAL}":"'.encode()
    before, _, after = content.partition(name)
    if not after:
        return
    n_seal = len(_NO_SEAL)
    unsealed = b"".join([before, name, _NO_SEAL.encode(), after[n_seal:]])
    if after[:n_seal] != _seal(key, unsealed):
        raise ValueError(f"{path} is damaged, or belongs to another crystal")
