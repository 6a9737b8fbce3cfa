"""`open_cache`: a cache of graphs, in memory or in a folder; keys hash the crystals' content."""

import hashlib
import os
from collections import OrderedDict
from typing import Any

from sklmat.files import expand_path, replace_file
from sklmat.graphs._crystal_graphs import CrystalGraphs

_MEMORY: dict[int, Any] = {}


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
        return _FolderCache(cache)
    return _MEMORY.setdefault(int(cache), _MemoryCache(int(cache)))


class _MemoryCache:
    """Keeps the `size` most recently used graphs in memory."""

    def __init__(self, size):
        self.size = size
        self.graphs = OrderedDict()

    def get(self, key):
        graph = self.graphs.get(key)
        if graph is not None:
            self.graphs.move_to_end(key)
        return graph

    def __setitem__(self, key, graph):
        self.graphs[key] = graph
        while len(self.graphs) > self.size:
            self.graphs.popitem(last=False)


class _FolderCache:
    """One file per crystal. Processes may share the folder, since files are replaced atomically."""

    def __init__(self, folder):
        self.folder = expand_path(folder)
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
