"""`open_cache`: a cache of graphs, in memory or in a folder; keys hash the crystals' content.

A cache also keeps, in memory, the atoms that were read from files.
"""

import hashlib
import os
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

from sklmat.files import expand_path, replace_file
from sklmat.graphs._crystal_graphs import CrystalGraphs

_MEMORY: dict[int, Any] = {}
_FOLDERS: dict[Path, Any] = {}
#: Files whose atoms a folder cache keeps in memory: about 100 MB for 20 atoms each.
_N_FILES = 50_000
#: A file that was changed so recently (ns) can change again within the resolution of its time.
_RECENTLY = 2_000_000_000


def content_key(crystal, settings):
    """Hash everything on which a graph depends: atoms, positions, lattice, pbc and settings."""
    digest = hashlib.blake2b(repr(settings).encode(), digest_size=16)
    for array in crystal:
        digest.update(repr(array.shape).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def open_cache(cache):
    """Return the cache for a value of the parameter `cache`; it is shared within the process."""
    if isinstance(cache, str | os.PathLike):
        folder = expand_path(cache).resolve()
        return _FOLDERS.setdefault(folder, _FolderCache(folder))
    return _MEMORY.setdefault(int(cache), _MemoryCache(int(cache)))


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
    """Keeps the `size` most recently used values in memory."""

    def __init__(self, size):
        self.size = size
        self.values = OrderedDict()

    def get(self, key):
        value = self.values.get(key)
        if value is not None:
            self.values.move_to_end(key)
        return value

    def __setitem__(self, key, value):
        self.values[key] = value
        while len(self.values) > self.size:
            self.values.popitem(last=False)


class _MemoryCache(_Recent):
    """Keeps the `size` most recently used graphs in memory."""

    def __init__(self, size):
        super().__init__(size)
        self.files = _Recent(size)


class _FolderCache:
    """One file per crystal. Processes may share the folder, since files are replaced atomically."""

    def __init__(self, folder):
        self.folder = folder
        self.files = _Recent(_N_FILES)
        self.folder.mkdir(parents=True, exist_ok=True)

    def _path(self, key):
        return self.folder / key[:2] / f"{key}.safetensors"

    def get(self, key):
        try:
            return CrystalGraphs.load(self._path(key))
        except FileNotFoundError:
            return None

    def __setitem__(self, key, graph):
        with replace_file(self._path(key), make_folder=True) as temporary:
            graph.save(temporary)
