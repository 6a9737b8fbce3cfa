"""Safetensors files: reading and writing their header, and a `Digest` of what they hold."""

import hashlib
import json
import os
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

#: Bytes; safetensors writes no longer header.
_LONGEST_HEADER = 100_000_000


def read_safetensors_header(path: str | os.PathLike[str]) -> tuple[dict[str, Any], int]:
    """Read the header of a safetensors file.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    header : dict
        Name -> type, shape and position of each array; the metadata under ``"__metadata__"``. Empty
        if the file is not of this format.
    start : int
        Position in the file of the first array.
    """
    with open(path, "rb") as file:
        length = file.read(8)
        if len(length) < 8 or file.read(1) != b"{":
            return {}, 0
        (n_header,) = struct.unpack("<Q", length)
        if n_header > _LONGEST_HEADER:
            return {}, 0
        file.seek(8)
        try:
            # Text that is nested too deeply is a RecursionError.
            header = json.loads(file.read(n_header))
        except (ValueError, RecursionError):
            return {}, 0
    return header, 8 + n_header


def safetensors_content(arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """Content of a safetensors file; the same arrays and metadata give the same bytes.

    Parameters
    ----------
    arrays : dict of str to ndarray
        In C order.
    metadata : dict of str to str
    """
    from safetensors.numpy import save

    # safetensors would write the metadata in an arbitrary order.
    content = save(arrays)
    start = 8 + struct.unpack("<Q", content[:8])[0]
    return with_metadata(json.loads(content[8:start]), content[start:], metadata)


def with_metadata(header: dict[str, Any], arrays: bytes, metadata: dict[str, str]) -> bytes:
    """Content of a safetensors file with further metadata.

    Parameters
    ----------
    header : dict
        Result of `read_safetensors_header`.
    arrays : bytes
        What follows the header in the file.
    metadata : dict of str to str
        What is added to the metadata of the file.
    """
    header = {**header, "__metadata__": {**header.get("__metadata__", {}), **metadata}}
    return safetensors_beginning(header) + arrays


def safetensors_beginning(header: dict[str, Any]) -> bytes:
    """First bytes of a safetensors file, up to the arrays.

    Parameters
    ----------
    header : dict
        As `read_safetensors_header` returns it.
    """
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


class Digest:
    """Hash of the content of a file, by which damage is noticed.

    Parameters
    ----------
    texts : sequence of str
        All texts in the file.

    Examples
    --------
    >>> import numpy as np
    >>> from sklmat.safetensors_files import Digest
    >>> numbers, digests = np.arange(4.0), []
    >>> for parts in ([numbers], [numbers[:1], numbers[1:]]):
    ...     digest = Digest(["format", "settings"])
    ...     digest.add("numbers", numbers.dtype, numbers.shape)
    ...     for part in parts:
    ...         digest.add_items(part)
    ...     digests.append(str(digest))
    >>> len(set(digests))
    1
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._hash = hashlib.blake2b(json.dumps(list(texts)).encode(), digest_size=16)

    def add(self, name: str, dtype: np.dtype, shape: Sequence[int]) -> None:
        """Begin with an array, whose items follow."""
        self._hash.update(json.dumps([name, dtype.str, list(map(int, shape))]).encode())

    def add_items(self, part: np.ndarray) -> None:
        """Add all items of an array, or the next ones."""
        self._hash.update(np.asarray(part, order="C").reshape(-1).view(np.uint8).data)

    def __str__(self) -> str:
        return self._hash.hexdigest()
