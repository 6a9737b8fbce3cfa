"""`GraphEstimator`: reads graphs, trains networks on them, and keeps what comes out."""

import copy
from abc import abstractmethod
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Hidden, Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from sklmat.batches import GraphDataset
from sklmat.elements import element_vectors
from sklmat.estimators._architecture import Architecture, make_estimator_net
from sklmat.estimators._checkpoint_key import checkpoint_key
from sklmat.estimators._graph_input import check_elements, graphs_like_fit, training_graphs
from sklmat.estimators._graph_model import GraphModel
from sklmat.estimators._serialization import load_estimator, save_estimator
from sklmat.estimators._targets import fitted_targets
from sklmat.estimators._warm_start import (
    check_same_graphs,
    check_same_network,
    check_source_graphs,
    freeze_parts,
    transfer_source,
    transfer_weights,
)
from sklmat.training import plain_history, train_ensemble


class GraphEstimator(BaseEstimator):
    """Base of estimators that hold networks of crystal graphs.

    A new network writes its `Architecture` and the parameters of its estimators; see "Your own
    network" in the user guide. `GraphRegressor` and `GraphClassifier` add what `y` means.
    """

    #: What the kind of network adds; set by each estimator.
    architecture: Architecture

    #: Name -> parameters of a publication.
    _presets: dict = {}

    _parameter_constraints = {
        "cutoff": [None, Interval(Real, 0, None, closed="neither")],
        "max_neighbors": [None, Interval(Integral, 1, None, closed="left")],
        "atom_init": [str, Path, dict, pd.DataFrame],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "lr_schedule": [StrOptions({"constant", "cosine", "step"})],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "n_ensemble": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "adversarial": [None, HasMethods(["generate", "batch_transform"])],
        "device": [str, Hidden(torch.device)],
        "random_state": ["random_state"],
        "n_jobs": [None, Integral],
        "callbacks": [None, list, tuple],
        "verbose": ["verbose"],
    }

    @abstractmethod
    def _make_targets(self):
        """Targets that are not fitted yet; `GraphRegressor` and `GraphClassifier` write it."""

    @classmethod
    def from_preset(cls, name, **params):
        """Make an estimator with the parameters of a publication.

        Parameters
        ----------
        name : str
            "xie2018", the networks published with CGCNN, or "wang2022", the network published as
            ECNet, for the estimators of that name.
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
        if name not in cls._presets:
            raise ValueError(f"no preset {name!r}; there are: {', '.join(cls._presets)}")
        return cls(**{**cls._presets[name], **params})

    def fit(self, X, y, sample_weight=None, checkpoint=None):
        """Train the network.

        Parameters
        ----------
        X : sequence of C structures, or CrystalGraphs
            See `check_structures`.
        y : array-like of shape (C,) or (C, n_targets)
            Targets: numbers, or for a classifier one label per crystal. Of several targets in a
            row, some may be missing (NaN); they have no weight in the loss.
        sample_weight : array-like of shape (C,), default=None
            Weight of each crystal in the loss.
        checkpoint : path, default=None
            File in which the state of the training is kept, epoch by epoch. If it exists, training
            goes on from there and gives what it would have given uninterrupted. Needs an integer
            `random_state`. Networks that train one after another, the members of an ensemble of
            CGCNN, use ``<checkpoint>.0``, ``<checkpoint>.1``, ...

        Returns
        -------
        self

        Raises
        ------
        InvalidStructureError
            When a crystal cannot be used.
        ValueError
            When `y` does not match `X`, is infinite, or is missing in a whole row or column;
            graphs do not suit `cutoff` and `max_neighbors`; the checkpoint is of another training;
            or `warm_start` or `warm_start_from` ask to go on with a network of another shape.

        Notes
        -----
        Interrupting (Ctrl-C) ends the training: the estimator is then fitted with what it has
        learned, and warns.
        """
        self._validate_params()
        resume = self.warm_start and hasattr(self, "nets_")
        return self._fit(
            X, y, sample_weight, resume, self.max_epochs, self.lr_schedule, checkpoint=checkpoint
        )

    def _partial_fit(self, X, y, sample_weight, classes=None):
        self._validate_params()
        resume = hasattr(self, "nets_")
        return self._fit(X, y, sample_weight, resume, 1, "constant", classes=classes)

    def _validate_params(self):
        super()._validate_params()
        self.architecture.settings(self)

    def _fit(
        self, X, y, sample_weight, resume, max_epochs, schedule, checkpoint=None, classes=None
    ):
        """Train for some epochs: from new weights, or `resume` with those of the fitted nets."""
        source = None if resume else transfer_source(self)
        graphs = self._read_training_rows(X, resume, source)
        targets = fitted_targets(self) if resume else self._make_targets()
        y = targets.check(y)
        if len(y) != len(graphs):
            raise ValueError(f"X has {len(graphs)} structures and y has {len(y)} rows")
        seed = self._training_seed(checkpoint)
        sample_weight = _check_sample_weight(sample_weight, np.empty((len(y), 1)), dtype=np.float64)
        train, valid = self._split(y, seed)
        if (sample_weight < 0).any():
            row = int(np.argmax(sample_weight < 0))
            raise ValueError(f"sample_weight is negative in row {row}")
        encoded, weight = targets.fit(y, sample_weight, train, valid, classes)
        inputs = self.architecture.make_inputs(self, graphs)
        sets = [_dataset(inputs, encoded, weight, rows) for rows in (train, valid)]
        n_members = 1 if self.architecture.members_share_network else self.n_ensemble
        if resume:
            check_same_network(self, n_members)
        key = (
            ""
            if checkpoint is None
            else checkpoint_key(self, sets, targets, seed, max_epochs, resume)
        )
        attack = None
        if self.adversarial is not None:
            attack = self.adversarial.batch_transform(graphs[train])
        nets = train_ensemble(
            self._member_preparation(targets, attack, source, resume),
            sets[0],
            sets[1] if len(valid) else None,
            seed=seed,
            n_members=n_members,
            fitted=self.nets_ if resume else None,
            n_jobs=self.n_jobs,
            max_epochs=max_epochs,
            schedule=schedule,
            patience=self.n_iter_no_change if self.early_stopping else None,
            callbacks=self.callbacks or (),
            verbose=self.verbose,
            checkpoint=checkpoint,
            checkpoint_key=key,
        )
        return self._keep(nets, targets, graphs, train[sample_weight[train] > 0], source, resume)

    def _read_training_rows(self, X, resume, source):
        """Graphs to train on, of a kind and of elements that the network can read."""
        if resume:
            check_same_graphs(self)
            graphs = GraphModel.of(self).pad(graphs_like_fit(self, X))
        else:
            graphs = training_graphs(self, X)
            if source is not None:
                check_source_graphs(source, graphs)
        if len(graphs) == 0:
            raise ValueError("X is empty (0 structures); there is nothing to fit")
        if not resume:
            check_elements(graphs, ~np.isnan(element_vectors(self.atom_init)[0]).any(axis=1))
        return graphs

    def _training_seed(self, checkpoint=None):
        if checkpoint is not None and not isinstance(self.random_state, Integral):
            raise ValueError("fit(checkpoint=...) needs an integer random_state")
        return check_random_state(self.random_state).randint(2**31 - 1)

    def _split(self, y, seed):
        """Rows to train on, and rows to watch for early stopping (none without it)."""
        rows = np.arange(len(y))
        if not self.early_stopping:
            return rows, rows[:0]
        if len(rows) < 2:
            raise ValueError("early_stopping needs at least two structures")
        return train_test_split(
            rows,
            test_size=self.validation_fraction,
            random_state=seed,
            stratify=y if self._make_targets().stratified else None,
        )

    def _member_preparation(self, targets, attack, source, resume):
        """A function that makes a member of the ensemble, and what it is trained on, ready."""
        padded = resume and self.padded_

        def prepare(net, train_set):
            if net is None:
                network = self.architecture.make_network(self, targets.n_outputs, train_set.graphs)
                net = make_estimator_net(self, network, targets.loss)
                if source is not None:
                    # Read again: reading a file draws random numbers, and dropout comes after them.
                    transfer_weights(net, transfer_source(self), targets, train_set)
            self._update_settings(net, targets.loss, source, resume)
            if attack is None:
                return net, train_set
            model = GraphModel(self, [net.module_], targets, padded)
            train_set = copy.copy(train_set)
            train_set.transform = attack.bind(model, train_set)
            return net, train_set

        return prepare

    def _update_settings(self, net, loss, source, resume):
        """Bring a net, new or fitted, to the present parameters of the estimator."""
        net.lr, net.batch_size = self.lr, self.batch_size
        net.criterion_.name = loss
        for group in net.optimizer_.param_groups:
            group["weight_decay"] = self.weight_decay
        freeze = getattr(self, "freeze", "none")
        if freeze != "none" and source is None and not resume:
            raise ValueError(f"freeze={freeze!r} needs warm_start_from, a network to keep")
        if hasattr(self, "freeze"):
            freeze_parts(net.module_, freeze)

    def _keep(self, nets, targets, graphs, used, source, resume):
        """Set all fitted attributes at once: a fit that fails before leaves none."""
        # Rows that are only watched, or have no weight, teach nothing about their elements.
        atoms = np.isin(graphs.crystal_of_atom, used)
        elements = [np.unique(graphs.atomic_numbers[atoms]).astype(int)]
        before = self if resume else source
        if hasattr(before, "elements_"):
            elements.append(before.elements_)
        self.nets_ = nets
        for name, value in targets.state.items():
            setattr(self, f"{name}_", value)
        self.graph_settings_ = graphs.settings
        self.padded_ = resume and self.padded_
        self.history_ = [
            {"member": member, **row}
            for member, net in enumerate(nets)
            for row in plain_history(net)
        ]
        self.n_iter_ = max(len(net.history) for net in nets)
        self.elements_ = np.unique(np.concatenate(elements))
        return self

    @property
    def net_(self):
        """The skorch net (the first one of an ensemble)."""
        if "nets_" not in vars(self):
            raise AttributeError(f"this {type(self).__name__} has no net_ before fit")
        return self.nets_[0]

    def embed(self, X):
        """Vectors of the crystals: the mean over atoms after the last convolution.

        Parameters
        ----------
        X : sequence of C structures, or CrystalGraphs

        Returns
        -------
        ndarray of shape (C, n_ensemble * hidden_dim)
            The members of an ensemble side by side: networks trained apart have unrelated axes.
        """
        return np.concatenate(GraphModel.of(self).predict_outputs(X, "embed"), axis=1)

    def save(self, path):
        """Write the fitted estimator to one file that holds numbers and JSON, but no code.

        Parameters
        ----------
        path : str or pathlib.Path
            A safetensors file; it contains the element vectors and how graphs are to be built.
        """
        check_is_fitted(self, "nets_")
        save_estimator(self, path)

    @classmethod
    def load(cls, path):
        """Read an estimator that `save` wrote.

        Parameters
        ----------
        path : str or pathlib.Path

        Returns
        -------
        estimator : of this class

        Raises
        ------
        ValueError
            When the file holds something else.
        """
        return load_estimator(path, cls)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.required = True
        tags.non_deterministic = self.random_state is None
        return tags


def _dataset(graphs, targets, weight, rows):
    weight = torch.tensor(weight[rows], dtype=torch.float32)
    return GraphDataset(graphs[rows], targets[rows], weight)
