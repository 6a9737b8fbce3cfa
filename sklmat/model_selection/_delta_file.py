"""Files of a `DeltaRegressor`, which contain no executable code."""

from __future__ import annotations

import pandas as pd
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from sklmat.files import damage_named, expand_path
from sklmat.model_files import (
    REMEDY,
    file_within,
    load_within,
    make_with_params,
    read_model,
    summary_content,
    write_model,
)
from sklmat.safetensors_files import read_safetensors_header

_FORMAT = "sklmat-delta-1"
#: Parameters that are plain values.
_PARAMS = ("references", "handle_unknown")


def save_delta(model, path, report=None):
    """Write a fitted `DeltaRegressor` to a safetensors file; its parts are files within it."""
    from sklmat.estimators import to_json, transformer_to_json

    baseline = model.baseline_
    parts = {"estimator": _file_of(model.estimator_, "estimator", path)}
    content = {
        "params": {name: getattr(model, name) for name in _PARAMS},
        "references": _references_to_json(model.references_, to_json),
    }
    if hasattr(baseline, "save"):
        parts["baseline"] = _file_of(baseline, "baseline", path)
        content["baseline"] = {"kind": "file"}
    elif hasattr(baseline, "transform"):
        content["baseline"] = {
            "kind": "transformer",
            **transformer_to_json(baseline, "the baseline"),
        }
    elif hasattr(baseline, "predict"):
        _file_of(baseline, "baseline", path)  # which has no save, and raises
    else:
        content["baseline"] = {"kind": "function"}
    write_model(path, _FORMAT, content | summary_content(report), parts)


def load_delta(cls, path, baseline):
    """Read a `DeltaRegressor` that `save_delta` wrote; a function as its baseline is handed in."""
    path = expand_path(path)
    content, parts = read_model(path, _FORMAT, f"a {cls.__name__}")
    with damage_named(path, REMEDY):
        params = dict(content["params"])
        others = sorted(set(params) - set(_PARAMS))
        if others:
            raise ValueError(
                f"{path} was written by another version of sklmat, with parameters that this one "
                f"does not have: {others}"
            )
        kind = content["baseline"]["kind"]
        if (baseline is not None) != (kind == "function"):
            raise ValueError(
                f"the baseline of {path} is a function, which is code and is not in the file: pass "
                f"it as {cls.__name__}.load(path, baseline=function)"
                if kind == "function"
                else f"{path} holds its baseline, so that load(path) takes none"
            )
    if kind == "function" and (isinstance(baseline, type) or not callable(baseline)):
        raise TypeError(f"baseline must be a function, as in fit, got {baseline!r}")
    with damage_named(path, REMEDY):
        return _model_of(cls, content, parts, path, params, baseline)


def _model_of(cls, content, parts, path, params, baseline):
    from sklmat.estimators import from_json, transformer_from_json

    kind = content["baseline"]["kind"]
    references = _references_from_json(content["references"], from_json)
    estimator = load_within(load_part, parts["estimator"], f"the estimator in {path}")
    if kind == "file":
        fitted = load_within(load_part, parts["baseline"], f"the baseline in {path}")
        baseline = FrozenEstimator(fitted)
    elif kind == "transformer":
        fitted = transformer_from_json(content["baseline"])
        baseline = clone(fitted)
    else:
        fitted = baseline
    model = make_with_params(
        cls, clone(estimator), baseline, **{name: params[name] for name in _PARAMS}
    )
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
    metadata = read_safetensors_header(path)[0].get("__metadata__", {})
    return isinstance(metadata, dict) and metadata.get("format") == _FORMAT


def _file_of(part, name, path):
    """Content of the file that a part of the model writes."""
    if not hasattr(part, "save"):
        raise ValueError(
            f"the {name} is a {type(part).__name__}, which has no save(); write the whole model "
            "with joblib.dump"
        )
    return file_within(part, path)
