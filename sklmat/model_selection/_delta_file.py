"""Files of a `DeltaRegressor`, which contain no executable code."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from sklmat.files import describe_file, expand_path

_FORMAT = "sklmat-delta-1"
#: Parameters that are plain values.
_PARAMS = ("references", "handle_unknown")


def save_delta(model, path):
    """Write a fitted `DeltaRegressor` to a safetensors file; its parts are files within it."""
    from safetensors.numpy import save_file

    from sklmat.estimators import to_json, transformer_to_json

    baseline = model.baseline_
    parts = {"estimator": _file_of(model.estimator_, "estimator")}
    content = {
        "params": {name: getattr(model, name) for name in _PARAMS},
        "references": _references_to_json(model.references_, to_json),
    }
    if hasattr(baseline, "save"):
        parts["baseline"] = _file_of(baseline, "baseline")
        content["baseline"] = {"kind": "file"}
    elif hasattr(baseline, "transform"):
        content["baseline"] = {
            "kind": "transformer",
            **transformer_to_json(baseline, "the baseline"),
        }
    elif hasattr(baseline, "predict"):
        _file_of(baseline, "baseline")  # which has no save, and raises
    else:
        content["baseline"] = {"kind": "function"}
    arrays = {name: np.frombuffer(part, dtype=np.uint8) for name, part in parts.items()}
    save_file(arrays, expand_path(path), {"format": _FORMAT, "content": json.dumps(content)})


def load_delta(cls, path, baseline):
    """Read a `DeltaRegressor` that `save_delta` wrote; a function as its baseline is handed in."""
    from safetensors import SafetensorError, safe_open

    from sklmat.estimators import from_json, transformer_from_json

    path = expand_path(path)
    if not path.is_file() or not _is_delta(path):
        raise ValueError(f"{path} does not hold a {cls.__name__}: it is {describe_file(path)}")
    try:
        with safe_open(path, "np") as file:
            content = json.loads(file.metadata()["content"])
            parts = {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118
        kind = content["baseline"]["kind"]
        names = ["estimator", "baseline"] if kind == "file" else ["estimator"]
        parts = {name: parts[name] for name in names}
        references = _references_from_json(content["references"], from_json)
        params = {name: content["params"].pop(name) for name in _PARAMS}
    except (SafetensorError, json.JSONDecodeError, KeyError) as error:
        raise ValueError(f"{path} is damaged ({error}); copy or save it again") from error
    if content["params"]:
        raise ValueError(
            f"{path} was written by another version of sklmat, with parameters that this one does "
            f"not have: {sorted(content['params'])}"
        )
    if (baseline is not None) != (kind == "function"):
        raise ValueError(
            f"the baseline of {path} is a function, which is code and is not in the file: pass it "
            f"as {cls.__name__}.load(path, baseline=function)"
            if kind == "function"
            else f"{path} holds its baseline, so that load(path) takes none"
        )
    if kind == "function" and (isinstance(baseline, type) or not callable(baseline)):
        raise TypeError(f"baseline must be a function, as in fit, got {baseline!r}")
    estimator = _part(parts, "estimator", path)
    if kind == "file":
        fitted = _part(parts, "baseline", path)
        baseline = FrozenEstimator(fitted)
    elif kind == "transformer":
        fitted = transformer_from_json(content["baseline"])
        baseline = clone(fitted)
    else:
        fitted = baseline
    model = cls(clone(estimator), baseline, **params)
    model.estimator_, model.baseline_, model.references_ = estimator, fitted, references
    return model


def load_part(path):
    """Read a fitted estimator that its `save` wrote: a graph network or a `DeltaRegressor`."""
    from sklmat.estimators import load_estimator

    path = expand_path(path)
    if path.is_file() and _is_delta(path):
        from sklmat.model_selection._delta_regressor import DeltaRegressor

        return load_delta(DeltaRegressor, path, None)
    return load_estimator(path)


def _references_to_json(references, to_json):
    """Elements, values and targets; a DataFrame as JSON would lose the last digits."""
    if not isinstance(references, pd.DataFrame):
        return to_json("references_", references)
    parts = references.index.tolist(), references.columns.tolist(), references.to_numpy()
    return to_json("references_", parts)


def _references_from_json(content, from_json):
    """Invert `_references_to_json`."""
    references = from_json(content)
    if not isinstance(references, tuple):
        return references
    elements, targets, values = references
    return pd.DataFrame(values, index=elements, columns=targets)


def _is_delta(path):
    """Whether a file says that it holds a `DeltaRegressor`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            return (file.metadata() or {}).get("format") == _FORMAT
    except SafetensorError:
        return False


def _file_of(part, name):
    """Content of the file that a part of the model writes."""
    if not hasattr(part, "save"):
        raise ValueError(
            f"the {name} is a {type(part).__name__}, which has no save(); write the whole model "
            "with joblib.dump"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part"
        part.save(path)
        return path.read_bytes()


def _part(parts, name, path):
    """Read a part from the content of its file within the file at `path`."""
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "part"
        part.write_bytes(parts[name])
        try:
            return load_part(part)
        except ValueError as error:
            reason = str(error).replace(str(part), f"the {name} in {path}")
            raise ValueError(reason) from error
