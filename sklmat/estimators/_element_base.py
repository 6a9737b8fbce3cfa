"""What the regressor and the classifier on element-convolution networks share."""

import hashlib
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.base import TransformerMixin
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklmat.elements import element_symbols, element_vectors
from sklmat.estimators._base import GraphEstimator
from sklmat.estimators._warm_start import (
    check_graphs,
    fitted_source,
    freeze_parts,
    start_from,
)
from sklmat.graphs import ElementGraphs
from sklmat.networks import ECNet
from sklmat.training import run_net

#: Points of the grid on which a filter of Gaussians is interpolated: enough for single precision.
_FINE_GRID = 1024

WANG2022 = {
    "atom_init": "onehot",
    "radial_filter": "gaussian",
    "radial_spread": False,
    "hidden_dim": 128,
    "n_filters": 64,
    "n_conv": 3,
    "tower_dims": (128, 64),
    "activation": "shifted_softplus",
    "normalize": False,
    "dropout": 0.0,
    "max_epochs": 500,
    "batch_size": 128,
    "lr": 0.001,
    "lr_schedule": "constant",
    "weight_decay": 0.0,
    "n_ensemble": 1,
}
_ARCHITECTURE = (
    "hidden_dim",
    "n_filters",
    "n_conv",
    "tower_dims",
    "radial_filter",
    "radial_spread",
    "activation",
    "normalize",
    "pool",
    "dropout",
)


class ElementEstimator(TransformerMixin, GraphEstimator):
    """Base of estimators that hold element-convolution networks."""

    _default_cutoff = 6.0
    _default_max_neighbors = None
    _n_nets = 1
    _parameter_constraints = {
        **GraphEstimator._parameter_constraints,
        "radial_step": [Interval(Real, 0, None, closed="neither")],
        "radial_spread": ["boolean"],
        "radial_filter": [StrOptions({"grid", "gaussian"})],
        "hidden_dim": [Interval(Integral, 1, None, closed="left")],
        "n_filters": [Interval(Integral, 1, None, closed="left")],
        "n_conv": [Interval(Integral, 0, None, closed="left")],
        "tower_dims": [tuple, list],
        "activation": [StrOptions({"silu", "shifted_softplus"})],
        "normalize": ["boolean"],
        "pool": [StrOptions({"mean", "sum"})],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "warm_start_from": [None, str, Path, GraphEstimator, FrozenEstimator],
        "freeze": [StrOptions({"none", "embedding", "convolutions"})],
    }

    def _validate_params(self):
        super()._validate_params()
        if not all(isinstance(width, Integral) and width > 0 for width in self.tower_dims):
            raise ValueError(f"tower_dims must hold whole numbers above 0, got {self.tower_dims!r}")

    def _fit_graphs(self, X, go_on):
        graphs = super()._fit_graphs(X, go_on)
        if self.warm_start_from is not None and not go_on:
            check_graphs(fitted_source(self.warm_start_from), graphs)
        return graphs

    def _inputs(self, graphs):
        if self.radial_filter == "grid":
            step, order = float(self.radial_step), 1
        elif self.radial_spread:
            raise ValueError(
                "radial_filter='gaussian' reads no standard deviations; set radial_spread=False"
            )
        else:
            step, order = graphs.cutoff / _FINE_GRID, 3
        return ElementGraphs.from_graphs(graphs, step=step, order=order, spread=self.radial_spread)

    def _make_network(self, n_outputs, inputs):
        return ECNet(
            torch.from_numpy(element_vectors(self.atom_init)[0]),
            n_outputs,
            cutoff=inputs.cutoff,
            radial_order=inputs.order,
            **{**self._architecture(), "radial_step": inputs.step},
        )

    def _architecture(self):
        wanted = {name: getattr(self, name) for name in _ARCHITECTURE}
        wanted["tower_dims"] = list(self.tower_dims)
        wanted["n_members"] = self.n_ensemble
        if self.radial_filter == "grid":
            wanted["radial_step"] = self.radial_step
        return wanted

    def _new_net(self, state, train):
        net = super()._new_net(state, train)
        if self.warm_start_from is not None:
            start_from(net, fitted_source(self.warm_start_from), self, state, train)
        elif self.freeze != "none":
            raise ValueError(f"freeze={self.freeze!r} needs warm_start_from, a network to keep")
        return net

    def _prepare_net(self, net):
        freeze_parts(net.module_, self.freeze)

    def _training_key(self, *args):
        key = super()._training_key(*args)
        if self.warm_start_from is None:
            return key
        state = fitted_source(self.warm_start_from).net_.module_.state_dict()
        digest = hashlib.blake2b(key.encode())
        for value in state.values():
            digest.update(value.cpu().numpy().tobytes())
        return digest.hexdigest()

    def _keep(self, nets, state, graphs, used, go_on):
        # Rows that are only watched, or have no weight, teach nothing about their elements.
        atoms = np.isin(np.repeat(np.arange(len(graphs)), graphs.n_atoms), used)
        elements = [np.unique(graphs.atomic_numbers[atoms]).astype(int)]
        if go_on:
            elements.append(self.elements_)
        elif self.warm_start_from is not None:
            elements.append(fitted_source(self.warm_start_from).elements_)
        super()._keep(nets, state, graphs, used, go_on)
        self.elements_ = np.unique(np.concatenate(elements))

    def _check_new(self, graphs):
        if isinstance(self.atom_init, str) and self.atom_init == "onehot":
            # What such a vector stands for is learned; physical vectors can be extrapolated.
            crystal = np.repeat(np.arange(len(graphs)), graphs.n_atoms)
            self._check_seen(crystal, graphs.atomic_numbers)

    def _check_seen(self, crystal, numbers):
        unseen = ~np.isin(numbers, self.elements_)
        if unseen.any():
            row = int(np.argmax(unseen))
            raise ValueError(
                f"structure {crystal[row]} contains {element_symbols(numbers[row : row + 1])[0]}, "
                f"which no training row had ({', '.join(element_symbols(self.elements_))}), so "
                "nothing is known of it. Fit on rows that cover all elements"
            )

    def _run(self, X, method):
        """Output of the one net, members in the middle: ndarray of shape (C or P, M, ...)."""
        inputs = self._new_inputs(X)
        return inputs, run_net(self.net_, inputs, self.batch_size, method)

    def _outputs(self, X, method="forward"):
        return self._run(X, method)[1].swapaxes(0, 1)

    def embed(self, X):
        """Vectors of the crystals: their elemental vectors, weighted by the fractions.

        Parameters
        ----------
        X : sequence of C structures, or CrystalGraphs

        Returns
        -------
        ndarray of shape (C, n_ensemble * hidden_dim)
            The members of an ensemble side by side: networks trained apart have unrelated axes.
        """
        vectors = self._run(X, "embed")[1]
        return vectors.reshape(len(vectors), -1)

    def elemental_vectors(self, X):
        """Elemental feature vectors: one for each element in each crystal.

        Parameters
        ----------
        X : sequence of C structures, or CrystalGraphs

        Returns
        -------
        vectors : ndarray of shape (P, n_ensemble * hidden_dim)
        crystal : ndarray of shape (P,)
            Row of `X` that each vector belongs to.
        atomic_numbers : ndarray of shape (P,)
            Its element.
        fraction : ndarray of shape (P,)
            Fraction of the atoms that are of this element.
        """
        inputs, vectors = self._run(X, "elements")
        crystal = np.repeat(np.arange(len(inputs)), inputs.n_nodes)
        return (
            vectors.reshape(len(vectors), -1),
            crystal,
            inputs.atomic_numbers.astype(int),
            inputs.fraction,
        )

    def transform(self, X):
        """Composition and elemental vectors as a table.

        Parameters
        ----------
        X : sequence of C structures, or CrystalGraphs

        Returns
        -------
        ndarray of shape (C, E * (1 + n_ensemble * hidden_dim))
            Fractions of the E elements of the training rows, then a block for each of them, zero
            where a crystal lacks the element. See `get_feature_names_out`.

        Raises
        ------
        ValueError
            When a crystal has an element that no training row had.

        Notes
        -----
        The rows the network was trained on get vectors that know their targets; they flatter what
        is fitted on them next. `sklmat.embeddings.ECNetFeaturizer` makes a compact table of them.
        """
        vectors, crystal, numbers, fraction = self.elemental_vectors(X)
        self._check_seen(crystal, numbers)
        column = np.searchsorted(self.elements_, numbers)
        n_crystals, n_elements = crystal[-1] + 1, len(self.elements_)
        fractions = np.zeros((n_crystals, n_elements))
        blocks = np.zeros((n_crystals, n_elements, vectors.shape[1]))
        fractions[crystal, column] = fraction
        blocks[crystal, column] = vectors
        return np.hstack([fractions, blocks.reshape(n_crystals, -1)])

    def get_feature_names_out(self, input_features=None):
        """Names of the columns of `transform`: ``x_Fe``, ..., ``Fe_0``, ``Fe_1``, ...

        Parameters
        ----------
        input_features : None
            Ignored: crystals have no columns.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self, "nets_")
        config = self.net_.module_.config
        width = config["n_members"] * config["hidden_dim"]
        symbols = element_symbols(self.elements_)
        names = [f"x_{e}" for e in symbols] + [f"{e}_{k}" for e in symbols for k in range(width)]
        return np.array(names, dtype=object)

    def _contributions(self, X):
        """Scaled outputs per node, mean over the members, and the nodes: (inputs, (P, T))."""
        inputs, values = self._run(X, "contributions")
        return inputs, values.astype(np.float64).mean(axis=1)

    def _contribution_table(self, inputs, values, columns):
        """Values per node as a table: a row per crystal, a column per output and element."""
        elements = np.unique(inputs.atomic_numbers)
        crystal = np.repeat(np.arange(len(inputs)), inputs.n_nodes)
        table = np.zeros((len(inputs), values.shape[1], len(elements)))
        table[crystal, :, np.searchsorted(elements, inputs.atomic_numbers)] = values
        symbols = element_symbols(elements)
        if columns is None:
            return pd.DataFrame(table[:, 0], columns=symbols)
        columns = pd.MultiIndex.from_product([columns, symbols])
        return pd.DataFrame(table.reshape(len(inputs), -1), columns=columns)
