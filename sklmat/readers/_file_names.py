"""Names of files: their natural order, their stems, and the files that a table names."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from functools import cached_property
from pathlib import Path

from sklmat.files import expand_path

_COMPRESSION = (".gz", ".bz2", ".xz", ".lzma", ".z")
#: No structure file has such a name.
_OTHER_SUFFIXES = (
    *(".csv", ".tsv", ".xlsx", ".xlsm", ".xls", ".parquet", ".pq"),
    *(".md", ".rst", ".txt", ".pdf", ".doc", ".docx", ".tex", ".bib", ".html", ".htm", ".log"),
    *(".py", ".ipynb", ".sh", ".toml", ".ini", ".cfg", ".png", ".jpg", ".jpeg", ".svg", ".gif"),
    *(".zip", ".tar", ".tgz", ".npy", ".npz", ".pt", ".pth", ".joblib", ".pkl", ".pickle"),
)
#: The element table of CGCNN, and the input of VASP, lie beside the crystals.
_OTHER_NAMES = re.compile(
    r"(\.|__|readme|licen[cs]e|(atom_init\.json|INCAR|KPOINTS|POTCAR)$)", re.IGNORECASE
)


def natural_key(path: Path) -> tuple:
    """Sort key of a file name, in which numbers count as numbers: 2, 9, 10, b."""
    parts = re.split(r"([0-9]+)", stem(path).lower())
    numbered = [(int(part), "") if k % 2 else (-1, part) for k, part in enumerate(parts)]
    return numbered, path.name


def suffix(path: Path) -> str:
    """Last suffix of a name in lower case, without that of a compression."""
    name = path
    while name.suffix.lower() in _COMPRESSION:
        name = name.with_suffix("")
    return name.suffix.lower()


def stem(path: Path) -> str:
    """Name of a file without compression and suffix; ``Fe0.5Ni0.5`` has no suffix."""
    name = path.name
    while name.lower().endswith(_COMPRESSION):
        name = name[: name.rindex(".")]
    return re.sub(r"(?<=.)\.[A-Za-z][A-Za-z0-9]{0,8}$", "", name)


def unique_ids(paths: list[Path]) -> list[str]:
    """Stems of files, or where two are equal, the paths as they are written."""
    stems = [stem(path) for path in paths]
    count = Counter(stems)
    return [name if count[name] == 1 else str(path) for name, path in zip(stems, paths)]


def may_hold_structures(path: Path) -> bool:
    """Whether a file of a folder can be a structure file, by its name."""
    return not _OTHER_NAMES.match(path.name) and suffix(path) not in _OTHER_SUFFIXES


class Folder:
    """The files that names in a table refer to, relative to one folder.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folders: dict[str, Folder] = {}

    @cached_property
    def entries(self) -> list[Path]:
        """Files and folders that may hold structures, in natural order."""
        if not self.path.is_dir():
            return []
        return sorted(filter(may_hold_structures, self.path.iterdir()), key=natural_key)

    @cached_property
    def _by_stem(self):
        found = defaultdict(list)
        for path in self.entries:
            if not path.is_dir():
                found[stem(path)].append(path)
        return found

    @cached_property
    def _names(self):
        return {path.name for path in self.entries if not path.is_dir()}

    def find(self, name: str) -> list[Path]:
        """Files of this name, with or without suffix."""
        if not name.strip() or "\n" in name or "\0" in name:
            return []
        path = expand_path(name) if name.startswith("~") else Path(name)
        if path.parent != Path("."):
            parent = str(path.parent)
            if parent not in self._folders:
                self._folders[parent] = Folder(self.path / parent)
            return self._folders[parent].find(path.name)
        if path.name in self._names:
            return [self.path / path.name]
        return self._by_stem.get(path.name, [])
