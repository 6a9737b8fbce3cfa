"""`GraphEstimator`: base class of the estimators that train networks on crystal graphs."""

from __future__ import annotations

import inspect
import os
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Hidden, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklmat.argument_checks import checked_arguments
from sklmat.batches import GraphDataset, pad_neighbors
from sklmat.elements import N_ROWS, element_vectors
from sklmat.estimators._architecture import Architecture
from sklmat.estimators._auto_parameters import auto_params, with_values
from sklmat.estimators._checkpoint_key import checkpoint_key
from sklmat.estimators._extra_columns import extra_columns, fit_extra, read_input
from sklmat.estimators._graph_input import check_elements, graphs_like_fit, training_graphs
from sklmat.estimators._graph_model import GraphModel
from sklmat.estimators._member_preparation import MemberPreparation
from sklmat.estimators._serialization import load_estimator, register, save_estimator
from sklmat.estimators._targets import (
    ClassTargets,
    RegressionTargets,
    fitted_attributes,
    fitted_targets,
)
from sklmat.estimators._warm_start import (
    check_same_extra,
    check_same_graphs,
    check_same_network,
    check_source_graphs,
    transfer_source,
)
from sklmat.fitted_state import unchanged_by_failure
from sklmat.nested_parameters import NestedParameters
from sklmat.networks import CGCNN, ECNet, refuse_large_network
from sklmat.parallel import N_JOBS
from sklmat.parameter_constraints import MOST_MEMBERS, Interval
from sklmat.random_state import draw_seed
from sklmat.reference_links import ReferenceLink
from sklmat.row_groups import hold_out_rows, label_compositions
from sklmat.targets import weight_column
from sklmat.training import check_callbacks, check_device, member_histories, train_ensemble

if TYPE_CHECKING:
    from sklmat.graphs import CrystalGraphs
    from sklmat.reports import Report
    from sklmat.training import GraphNet
    from sklmat.typing import ArrayLike, PathLike, Structures


class GraphEstimator(ReferenceLink, NestedParameters, BaseEstimator):
    """Base of estimators that train networks on crystal graphs.

    A new network needs an `Architecture` and estimators with its parameters; see "Your own network"
    in the user guide. `GraphRegressor` and `GraphClassifier` add the handling of `y`.
    """

    def __setstate__(self, state):
        # Estimators that were pickled by an earlier version lack the parameters added since.
        defaults = {
            name: parameter.default
            for name, parameter in inspect.signature(type(self)).parameters.items()
            if parameter.default is not inspect.Parameter.empty
        }
        super().__setstate__({**defaults, **state})

    #: Makes the network and its inputs; set by each estimator.
    architecture: Architecture

    #: Checks, scales and encodes `y`; set by `GraphRegressor` and `GraphClassifier`.
    targets_class: type[RegressionTargets | ClassTargets]

    #: Name -> parameters of a publication.
    _presets: dict = {}

    _parameter_constraints = {
        "cutoff": [None, Interval(Real, 0, None, closed="neither")],
        "max_neighbors": [None, Interval(Integral, 1, None, closed="left")],
        "atom_init": [str, os.PathLike, dict, pd.DataFrame],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "lr_schedule": [StrOptions({"constant", "cosine", "step"})],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "n_ensemble": [Interval(Integral, 1, MOST_MEMBERS, closed="both")],
        "warm_start": ["boolean"],
        "adversarial": [None, HasMethods(["generate", "batch_transform"])],
        "device": [str, Hidden(torch.device)],
        "random_state": ["random_state"],
        "n_jobs": N_JOBS,
        "callbacks": [None, list, tuple],
        "verbose": ["verbose"],
    }

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if hasattr(cls, "architecture"):
            register(cls)

    @classmethod
    @checked_arguments()
    def from_preset(cls, name: str, **params: Any) -> Self:
        """Make an estimator with the parameters of a publication.

        Parameters
        ----------
        name : str
            "xie2018" for CGCNN estimators, or "wang2022" for ECNet estimators: the parameters of
            the published networks.
        **params
            Parameters that replace those of the preset.

        Returns
        -------
        estimator : unfitted

        Raises
        ------
        ValueError
            When the class has no preset of this name.
        """
        if name not in cls._presets:
            raise ValueError(f"no preset {name!r}; there are: {', '.join(cls._presets)}")
        return cls(**{**cls._presets[name], **params})

    @checked_arguments()
    @unchanged_by_failure
    def fit(
        self,
        X: Structures | CrystalGraphs | pd.DataFrame,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        checkpoint: PathLike | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : sequence of C structures, CrystalGraphs, or for `extra` a DataFrame
            See `check_structures`. With `extra`, a DataFrame with a column of structures and the
            columns that `extra` reads.
        y : array-like of shape (C,) or (C, n_targets)
            Targets: numbers, or for a classifier one label per crystal. If there are several
            targets, some of them may be missing (NaN) in a row; these are left out of the loss.
        sample_weight : array-like of shape (C,), default=None
            Weight of each crystal in the loss. The network is fitted as if the rows of weight zero
            were not there; only their classes count as classes.
        checkpoint : path, default=None
            File to which the state of the training is saved after each epoch. If the file exists,
            the training is resumed from it, with the same result as without interruption. The
            parameter `random_state` must be an integer. Each member of a CGCNN ensemble has its own
            file, ``<checkpoint>.0``, ``<checkpoint>.1``, ...; all members of an ECNet ensemble have
            one file.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        InvalidStructureError
            When a crystal cannot be used.
        ValueError
            When `y` has another length than `X`, is infinite, or is missing in a whole row or
            column; when given graphs have a smaller `cutoff` or `max_neighbors` than the
            parameters; when they have larger ones, and either reverse edges (`symmetrize`) or the
            neighbours of a pymatgen strategy; when the checkpoint belongs to another training; when
            the network from which the training shall continue (`warm_start`,
            `warm_start_from`) has another shape; when a column of `extra` is missing, or holds
            something else than finite numbers; or when this computer does not have the `device`.

        Notes
        -----
        Interrupting (Ctrl-C) ends the training. The estimator is then fitted with the current
        weights, and a warning is given.
        """
        self._validate_params()
        if checkpoint is not None and not isinstance(self.random_state, Integral):
            raise ValueError("fit(checkpoint=...) needs an integer random_state")
        from_fitted = self.warm_start and hasattr(self, "nets_")
        return self._fit(
            X,
            y,
            sample_weight,
            from_fitted,
            schedule=self.lr_schedule,
            checkpoint=checkpoint,
            rescale=from_fitted,
        )

    def _partial_fit(self, X, y, sample_weight, classes=None):
        self._validate_params()
        from_fitted = hasattr(self, "nets_")
        return self._fit(
            X, y, sample_weight, from_fitted, schedule="constant", max_epochs=1, classes=classes
        )

    def _validate_params(self):
        super()._validate_params()
        check_device(self.device)
        check_callbacks(self.callbacks or (), self.early_stopping)
        self.architecture.check_parameters(self)

    def _fit(
        self,
        X,
        y,
        sample_weight,
        from_fitted,
        *,
        schedule,
        max_epochs=None,
        checkpoint=None,
        classes=None,
        rescale=False,
    ):
        """Train new networks for some epochs or, with `from_fitted`, train the fitted ones more."""
        source = None
        if self.architecture.transferable and not from_fitted:
            source = transfer_source(self)
        before = self if from_fitted else source
        padded = before is not None and before.padded_
        column = getattr(self, "structure_column_", None) if from_fitted else None
        X, crystals, column = read_input(self, X, column)
        graphs, n_rows = self._read_training_rows(crystals, from_fitted, source)
        graphs = pad_neighbors(graphs) if padded else graphs
        targets = fitted_targets(self) if from_fitted else self.targets_class.of(self)
        y = targets.check(y)
        if len(y) != n_rows:
            raise ValueError(f"X has {n_rows} structures and y has {len(y)} rows")
        n_members = 1 if self.architecture.members_share_network else self.n_ensemble
        seed = draw_seed(self.random_state)
        member_seeds = draw_seed(seed, size=n_members)
        sample_weight = weight_column(sample_weight, n_rows)
        # A row without weight would otherwise shape the statistics of batch normalisations.
        train, valid = self._split(y, seed, graphs, np.flatnonzero(sample_weight))
        graphs, extra = fit_extra(
            self,
            X,
            graphs,
            train,
            y,
            None if before is None else extra_columns(before),
        )
        encoded, weight = targets.fit(y, sample_weight, train, valid, classes)
        rescaled = []
        elements = _elements_in(graphs, train)
        chosen = auto_params(self, len(train), len(elements), before, from_fitted)
        asked = with_values(self, chosen)
        if max_epochs is None:
            max_epochs = asked.max_epochs
        else:
            chosen.pop("max_epochs", None)
        inputs = self.architecture.make_inputs(self, graphs)
        if from_fitted:
            check_same_network(asked, n_members)
        if rescale and isinstance(targets, RegressionTargets):
            predictions = targets.decode(GraphModel.of(self).run(inputs)).mean(axis=0)
            rescaled = targets.rescale(y, train, predictions)
            encoded = targets.encode(y)
        data = GraphDataset(inputs, encoded, torch.tensor(weight, dtype=torch.float32))
        refuse_large_network(
            lambda: self.architecture.make_network(asked, targets.n_outputs, inputs),
            self.architecture.settings(asked),
            n_members,
        )
        attack = None
        if self.adversarial is not None:
            attack = self.adversarial.batch_transform(graphs[train])
        key = ""
        if checkpoint is not None:
            key = checkpoint_key(asked, data, train, valid, targets, seed, max_epochs, from_fitted)
        nets = train_ensemble(
            MemberPreparation(asked, targets, attack, padded, rescaled),
            data.select(train) if len(train) < len(data) else data,
            data.select(valid) if len(valid) else None,
            seeds=member_seeds,
            fitted=self.nets_ if from_fitted else None,
            own_generator=self._has_own_generator(from_fitted),
            n_jobs=self.n_jobs,
            max_epochs=max_epochs,
            schedule=schedule,
            patience=self.n_iter_no_change if self.early_stopping else None,
            callbacks=self.callbacks or (),
            verbose=self.verbose,
            checkpoint=checkpoint,
            checkpoint_key=key,
        )
        if from_fitted and nets is self.nets_:
            targets = fitted_targets(self)  # Interrupted: these are the nets of before.
        return self._keep(nets, targets, graphs, extra, column, elements, before, chosen)

    def _has_own_generator(self, from_fitted):
        """Whether a training draws no numbers from the generator of torch, as users' code may."""
        return (
            self.architecture.network_class in (CGCNN, ECNet)
            and torch.device(check_device(self.device)).type == "cpu"
            and not self.callbacks
            # Networks that were pickled by earlier versions have it.
            and not any(
                type(part) is torch.nn.Dropout
                for net in (self.nets_ if from_fitted else ())
                for part in net.module_.modules()
            )
        )

    def _read_training_rows(self, X, from_fitted, source):
        """Return the training graphs, after checking their elements, and their number."""
        if from_fitted:
            check_same_extra(self)
            check_same_graphs(self)
            graphs = graphs_like_fit(self, X)
        else:
            graphs = training_graphs(self, X, source)
        n_rows = len(graphs)
        if source is not None:
            check_source_graphs(source, graphs)
        if n_rows == 0:
            raise ValueError("X is empty (0 structures); there is nothing to fit")
        if not from_fitted:
            check_elements(graphs, ~np.isnan(element_vectors(self.atom_init)[0]).any(axis=1))
        return graphs, n_rows

    def _split(self, y, seed, graphs, rows=None):
        """Divide rows, or all, into training rows and, for early stopping, validation rows."""
        rows = np.arange(len(y)) if rows is None else rows
        if not self.early_stopping:
            return rows, rows[:0]
        return hold_out_rows(
            rows,
            self.validation_fraction,
            groups=_compositions_of(graphs),
            seed=seed,
            classes=y if self.targets_class.stratified else None,
            purpose="early_stopping",
        )

    def _keep(self, nets, targets, graphs, extra, column, elements, before, chosen):
        """Set all fitted attributes together, so that a fit that fails earlier sets none.

        Parameters
        ----------
        nets : list of GraphNet
        targets : RegressionTargets or ClassTargets
        graphs : CrystalGraphs
        extra : ExtraColumns or None
        column
            Name of the column of structures, if `X` was a DataFrame.
        elements : ndarray of int
            Elements of the training rows with a weight.
        before : fitted estimator or None
            Estimator whose networks were trained further, or from whose weights they started.
        chosen : dict
            Values of the parameters that are "auto".
        """
        self.n_iter_ = max(len(net.history) for net in nets)
        if before is not None:
            # A network from `load_cgcnn_checkpoint` has no elements_: its rows are unknown.
            elements = np.union1d(elements, getattr(before, "elements_", elements))
        self.padded_ = before is not None and before.padded_
        self.nets_ = nets
        if self.architecture.auto_values(self, 1, 1):
            self.auto_params_ = chosen
        self.graph_settings_ = graphs.settings
        self.extra_columns_ = extra
        self.structure_column_ = column
        for name, value in fitted_attributes(targets).items():
            setattr(self, f"{name}_", value)
        self.history_ = member_histories(nets)
        self.elements_ = elements
        return self

    @property
    def net_(self) -> GraphNet:
        """The skorch net (the first one of an ensemble)."""
        if "nets_" not in vars(self):
            raise AttributeError(f"this {type(self).__name__} has no net_ before fit")
        return self.nets_[0]

    def embed(self, X: Structures | CrystalGraphs | pd.DataFrame) -> np.ndarray:
        """Compute a vector for each crystal from the hidden layers of the network.

        Parameters
        ----------
        X : sequence of C structures, CrystalGraphs, or for `extra` a DataFrame
            The crystals.

        Returns
        -------
        ndarray of shape (C, n_ensemble * hidden_dim)
            For CGCNN, the mean of the atom vectors after the last convolution; for ECNet, the mean
            of the elemental vectors, weighted by the fractions. The vectors of all members of an
            ensemble are concatenated, because their features are unrelated. Columns of `extra` are
            read by later layers only and are not in the vectors.
        """
        return np.concatenate(GraphModel.of(self).predict_outputs(X, "embed"), axis=1)

    @checked_arguments()
    def save(self, path: PathLike, *, report: Report | None = None) -> None:
        """Write the fitted estimator to one file, which holds numbers and JSON and no code.

        Parameters
        ----------
        path : str or path-like
            A safetensors file. It also contains the element vectors and the settings of the graphs.
        report : Report or None, default=None
            From `report`: its short form is written too, and `saved_report` reads it.
        """
        check_is_fitted(self, "nets_")
        save_estimator(self, path, report)

    @classmethod
    @checked_arguments()
    def load(cls, path: PathLike) -> Self:
        """Read an estimator that `save` wrote.

        Parameters
        ----------
        path : str or path-like
            Path of a file that ``save`` has written.

        Returns
        -------
        estimator : of this class

        Raises
        ------
        ValueError
            When the file does not hold an estimator of this class.
        """
        return load_estimator(path, cls)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.required = True
        tags.non_deterministic = self.random_state is None
        return tags


def _elements_in(graphs, rows):
    """Atomic numbers in some rows, sorted."""
    is_used = np.zeros(len(graphs), dtype=bool)
    is_used[rows] = True
    elements = [
        np.unique(part.atomic_numbers[is_used[first + part.crystal_of_atom]]).astype(int)
        for first, part in graphs.chunks()
    ]
    return np.unique(np.concatenate(elements))


def _compositions_of(graphs):
    """Label of the reduced composition of each crystal, shape (C,)."""

    def amounts():
        # A table of all crystals could take more memory than their graphs.
        for _, part in graphs.chunks(n_atoms=2**12):
            cells = part.crystal_of_atom.astype(int) * N_ROWS + part.atomic_numbers
            counts = np.bincount(cells, minlength=len(part) * N_ROWS)
            yield counts.reshape(len(part), N_ROWS)

    return label_compositions(amounts())
