"""`write_model` and `read_model`: files of fitted models, with numbers and JSON and no code."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sklmat.files import describe_file, expand_path

if TYPE_CHECKING:
    from sklmat.typing import PathLike


def write_model(
    path: PathLike, file_format: str, content: dict[str, Any], arrays: dict[str, np.ndarray]
) -> None:
    """Write a model to a safetensors file.

    Parameters
    ----------
    path : str or path-like
    file_format : str
        Name and version of the format.
    content : dict
        What JSON can hold.
    arrays : dict of str to ndarray
    """
    from safetensors.numpy import save_file

    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(arrays, expand_path(path), {"format": file_format, "content": json.dumps(content)})


def read_model(
    path: PathLike, file_format: str, name: str
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a file that `write_model` wrote.

    Parameters
    ----------
    path : str or path-like
    file_format : str
    name : str
        Name of the class, for the messages.

    Returns
    -------
    content : dict
    arrays : dict of str to ndarray

    Raises
    ------
    ValueError
        When the file is not of this format.
    """
    from safetensors import SafetensorError, safe_open

    path = expand_path(path)
    metadata: dict[str, str] = {}
    if path.is_file():
        try:
            with safe_open(path, "np") as file:
                metadata = file.metadata() or {}
                arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except SafetensorError:
            pass
    if metadata.get("format") != file_format:
        raise ValueError(f"{path} does not hold a fitted {name}: it is {describe_file(path)}")
    return json.loads(metadata["content"]), arrays


def file_within(part: Any) -> np.ndarray:
    """Return the content of the file that ``save`` of a part of a model writes.

    Parameters
    ----------
    part : object with ``save``

    Returns
    -------
    ndarray of uint8
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part"
        part.save(path)
        return np.frombuffer(path.read_bytes(), dtype=np.uint8)


def load_within(load: Callable[[Path], Any], content: np.ndarray) -> Any:
    """Read a part of a model from the content of its file.

    Parameters
    ----------
    load : callable
    content : ndarray of uint8
        Result of `file_within`.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part"
        path.write_bytes(content.tobytes())
        return load(path)
