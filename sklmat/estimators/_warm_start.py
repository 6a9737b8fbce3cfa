"""Starting a network from the weights of a fitted one."""

from pathlib import Path

import numpy as np
import torch
from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sklmat.estimators._serialization import load_estimator
from sklmat.networks import ECNet
from sklmat.training import run_net

#: Settings in which a network and the one it starts from may differ.
_FREE = {"n_outputs", "dropout"}

#: What the user calls settings of the network that have another name there.
PARAMETERS = {"n_members": "n_ensemble"}


def fitted_source(source):
    """The fitted ECNet that a path or a `FrozenEstimator` stands for.

    Parameters
    ----------
    source : path or FrozenEstimator

    Returns
    -------
    estimator : fitted

    Raises
    ------
    ValueError
        When it is a bare estimator, or holds no element-convolution network.
    """
    if isinstance(source, str | Path):
        estimator = load_estimator(source)
    elif isinstance(source, FrozenEstimator):
        estimator = source.estimator
        check_is_fitted(estimator)
    else:
        raise ValueError(
            "warm_start_from is a bare estimator, which clone() strips of its weights; pass "
            "FrozenEstimator(fitted), or the path of a file written by its save()"
        )
    nets = getattr(estimator, "nets_", None)
    if not nets or not isinstance(nets[0].module_, ECNet):
        raise ValueError(f"warm_start_from holds a {type(estimator).__name__}, not an ECNet")
    return estimator


def check_graphs(source, graphs):
    """Raise where a fitted ECNet learned from graphs that were built otherwise."""
    theirs, ours = source.graph_settings_, graphs.settings
    different = [name for name in ours if ours[name] != theirs[name]]
    if different:
        raise ValueError(
            "warm_start_from learned from other graphs: "
            + ", ".join(f"{k} is {theirs[k]} there and {ours[k]} here" for k in different)
            + "; build them alike"
        )


def start_from(net, source, estimator, state, train):
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
    estimator : estimator
        The one that is being fitted.
    state : dict
        Its fitted attributes.
    train : GraphDataset

    Raises
    ------
    ValueError
        When the networks differ in shape or in their element vectors.
    """
    module, theirs = net.module_, source.net_.module_
    _check_alike(module, theirs)
    same_task = _same_task(source, estimator, state)
    weights = {
        name: value
        for name, value in theirs.state_dict().items()
        if same_task or not name.startswith(("towers", "output"))
    }
    module.load_state_dict(weights, strict=False)
    if same_task and not is_classifier(estimator):
        _fit_output(net, train)


def freeze_parts(module, freeze):
    """Let only those parts of a network learn that are not to stay.

    Parameters
    ----------
    module : ECNet
        Changed in place.
    freeze : {"none", "embedding", "convolutions"}
    """
    module.embedding.requires_grad_(freeze == "none")
    module.convolutions.requires_grad_(freeze != "convolutions")
    module.norms.requires_grad_(freeze != "convolutions")


def _check_alike(module, theirs):
    mine, other = module.config, theirs.config
    different = [k for k in mine if k not in _FREE and mine[k] != other[k]]
    if different:
        raise ValueError(
            "warm_start_from has another network: "
            + ", ".join(
                f"{PARAMETERS.get(k, k)} is {other[k]} there and {mine[k]} here" for k in different
            )
            + "; set these parameters alike"
        )
    if not torch.equal(module.element_vectors, theirs.element_vectors.to(module.element_vectors)):
        raise ValueError(
            "warm_start_from was trained with other element vectors; set atom_init alike"
        )


def _same_task(source, estimator, state):
    if is_classifier(source) != is_classifier(estimator):
        return False
    if is_classifier(estimator):
        return np.array_equal(source.classes_, state["classes"])
    return source.n_outputs_ == state["n_outputs"]


def _fit_output(net, train):
    """Scale and shift the outputs so that they fit the training rows best."""
    module = net.module_
    if module.config["pool"] != "mean":
        return  # A shift per element would not be a shift of the sum.
    outputs = run_net(net, train.graphs, net.batch_size)
    weights = train.weight.numpy().reshape(len(outputs), -1) * np.ones(outputs.shape[2])
    with torch.no_grad():
        for t in range(outputs.shape[2]):
            for m in range(outputs.shape[1]):
                slope, shift = _line(outputs[:, m, t], train.y[:, t].numpy(), weights[:, t])
                tower = m * outputs.shape[2] + t
                module.output.weight[tower] *= slope
                module.output.bias[tower] *= slope
                module.output.bias[tower] += shift


def _line(x, y, weight):
    """Slope and shift of the weighted straight line through (x, y)."""
    if not weight.any():
        return 1.0, 0.0
    weight = weight / weight.sum()
    dx = x - (weight * x).sum()
    dy = y - (weight * y).sum()
    variance = (weight * dx**2).sum()
    slope = float((weight * dx * dy).sum() / variance) if variance > 1e-12 else 1.0
    return slope, float((weight * (y - slope * x)).sum())
