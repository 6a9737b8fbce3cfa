"""`load_cgcnn_checkpoint` loads the networks that Xie and Grossman published with CGCNN."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import torch

from sklmat.argument_checks import checked_arguments
from sklmat.elements import element_vectors
from sklmat.estimators._cgcnn_estimators import CGCNNClassifier, CGCNNRegressor
from sklmat.files import damage_named, describe_file, expand_path, is_torch_file
from sklmat.model_files import load_network, read_torch_file
from sklmat.networks import CGCNN
from sklmat.training import check_device, initial_weights, make_net

if TYPE_CHECKING:
    from sklmat.typing import ElementFeatures, PathLike

#: Settings with which the original code builds graphs.
_GRAPH_SETTINGS = {
    "cutoff": 8.0,
    "max_neighbors": 12,
    "ties": "truncate",
    "tie_tolerance": 1e-3,
    "symmetrize": False,
    "neighbors": None,
}


@checked_arguments()
def load_cgcnn_checkpoint(
    path: PathLike, *, atom_init: ElementFeatures, device: str = "auto"
) -> CGCNNRegressor | CGCNNClassifier:
    """Load a network that the original CGCNN code saved, with the same predictions.

    Parameters
    ----------
    path : str or path-like
        A ``.pth.tar`` file.
    atom_init : path, dict, pandas.DataFrame
        The element vectors with which the network was trained. For the published networks this is
        their file ``atom_init.json``.
    device : str, default="auto"
        Device of the network.

    Returns
    -------
    CGCNNRegressor or CGCNNClassifier
        A fitted estimator. It builds graphs as the original does, with exactly 12 neighbours of
        each atom: the nearest ones within 8 Å, even if only a part of a shell of equal distances is
        then used. Each missing neighbour is replaced by the first atom of the crystal, at a
        distance of 9 Å. A classifier has the classes 0 and 1.

    Raises
    ------
    ValueError
        When the file is not a checkpoint of CGCNN, `atom_init` has vectors of another length, or
        `device` is not on this computer.

    Notes
    -----
    Loading the file does not execute code: only tensors, plain values and, for the classifier, a
    numpy number are unpickled.

    Examples
    --------
    >>> import sklmat
    >>> model = sklmat.load_cgcnn_checkpoint(  # doctest: +SKIP
    ...     "band-gap.pth.tar", atom_init="atom_init.json"
    ... )
    >>> model.predict(["quartz.cif"])  # doctest: +SKIP
    """
    check_device(device)
    vectors, _ = element_vectors(atom_init)
    path = expand_path(path)
    content = _read(path)
    with damage_named(path, "download it again"):
        return _estimator_of(content, vectors, path, atom_init, device)


def _estimator_of(content, vectors, path, atom_init, device):
    args, weights = content["args"], content["state_dict"]
    n_features = weights["embedding.weight"].shape[1]
    if vectors.shape[1] != n_features:
        raise ValueError(
            f"atom_init has vectors of length {vectors.shape[1]}, {path} was trained with vectors "
            f"of length {n_features}; give the table that belongs to it"
        )
    config = {
        "n_outputs": len(weights["fc_out.bias"]),
        "hidden_dim": args["atom_fea_len"],
        "n_conv": args["n_conv"],
        "readout_dim": args["h_fea_len"],
        "n_readout": args["n_h"],
        "dropout": 0.5 if args["task"] == "classification" else 0.0,
    }
    table = torch.from_numpy(vectors)
    state = {
        "element_vectors": np.nan_to_num(vectors),
        "known_elements": ~np.isnan(vectors).any(axis=1),
        **{name: value.numpy() for name, value in _translate(weights).items()},
    }
    # Versions of torch at that time did not count batches.
    for name in [name for name in state if name.endswith(".running_var")]:
        counter = name.replace("running_var", "num_batches_tracked")
        state.setdefault(counter, np.zeros((), dtype=np.int64))
    with initial_weights():
        network = load_network(functools.partial(CGCNN, table, **config), config, state)
    return _estimator(network, args, content["normalizer"], atom_init, device)


def _read(path):
    if not is_torch_file(path):
        raise ValueError(
            f"{path} is no checkpoint of the original CGCNN: it is {describe_file(path)}"
        )
    dtypes = [type(np.dtype(name)) for name in ("f4", "f8")]
    # The name of this function in files that numpy 1 wrote.
    scalar = (np.float64(0).__reduce__()[0], "numpy.core.multiarray.scalar")
    content = read_torch_file(path, "cpu", "download it again", [scalar, np.dtype, *dtypes])
    needed = {"state_dict", "args", "normalizer"}
    if not (isinstance(content, dict) and needed <= set(content)):
        raise ValueError(f"{path} is no checkpoint of the original CGCNN")
    return content


def _translate(weights):
    """Rename the weights for `CGCNN`, which has three matrices instead of one per convolution."""
    translated = {}
    for name, value in weights.items():
        if name.startswith("convs."):
            _, number, layer, parameter = name.split(".")
            convolution = f"convolutions.{number}."
            if layer == "fc_full" and parameter == "weight":
                n = len(value) // 2
                translated[convolution + "target_map.weight"] = value[:, :n]
                translated[convolution + "source_map.weight"] = value[:, n : 2 * n]
                translated[convolution + "edge_map.weight"] = value[:, 2 * n :]
            else:
                layer = {"fc_full": "target_map", "bn1": "edge_norm", "bn2": "node_norm"}[layer]
                translated[f"{convolution}{layer}.{parameter}"] = value
        elif name.startswith("fcs."):
            _, number, parameter = name.split(".")
            translated[f"readout.{int(number) + 1}.{parameter}"] = value
        else:
            layer, parameter = name.split(".")
            layer = {"conv_to_fc": "readout.0", "fc_out": "output"}.get(layer, layer)
            translated[f"{layer}.{parameter}"] = value
    return translated


def _estimator(network, args, normalizer, atom_init, device):
    """Make a fitted estimator that holds the network and builds graphs as the original does."""
    is_classifier = args["task"] == "classification"
    cls = CGCNNClassifier if is_classifier else CGCNNRegressor
    estimator = cls.from_preset(
        "xie2018",
        atom_init=atom_init,
        device=device,
        hidden_dim=args["atom_fea_len"],
        n_conv=args["n_conv"],
        readout_dim=args["h_fea_len"],
        n_readout=args["n_h"],
        lr=args["lr"],
        momentum=args["momentum"],
        weight_decay=args["weight_decay"],
        max_epochs=args["epochs"],
    )
    net = make_net(
        network,
        loss="cross_entropy" if is_classifier else "mse",
        optimizer="sgd",
        lr=args["lr"],
        weight_decay=args["weight_decay"],
        momentum=args["momentum"],
        batch_size=args["batch_size"],
        device=device,
    )
    estimator.nets_ = [net]
    estimator.n_outputs_ = network.output.out_features
    if is_classifier:
        estimator.classes_ = np.arange(estimator.n_outputs_)
    else:
        estimator.y_mean_ = np.array([float(normalizer["mean"])])
        estimator.y_scale_ = np.array([float(normalizer["std"])])
        estimator.target_ndim_ = 1
    estimator.graph_settings_ = dict(_GRAPH_SETTINGS)
    estimator.padded_ = True
    estimator.history_ = []
    estimator.n_iter_ = args["epochs"]
    return estimator
