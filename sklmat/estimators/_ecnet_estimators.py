"""`ECNetRegressor` and `ECNetClassifier`: element-convolution networks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal

from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods, StrOptions

from sklmat.argument_checks import POSITIVE_INT
from sklmat.docstrings import insert_paragraphs
from sklmat.estimators._architecture import Architecture
from sklmat.estimators._elemental_vectors import ElementalVectors, contribution_table
from sklmat.estimators._graph_classifier import GraphClassifier
from sklmat.estimators._graph_estimator import GraphEstimator
from sklmat.estimators._graph_regressor import GraphRegressor
from sklmat.estimators._shared_docstrings import ECNET_PARAGRAPHS
from sklmat.graphs import ElementGraphs
from sklmat.networks import ECNet
from sklmat.parameter_constraints import MOST_LAYERS, MOST_UNITS, Interval

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.base import BaseEstimator

    from sklmat.adversarial import StructureAttack
    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, ElementFeatures, PathLike, RandomState, Structures

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


class ECNetArchitecture(Architecture):
    """Architecture of ECNet, which reads `ElementGraphs`; one module holds all members."""

    network_class = ECNet
    default_cutoff = 6.0
    default_max_neighbors = None
    members_share_network = True
    additive_elements = True
    transferable = True
    head = ("towers", "output", "extra_output")

    def check_parameters(self, estimator):
        """Raise where widths are not positive integers, or the filter cannot read the inputs."""
        widths = estimator.tower_dims
        are_widths = all(POSITIVE_INT.allows(width) and width <= MOST_UNITS for width in widths)
        if not are_widths or len(widths) > MOST_LAYERS:
            raise ValueError(
                f"tower_dims must hold at most {MOST_LAYERS:,} whole numbers from 1 to "
                f"{MOST_UNITS:,}, got {widths!r}"
            )
        if estimator.radial_filter == "gaussian" and estimator.radial_spread:
            raise ValueError(
                "radial_filter='gaussian' reads no standard deviations; set radial_spread=False"
            )

    def settings(self, estimator):
        """Widths and depths, the filters, and the number of members."""
        names = (
            "hidden_dim",
            "n_filters",
            "n_conv",
            "radial_filter",
            "radial_spread",
            "activation",
            "normalize",
            "pool",
            "dropout",
        )
        settings = {name: getattr(estimator, name) for name in names}
        settings["tower_dims"] = list(estimator.tower_dims)
        settings["n_members"] = estimator.n_ensemble
        if estimator.radial_filter == "grid":
            settings["radial_step"] = estimator.radial_step
        return settings

    def make_network(self, estimator, n_outputs, inputs):
        """Make a network that reads the radial grid of the inputs."""
        return super().make_network(
            estimator, n_outputs, inputs, radial_step=inputs.step, radial_order=inputs.order
        )

    def make_inputs(self, estimator, graphs):
        """Sum the edges up to partial radial distributions between elements."""
        step, order = graphs.cutoff / _FINE_GRID, 3
        if estimator.radial_filter == "grid":
            step, order = float(estimator.radial_step), 1
        spread = estimator.radial_spread
        return ElementGraphs.from_graphs(graphs, step=step, order=order, spread=spread)


_CONSTRAINTS = {
    **GraphEstimator._parameter_constraints,
    "radial_step": [Interval(Real, 0, None, closed="neither")],
    "radial_spread": ["boolean"],
    "radial_filter": [StrOptions({"grid", "gaussian"})],
    "hidden_dim": [Interval(Integral, 1, MOST_UNITS, closed="both")],
    "n_filters": [Interval(Integral, 1, MOST_UNITS, closed="both")],
    "n_conv": [Interval(Integral, 0, MOST_LAYERS, closed="both")],
    "tower_dims": [tuple, list],
    "activation": [StrOptions({"silu", "shifted_softplus"})],
    "normalize": ["boolean"],
    "pool": [StrOptions({"mean", "sum"})],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "warm_start_from": [None, str, os.PathLike, GraphEstimator, FrozenEstimator],
    "freeze": [StrOptions({"none", "embedding", "convolutions"})],
    "extra": [None, list, tuple, HasMethods(["fit", "transform"])],
    "precision": [StrOptions({"float32", "bfloat16"})],
}


@insert_paragraphs(ECNET_PARAGRAPHS)
class ECNetRegressor(ElementalVectors, GraphRegressor):
    """Element-convolution network (ECNet) for regression, with one or several targets.

    All atoms of one element in a crystal have the same vector, the elemental vector. The inputs of
    the network are the composition of the crystal and its partial radial distributions: for each
    pair of elements a and b, the number of b atoms around an a atom as a function of the distance.
    The network reads the mean of this number over the a atoms and, with `radial_spread`, its
    standard deviation. The network therefore takes as long for a cell of 160 atoms as for a cell of
    16 atoms, and needs few training rows.

    Targets are scaled to mean 0 and standard deviation 1 over the training rows; predictions are
    in the unit of `y`. If there are several targets, some of them may be missing (NaN) in a row.

    Parameters
    ----------
    {cutoff}
    {max_neighbors}
    {atom_init}
    {radial_step}
    {radial_spread}
    {radial_filter}
    {hidden_dim}
    {n_filters}
    {n_conv}
    {tower_dims}
    {activation}
    {normalize}
    {pool}
    {dropout}
    {loss}
    target_weights : array-like of shape (n_targets,), default=None
        Weight of each target in the loss; equal weights by default.
    {max_epochs}
    {batch_size}
    {lr}
    {lr_schedule}
    {weight_decay}
    {early_stopping}
    {validation_fraction}
    {n_iter_no_change}
    {n_ensemble}
    {warm_start}
    {adversarial}
    {warm_start_from}
    {freeze}
    {extra}
    {device}
    {precision}
    {random_state}
    {n_jobs}
    {callbacks}
    {verbose}

    Attributes
    ----------
    {net_}
    {nets_}
    {elements_}
    {history_}
    {n_iter_}
    n_outputs_ : int
        Number of targets.
    {graph_settings_}
    {extra_columns_}
    {structure_column_}
    {y_mean_}
    {y_scale_}

    See Also
    --------
    StructureToGraph : Builds the graphs once, for many fits.
    sklmat.embeddings.ECNetFeaturizer : The elemental vectors as descriptors for another model.

    Notes
    -----
    The network is that of [1]_ in the form of the public code of [2]_, in which all atoms of an
    element in a crystal have the same vector in every convolution. Differences from this code:

    - The code computes messages for all atoms. Here the partial radial distributions are computed
      once, on a grid, because the convolutions depend on the crystal only through them.
    - The code has no periodic images, and at most 32 neighbours per atom. Here periodic images are
      neighbours too, and all neighbours within the cutoff are used.
    - The code adds the outputs for the elements of a crystal (``pool="sum"``). By default, they are
      weighted by the fractions here.

    ``from_preset("wang2022")`` has the published widths, filter, activation, learning rate and
    number of epochs. The defaults are the settings that predicted the formation energies of
    `sklmat.datasets.fetch_hea` best. The user guide lists the settings that were compared
    (:ref:`benchmarks-ecnet`), and data for which a Gaussian process is more accurate
    (:ref:`benchmarks-alloys`).

    References
    ----------
    {references}

    Examples
    --------
    >>> from sklmat import ECNetRegressor
    >>> from sklmat.datasets import make_alloys
    >>> alloys = make_alloys(40, random_state=0)
    >>> model = ECNetRegressor(max_epochs=30, n_ensemble=2, random_state=0)
    >>> model = model.fit(alloys.data[:30], alloys.target[:30])
    >>> round(model.score(alloys.data[30:], alloys.target[30:]), 1)
    0.9
    """

    architecture = ECNetArchitecture()
    _parameter_constraints = {
        **_CONSTRAINTS,
        "loss": [StrOptions({"mae", "mse", "huber"})],
        "target_weights": [None, "array-like"],
    }
    _presets = {"wang2022": {**_WANG2022, "loss": "mse"}}

    def __init__(
        self,
        *,
        cutoff: float | None = None,
        max_neighbors: int | None = None,
        atom_init: ElementFeatures = "onehot",
        radial_step: float = 0.25,
        radial_spread: bool = True,
        radial_filter: Literal["grid", "gaussian"] = "grid",
        hidden_dim: int = 64,
        n_filters: int = 64,
        n_conv: int = 1,
        tower_dims: tuple[int, ...] = (64,),
        activation: Literal["silu", "shifted_softplus"] = "silu",
        normalize: bool = True,
        pool: Literal["mean", "sum"] = "mean",
        dropout: float = 0.0,
        loss: Literal["mae", "mse", "huber"] = "mae",
        target_weights: ArrayLike | None = None,
        max_epochs: int = 100,
        batch_size: int = 32,
        lr: float = 0.005,
        lr_schedule: Literal["cosine", "constant", "step"] = "cosine",
        weight_decay: float = 0.3,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 50,
        n_ensemble: int = 8,
        warm_start: bool = False,
        adversarial: StructureAttack | None = None,
        warm_start_from: BaseEstimator | PathLike | None = None,
        freeze: Literal["none", "embedding", "convolutions"] = "none",
        extra: Sequence[Any] | BaseEstimator | None = None,
        device: str = "auto",
        precision: Literal["float32", "bfloat16"] = "float32",
        random_state: RandomState = None,
        n_jobs: int | None = None,
        callbacks: Sequence[Any] | None = None,
        verbose: bool = False,
    ) -> None:
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
        self.adversarial = adversarial
        self.warm_start_from = warm_start_from
        self.freeze = freeze
        self.extra = extra
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.callbacks = callbacks
        self.verbose = verbose

    def element_contributions(self, X: Structures | CrystalGraphs | pd.DataFrame) -> pd.DataFrame:
        """Contribution of each element to the prediction.

        Parameters
        ----------
        X : sequence of C structures, CrystalGraphs, or for `extra` a DataFrame
            The crystals.

        Returns
        -------
        DataFrame of C rows
            One column for each element in `X`, in the unit of `y`, zero where a crystal lacks the
            element. Each row sums to the prediction. With several targets the columns have two
            levels: number of the target, and element.

        Notes
        -----
        The mean of the training targets is divided among the elements in proportion to their
        fractions. The contributions are terms of a sum in the network and not measurable site
        energies; two networks with equal predictions may have different contributions.
        """
        return contribution_table(self, X)


@insert_paragraphs(ECNET_PARAGRAPHS)
class ECNetClassifier(ElementalVectors, GraphClassifier):
    """Element-convolution network (ECNet) for classification, with two or more classes.

    All atoms of one element in a crystal have the same vector, the elemental vector, which depends
    on the surroundings of these atoms. The network is that of [1]_ in the form of the public code
    of [2]_; see `ECNetRegressor`.

    Parameters
    ----------
    {cutoff}
    {max_neighbors}
    {atom_init}
    {radial_step}
    {radial_spread}
    {radial_filter}
    {hidden_dim}
    {n_filters}
    {n_conv}
    {tower_dims}
    {activation}
    {normalize}
    {pool}
    {dropout}
    {class_weight}
    {max_epochs}
    {batch_size}
    {lr}
    {lr_schedule}
    {weight_decay}
    {early_stopping}
    {validation_fraction}
    {n_iter_no_change}
    {n_ensemble}
    {warm_start}
    {adversarial}
    {warm_start_from}
    {freeze}
    {extra}
    {device}
    {precision}
    {random_state}
    {n_jobs}
    {callbacks}
    {verbose}

    Attributes
    ----------
    {net_}
    {nets_}
    {elements_}
    {history_}
    {n_iter_}
    n_outputs_ : int
        Number of classes.
    {graph_settings_}
    {extra_columns_}
    {structure_column_}
    {classes_}

    See Also
    --------
    ECNetRegressor : The same network for regression; its notes apply here too.

    References
    ----------
    {references}

    Examples
    --------
    >>> import numpy as np
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import ECNetClassifier
    >>> a = np.linspace(2.6, 3.2, 24)
    >>> cells = [Structure(Lattice.cubic(x), ["Fe", "Al"], [[0, 0, 0], [0.5] * 3]) for x in a]
    >>> y = np.where(a > 2.9, "loose", "dense")
    >>> model = ECNetClassifier(max_epochs=60, batch_size=8, n_ensemble=2, random_state=0)
    >>> model = model.fit(cells[::2], y[::2])
    >>> model.predict(cells[1::8]).tolist(), y[1::8].tolist()
    (['dense', 'dense', 'loose'], ['dense', 'dense', 'loose'])
    """

    architecture = ECNetArchitecture()
    _parameter_constraints = {
        **_CONSTRAINTS,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }
    _presets = {"wang2022": _WANG2022}

    def __init__(
        self,
        *,
        cutoff: float | None = None,
        max_neighbors: int | None = None,
        atom_init: ElementFeatures = "onehot",
        radial_step: float = 0.25,
        radial_spread: bool = True,
        radial_filter: Literal["grid", "gaussian"] = "grid",
        hidden_dim: int = 64,
        n_filters: int = 64,
        n_conv: int = 1,
        tower_dims: tuple[int, ...] = (64,),
        activation: Literal["silu", "shifted_softplus"] = "silu",
        normalize: bool = True,
        pool: Literal["mean", "sum"] = "mean",
        dropout: float = 0.0,
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
        max_epochs: int = 100,
        batch_size: int = 32,
        lr: float = 0.005,
        lr_schedule: Literal["cosine", "constant", "step"] = "cosine",
        weight_decay: float = 0.3,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 50,
        n_ensemble: int = 8,
        warm_start: bool = False,
        adversarial: StructureAttack | None = None,
        warm_start_from: BaseEstimator | PathLike | None = None,
        freeze: Literal["none", "embedding", "convolutions"] = "none",
        extra: Sequence[Any] | BaseEstimator | None = None,
        device: str = "auto",
        precision: Literal["float32", "bfloat16"] = "float32",
        random_state: RandomState = None,
        n_jobs: int | None = None,
        callbacks: Sequence[Any] | None = None,
        verbose: bool = False,
    ) -> None:
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
        self.adversarial = adversarial
        self.warm_start_from = warm_start_from
        self.freeze = freeze
        self.extra = extra
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.callbacks = callbacks
        self.verbose = verbose

    def element_contributions(self, X: Structures | CrystalGraphs | pd.DataFrame) -> pd.DataFrame:
        """Contribution of each element to the logits of the classes.

        Parameters
        ----------
        X : sequence of C structures, CrystalGraphs, or for `extra` a DataFrame
            The crystals.

        Returns
        -------
        DataFrame of C rows
            Columns have two levels, class and element; zero where a crystal lacks the element. For
            a single network, the difference between the row sums of two classes is the logarithm
            of their odds.
        """
        return contribution_table(self, X)
