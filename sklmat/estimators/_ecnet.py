"""ECNet as a regressor and a classifier."""

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
from sklmat.estimators._tasks import GraphClassifier, GraphRegressor
from sklmat.estimators._transfer import (
    PARAMETERS,
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

_WANG2022 = {
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
_PRESETS = {"wang2022": _WANG2022}
_ARCHITECTURE = (
    "hidden_dim",
    "n_filters",
    "n_conv",
    "tower_dims",
    "radial_filter",
    "activation",
    "normalize",
    "pool",
    "dropout",
)


class _ECNet(TransformerMixin, GraphEstimator):
    """What the two ECNet estimators share."""

    _default_cutoff = 6.0
    _default_max_neighbors = None
    _n_nets = 1
    _parameter_constraints = {
        **GraphEstimator._parameter_constraints,
        "atom_init": [str, Path, dict, pd.DataFrame],
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
            raise ValueError("radial_spread=True needs radial_filter='grid'")
        else:
            step, order = graphs.cutoff / _FINE_GRID, 3
        return ElementGraphs.from_graphs(graphs, step=step, order=order, spread=self.radial_spread)

    def _make_network(self, n_outputs, inputs):
        return ECNet(
            torch.from_numpy(element_vectors(self.atom_init)[0]),
            n_outputs,
            n_members=self.n_ensemble,
            cutoff=inputs.cutoff,
            radial_step=inputs.step,
            radial_order=inputs.order,
            radial_spread=inputs.spread,
            **{name: getattr(self, name) for name in _ARCHITECTURE},
        )

    def _check_architecture(self):
        config = self.nets_[0].module_.config
        wanted = {name: getattr(self, name) for name in _ARCHITECTURE}
        wanted["tower_dims"] = list(self.tower_dims)
        wanted["n_members"] = self.n_ensemble
        wanted["radial_spread"] = self.radial_spread
        if self.radial_filter == "grid":
            wanted["radial_step"] = self.radial_step
        changed = [name for name, value in wanted.items() if value != config[name]]
        if changed:
            raise ValueError(
                "going on with a fitted network cannot change it: "
                + ", ".join(
                    f"{PARAMETERS.get(n, n)} was {config[n]}, is {wanted[n]}" for n in changed
                )
                + "; set warm_start=False, or clone, to start over"
            )

    def _known_elements(self):
        return ~np.isnan(element_vectors(self.atom_init)[0]).any(axis=1)

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

    def _new_inputs(self, X):
        inputs = super()._new_inputs(X)
        if isinstance(self.atom_init, str) and self.atom_init == "onehot":
            # What such a vector stands for is learned; physical vectors can be extrapolated.
            self._check_seen(
                np.repeat(np.arange(len(inputs)), inputs.n_nodes), inputs.atomic_numbers
            )
        return inputs

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

    @classmethod
    def from_preset(cls, name, **params):
        """Make an estimator with the parameters of a publication.

        Parameters
        ----------
        name : {"wang2022"}
            The published setting of ECNet.
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
        return cls(**{**_PRESETS[name], **cls._preset_task, **params})


class ECNetRegressor(_ECNet, GraphRegressor):
    """Element-convolution network for numbers, one or several per crystal.

    The network does not follow atoms but elements: all atoms of an element in a crystal share one
    vector, which learns from their mean surroundings. It sees a crystal through its composition and
    its partial radial distributions, so that a cell of 160 atoms costs what one of 16 does, and is
    frugal with data.

    Targets are scaled to mean 0 and standard deviation 1 over the training rows, and predictions
    come back in their unit. Of several targets, some may be missing (NaN).

    Parameters
    ----------
    cutoff : float, default=None
        Largest distance of a neighbour (Å). ``None`` takes that of the graphs given, or 6.0 for
        structures, as in [1]_. A smaller value filters graphs, a larger one is an error.
    max_neighbors : int, default=None
        Neighbours per atom. ``None`` takes that of the graphs given, or all for structures.
    atom_init : str, dict, DataFrame or path, default="onehot"
        Element vectors, see `element_vectors`. "onehot" learns a vector for each element, as in
        [1]_; "physical" lets similar elements share what is learned.
    radial_step : float, default=0.25
        Distance between the grid points of the partial radial distributions (Å).
    radial_spread : bool, default=True
        Also look at how unlike the surroundings of the atoms of one element are: the standard
        deviations of the partial radial distributions over these atoms. [1]_ has means only.
    radial_filter : {"grid", "gaussian"}, default="grid"
        "grid" learns a value of the filter at each grid point. "gaussian" is the continuous filter
        of [1]_ on 50 Gaussians; sums over neighbours are then exact to single precision, on a grid
        of its own instead of `radial_step`. It needs ``radial_spread=False``.
    hidden_dim : int, default=64
        Width of the elemental vectors.
    n_filters : int, default=64
        Width of the filters.
    n_conv : int, default=1
        Number of element convolutions.
    tower_dims : tuple of int, default=(64,)
        Widths of the hidden layers between elemental vectors and target; each target has a tower
        of its own.
    activation : {"silu", "shifted_softplus"}, default="silu"
        The latter is that of [1]_.
    normalize : bool, default=True
        Normalise vectors before they are sent and before they are read out; [1]_ does not.
    pool : {"mean", "sum"}, default="mean"
        Weigh elements by their fractions, for quantities per atom, or sum over them.
    dropout : float, default=0.0
        Fraction of the hidden units that is left out while training.
    loss : {"mae", "mse", "huber"}, default="mae"
        Of the scaled targets. The absolute error is not ruled by a few bad labels.
    target_weights : array-like of shape (n_targets,), default=None
        Weight of each target in the loss, in place of equal ones.
    max_epochs : int, default=100
        Passes over the training rows.
    batch_size : int, default=32
        Crystals per step; the rows are dealt out evenly over the batches.
    lr : float, default=0.005
        Largest learning rate.
    lr_schedule : {"cosine", "constant", "step"}, default="cosine"
        "cosine" rises over the first tenth of the steps, then falls to zero, so that a fixed number
        of epochs needs no row to watch. "step" divides by ten after four fifths.
    weight_decay : float, default=0.3
        Decay of the weights per step, times the learning rate (AdamW).
    early_stopping : bool, default=False
        Set `validation_fraction` of the fitted rows aside, stop when the loss on them no longer
        falls, and keep the best weights. Off, so that all rows are trained on.
    validation_fraction : float, default=0.1
        Shuffled and seeded.
    n_iter_no_change : int, default=50
        Epochs without improvement after which to stop.
    n_ensemble : int, default=8
        Networks whose predictions are averaged. They train side by side in one pass, on the same
        batches, from different weights.
    warm_start : bool, default=False
        Let `fit` go on from the weights, and the scaling of targets, of the last one.
    warm_start_from : path or FrozenEstimator, default=None
        A fitted ECNet of the same shape whose weights `fit` starts from: the file that its ``save``
        wrote, or ``sklearn.frozen.FrozenEstimator(fitted)``. A bare estimator is refused, since
        ``clone`` would strip it of what it has learned.
    freeze : {"none", "embedding", "convolutions"}, default="none"
        What stays as it was in `warm_start_from`: nothing, the map from element vectors, or that
        and the convolutions, so that only the towers learn.
    device : str, default="auto"
        "auto" takes CUDA where there is one, else the CPU.
    random_state : int, RandomState or None, default=None
        Decides initial weights, order of rows, dropout and validation rows, and leaves torch's own
        random state alone. The same integer on the same machine gives the same network.
    n_jobs : int, default=None
        Processes for building graphs.
    callbacks : list of skorch callbacks, default=None
        Called while training.
    verbose : bool, default=False
        Show a progress bar over the epochs.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net; it holds all members.
    nets_ : list of skorch.NeuralNet
        ``[net_]``.
    elements_ : ndarray of int
        Atomic numbers of the elements in the training rows, and in those of `warm_start_from`.
    history_ : list of dict
        ``epoch``, ``train_loss``, ``valid_loss`` (with early stopping), ``lr`` and ``dur`` (s) of
        each epoch. Losses are summed over the members.
    n_iter_ : int
        Epochs trained.
    n_outputs_ : int
        Number of targets.
    graph_settings_ : dict
        How graphs were built; those of `predict` are built alike.
    y_mean_, y_scale_ : ndarray of shape (n_targets,)
        Mean and standard deviation of the training rows' targets.

    See Also
    --------
    StructureToGraph : Builds the graphs once, for many fits.
    sklmat.embeddings.ECNetFeaturizer : The elemental vectors as descriptors for another model.

    Notes
    -----
    Where this differs from [1]_ and from its use in [2]_:

    - All atoms of an element in a crystal carry the same vector while messages are sent, as in
      [2]_, so a convolution depends on the crystal only through its partial radial distributions.
      They are computed once, on a grid.
    - Neighbours are periodic, and all of them inside the cutoff count.
    - Elements are weighted by their fractions in the readout; ``pool="sum"`` does not.
    - ``from_preset("wang2022")`` has the published widths, filter, activation and optimiser.

    References
    ----------
    .. [1] X. Wang, N.-D. Tran, S. Zeng, C. Hou, Y. Chen, J. Ni, "Element-wise representations with
       ECNet for material property prediction and applications in high-entropy alloys", npj Comput.
       Mater. 8, 253 (2022), :doi:`10.1038/s41524-022-00945-x`
    .. [2] Y. Sun, C. Hou, N.-D. Tran, Y. Lu, Z. Li, Y. Chen, J. Ni, "EFTGAN: Elemental features and
       transferring corrected data augmentation for the study of high-entropy alloys", npj Comput.
       Mater. 11, 54 (2025).

    Examples
    --------
    >>> from sklmat import ECNetRegressor
    >>> from sklmat.datasets import make_alloys
    >>> alloys = make_alloys(40, random_state=0)
    >>> model = ECNetRegressor(max_epochs=30, n_ensemble=2, random_state=0)
    >>> model = model.fit(alloys.data[:30], alloys.target[:30])
    >>> bool(model.score(alloys.data[30:], alloys.target[30:]) > 0.8)
    True
    """

    _parameter_constraints = {
        **_ECNet._parameter_constraints,
        "loss": [StrOptions({"mae", "mse", "huber"})],
        "target_weights": [None, "array-like"],
    }
    _preset_task = {"loss": "mse"}

    def __init__(
        self,
        *,
        cutoff=None,
        max_neighbors=None,
        atom_init="onehot",
        radial_step=0.25,
        radial_spread=True,
        radial_filter="grid",
        hidden_dim=64,
        n_filters=64,
        n_conv=1,
        tower_dims=(64,),
        activation="silu",
        normalize=True,
        pool="mean",
        dropout=0.0,
        loss="mae",
        target_weights=None,
        max_epochs=100,
        batch_size=32,
        lr=0.005,
        lr_schedule="cosine",
        weight_decay=0.3,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=50,
        n_ensemble=8,
        warm_start=False,
        warm_start_from=None,
        freeze="none",
        device="auto",
        random_state=None,
        n_jobs=None,
        callbacks=None,
        verbose=False,
    ):
        self.cutoff = cutoff
        self.max_neighbors = max_neighbors
        self.atom_init = atom_init
        self.radial_step = radial_step
        self.radial_spread = radial_spread
        self.radial_filter = radial_filter
        self.hidden_dim = hidden_dim
        self.n_filters = n_filters
        self.n_conv = n_conv
        self.tower_dims = tower_dims
        self.activation = activation
        self.normalize = normalize
        self.pool = pool
        self.dropout = dropout
        self.loss = loss
        self.target_weights = target_weights
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.n_ensemble = n_ensemble
        self.warm_start = warm_start
        self.warm_start_from = warm_start_from
        self.freeze = freeze
        self.device = device
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.callbacks = callbacks
        self.verbose = verbose

    def _target_weights(self, n_targets):
        if self.target_weights is None:
            return super()._target_weights(n_targets)
        weights = np.asarray(self.target_weights, dtype=np.float64)
        usable = np.isfinite(weights).all() and (weights >= 0).all() and weights.any()
        if weights.shape != (n_targets,) or not usable:
            raise ValueError(
                f"target_weights must be {n_targets} numbers that are not negative, one per "
                f"column of y, got {self.target_weights!r}"
            )
        return weights

    def element_contributions(self, X):
        """Each element's share of the prediction.

        Parameters
        ----------
        X : sequence of C structures, or CrystalGraphs

        Returns
        -------
        DataFrame of C rows
            A column per element in `X`, zero where a crystal lacks it, in the unit of `y`. A row
            sums to the prediction. With several targets the columns have two levels, number of the
            target and element.

        Notes
        -----
        The mean of the training targets is shared out by the fractions. The shares are what the
        network adds up; they are not energies of sites that could be measured, and two networks
        that predict alike may share out otherwise.
        """
        inputs, values = self._contributions(X)
        values = values * self.y_scale_ + inputs.fraction[:, None] * self.y_mean_
        columns = None if self.target_ndim_ == 1 else range(self.n_outputs_)
        return self._contribution_table(inputs, values, columns)


class ECNetClassifier(_ECNet, GraphClassifier):
    """Element-convolution network for two or more classes.

    The network does not follow atoms but elements: all atoms of an element in a crystal share one
    vector, which learns from their mean surroundings. See `ECNetRegressor`.

    Parameters
    ----------
    cutoff : float, default=None
        Largest distance of a neighbour (Å). ``None`` takes that of the graphs given, or 6.0 for
        structures, as in [1]_. A smaller value filters graphs, a larger one is an error.
    max_neighbors : int, default=None
        Neighbours per atom. ``None`` takes that of the graphs given, or all for structures.
    atom_init : str, dict, DataFrame or path, default="onehot"
        Element vectors, see `element_vectors`. "onehot" learns a vector for each element, as in
        [1]_; "physical" lets similar elements share what is learned.
    radial_step : float, default=0.25
        Distance between the grid points of the partial radial distributions (Å).
    radial_spread : bool, default=True
        Also look at how unlike the surroundings of the atoms of one element are: the standard
        deviations of the partial radial distributions over these atoms. [1]_ has means only.
    radial_filter : {"grid", "gaussian"}, default="grid"
        "grid" learns a value of the filter at each grid point. "gaussian" is the continuous filter
        of [1]_ on 50 Gaussians; sums over neighbours are then exact to single precision, on a grid
        of its own instead of `radial_step`. It needs ``radial_spread=False``.
    hidden_dim : int, default=64
        Width of the elemental vectors.
    n_filters : int, default=64
        Width of the filters.
    n_conv : int, default=1
        Number of element convolutions.
    tower_dims : tuple of int, default=(64,)
        Widths of the hidden layers between elemental vectors and target; each target has a tower
        of its own.
    activation : {"silu", "shifted_softplus"}, default="silu"
        The latter is that of [1]_.
    normalize : bool, default=True
        Normalise vectors before they are sent and before they are read out; [1]_ does not.
    pool : {"mean", "sum"}, default="mean"
        Weigh elements by their fractions, for quantities per atom, or sum over them.
    dropout : float, default=0.0
        Fraction of the hidden units that is left out while training.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in the loss, as in scikit-learn.
    max_epochs : int, default=100
        Passes over the training rows.
    batch_size : int, default=32
        Crystals per step; the rows are dealt out evenly over the batches.
    lr : float, default=0.005
        Largest learning rate.
    lr_schedule : {"cosine", "constant", "step"}, default="cosine"
        "cosine" rises over the first tenth of the steps, then falls to zero, so that a fixed number
        of epochs needs no row to watch. "step" divides by ten after four fifths.
    weight_decay : float, default=0.3
        Decay of the weights per step, times the learning rate (AdamW).
    early_stopping : bool, default=False
        Set `validation_fraction` of the fitted rows aside, stop when the loss on them no longer
        falls, and keep the best weights. Off, so that all rows are trained on.
    validation_fraction : float, default=0.1
        Shuffled and seeded.
    n_iter_no_change : int, default=50
        Epochs without improvement after which to stop.
    n_ensemble : int, default=8
        Networks whose predictions are averaged. They train side by side in one pass, on the same
        batches, from different weights.
    warm_start : bool, default=False
        Let `fit` go on from the weights, and the scaling of targets, of the last one.
    warm_start_from : path or FrozenEstimator, default=None
        A fitted ECNet of the same shape whose weights `fit` starts from: the file that its ``save``
        wrote, or ``sklearn.frozen.FrozenEstimator(fitted)``. A bare estimator is refused, since
        ``clone`` would strip it of what it has learned.
    freeze : {"none", "embedding", "convolutions"}, default="none"
        What stays as it was in `warm_start_from`: nothing, the map from element vectors, or that
        and the convolutions, so that only the towers learn.
    device : str, default="auto"
        "auto" takes CUDA where there is one, else the CPU.
    random_state : int, RandomState or None, default=None
        Decides initial weights, order of rows, dropout and validation rows, and leaves torch's own
        random state alone. The same integer on the same machine gives the same network.
    n_jobs : int, default=None
        Processes for building graphs.
    callbacks : list of skorch callbacks, default=None
        Called while training.
    verbose : bool, default=False
        Show a progress bar over the epochs.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net; it holds all members.
    nets_ : list of skorch.NeuralNet
        ``[net_]``.
    elements_ : ndarray of int
        Atomic numbers of the elements in the training rows, and in those of `warm_start_from`.
    history_ : list of dict
        ``epoch``, ``train_loss``, ``valid_loss`` (with early stopping), ``lr`` and ``dur`` (s) of
        each epoch. Losses are summed over the members.
    n_iter_ : int
        Epochs trained.
    n_outputs_ : int
        Number of classes.
    graph_settings_ : dict
        How graphs were built; those of `predict` are built alike.
    classes_ : ndarray of shape (n_classes,)
        The labels.

    See Also
    --------
    ECNetRegressor : The same network for numbers; its notes hold here too.

    References
    ----------
    .. [1] X. Wang, N.-D. Tran, S. Zeng, C. Hou, Y. Chen, J. Ni, "Element-wise representations with
       ECNet for material property prediction and applications in high-entropy alloys", npj Comput.
       Mater. 8, 253 (2022), :doi:`10.1038/s41524-022-00945-x`
    .. [2] Y. Sun, C. Hou, N.-D. Tran, Y. Lu, Z. Li, Y. Chen, J. Ni, "EFTGAN: Elemental features and
       transferring corrected data augmentation for the study of high-entropy alloys", npj Comput.
       Mater. 11, 54 (2025).

    Examples
    --------
    >>> import numpy as np
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import ECNetClassifier
    >>> a = np.linspace(2.6, 3.2, 24)
    >>> cells = [Structure(Lattice.cubic(x), ["Fe", "Al"], [[0, 0, 0], [0.5] * 3]) for x in a]
    >>> y = np.where(a > 2.9, "loose", "dense")
    >>> model = ECNetClassifier(max_epochs=60, batch_size=8, n_ensemble=2, random_state=0)
    >>> bool(model.fit(cells[::2], y[::2]).score(cells[1::2], y[1::2]) > 0.9)
    True
    """

    _parameter_constraints = {
        **_ECNet._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }
    _preset_task = {}

    def __init__(
        self,
        *,
        cutoff=None,
        max_neighbors=None,
        atom_init="onehot",
        radial_step=0.25,
        radial_spread=True,
        radial_filter="grid",
        hidden_dim=64,
        n_filters=64,
        n_conv=1,
        tower_dims=(64,),
        activation="silu",
        normalize=True,
        pool="mean",
        dropout=0.0,
        class_weight=None,
        max_epochs=100,
        batch_size=32,
        lr=0.005,
        lr_schedule="cosine",
        weight_decay=0.3,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=50,
        n_ensemble=8,
        warm_start=False,
        warm_start_from=None,
        freeze="none",
        device="auto",
        random_state=None,
        n_jobs=None,
        callbacks=None,
        verbose=False,
    ):
        self.cutoff = cutoff
        self.max_neighbors = max_neighbors
        self.atom_init = atom_init
        self.radial_step = radial_step
        self.radial_spread = radial_spread
        self.radial_filter = radial_filter
        self.hidden_dim = hidden_dim
        self.n_filters = n_filters
        self.n_conv = n_conv
        self.tower_dims = tower_dims
        self.activation = activation
        self.normalize = normalize
        self.pool = pool
        self.dropout = dropout
        self.class_weight = class_weight
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.n_ensemble = n_ensemble
        self.warm_start = warm_start
        self.warm_start_from = warm_start_from
        self.freeze = freeze
        self.device = device
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.callbacks = callbacks
        self.verbose = verbose

    def element_contributions(self, X):
        """Each element's share of the logits of the classes.

        Parameters
        ----------
        X : sequence of C structures, or CrystalGraphs

        Returns
        -------
        DataFrame of C rows
            Columns of two levels, class and element; zero where a crystal lacks the element. What
            a class has more than another is the logarithm of their odds, for a single network.
        """
        inputs, values = self._contributions(X)
        return self._contribution_table(inputs, values, self.classes_)
