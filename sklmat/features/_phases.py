"""`check_phase` and `request_phase`: the phases of rows, and the request for them as metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sklmat.targets import plain_array

if TYPE_CHECKING:
    from sklearn.utils.metadata_routing import MetadataRequest

    from sklmat.typing import ArrayLike


def check_phase(phase: ArrayLike, n: int) -> np.ndarray:
    """Return the phases of n rows as an array of str; raise a ValueError otherwise.

    Parameters
    ----------
    phase : array-like of str, shape (n,)
    n : int

    Returns
    -------
    ndarray of str, shape (n,)
    """
    labels = plain_array(phase, "phase")
    if labels.shape != (n,):
        raise ValueError(
            f"phase must be one label, or one for each of {n} rows; got the shape {labels.shape}"
        )
    if labels.dtype.kind == "U":
        return labels
    wrong = np.array([not isinstance(label, str) for label in labels], dtype=bool)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"row {row} has the phase {labels.tolist()[row]!r}; pass a string such as 'fcc'"
        )
    return labels.astype(str)


def request_phase(request: MetadataRequest, **wanted: bool) -> MetadataRequest:
    """Ask for the phase in some methods, unless the user has asked for it or declined it.

    Parameters
    ----------
    request : MetadataRequest
        It is changed.
    **wanted : bool
        Name of a method -> whether it uses the phase.

    Returns
    -------
    request : MetadataRequest
    """
    for method, is_wanted in wanted.items():
        of_method = getattr(request, method)
        if of_method.requests.get("phase") is None:
            of_method.add_request(param="phase", alias=is_wanted)
    return request
