"""Training a fitted network further: `warm_start`, `partial_fit`, `warm_start_from`.

The functions here find the fitted estimator that a parameter specifies, check that its graphs and
its network agree with the estimator to be trained, and copy its weights.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sklmat.downloads import cgcnn_atom_init, cgcnn_checkpoint
from sklmat.elements import element_vectors
from sklmat.estimators._extra_columns import describe_extras, extra_columns
from sklmat.estimators._serialization import load_estimator
from sklmat.estimators._targets import RegressionTargets, fitted_targets
from sklmat.files import expand_path, is_torch_file
from sklmat.training import adapt_statistics, run_network

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from sklmat.estimators._graph_estimator import GraphEstimator
    from sklmat.typing import ArrayLike, PathLike

#: Beginning of a parameter that names a network published with CGCNN.
_PUBLISHED = "cgcnn:"

#: Settings in which a network may differ from the network that provides its initial weights.
_MAY_DIFFER = {"n_outputs", "dropout"}

#: Setting of the network -> parameter of the estimator, if their names differ.
_PARAMETER_NAMES = {"n_members": "n_ensemble"}


# -- the fitted estimator that a parameter specifies


def is_fitted_source(estimator: object) -> bool:
    """Whether a parameter is a path or FrozenEstimator, which `clone` does not make unfitted."""
    return isinstance(estimator, str | os.PathLike | FrozenEstimator)


def thawed(estimator: BaseEstimator) -> BaseEstimator:
    """Return the estimator inside a `FrozenEstimator`, or the estimator itself."""
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator


def published_name(estimator: object) -> str | None:
    """Name of the published network that a parameter ``"cgcnn:<name>"`` specifies, else None."""
    if isinstance(estimator, str) and estimator.startswith(_PUBLISHED):
        return estimator.removeprefix(_PUBLISHED)
    return None


def fitted_source(estimator: BaseEstimator | PathLike) -> GraphEstimator:
    """Return the fitted estimator inside a `FrozenEstimator`, or load it.

    Parameters
    ----------
    estimator : FrozenEstimator, path or str
        A path is that of a file that ``save`` wrote, or that the original CGCNN wrote
        (``.pth.tar``). The element table of the latter is the ``atom_init.json`` in the same folder
        or, if there is none, the published one. ``"cgcnn:<name>"`` is a published network, see
        `sklmat.datasets.fetch_cgcnn_checkpoint`.

    Returns
    -------
    estimator : fitted
    """
    if isinstance(estimator, FrozenEstimator):
        check_is_fitted(estimator.estimator)
        return thawed(estimator)
    name = published_name(estimator)
    path = expand_path(estimator) if name is None else cgcnn_checkpoint(name)
    if not (path.is_file() and is_torch_file(path)):
        return load_estimator(path)
    # Its estimators are classes that use this file.
    from sklmat.estimators._load_cgcnn_checkpoint import load_cgcnn_checkpoint

    table = path.with_name("atom_init.json")
    return load_cgcnn_checkpoint(path, atom_init=table if table.exists() else cgcnn_atom_init())


def unfitted_clone(estimator: BaseEstimator, y: ArrayLike | None, owner: str) -> BaseEstimator:
    """Return a clone of an unfitted estimator, to be trained.

    Parameters
    ----------
    estimator : estimator
    y : array-like or None
        Targets of the training.
    owner : str
        Name of the transformer that trains the estimator, for messages.

    Raises
    ------
    ValueError
        When `y` is None, or the estimator is fitted, because a clone would lose its weights.
    """
    if y is None:
        raise ValueError(f"{owner} trains a network and needs y")
    if hasattr(estimator, "nets_"):
        raise ValueError(
            "estimator is fitted, and fit would train it anew; pass FrozenEstimator(estimator) or "
            "the path of a saved one to use it as it is, or clone(estimator) to train it"
        )
    return clone(estimator)


def transfer_source(estimator):
    """Return the fitted estimator that `warm_start_from` specifies.

    Parameters
    ----------
    estimator : GraphEstimator
        The estimator that is being fitted; its architecture is transferable.

    Returns
    -------
    source : fitted estimator of the same architecture
        None without `warm_start_from`.

    Raises
    ------
    ValueError
        When `warm_start_from` is neither a FrozenEstimator nor a path, or holds a network of
        another architecture; or when `freeze` is used without `warm_start_from`.
    """
    given = estimator.warm_start_from
    if given is None:
        if estimator.freeze != "none":
            raise ValueError(
                f"freeze={estimator.freeze!r} needs warm_start_from, a network to keep"
            )
        return None
    if not is_fitted_source(given):
        raise ValueError(
            "warm_start_from is an estimator, and clone() would remove its weights; pass "
            "FrozenEstimator(fitted), or the path of a file written by its save()"
        )
    source = fitted_source(given)
    architecture = estimator.architecture
    if type(getattr(source, "architecture", None)) is not type(architecture):
        found, needed = type(source).__name__, architecture.network_class.__name__
        raise ValueError(f"warm_start_from holds {_one(found)}, not {_one(needed)}")
    _refuse_differences(
        "reads other columns",
        {"extra": describe_extras(extra_columns(source), estimator.extra)},
        "use the same extra",
    )
    n_nets = len(source.nets_)
    if n_nets > 1:
        _refuse_differences(
            "has another ensemble",
            {"n_ensemble": (n_nets, estimator.n_ensemble)},
            "set these parameters to the same values",
        )
    return source


def _one(name):
    """Name of a class with its article."""
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


# -- checks that two estimators agree


def check_same_extra(estimator):
    """Raise if the parameter `extra` differs from the columns of the first `fit`."""
    extras = describe_extras(extra_columns(estimator), getattr(estimator, "extra", None))
    _refuse_changes("further columns", {"extra": extras})


def check_same_graphs(estimator):
    """Raise if the parameters differ from the settings of the graphs of the first `fit`."""
    asked = {name: getattr(estimator, name) for name in ("cutoff", "max_neighbors")}
    fitted = estimator.graph_settings_
    _refuse_changes(
        "graphs", {k: (fitted[k], value) for k, value in asked.items() if value is not None}
    )


def check_same_network(estimator, n_members):
    """Raise if the parameters of the network differ from the fitted network.

    Parameters
    ----------
    estimator : fitted GraphEstimator
    n_members : int
        Number of networks, by the current parameters, that are trained one after another.
    """
    _refuse_changes("ensemble", {"n_ensemble": (len(estimator.nets_), n_members)})
    optimizer = estimator.nets_[0].optimizer_name
    _refuse_changes(
        "optimizer", {"optimizer": (optimizer, getattr(estimator, "optimizer", optimizer))}
    )
    module = estimator.nets_[0].module_
    asked = estimator.architecture.settings(estimator)
    _refuse_changes(
        "network",
        {
            _PARAMETER_NAMES.get(name, name): (module.config[name], value)
            for name, value in asked.items()
        },
    )
    try:
        vectors = element_vectors(estimator.atom_init)[0]
    except (OSError, ValueError):
        return  # The file of element vectors may be missing; the network holds the vectors.
    fitted = module.element_vectors.cpu().numpy()
    if not np.array_equal(np.nan_to_num(vectors).astype(fitted.dtype), fitted):
        raise ValueError(
            "training a fitted network further cannot change its element vectors (atom_init); set "
            "warm_start=False, or clone, to start over"
        )


def _refuse_changes(what, values):
    """Raise if a fitted value differs from the parameter: name -> (fitted, parameter)."""
    changed = [f"{name} was {old}, is {new}" for name, (old, new) in values.items() if old != new]
    if changed:
        raise ValueError(
            f"training a fitted network further cannot change its {what}: {', '.join(changed)}; "
            "set warm_start=False, or clone, to start over"
        )


def check_source_graphs(source, graphs):
    """Raise if the source of a transfer was trained on graphs with other settings."""
    settings = source.graph_settings_
    _refuse_differences(
        "was trained on other graphs",
        {name: (settings[name], value) for name, value in graphs.settings.items()},
        "build the graphs with the same settings",
    )


def _check_source_network(module, source_module, estimator, source):
    """Raise if the source of a transfer has another network or other element vectors."""
    config = source_module.config
    values = {
        _PARAMETER_NAMES.get(name, name): (config[name], value)
        for name, value in module.config.items()
        if name not in _MAY_DIFFER
    }
    vectors = module.element_vectors
    if not torch.equal(vectors, source_module.element_vectors.to(vectors)):
        there, here = (_describe_vectors(given.atom_init) for given in (source, estimator))
        if there == here:
            here = "now other vectors"
        values["atom_init"] = (there, here)
    _refuse_differences("has another network", values, "set these parameters to the same values")


def _describe_vectors(atom_init):
    """The value of `atom_init` in a few words."""
    if isinstance(atom_init, pd.DataFrame):
        return f"a DataFrame of {len(atom_init)} elements and {atom_init.shape[1]} columns"
    if isinstance(atom_init, dict):
        return f"a dict of {len(atom_init)} elements"
    return repr(os.fspath(atom_init))


def _refuse_differences(what, values, remedy):
    """Raise if source and estimator to be fitted differ: name -> (of source, of estimator)."""
    different = [
        f"{name} is {there} there and {here} here"
        for name, (there, here) in values.items()
        if there != here
    ]
    if different:
        raise ValueError(f"warm_start_from {what}: {', '.join(different)}; {remedy}")


# -- copying weights


def transfer_weights(net, estimator, source, member, targets, train_set):
    """Copy the weights of a fitted estimator to a new net.

    The weights of the head (see `Architecture`) are copied only if both estimators have the same
    number of targets, or the same classes. The statistics of batch normalisations become those of
    the training rows, unless they are frozen. With ``pool="mean"``, the output of a regressor is
    then scaled and shifted to fit the training rows best, because the scaling and the unit of the
    targets may differ; a sum over elements cannot be shifted.

    Parameters
    ----------
    net : GraphNet
        New net; changed in place.
    estimator : GraphEstimator
        The estimator that is being fitted.
    source : fitted estimator
    member : int
        Number of the net in its ensemble; it starts from the member of this number. All members
        start from the only net of a source.
    targets : RegressionTargets or ClassTargets
        Fitted targets of the new net.
    train_set : GraphDataset

    Raises
    ------
    ValueError
        When the networks differ in shape or in their element vectors.
    """
    module = net.module_
    source_module = source.nets_[member if len(source.nets_) > 1 else 0].module_
    _check_source_network(module, source_module, estimator, source)
    same_targets = targets.same_outputs_as(fitted_targets(source))
    weights = {
        name: value
        for name, value in source_module.state_dict().items()
        if same_targets or name.split(".")[0] not in source.architecture.head
    }
    module.load_state_dict(weights, strict=False)
    if estimator.freeze != "convolutions":
        adapt_statistics(net, train_set)
    if same_targets and isinstance(targets, RegressionTargets):
        fit_output(net, train_set, range(targets.n_outputs))


def freeze_parts(module, freeze, head):
    """Switch off the training of the parts of a network that are to be frozen.

    Parameters
    ----------
    module : torch module
        Changed in place.
    freeze : {"none", "embedding", "convolutions"}
        With "convolutions", all parts but the head.
    head : tuple of str
        See `Architecture`.
    """
    for name, part in module.named_children():
        trained = name in head or freeze == "none"
        part.requires_grad_(trained or (freeze == "embedding" and name != "embedding"))
    if hasattr(module, "keeps_statistics"):
        module.keeps_statistics = freeze == "convolutions"


def fit_output(net, train_set, targets):
    """Scale and shift the outputs for some targets so that they fit the training rows best.

    Parameters
    ----------
    net : GraphNet
        Changed in place. With ``pool="sum"`` it is not changed.
    train_set : GraphDataset
    targets : iterable of int
    """
    module = net.module_
    if module.config.get("pool", "mean") != "mean":
        return  # A shift of each element's term shifts the sum by the number of elements.
    outputs = run_network(module, train_set.graphs, net.batch_size)
    outputs = outputs.reshape(len(outputs), -1, outputs.shape[-1])
    weights = train_set.weight.numpy().reshape(len(outputs), -1) * np.ones(outputs.shape[2])
    with torch.no_grad():
        for target in targets:
            for member in range(outputs.shape[1]):
                gain, shift = _straight_line(
                    outputs[:, member, target],
                    train_set.y[:, target].numpy(),
                    weights[:, target],
                )
                tower = member * outputs.shape[2] + target
                module.output.weight[tower] *= gain
                module.output.bias[tower] *= gain
                module.output.bias[tower] += shift
                if hasattr(module, "extra_output"):
                    module.extra_output.weight[tower] *= gain


def _straight_line(x, y, weight):
    """Slope and intercept of the weighted least-squares line through (x, y)."""
    if not weight.any():
        return 1.0, 0.0
    weight = weight / weight.sum()
    dx = x - (weight * x).sum()
    dy = y - (weight * y).sum()
    variance = (weight * dx**2).sum()
    gain = float((weight * dx * dy).sum() / variance) if variance > 1e-12 else 1.0
    return gain, float((weight * (y - gain * x)).sum())
