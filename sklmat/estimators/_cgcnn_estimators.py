"""`CGCNNRegressor` and `CGCNNClassifier`: crystal graph convolutional networks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal

from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods, StrOptions

from sklmat.docstrings import insert_paragraphs
from sklmat.estimators._architecture import Architecture
from sklmat.estimators._graph_classifier import GraphClassifier
from sklmat.estimators._graph_estimator import GraphEstimator
from sklmat.estimators._graph_regressor import GraphRegressor
from sklmat.estimators._shared_docstrings import CGCNN_PARAGRAPHS
from sklmat.networks import CGCNN
from sklmat.parameter_constraints import MOST_LAYERS, MOST_UNITS, Interval

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from sklmat.adversarial import StructureAttack
    from sklmat.typing import ElementFeatures, PathLike, RandomState

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


#: Up to this number of training rows, or of rows per element, a narrow network and Adam are as
#: accurate, and faster.
_MANY_ROWS, _MANY_PER_ELEMENT = 1000, 100
#: Steps for more rows, if that is between 100 and 200 epochs.
_N_STEPS = 14000


class CGCNNArchitecture(Architecture):
    """Architecture of CGCNN, which reads the crystal graphs as they are."""

    network_class = CGCNN
    transferable = True
    head = ("readout", "output", "extra_output")

    def auto_values(self, estimator, n_rows, n_elements):
        """Optimizer, learning rate, width and number of epochs; few rows need less of all."""
        is_large = n_rows > max(_MANY_ROWS, _MANY_PER_ELEMENT * n_elements)
        optimizer = estimator.optimizer
        if optimizer == "auto":
            optimizer = "muon" if is_large and estimator.lr == "auto" else "adam"
        is_large &= optimizer == "muon"
        n_batches = -(-n_rows // estimator.batch_size)
        return {
            "hidden_dim": 64 if is_large else 32,
            "optimizer": optimizer,
            "max_epochs": min(max(100, -(-_N_STEPS // n_batches)), 200) if is_large else 100,
            "lr": 0.004 if optimizer == "muon" else 0.01,
        }

    def settings(self, estimator):
        """Widths and depths, the basis and the dropout."""
        names = ("hidden_dim", "n_conv", "readout_dim", "n_readout", "gaussian_step", "dropout")
        return {name: getattr(estimator, name) for name in names}


_CONSTRAINTS = {
    **GraphEstimator._parameter_constraints,
    "hidden_dim": [Interval(Integral, 1, MOST_UNITS, closed="both"), StrOptions({"auto"})],
    "lr": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
    "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "n_conv": [Interval(Integral, 1, MOST_LAYERS, closed="both")],
    "readout_dim": [Interval(Integral, 1, MOST_UNITS, closed="both")],
    "n_readout": [Interval(Integral, 0, MOST_LAYERS, closed="both")],
    "gaussian_step": [Interval(Real, 0, None, closed="neither")],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "optimizer": [StrOptions({"auto", "adam", "muon", "sgd"})],
    "momentum": [Interval(Real, 0, 1, closed="left")],
    "warm_start_from": [None, str, os.PathLike, GraphEstimator, FrozenEstimator],
    "freeze": [StrOptions({"none", "embedding", "convolutions"})],
    "extra": [None, list, tuple, HasMethods(["fit", "transform"])],
    "precision": [StrOptions({"float32", "bfloat16"})],
}


@insert_paragraphs(CGCNN_PARAGRAPHS)
class CGCNNRegressor(GraphRegressor):
    """Crystal graph convolutional network for regression, with one or several targets.

    Targets are scaled to mean 0 and standard deviation 1 over the training rows; predictions are
    in the unit of `y`.

    Parameters
    ----------
    {cutoff}
    {max_neighbors}
    {atom_init}
    {hidden_dim}
    {n_conv}
    {readout_dim}
    {n_readout}
    {gaussian_step}
    {dropout}
    {loss}
    {optimizer}
    {max_epochs}
    {batch_size}
    {lr}
    {lr_schedule}
    {momentum}
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
    {auto_params_}
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
    sklmat.embeddings.GraphEmbedding : The network as a transformer.
    load_cgcnn_checkpoint : The networks published with [1]_.

    Notes
    -----
    Where this differs from the paper and its code:

    {differences}

    References
    ----------
    {references}

    Examples
    --------
    >>> import numpy as np
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import CGCNNRegressor
    >>> a = np.linspace(2.6, 3.2, 24)
    >>> cells = [Structure(Lattice.cubic(x), ["Fe", "Al"], [[0, 0, 0], [0.5] * 3]) for x in a]
    >>> model = CGCNNRegressor(hidden_dim=8, max_epochs=60, batch_size=8, random_state=0)
    >>> model = model.fit(cells[::2], a[::2])
    >>> round(model.score(cells[1::2], a[1::2]), 2)
    0.99
    """

    architecture = CGCNNArchitecture()
    _parameter_constraints = {
        **_CONSTRAINTS,
        "loss": [StrOptions({"mae", "mse", "huber"})],
    }
    _presets = {"xie2018": {**_XIE2018, "loss": "mse"}}

    def __init__(
        self,
        *,
        cutoff: float | None = None,
        max_neighbors: int | None = None,
        atom_init: ElementFeatures = "physical",
        hidden_dim: int | Literal["auto"] = "auto",
        n_conv: int = 3,
        readout_dim: int = 64,
        n_readout: int = 1,
        gaussian_step: float = 0.2,
        dropout: float = 0.0,
        loss: Literal["mae", "mse", "huber"] = "mae",
        optimizer: Literal["auto", "adam", "muon", "sgd"] = "auto",
        max_epochs: int | Literal["auto"] = "auto",
        batch_size: int = 32,
        lr: float | Literal["auto"] = "auto",
        lr_schedule: Literal["cosine", "constant", "step"] = "cosine",
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 50,
        n_ensemble: int = 1,
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


@insert_paragraphs(CGCNN_PARAGRAPHS)
class CGCNNClassifier(GraphClassifier):
    """Crystal graph convolutional network for classification, with two or more classes.

    Parameters
    ----------
    {cutoff}
    {max_neighbors}
    {atom_init}
    {hidden_dim}
    {n_conv}
    {readout_dim}
    {n_readout}
    {gaussian_step}
    {dropout}
    {class_weight}
    {optimizer}
    {max_epochs}
    {batch_size}
    {lr}
    {lr_schedule}
    {momentum}
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
    {auto_params_}
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
    StructureToGraph : Builds the graphs once, for many fits.
    sklmat.embeddings.GraphEmbedding : The network as a transformer.
    load_cgcnn_checkpoint : The networks published with [1]_.

    Notes
    -----
    Where this differs from the paper and its code:

    {differences}

    References
    ----------
    {references}

    Examples
    --------
    >>> import numpy as np
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import CGCNNClassifier
    >>> a = np.linspace(2.6, 3.2, 24)
    >>> cells = [Structure(Lattice.cubic(x), ["Fe", "Al"], [[0, 0, 0], [0.5] * 3]) for x in a]
    >>> y = np.where(a > 2.9, "loose", "dense")
    >>> model = CGCNNClassifier(hidden_dim=8, max_epochs=60, batch_size=8, random_state=0)
    >>> model = model.fit(cells[::2], y[::2])
    >>> model.predict(cells[1::8]).tolist(), y[1::8].tolist()
    (['dense', 'dense', 'loose'], ['dense', 'dense', 'loose'])
    """

    architecture = CGCNNArchitecture()
    _parameter_constraints = {
        **_CONSTRAINTS,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }
    _presets = {"xie2018": {**_XIE2018, "dropout": 0.5, "lr": 0.01}}

    def __init__(
        self,
        *,
        cutoff: float | None = None,
        max_neighbors: int | None = None,
        atom_init: ElementFeatures = "physical",
        hidden_dim: int | Literal["auto"] = "auto",
        n_conv: int = 3,
        readout_dim: int = 64,
        n_readout: int = 1,
        gaussian_step: float = 0.2,
        dropout: float = 0.0,
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
        optimizer: Literal["auto", "adam", "muon", "sgd"] = "auto",
        max_epochs: int | Literal["auto"] = "auto",
        batch_size: int = 32,
        lr: float | Literal["auto"] = "auto",
        lr_schedule: Literal["cosine", "constant", "step"] = "cosine",
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 50,
        n_ensemble: int = 1,
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
