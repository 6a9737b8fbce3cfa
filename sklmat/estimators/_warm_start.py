"""Training a fitted network further: `warm_start`, `partial_fit`, `warm_start_from`.

Everything that decides whether a network may be trained further, or give its weights to another
one, stands here: which estimator a parameter stands for, and what must agree between the two.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sklmat.elements import element_vectors
from sklmat.estimators._serialization import load_estimator
from sklmat.estimators._targets import RegressionTargets, fitted_targets
from sklmat.training import run_network

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from sklmat.estimators._graph_estimator import GraphEstimator
    from sklmat.typing import ArrayLike

#: Settings in which a network and the one whose weights it starts from may differ.
_MAY_DIFFER = {"n_outputs", "dropout"}

#: What the user calls settings of the network that have another name there.
_PARAMETER_NAMES = {"n_members": "n_ensemble"}


# -- which estimator a parameter stands for


def is_fitted_source(estimator: object) -> bool:
    """Whether a parameter stands for an estimator that is fitted and stays so when cloned."""
    return isinstance(estimator, str | Path | FrozenEstimator)


def thawed(estimator: BaseEstimator) -> BaseEstimator:
    """What a `FrozenEstimator` holds, or the estimator itself."""
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator


def fitted_source(estimator: BaseEstimator | str | Path) -> GraphEstimator:
    """The fitted estimator that a `FrozenEstimator`, or the path of a saved one, stands for.

    Parameters
    ----------
    estimator : FrozenEstimator or path

    Returns
    -------
    estimator : fitted
    """
    if isinstance(estimator, FrozenEstimator):
        check_is_fitted(estimator.estimator)
        return thawed(estimator)
    return load_estimator(estimator)


def unfitted_clone(estimator: BaseEstimator, y: ArrayLike | None, owner: str) -> BaseEstimator:
    """A clone that is to be trained.

    Parameters
    ----------
    estimator : estimator
    y : array-like or None
        What it is to be trained on.
    owner : str
        Name of the transformer that trains it, for messages.

    Raises
    ------
    ValueError
        When there is no `y`, or the estimator is fitted: a clone would lose what it has learned.
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
    """The fitted estimator that `warm_start_from` stands for.

    Parameters
    ----------
    estimator : GraphEstimator
        The one that is being fitted; its architecture is transferable.

    Returns
    -------
    source : fitted estimator of the same architecture
        None without `warm_start_from`.

    Raises
    ------
    ValueError
        When it is a bare estimator, or holds another kind of network; when `freeze` asks to keep
        parts of a network and there is none.
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
            "warm_start_from is a bare estimator, which clone() strips of its weights; pass "
            "FrozenEstimator(fitted), or the path of a file written by its save()"
        )
    source = fitted_source(given)
    architecture = estimator.architecture
    if type(getattr(source, "architecture", None)) is not type(architecture):
        network = architecture.network_class.__name__
        raise ValueError(f"warm_start_from holds a {type(source).__name__}, not an {network}")
    return source


# -- what must agree


def check_same_graphs(estimator):
    """Raise where the parameters ask for other graphs than those that the network knows."""
    asked = {name: getattr(estimator, name) for name in ("cutoff", "max_neighbors")}
    fitted = estimator.graph_settings_
    _refuse_changes(
        "graphs", {k: (fitted[k], value) for k, value in asked.items() if value is not None}
    )


def check_same_network(estimator, n_members):
    """Raise where the parameters ask for another network than the fitted one.

    Parameters
    ----------
    estimator : fitted GraphEstimator
    n_members : int
        Networks that would be trained one after another.
    """
    _refuse_changes("ensemble", {"n_ensemble": (len(estimator.nets_), n_members)})
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
        return  # The table of a loaded estimator may have stayed behind; the network has it.
    fitted = module.element_vectors.cpu().numpy()
    if not np.array_equal(np.nan_to_num(vectors).astype(fitted.dtype), fitted):
        raise ValueError(
            "going on with a fitted network cannot change its element vectors (atom_init); set "
            "warm_start=False, or clone, to start over"
        )


def _refuse_changes(what, values):
    """Raise where a fitted value and the one asked for differ: name -> (fitted, asked)."""
    changed = [f"{name} was {old}, is {new}" for name, (old, new) in values.items() if old != new]
    if changed:
        raise ValueError(
            f"going on with a fitted network cannot change its {what}: {', '.join(changed)}; set "
            "warm_start=False, or clone, to start over"
        )


def check_source_graphs(source, graphs):
    """Raise where the source of a transfer learned from graphs that were built otherwise."""
    settings = source.graph_settings_
    _refuse_differences(
        "learned from other graphs",
        {name: (settings[name], value) for name, value in graphs.settings.items()},
        "build them alike",
    )


def _check_source_network(module, source_module):
    """Raise where the source of a transfer has another network or other element vectors."""
    config = source_module.config
    _refuse_differences(
        "has another network",
        {
            _PARAMETER_NAMES.get(name, name): (config[name], value)
            for name, value in module.config.items()
            if name not in _MAY_DIFFER
        },
        "set these parameters alike",
    )
    vectors = module.element_vectors
    if not torch.equal(vectors, source_module.element_vectors.to(vectors)):
        raise ValueError(
            "warm_start_from was trained with other element vectors; set atom_init alike"
        )


def _refuse_differences(what, values, remedy):
    """Raise where a source and the estimator to be fitted differ: name -> (there, here)."""
    different = [
        f"{name} is {there} there and {here} here"
        for name, (there, here) in values.items()
        if there != here
    ]
    if different:
        raise ValueError(f"warm_start_from {what}: {', '.join(different)}; {remedy}")


# -- taking weights over


def transfer_weights(net, source, targets, train_set):
    """Give a new net the weights of a fitted estimator.

    The towers are taken over where they predict the same number of targets, or the same classes;
    the output of a regressor then starts as the straight line through its predictions that fits
    the training rows best, since neither the scaling of targets nor their unit need be the same
    (with ``pool="mean"``; a sum over elements cannot be shifted).

    Parameters
    ----------
    net : GraphNet
        Newly made; changed in place.
    source : fitted estimator
    targets : RegressionTargets or ClassTargets
        Those that the net is to learn.
    train_set : GraphDataset

    Raises
    ------
    ValueError
        When the networks differ in shape or in their element vectors.
    """
    module, source_module = net.module_, source.net_.module_
    _check_source_network(module, source_module)
    same_targets = targets.same_outputs_as(fitted_targets(source))
    weights = {
        name: value
        for name, value in source_module.state_dict().items()
        if same_targets or not name.startswith(("towers", "output"))
    }
    module.load_state_dict(weights, strict=False)
    if same_targets and isinstance(targets, RegressionTargets):
        _fit_output(net, train_set)


def freeze_parts(module, freeze):
    """Let only those parts of a network learn that are not to stay as they are.

    Parameters
    ----------
    module : ECNet
        Changed in place.
    freeze : {"none", "embedding", "convolutions"}
    """
    module.embedding.requires_grad_(freeze == "none")
    module.convolutions.requires_grad_(freeze != "convolutions")
    module.norms.requires_grad_(freeze != "convolutions")


def _fit_output(net, train_set):
    """Scale and shift the outputs so that they fit the training rows best."""
    module = net.module_
    if module.config["pool"] != "mean":
        return  # A shift per element would not be a shift of the sum.
    outputs = run_network(module, train_set.graphs, net.batch_size)
    weights = train_set.weight.numpy().reshape(len(outputs), -1) * np.ones(outputs.shape[2])
    with torch.no_grad():
        for target in range(outputs.shape[2]):
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


def _straight_line(x, y, weight):
    """Gain and shift of the weighted least-squares line through (x, y)."""
    if not weight.any():
        return 1.0, 0.0
    weight = weight / weight.sum()
    dx = x - (weight * x).sum()
    dy = y - (weight * y).sum()
    variance = (weight * dx**2).sum()
    gain = float((weight * dx * dy).sum() / variance) if variance > 1e-12 else 1.0
    return gain, float((weight * (y - gain * x)).sum())
