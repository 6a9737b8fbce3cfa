"""CGCNN as a regressor and a classifier."""

from numbers import Integral, Real
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.utils._param_validation import Interval, StrOptions

from sklmat.elements import element_vectors
from sklmat.estimators._base import GraphEstimator
from sklmat.estimators._tasks import GraphClassifier, GraphRegressor
from sklmat.networks import CGCNN

_XIE2018 = {
    "atom_init": "cgcnn",
    "hidden_dim": 64,
    "n_conv": 4,
    "readout_dim": 32,
    "n_readout": 1,
    "optimizer": "sgd",
    "momentum": 0.9,
    "lr": 0.02,
    "lr_schedule": "step",
    "batch_size": 256,
    "max_epochs": 1000,
}
_PRESETS = {"xie2018": _XIE2018}


class _CGCNN:
    """What the two CGCNN estimators share."""

    _parameter_constraints = {
        **GraphEstimator._parameter_constraints,
        "atom_init": [str, Path, dict, pd.DataFrame],
        "hidden_dim": [Interval(Integral, 1, None, closed="left")],
        "n_conv": [Interval(Integral, 1, None, closed="left")],
        "readout_dim": [Interval(Integral, 1, None, closed="left")],
        "n_readout": [Interval(Integral, 0, None, closed="left")],
        "gaussian_step": [Interval(Real, 0, None, closed="neither")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    def _check_elements(self, graphs):
        vectors = (
            self.nets_[0].module_.known_elements.cpu().numpy()
            if hasattr(self, "nets_") and graphs.settings == getattr(self, "graph_settings_", None)
            else ~np.isnan(element_vectors(self.atom_init)[0]).any(axis=1)
        )
        lacking = ~vectors[graphs.atomic_numbers]
        if lacking.any():
            crystal = int(np.searchsorted(graphs.atom_ptr, np.argmax(lacking), side="right")) - 1
            raise ValueError(
                f"structure {crystal} ({graphs.formula(crystal)}) has an element without a vector "
                "in atom_init; give a table that has it (atom_init='onehot' covers all)"
            )

    def _make_network(self, n_outputs, graphs):
        return CGCNN(
            torch.from_numpy(element_vectors(self.atom_init)[0]),
            n_outputs,
            cutoff=graphs.cutoff,
            hidden_dim=self.hidden_dim,
            n_conv=self.n_conv,
            readout_dim=self.readout_dim,
            n_readout=self.n_readout,
            gaussian_step=self.gaussian_step,
            dropout=self.dropout,
        )

    @classmethod
    def from_preset(cls, name, **params):
        """Make an estimator with the parameters of a publication.

        Parameters
        ----------
        name : {"xie2018"}
            The setting of the networks published with CGCNN.
        **params
            Parameters to set otherwise.

        Returns
        -------
        estimator : unfitted

        Raises
        ------
        ValueError
            When there is no such preset.
        """
        if name not in _PRESETS:
            raise ValueError(f"no preset {name!r}; there are: {', '.join(_PRESETS)}")
        return cls(**{**_PRESETS[name], **cls._preset_task[name], **params})


class CGCNNRegressor(_CGCNN, GraphRegressor):
    """Crystal graph convolutional network for numbers.

    Attributes
    ----------
    """

    _parameter_constraints = {
        **_CGCNN._parameter_constraints,
        "loss": [StrOptions({"mae", "mse", "huber"})],
    }
    _preset_task = {"xie2018": {"loss": "mse"}}

    def __init__(
        self,
        *,
        cutoff=None,
        max_neighbors=None,
        atom_init="physical",
        hidden_dim=64,
        n_conv=3,
        readout_dim=128,
        n_readout=1,
        gaussian_step=0.2,
        dropout=0.0,
        loss="mae",
        optimizer="adam",
        max_epochs=200,
        batch_size=32,
        lr=2e-3,
        lr_schedule="cosine",
        momentum=0.9,
        weight_decay=0.0,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=50,
        n_ensemble=1,
        warm_start=False,
        device="auto",
        random_state=None,
        n_jobs=None,
        callbacks=None,
        verbose=False,
    ):
        self.cutoff = cutoff
        self.max_neighbors = max_neighbors
        self.atom_init = atom_init
        self.hidden_dim = hidden_dim
        self.n_conv = n_conv
        self.readout_dim = readout_dim
        self.n_readout = n_readout
        self.gaussian_step = gaussian_step
        self.dropout = dropout
        self.loss = loss
        self.optimizer = optimizer
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.n_ensemble = n_ensemble
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.callbacks = callbacks
        self.verbose = verbose


class CGCNNClassifier(_CGCNN, GraphClassifier):
    """Crystal graph convolutional network for classes."""

    _parameter_constraints = {
        **_CGCNN._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }
    _preset_task = {"xie2018": {"dropout": 0.5, "lr": 0.01}}

    def __init__(
        self,
        *,
        cutoff=None,
        max_neighbors=None,
        atom_init="physical",
        hidden_dim=64,
        n_conv=3,
        readout_dim=128,
        n_readout=1,
        gaussian_step=0.2,
        dropout=0.0,
        class_weight=None,
        optimizer="adam",
        max_epochs=200,
        batch_size=32,
        lr=2e-3,
        lr_schedule="cosine",
        momentum=0.9,
        weight_decay=0.0,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=50,
        n_ensemble=1,
        warm_start=False,
        device="auto",
        random_state=None,
        n_jobs=None,
        callbacks=None,
        verbose=False,
    ):
        self.cutoff = cutoff
        self.max_neighbors = max_neighbors
        self.atom_init = atom_init
        self.hidden_dim = hidden_dim
        self.n_conv = n_conv
        self.readout_dim = readout_dim
        self.n_readout = n_readout
        self.gaussian_step = gaussian_step
        self.dropout = dropout
        self.class_weight = class_weight
        self.optimizer = optimizer
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.n_ensemble = n_ensemble
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.callbacks = callbacks
        self.verbose = verbose
