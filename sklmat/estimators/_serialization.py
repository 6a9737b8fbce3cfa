"""`save_estimator` and `load_estimator`: files of estimators, which contain no executable code."""

from __future__ import annotations

import functools
import json
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, clone

from sklmat.estimators._auto_parameters import loaded_values, with_values
from sklmat.estimators._extra_columns import ExtraColumns, extra_columns
from sklmat.estimators._targets import fitted_targets
from sklmat.files import damage_named, expand_path
from sklmat.model_files import (
    REMEDY,
    is_fitted_name,
    load_network,
    make_with_params,
    read_model,
    set_fitted,
    set_weights,
    summary_content,
    write_model,
)
from sklmat.recorded_warnings import frames_inside
from sklmat.training import check_device, initial_weights, make_net

if TYPE_CHECKING:
    from sklmat.estimators._graph_estimator import GraphEstimator
    from sklmat.typing import PathLike

_FORMAT = "sklmat-estimator-1"
#: Field of `ExtraColumns` that is written in a way of its own.
_PART = "transformer"

#: Fitted attributes that a file may set, and their types; classes of users may have others.
_FITTED = {
    "auto_params_": dict,
    "classes_": (np.ndarray, list),
    "elements_": np.ndarray,
    "graph_settings_": dict,
    "history_": list,
    "n_iter_": int,
    "n_outputs_": int,
    "padded_": bool,
    "structure_column_": (str, int, float, tuple, type(None)),
    "target_ndim_": int,
    "y_mean_": (np.ndarray, float),
    "y_scale_": (np.ndarray, float),
}
#: Types of numbers and texts in arrays of a file: those of which no item can be code.
_KINDS = "biufcUSO"
#: Bytes; the texts of an array are as wide as the longest one, which a file could make very long.
_MOST_TEXT = 50_000_000

#: Name -> class of the estimators that a file may hold.
_CLASSES: dict[str, type] = {}


def register(cls):
    """Register an estimator class for `load_estimator`; a second class of one name is ignored."""
    _CLASSES.setdefault(cls.__name__, cls)


def save_estimator(estimator, path, report=None):
    """Write weights as arrays, and parameters and fitted attributes as JSON, into one file."""
    params = estimator.get_params(deep=False)
    if params["callbacks"]:
        raise ValueError("callbacks are code and cannot be saved; set_params(callbacks=None) first")
    if params["adversarial"] is not None:
        raise ValueError(
            "an attack cannot be saved and is not needed to predict; set_params(adversarial=None) "
            "before save, or save everything with joblib.dump"
        )
    extra = extra_columns(estimator)
    if extra is not None and extra.transformer is not None:
        # It is in the file once, as a part of the fitted columns.
        params["extra"] = None
    arrays = {
        f"{member}.{name}": value.cpu().numpy()
        for member, net in enumerate(estimator.nets_)
        for name, value in net.module_.state_dict().items()
    }
    module = estimator.nets_[0].module_
    content = {
        "class": type(estimator).__name__,
        "params": {name: to_json(name, value) for name, value in params.items()},
        "network": {
            "class": type(module).__name__,
            "config": {k: to_json(k, v) for k, v in module.config.items()},
        },
        "fitted": {
            name: to_json(name, value)
            for name, value in vars(estimator).items()
            if name.endswith("_")
            and name not in ("nets_", "extra_columns_")
            and not name.startswith("_")
        },
        "extra": None if extra is None else _extra_to_json(extra),
        "n_nets": len(estimator.nets_),
    }
    write_model(path, _FORMAT, content | summary_content(report), arrays)


def load_estimator(path: PathLike, expected: type | None = None) -> GraphEstimator:
    """Read an estimator that `save_estimator` wrote.

    Parameters
    ----------
    path : path
    expected : type, default=None
        Class of the estimator. By default, the file says the class, which is one of sklmat or a
        subclass of yours that has been imported.
    """
    path = expand_path(path)
    content, arrays = read_model(path, _FORMAT, f"an estimator in the format {_FORMAT!r}")
    with damage_named(path, REMEDY):
        cls = _class_of(content["class"], expected, path)
        estimator = make_with_params(cls, **_from_json_items(content["params"]))
        _set_fitted(estimator, _from_json_items(content["fitted"]))
        # Files of earlier versions have none.
        estimator.extra_columns_ = extra = _extra_from_json(content.get("extra"))
        if extra is not None and extra.transformer is not None:
            estimator.extra = clone(extra.transformer)
        estimator.nets_ = [
            _load_net(estimator, content["network"], arrays, member)
            for member in range(content["n_nets"])
        ]
        if not estimator.nets_:
            raise ValueError("it has no network")
    return estimator


def _class_of(name, expected, path):
    is_expected = expected is not None and expected.__name__ == name
    cls = expected if is_expected else _CLASSES.get(name)
    if cls is None:
        raise ValueError(
            f"{path} holds a {name}, which is no estimator of sklmat; if it is a class of your "
            "own, import it first"
        )
    if expected not in (None, cls):
        raise ValueError(f"{path} holds a {name}; use {name}.load")
    return cls


def _is_ours(cls):
    return cls.__module__.startswith("sklmat.")


def _set_fitted(estimator, values):
    cls = type(estimator)
    own = {} if _is_ours(cls) else {name: object for name in values if is_fitted_name(cls, name)}
    set_fitted(estimator, values, {**own, **_FITTED})
    others = set(values.get("auto_params_", {})) - set(estimator.get_params(deep=False))
    if others:
        raise ValueError(f"it sets {min(others)!r}, which is no parameter")


def _load_net(estimator, network, arrays, member):
    prefix = f"{member}."
    state = {n.removeprefix(prefix): v for n, v in arrays.items() if n.startswith(prefix)}
    network_class = estimator.architecture.network_class
    if network["class"] != network_class.__name__:
        raise ValueError(
            f"unknown network {network['class']!r}: a {type(estimator).__name__} holds "
            f"{network_class.__name__!r}"
        )
    config = _from_json_items(network["config"])
    vectors = torch.from_numpy(state["element_vectors"])
    make = functools.partial(network_class, vectors, **config)
    with initial_weights():
        if _is_ours(network_class):
            module = load_network(make, config, state)
        else:
            module = make()
            set_weights(module, state)
    asked = with_values(estimator, loaded_values(estimator))
    settings = estimator.architecture.net_settings(asked)
    settings["device"] = _present_device(estimator.device)
    net = make_net(module, loss=fitted_targets(estimator).loss, **settings)
    for row in estimator.history_:
        if row["member"] == member:
            net.history.append({**row, "batches": []})
    return net


def _extra_to_json(extra):
    values = {k: to_json(f"extra_columns_.{k}", v) for k, v in vars(extra).items() if k != _PART}
    if extra.transformer is not None:
        values[_PART] = transformer_to_json(extra.transformer, "the transformer of extra")
    return values


def _extra_from_json(content):
    if content is None:
        return None
    values = {k: from_json(v) for k, v in content.items() if k != _PART}
    part = content.get(_PART)
    return ExtraColumns(**values, transformer=None if part is None else transformer_from_json(part))


def transformer_to_json(transformer: BaseEstimator, what: str) -> dict[str, Any]:
    """Class, parameters and fitted attributes of a transformer of sklmat as plain data.

    Parameters
    ----------
    transformer : fitted transformer
    what : str
        Its role, for the message of the ValueError if it cannot be written as plain data.
    """
    name = type(transformer).__name__
    if _transformer_class(name) is not type(transformer):
        raise ValueError(
            f"{what} is a {name}, which is no transformer of sklmat; write the whole model with "
            "joblib.dump"
        )
    fitted = {k: v for k, v in vars(transformer).items() if k.endswith("_") and k[0] != "_"}
    parts = {"params": transformer.get_params(deep=False), "fitted": fitted}
    try:
        plain = {
            part: {key: to_json(key, value) for key, value in values.items()}
            for part, values in parts.items()
        }
    except ValueError as error:
        raise ValueError(f"{name}: {error}; or write the whole model with joblib.dump") from error
    return {"class": name, **plain}


def transformer_from_json(content: dict[str, Any]) -> BaseEstimator:
    """Invert `transformer_to_json`."""
    cls = _transformer_class(content["class"])
    if cls is None:
        raise ValueError(f"{content['class']} is no transformer of sklmat")
    transformer = make_with_params(cls, **_from_json_items(content["params"]))
    set_fitted(transformer, _from_json_items(content["fitted"]))
    return transformer


def _transformer_class(name):
    """Public transformer of sklmat with this name; None if there is none."""
    import sklmat

    cls = getattr(sklmat, name) if name in sklmat.__all__ else None
    is_estimator = isinstance(cls, type) and issubclass(cls, BaseEstimator)
    return cls if is_estimator and hasattr(cls, "transform") else None


def _present_device(device):
    """Return the device, or the CPU, with a warning, if the device is not available."""
    try:
        return check_device(device)
    except ValueError:
        warnings.warn(
            f"device {device!r} is not available; the estimator is put on the CPU",
            stacklevel=frames_inside(),
        )
        return "cpu"


def to_json(name: str, value: Any) -> Any:
    """Convert a value for JSON; types that JSON does not have are marked by a key ``__...__``."""
    if isinstance(value, np.ndarray):
        return {"__array__": value.tolist(), "dtype": value.dtype.str}
    if isinstance(value, pd.DataFrame):
        return {"__frame__": json.loads(value.to_json(orient="split", double_precision=15))}
    if isinstance(value, os.PathLike):
        return {"__path__": os.fspath(value)}
    if isinstance(value, dict):
        return {"__items__": [[to_json(name, k), to_json(name, v)] for k, v in value.items()]}
    if isinstance(value, tuple):
        return {"__tuple__": [to_json(name, item) for item in value]}
    if isinstance(value, list):
        return [to_json(name, item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, torch.device):
        return str(value)
    raise ValueError(
        f"{name} holds a {type(value).__name__}, which cannot be saved as plain data; "
        f"set_params({name}=...) to a plain value"
    )


def _from_json_items(values):
    return {name: from_json(value) for name, value in values.items()}


def from_json(value: Any) -> Any:
    """Invert `to_json`."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "__array__" in value:
        return _array_from_json(value["__array__"], value["dtype"])
    if "__tuple__" in value:
        return tuple(from_json(item) for item in value["__tuple__"])
    if "__frame__" in value:
        return _frame_from_json(**value["__frame__"])
    if "__path__" in value:
        return Path(value["__path__"])
    return {from_json(k): from_json(v) for k, v in value["__items__"]}


def _array_from_json(items, dtype):
    dtype = np.dtype(dtype)
    if dtype.kind not in _KINDS or dtype.subdtype is not None:
        raise ValueError(f"an array of the type {dtype} is not written by save()")
    if dtype.kind in "US" and dtype.itemsize * _count(items) > _MOST_TEXT:
        raise ValueError(f"an array of {_count(items)} texts of the type {dtype} is too large")
    return np.array(items, dtype=dtype)


def _count(items):
    """Number of items of nested lists."""
    return sum(map(_count, items)) if isinstance(items, list) else 1


def _frame_from_json(data, index, columns):
    # A single value would fill a table of any size.
    if [len(row) for row in data] != [len(columns)] * len(index):
        raise ValueError("a table has other numbers of rows or columns than it says")
    return pd.DataFrame(data, index=index, columns=columns)
