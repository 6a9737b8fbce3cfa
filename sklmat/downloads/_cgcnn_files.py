"""`cgcnn_checkpoint`, `cgcnn_atom_init`: files of the networks published with CGCNN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklmat.downloads._download import fetch_files, registry

if TYPE_CHECKING:
    from pathlib import Path

    from sklmat.typing import PathLike

_ATOM_INIT = "cgcnn/data/sample-regression/atom_init.json"
_CHECKPOINT = "cgcnn/pre-trained/{}.pth.tar"


def cgcnn_atom_init(data_home: PathLike | None = None, **options: Any) -> Path:
    """Return the path of the element table of the original CGCNN; download it on first use.

    Parameters
    ----------
    data_home, **options
        See `fetch_files`.
    """
    return fetch_files([_ATOM_INIT], data_home, **options)[0]


def cgcnn_checkpoint(name: str, data_home: PathLike | None = None, **options: Any) -> Path:
    """Return the path of a network published with CGCNN; download it on first use.

    Parameters
    ----------
    name : str
        See `sklmat.datasets.fetch_cgcnn_checkpoint`.
    data_home, **options
        See `fetch_files`.

    Raises
    ------
    OSError
        When the file is missing and cannot be downloaded.
    ValueError
        When there is no network with this name.
    """
    path = _CHECKPOINT.format(name)
    if path not in registry():
        folder, suffix = _CHECKPOINT.split("{}")
        known = [
            path.removeprefix(folder).removesuffix(suffix)
            for path in registry()
            if path.startswith(folder)
        ]
        raise ValueError(f"no checkpoint {name!r}; choose from {', '.join(known)}")
    return fetch_files([path], data_home, **options)[0]
