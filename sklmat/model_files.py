"""`write_model` and `read_model`: files of fitted models, with numbers and JSON and no code."""

from __future__ import annotations

import contextlib
import inspect
import json
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils._param_validation import validate_parameter_constraints

from sklmat.files import damage_named, describe_file, expand_path, replace_file, unfinished_path
from sklmat.memory import MOST_POINTS
from sklmat.safetensors_files import Digest, safetensors_content

if TYPE_CHECKING:
    from torch import nn

    from sklmat.typing import PathLike

#: Parameters that name places on the disk to which a loaded model would write.
_PLACES = ("cache", "memory")
#: Key of the short form of a report.
_SUMMARY = "summary of the report"
#: What to do about a damaged file of a model.
REMEDY = "copy it again, or save the model again"


def write_model(
    path: PathLike, file_format: str, content: dict[str, Any], arrays: dict[str, np.ndarray]
) -> None:
    """Write a model to a safetensors file, which replaces an old one when it is complete.

    Parameters
    ----------
    path : str or path-like
    file_format : str
        Name and version of the format.
    content : dict
        What JSON can hold.
    arrays : dict of str to ndarray
    """
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    metadata = {"format": file_format, "content": json.dumps(content)}
    metadata["digest"] = _digest(metadata, arrays)
    # save_file would make a file that other users of a group cannot read.
    with replace_file(expand_path(path)) as temporary:
        temporary.write_bytes(safetensors_content(arrays, metadata))


def read_model(
    path: PathLike, file_format: str, what: str
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a file that `write_model` wrote.

    Parameters
    ----------
    path : str or path-like
    file_format : str
    what : str
        What the file should hold, for the messages: "a fitted InfoGANAugmenter".

    Returns
    -------
    content : dict
    arrays : dict of str to ndarray

    Raises
    ------
    ValueError
        When the file is not of this format, or is damaged. Files of earlier versions have no
        digest, by which changed numbers are noticed.
    """
    from safetensors import SafetensorError, safe_open

    path = expand_path(path)
    metadata: dict[str, str] = {}
    arrays: dict[str, np.ndarray] = {}
    if path.is_dir():
        raise ValueError(f"{path} does not hold {what}: it is {describe_file(path)}")
    path.stat()  # The error of safetensors for a missing file has no filename.
    with damage_named(path, REMEDY):
        with contextlib.suppress(SafetensorError), safe_open(path, "np") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") == file_format:
                arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if metadata.get("format") != file_format:
            raise ValueError(f"{path} does not hold {what}: it is {describe_file(path)}")
        if "digest" in metadata and metadata["digest"] != _digest(metadata, arrays):
            raise ValueError("its numbers or settings are not those that were written")
        content = json.loads(metadata["content"])
        if not isinstance(content, dict):
            raise ValueError("its settings are not a dict")
    return content, arrays


def _digest(metadata, arrays):
    """Hash of everything in a file but the digest itself."""
    digest = Digest([metadata["format"], metadata["content"]])
    for name in sorted(arrays):
        digest.add(name, arrays[name].dtype, arrays[name].shape)
        digest.add_items(arrays[name])
    return str(digest)


def read_torch_file(path: Path, device: Any, remedy: str, allowed: Sequence[Any] = ()) -> Any:
    """Read tensors and plain values that ``torch.save`` wrote, without running code of the file.

    Parameters
    ----------
    path : Path
    device : torch.device or str
        Where the tensors are put.
    remedy : str
        What to do about a damaged file, the end of the message.
    allowed : sequence
        Functions and classes that the file may name.
    """
    import torch

    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for item in archive.infolist():
                    # torch does not compress, and a compressed file can become a thousand times
                    # larger. From an entry that is marked as a folder (the bit 16) torch reads
                    # nothing, and the numbers are then those that happen to be in the memory.
                    if item.compress_size != item.file_size or item.external_attr & 16:
                        raise ValueError("it is compressed, or not as torch writes it")
                if archive.testzip() is not None:
                    raise ValueError("a checksum is wrong")
        with torch.serialization.safe_globals(list(allowed)):
            return torch.load(path, map_location=device, weights_only=True)
    except (FileNotFoundError, PermissionError):
        raise
    except Exception:
        # The message of torch recommends to load the file unsafely.
        raise ValueError(
            f"{path} is damaged, or holds more than numbers and plain values; {remedy}"
        ) from None


def make_with_params(cls: type, *given: Any, **params: Any) -> Any:
    """Make an estimator with parameters that were read from a file.

    The place of a cache is left out, so that a file from elsewhere cannot choose a folder to which
    this computer writes.

    Parameters
    ----------
    cls : type
    *given
        Parameters that are no plain values.
    **params

    Raises
    ------
    ValueError
        When `cls` has no such parameter, or when a value is not valid for it.
    """
    others = sorted(set(params) - set(inspect.signature(cls).parameters))
    if others:
        raise ValueError(f"it sets {others[0]!r}, which is no parameter of {cls.__name__}")
    params.update((name, None) for name in _PLACES if name in params)
    estimator = cls(*given, **params)
    constraints = getattr(cls, "_parameter_constraints", {})
    validate_parameter_constraints(
        {name: constraint for name, constraint in constraints.items() if name in params},
        params,
        caller_name=cls.__name__,
    )
    return estimator


def set_fitted(estimator: Any, values: dict[str, Any], types: dict[str, Any] | None = None) -> None:
    """Set fitted attributes that were read from a file.

    Parameters
    ----------
    estimator : estimator
    values : dict
    types : dict of str to type or tuple of types, default=None
        Names that may be set, and the types of their values. By default all names that end like a
        fitted attribute and are no attribute of the class.

    Raises
    ------
    ValueError
        When `values` has another name, such as that of a method, or a value of another type.
    """
    for name, value in values.items():
        if types is None:
            is_known = is_fitted_name(type(estimator), name)
        else:
            is_known = name in types
        if not is_known:
            raise ValueError(f"it sets {name!r}, which is no fitted value")
        if types is not None and not isinstance(value, types[name]):
            raise ValueError(f"its value {name!r} is a {type(value).__name__}")
    vars(estimator).update(values)


def is_fitted_name(cls: type, name: str) -> bool:
    """Whether a name is that of a fitted attribute, and not of anything that the class defines."""
    return name.isidentifier() and name[0] != "_" and name[-1] == "_" and not hasattr(cls, name)


def load_network(
    make: Callable[[], nn.Module], config: dict[str, Any], state: dict[str, np.ndarray]
) -> nn.Module:
    """Make a network of sklmat and give it the weights of a file, after checking their sizes.

    Parameters
    ----------
    make : callable
        Makes the network.
    config : dict
        Its settings.
    state : dict of str to ndarray
        Its weights.

    Raises
    ------
    ValueError
        When the settings ask for another network than that of these weights, or when a weight is
        not finite.
    """
    import torch

    _check_sizes(config, state)
    try:
        # On the device "meta", tensors have a shape and take no memory.
        with torch.device("meta"):
            expected = _shapes(make())
    except (NotImplementedError, RuntimeError):
        # It computes with numbers when it is made; its sizes have been checked above.
        expected = _shapes(make())
    found = {name: array.shape for name, array in state.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise ValueError(
                f"the weights {name!r} have the shape {found.get(name)}, and its settings ask for "
                f"{expected.get(name)}"
            )
    network = make()
    set_weights(network, state)
    return network


def _shapes(network):
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def set_weights(network: nn.Module, state: dict[str, np.ndarray]) -> None:
    """Give a network the weights of a file; raise a ValueError if one of them is not finite."""
    import torch

    for name, array in state.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(
                f"the weights {name!r} are not finite, as after a training that diverged"
            )
    network.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})


def _check_sizes(config, state):
    """Raise if a setting is larger than all sizes of the weights, which are limited by the file.

    A network has a weight for each of its layers, members, outputs and hidden units.
    """
    largest = max([len(state), *(size for array in state.values() for size in array.shape)])
    for name, value in config.items():
        numbers, limit = value if isinstance(value, list | tuple) else [value], largest + 1
        if name.endswith("_step"):
            # A grid of distances, which has no weights.
            numbers, limit = [config.get("cutoff", 0) / value], MOST_POINTS
        for number in numbers:
            if isinstance(number, int | float) and not number <= limit:
                raise ValueError(
                    f"its setting {name}={value} asks for a larger network than that of its weights"
                )


def file_within(part: Any, path: PathLike) -> np.ndarray:
    """Return the content of the file that ``save`` of a part of a model writes.

    Parameters
    ----------
    part : object with ``save``
    path : str or path-like
        File of the model. The part is written to a hidden folder beside it, since other disks may
        be full.

    Returns
    -------
    ndarray of uint8
    """
    with unfinished_path(expand_path(path)) as folder:
        folder.mkdir()
        part.save(folder / "part")
        return np.frombuffer((folder / "part").read_bytes(), dtype=np.uint8)


def load_within(load: Callable[[Path], Any], content: np.ndarray, what: str) -> Any:
    """Read a part of a model from the content of its file.

    Parameters
    ----------
    load : callable
    content : ndarray of uint8
        Result of `file_within`.
    what : str
        The part, and the file that it is in, for messages.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part"
        path.write_bytes(content.tobytes())
        try:
            return load(path)
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), what)) from error


def summary_content(report: Any) -> dict[str, Any]:
    """What a file of a model holds of a report: its short form, if there is a report.

    Parameters
    ----------
    report : Report or None

    Raises
    ------
    TypeError
        When it is something else.
    """
    if report is None:
        return {}
    if not callable(getattr(report, "summary", None)):
        raise TypeError(f"report must be what sklmat.report returned, got {report!r}")
    return {_SUMMARY: report.summary()}


def saved_summary(path: PathLike) -> dict[str, Any] | None:
    """The short form of the report in the file of a model; None if there is none."""
    return _saved_content(expand_path(path)).get(_SUMMARY)


def _saved_content(path):
    """The settings in a file of any format that `write_model` wrote."""
    from safetensors import SafetensorError, safe_open

    path.stat()  # The error of safetensors for a missing file has no filename.
    try:
        with safe_open(path, "np") as file:
            content = json.loads((file.metadata() or {})["content"])
    except (SafetensorError, KeyError, ValueError):
        content = None
    if not isinstance(content, dict):
        raise ValueError(f"{path} does not hold a saved estimator: it is {describe_file(path)}")
    return content
