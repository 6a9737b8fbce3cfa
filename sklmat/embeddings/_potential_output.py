"""`PotentialOutput`: what a potential computes for one crystal, and its file in a cache."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from sklmat.files import replace_file
from sklmat.safetensors_files import read_safetensors_header, safetensors_content

if TYPE_CHECKING:
    from sklmat.typing import PathLike

_FORMAT = "sklmat-potential-1"
#: The outputs that a potential may have, in the order of the columns.
OUTPUTS = ("energy", "moments", "embedding")


@dataclass(frozen=True, eq=False)
class PotentialOutput:
    """Outputs of a potential for a crystal with N atoms; None for those that it does not have.

    Parameters
    ----------
    energy : float or None
        Energy per atom (eV).
    moments : ndarray of shape (N,), float32, or None
        Magnetic moment of each atom (μB).
    embedding : ndarray of shape (N, F), float32, or None
        Vector of each atom.
    """

    energy: float | None = None
    moments: np.ndarray | None = None
    embedding: np.ndarray | None = None

    @property
    def names(self) -> list[str]:
        """Names of the outputs that are not None."""
        return [name for name in OUTPUTS if getattr(self, name) is not None]

    @property
    def nbytes(self) -> int:
        """Size of the arrays (bytes)."""
        return sum(np.asarray(getattr(self, name)).nbytes for name in self.names)

    def save(self, path: PathLike) -> None:
        """Write a safetensors file, which replaces an old one when it is complete."""
        arrays = {name: np.asarray(getattr(self, name)) for name in self.names}
        metadata = {"format": _FORMAT, "checksum": _checksum(arrays)}
        with replace_file(path) as temporary:
            temporary.write_bytes(safetensors_content(arrays, metadata))

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """Read a file; raise a ValueError if it is damaged or holds something else."""
        from safetensors import SafetensorError, safe_open

        header, _ = read_safetensors_header(path)
        metadata = header.get("__metadata__", {})
        if metadata.get("format") != _FORMAT:
            raise ValueError(f"{path} does not hold outputs of a potential")
        try:
            with safe_open(path, "numpy") as file:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(f"{path} is damaged") from error
        if metadata.get("checksum") != _checksum(arrays):
            raise ValueError(f"{path} is damaged")
        if "energy" in arrays:
            arrays["energy"] = float(arrays["energy"])
        return cls(**arrays)


def _checksum(arrays):
    value = 0
    for name in sorted(arrays):
        array = arrays[name]
        value = zlib.crc32(json.dumps([name, array.dtype.str, array.shape]).encode(), value)
        value = zlib.crc32(np.ascontiguousarray(array), value)
    return str(value)
