"""What all graph estimators share: graphs in, targets scaled, an ensemble of nets trained."""

import copy
import hashlib
from abc import abstractmethod
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.base import BaseEstimator, is_classifier
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Hidden, Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from sklmat.batches import GraphDataset
from sklmat.elements import element_vectors
from sklmat.estimators._graph_input import GraphReader, check_elements
from sklmat.estimators._serialization import load_estimator, save_estimator
from sklmat.estimators._warm_start import PARAMETERS
from sklmat.training import make_net, plain_history, run_net, seeded, train_net

#: Parameters whose repr says nothing about how a training goes; some are digested otherwise.
_NO_DIFFERENCE = (
    "verbose",
    "n_jobs",
    "callbacks",
    "device",
    "random_state",
    "atom_init",
    "warm_start_from",
)


class GraphEstimator(GraphReader, BaseEstimator):
    """Base of estimators that hold networks of crystal graphs."""

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

    #: Name -> parameters of a publication.
    _presets = {}

    @abstractmethod
    def _make_network(self, n_outputs, inputs):
        """Return a new network for inputs like the given ones."""

    def _inputs(self, graphs):
        """What the network reads, made from crystal graphs."""
        return graphs

    @property
    def _n_nets(self):
        """Nets that are trained one after another."""
        return self.n_ensemble

    def _net_settings(self):
        """How a network is trained, as keywords of `make_net`."""
        return {
            "loss": self._loss,
            "lr": self.lr,
            "weight_decay": self.weight_decay,
            "batch_size": self.batch_size,
            "device": self.device,
        }

    @abstractmethod
    def _architecture(self):
        """Shape of the network that the parameters ask for, as keywords of the network."""

    def _check_architecture(self):
        """Raise where the parameters ask for another network than the fitted one."""
        fitted = self.nets_[0].module_.config
        changed = [
            f"{PARAMETERS.get(name, name)} was {fitted[name]}, is {value}"
            for name, value in self._architecture().items()
            if value != fitted[name]
        ]
        if changed:
            raise ValueError(
                f"going on with a fitted network cannot change it: {', '.join(changed)}; set "
                "warm_start=False, or clone, to start over"
            )

    def _known_elements(self):
        """Mask of the atomic numbers for which a new network would have a vector."""
        return ~np.isnan(element_vectors(self.atom_init)[0]).any(axis=1)

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

    @abstractmethod
    def _check_targets(self, y):
        """Return `y` as an array, or say which rows cannot be used."""

    @abstractmethod
    def _encode_targets(self, y, y_train, go_on, classes):
        """Return `y` as the network's targets, and the fitted attributes that decode them."""

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
        go_on = self.warm_start and hasattr(self, "nets_")
        return self._fit(X, y, sample_weight, go_on, self.max_epochs, self.lr_schedule, checkpoint)

    def _fit(self, X, y, weight, go_on, n_epochs, schedule, checkpoint=None, classes=None):
        graphs = self._fit_graphs(X, go_on)
        if len(graphs) == 0:
            raise ValueError("X is empty (0 structures); there is nothing to fit")
        if not go_on:
            check_elements(graphs, self._known_elements())
        y = self._check_targets(y)
        if len(y) != len(graphs):
            raise ValueError(f"X has {len(graphs)} structures and y has {len(y)} rows")
        seed = self._seed(checkpoint)
        weight = _check_sample_weight(weight, np.empty((len(y), 1)), dtype=np.float64)
        train, valid = self._split(y, seed)
        if (weight < 0).any():
            raise ValueError(f"sample_weight is negative in row {int(np.argmax(weight < 0))}")
        # A row without weight must not decide how targets are scaled.
        used = train[weight[train] > 0]
        scaled_on = train if is_classifier(self) else used
        weight = _normalized(self._weigh(y, weight), train)
        if len(valid) and not weight[valid].any():
            raise ValueError(
                "early_stopping has nothing to watch: no validation row has a weight and a target "
                "that counts; raise validation_fraction, or use another random_state"
            )
        targets, state = self._encode_targets(y, y[scaled_on], go_on, classes)
        inputs = self._inputs(graphs)
        sets = [_dataset(inputs, targets, weight, rows) for rows in (train, valid)]
        perturbed = None
        if self.adversarial is not None:
            perturbed = self.adversarial.batch_transform(graphs[train])
        nets = self._train(sets, state, seed, checkpoint, go_on, n_epochs, schedule, perturbed)
        self._keep(nets, state, graphs, used, go_on)
        return self

    def _seed(self, checkpoint):
        if checkpoint is not None and not isinstance(self.random_state, Integral):
            raise ValueError("fit(checkpoint=...) needs an integer random_state")
        return check_random_state(self.random_state).randint(2**31 - 1)

    def _split(self, y, seed):
        """Rows to train on, and rows to watch for early stopping (none without it)."""
        rows = np.arange(len(y))
        if not self.early_stopping:
            return rows, rows[:0]
        stratify = y if self._stratify else None
        if len(rows) < 2:
            raise ValueError("early_stopping needs at least two structures")
        return train_test_split(
            rows, test_size=self.validation_fraction, random_state=seed, stratify=stratify
        )

    def _weigh(self, y, weight):
        """Weight of each row, shape (C,), or of each target of each row, (C, n_targets)."""
        return weight

    def _train(self, sets, state, seed, checkpoint, go_on, n_epochs, schedule, perturbed):
        """Train every member of the ensemble, each from its own seed."""
        n_nets = self._n_nets
        seeds = np.random.RandomState(seed).randint(2**31 - 1, size=n_nets)
        if go_on and len(self.nets_) != n_nets:
            raise ValueError(
                f"warm_start cannot change n_ensemble from {len(self.nets_)} to {n_nets}"
            )
        if go_on:
            self._check_architecture()
            self._check_vectors()
            # Otherwise every call would draw the same batches again.
            seeds = [s + len(net.history) for s, net in zip(seeds, self.nets_)]
        key = "" if checkpoint is None else self._training_key(sets, state, seed, n_epochs, go_on)
        jobs = [
            (
                int(member_seed),
                # A copy: an error or an interrupt must not spoil the network there is.
                copy.deepcopy(self.nets_[k]) if go_on else None,
                None if checkpoint is None else _member_path(checkpoint, k, n_nets),
                f"fit {k + 1}/{n_nets}" if n_nets > 1 else "fit",
            )
            for k, member_seed in enumerate(seeds)
        ]
        common = (sets, state, key, n_epochs, schedule, perturbed)
        if effective_n_jobs(self.n_jobs) > 1 and n_nets > 1:
            return Parallel(n_jobs=self.n_jobs)(
                delayed(self._train_member)(*job, *common) for job in jobs
            )
        nets = []
        for job in jobs:
            nets.append(self._train_member(*job, *common))
            if nets[-1].interrupted_:
                # A half-trained member beside whole ones would spoil the mean.
                if go_on and len(nets) < n_nets:
                    return self.nets_
                return nets[:-1] or nets
        return nets

    def _check_vectors(self):
        """Raise where `atom_init` asks for other element vectors than the network has."""
        try:
            wanted = element_vectors(self.atom_init)[0]
        except (OSError, ValueError):
            return  # The table of a loaded estimator may have stayed behind; the network has it.
        fitted = self.nets_[0].module_.element_vectors.cpu().numpy()
        if not np.array_equal(np.nan_to_num(wanted).astype(fitted.dtype), fitted):
            raise ValueError(
                "going on with a fitted network cannot change its element vectors (atom_init); set "
                "warm_start=False, or clone, to start over"
            )

    def _train_member(self, seed, net, path, name, sets, state, key, n_epochs, schedule, perturbed):
        train, valid = sets
        padded = net is not None and self.padded_
        with seeded(seed):
            if net is None:
                net = self._new_net(state, train)
            net.lr, net.batch_size = self.lr, self.batch_size
            net.criterion_.name = self._loss
            for group in net.optimizer_.param_groups:
                group["weight_decay"] = self.weight_decay
            self._prepare_net(net)
            if self.adversarial is not None:
                train = copy.copy(train)
                from sklmat.estimators._graph_model import GraphModel

                model = GraphModel(self, [net.module_], None, padded)
                train.transform = perturbed.bind(model, train)
            return train_net(
                net,
                train,
                valid if len(valid) else None,
                max_epochs=n_epochs,
                schedule=schedule,
                patience=self.n_iter_no_change if self.early_stopping else None,
                seed=seed,
                callbacks=self.callbacks or (),
                verbose=self.verbose,
                description=name,
                checkpoint=path,
                checkpoint_key=key,
            )

    def _new_net(self, state, train):
        network = self._make_network(state["n_outputs"], train.graphs)
        return make_net(network, **self._net_settings())

    def _prepare_net(self, net):
        """Change a net, new or fitted, before it is trained."""

    def _training_key(self, sets, state, seed, n_epochs, go_on):
        """Digest of everything that decides how a training goes."""
        params = self.get_params(deep=False)
        for name in _NO_DIFFERENCE:
            params.pop(name, None)
        digest = hashlib.blake2b(repr((sorted(params.items()), state, seed, n_epochs)).encode())
        digest.update(element_vectors(self.atom_init)[0].tobytes())
        for net in self.nets_ if go_on else ():
            for value in net.module_.state_dict().values():
                digest.update(value.cpu().numpy().tobytes())
        for dataset in sets:
            for array in vars(dataset.graphs).values():
                if isinstance(array, np.ndarray):
                    digest.update(array.tobytes())
            digest.update(dataset.y.numpy().tobytes() + dataset.weight.numpy().tobytes())
        return digest.hexdigest()

    def _keep(self, nets, state, graphs, used, go_on):
        """Set all fitted attributes at once: a fit that fails before leaves none."""
        self.nets_ = nets
        for name, value in state.items():
            setattr(self, f"{name}_", value)
        self.graph_settings_ = graphs.settings
        self.padded_ = go_on and self.padded_
        self.history_ = [
            {"member": k, **row} for k, net in enumerate(nets) for row in plain_history(net)
        ]
        self.n_iter_ = max(len(net.history) for net in nets)

    @property
    def net_(self):
        """The skorch net (the first one of an ensemble)."""
        if "nets_" not in vars(self):
            raise AttributeError(f"this {type(self).__name__} has no net_ before fit")
        return self.nets_[0]

    def _partial_fit(self, X, y, sample_weight, classes=None):
        self._validate_params()
        go_on = hasattr(self, "nets_")
        return self._fit(X, y, sample_weight, go_on, 1, "constant", classes=classes)

    def _outputs(self, X, method="forward"):
        """Output of each member, ndarray of shape (n_ensemble, C, ...)."""
        inputs = self._new_inputs(X)
        return np.stack([run_net(net, inputs, self.batch_size, method) for net in self.nets_])

    def _new_inputs(self, X):
        """What the network reads of new rows."""
        check_is_fitted(self, "nets_")
        graphs = self._graphs(X)
        if len(graphs) == 0:
            raise ValueError("X is empty (0 structures); there is nothing to predict")
        self._check_new(graphs)
        return self._inputs(graphs)

    def _check_new(self, graphs):
        """Raise where new graphs hold what the network has learned nothing of."""

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
        return np.concatenate(self._outputs(X, "embed"), axis=1)

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
        return load_estimator(path, cls.__name__)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.required = True
        tags.non_deterministic = self.random_state is None
        return tags


def _dataset(graphs, targets, weight, rows):
    weight = torch.tensor(weight[rows], dtype=torch.float32)
    return GraphDataset(graphs[rows], targets[rows], weight)


def _normalized(weight, train):
    """Weights with a mean of one over the training rows, so that they leave the step size alone."""
    if not weight[train].any():
        raise ValueError("all training rows have the weight zero; there is nothing to fit")
    return weight / weight[train].mean()


def _member_path(path, k, n_ensemble):
    return Path(path) if n_ensemble == 1 else Path(f"{path}.{k}")
