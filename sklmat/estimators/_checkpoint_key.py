"""`checkpoint_key`: a digest of everything that determines the result of a training."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from sklmat.batches import GraphDataset
from sklmat.elements import element_vectors
from sklmat.estimators._targets import fitted_attributes
from sklmat.estimators._warm_start import transfer_source
from sklmat.graphs import CrystalGraphs
from sklmat.networks import CGCNN

if TYPE_CHECKING:
    from sklmat.estimators._graph_estimator import GraphEstimator
    from sklmat.estimators._targets import ClassTargets, RegressionTargets

#: Parameters that do not change the result of a training, or whose content is digested instead.
_LEFT_OUT = (
    "verbose",
    "n_jobs",
    "callbacks",
    "device",
    "random_state",
    "atom_init",
    "warm_start_from",
    "extra",
)


def checkpoint_key(
    estimator: GraphEstimator,
    data: GraphDataset,
    train: np.ndarray,
    valid: np.ndarray,
    targets: RegressionTargets | ClassTargets,
    seed: int,
    max_epochs: int,
    from_fitted: bool,
) -> str:
    """Digest of a training; it is resumed only from a checkpoint with the same digest.

    Existing checkpoints must stay valid, so neither the digested values nor their order may change.

    Parameters
    ----------
    estimator : GraphEstimator
    data : GraphDataset
    train, valid : ndarray of int
        Rows to train and to validate on.
    targets : RegressionTargets or ClassTargets
        Fitted targets.
    seed, max_epochs : int
    from_fitted : bool
        Whether the fitted networks are trained further.
    """
    params = estimator.get_params(deep=False)
    for name in _LEFT_OUT:
        params.pop(name, None)
    if params.get("precision") == "float32":
        del params["precision"]
    if params.get("freeze") == "none" and estimator.architecture.network_class is CGCNN:
        del params["freeze"]  # CGCNN had no such parameter at first.
    settings = (sorted(params.items()), fitted_attributes(targets), seed, max_epochs)
    digest = hashlib.blake2b(repr(settings).encode())
    digest.update(element_vectors(estimator.atom_init)[0].tobytes())
    for net in estimator.nets_ if from_fitted else ():
        _add_weights(digest, net.module_)
    for dataset in (data.select(train), data.select(valid)):
        graphs = dataset.graphs
        for field in fields(graphs):
            _add_array(digest, graphs, field.name)
        digest.update(dataset.y.numpy().tobytes() + dataset.weight.numpy().tobytes())
    if not estimator.architecture.transferable or estimator.warm_start_from is None:
        return digest.hexdigest()
    transfer = hashlib.blake2b(digest.hexdigest().encode())
    for net in transfer_source(estimator).nets_:
        _add_weights(transfer, net.module_)
    return transfer.hexdigest()


def _add_array(digest, graphs, name):
    """Add an array of graphs to a digest, in chunks if it is long."""
    if isinstance(graphs, CrystalGraphs) and not name.endswith("_ptr"):
        parts = (getattr(part, name) for _, part in graphs.chunks())
    else:
        parts = iter([getattr(graphs, name)])
    for array in parts:
        if isinstance(array, np.ndarray):
            digest.update(array.tobytes())


def _add_weights(digest, module):
    for value in module.state_dict().values():
        digest.update(value.cpu().numpy().tobytes())
