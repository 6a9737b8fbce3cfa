"""`CGCNNRegressor` and `CGCNNClassifier`: crystal graph convolutional networks."""

from numbers import Integral, Real

from sklearn.utils._param_validation import Interval, StrOptions

from sklmat.estimators._architecture import Architecture
from sklmat.estimators._graph_classifier import GraphClassifier
from sklmat.estimators._graph_estimator import GraphEstimator
from sklmat.estimators._graph_regressor import GraphRegressor
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


class CGCNNArchitecture(Architecture):
    """Crystal graph convolutions on the crystal graphs themselves."""

    network_class = CGCNN

    def settings(self, estimator):
        """Widths and depths, the basis and the dropout."""
        names = ("hidden_dim", "n_conv", "readout_dim", "n_readout", "gaussian_step", "dropout")
        return {name: getattr(estimator, name) for name in names}


_CONSTRAINTS = {
    **GraphEstimator._parameter_constraints,
    "hidden_dim": [Interval(Integral, 1, None, closed="left")],
    "n_conv": [Interval(Integral, 1, None, closed="left")],
    "readout_dim": [Interval(Integral, 1, None, closed="left")],
    "n_readout": [Interval(Integral, 0, None, closed="left")],
    "gaussian_step": [Interval(Real, 0, None, closed="neither")],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "optimizer": [StrOptions({"adam", "sgd"})],
    "momentum": [Interval(Real, 0, 1, closed="left")],
}


class CGCNNRegressor(GraphRegressor):
    """Crystal graph convolutional network for numbers, one or several per crystal.

    Targets are scaled to mean 0 and standard deviation 1 over the training rows, and predictions
    come back in their unit.

    Parameters
    ----------
    cutoff : float, default=None
        Largest distance of a neighbour (Å). ``None`` takes that of the graphs given, or 8.0 for
        structures, as in [1]_. A smaller value filters graphs, a larger one is an error.
    max_neighbors : int, default=None
        Neighbours per atom. ``None`` takes that of the graphs given, or 12 for structures, as in
        [1]_. Finer choices (ties, pymatgen strategies) are made by `StructureToGraph`.
    atom_init : str, dict, DataFrame or path, default="physical"
        Element vectors, see `element_vectors`. "physical" lets similar elements share what is
        learned; a path swaps in the original's ``atom_init.json``.
    hidden_dim : int, default=32
        Width of the atom vectors. The original has 64; on a few hundred alloys 32 is as accurate
        and twice as fast.
    n_conv : int, default=3
        Number of graph convolutions.
    readout_dim : int, default=64
        Width of the layers after pooling.
    n_readout : int, default=1
        Number of layers after pooling.
    gaussian_step : float, default=0.2
        Distance between the centres of the Gaussian basis, and their width (Å), as in [1]_.
    dropout : float, default=0.0
        Fraction of the last hidden layer that is left out while training.
    loss : {"mae", "mse", "huber"}, default="mae"
        Of the scaled targets. The absolute error is not ruled by a few bad labels.
    optimizer : {"adam", "sgd"}, default="adam"
        "adam" decouples the weight decay (AdamW).
    max_epochs : int, default=100
        Passes over the training rows.
    batch_size : int, default=32
        Crystals per step; the rows are dealt out evenly over the batches.
    lr : float, default=0.01
        Largest learning rate.
    lr_schedule : {"cosine", "constant", "step"}, default="cosine"
        "cosine" rises over the first tenth of the steps, then falls to zero, so that a fixed number
        of epochs needs no row to watch. "step" divides by ten after four fifths, as in [1]_.
    momentum : float, default=0.9
        Of "sgd".
    weight_decay : float, default=0.0
        Decay of the weights per step, times the learning rate.
    early_stopping : bool, default=False
        Set `validation_fraction` of the fitted rows aside, stop when the loss on them no longer
        falls, and keep the best weights. Off, so that all rows are trained on.
    validation_fraction : float, default=0.1
        Shuffled and seeded.
    n_iter_no_change : int, default=50
        Epochs without improvement after which to stop.
    n_ensemble : int, default=1
        Networks trained from different seeds, whose predictions are averaged.
    warm_start : bool, default=False
        Let `fit` go on from the weights, and the scaling of targets, of the last one.
    adversarial : StructureAttack, default=None
        Train on perturbed crystals: in every batch a random half of them is attacked, with the
        network as it then is. ``method="random"`` augments with noise. Its `estimator` stays None.
    device : str, default="auto"
        "auto" takes CUDA where there is one, else the CPU.
    random_state : int, RandomState or None, default=None
        Decides initial weights, order of rows, dropout and validation rows, and leaves torch's own
        random state alone. The same integer on the same machine gives the same network.
    n_jobs : int, default=None
        Processes for members of an ensemble, and for building graphs.
    callbacks : list of skorch callbacks, default=None
        Called while training.
    verbose : bool, default=False
        Show a progress bar over the epochs.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net, the first one of an ensemble.
    nets_ : list of skorch.NeuralNet
        All of them.
    elements_ : ndarray of int
        Atomic numbers of the elements in the training rows.
    history_ : list of dict
        ``member``, ``epoch``, ``train_loss``, ``valid_loss`` (with early stopping), ``lr`` and
        ``dur`` (s) of each epoch.
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
    sklmat.embeddings.GraphEmbedding : The network as a transformer.
    load_cgcnn_checkpoint : The networks published with [1]_.

    Notes
    -----
    Where this differs from the paper and its code:

    - Adam with a cosine schedule and the mean absolute error in place of SGD; narrower layers.
      ``from_preset("xie2018")`` has the original's setting.
    - An atom with fewer neighbours than the others simply receives fewer messages. The original
      fills up with atom 0 of the crystal at 9 Å, inside the sum and the batch norm; only loaded
      checkpoints do that here.
    - A shell of equal distances is not cut (see `StructureToGraph`).
    - Gaussians below 1e-12 are zero. They are denormal numbers, on which many CPUs are slow.
    - Validation rows come from the fitted rows only, and no held-out row is looked at.

    References
    ----------
    .. [1] T. Xie, J. C. Grossman, "Crystal graph convolutional neural networks for an accurate and
       interpretable prediction of material properties", Phys. Rev. Lett. 120, 145301 (2018),
       :doi:`10.1103/PhysRevLett.120.145301`

    Examples
    --------
    >>> import numpy as np
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import CGCNNRegressor
    >>> a = np.linspace(2.6, 3.2, 24)
    >>> cells = [Structure(Lattice.cubic(x), ["Fe", "Al"], [[0, 0, 0], [0.5] * 3]) for x in a]
    >>> model = CGCNNRegressor(hidden_dim=8, max_epochs=60, batch_size=8, random_state=0)
    >>> bool(model.fit(cells[::2], a[::2]).score(cells[1::2], a[1::2]) > 0.9)
    True
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
        cutoff=None,
        max_neighbors=None,
        atom_init="physical",
        hidden_dim=32,
        n_conv=3,
        readout_dim=64,
        n_readout=1,
        gaussian_step=0.2,
        dropout=0.0,
        loss="mae",
        optimizer="adam",
        max_epochs=100,
        batch_size=32,
        lr=0.01,
        lr_schedule="cosine",
        momentum=0.9,
        weight_decay=0.0,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=50,
        n_ensemble=1,
        warm_start=False,
        adversarial=None,
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
        self.adversarial = adversarial
        self.device = device
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.callbacks = callbacks
        self.verbose = verbose


class CGCNNClassifier(GraphClassifier):
    """Crystal graph convolutional network for two or more classes.

    Parameters
    ----------
    cutoff : float, default=None
        Largest distance of a neighbour (Å). ``None`` takes that of the graphs given, or 8.0 for
        structures, as in [1]_. A smaller value filters graphs, a larger one is an error.
    max_neighbors : int, default=None
        Neighbours per atom. ``None`` takes that of the graphs given, or 12 for structures, as in
        [1]_. Finer choices (ties, pymatgen strategies) are made by `StructureToGraph`.
    atom_init : str, dict, DataFrame or path, default="physical"
        Element vectors, see `element_vectors`. "physical" lets similar elements share what is
        learned; a path swaps in the original's ``atom_init.json``.
    hidden_dim : int, default=32
        Width of the atom vectors. The original has 64; on a few hundred alloys 32 is as accurate
        and twice as fast.
    n_conv : int, default=3
        Number of graph convolutions.
    readout_dim : int, default=64
        Width of the layers after pooling.
    n_readout : int, default=1
        Number of layers after pooling.
    gaussian_step : float, default=0.2
        Distance between the centres of the Gaussian basis, and their width (Å), as in [1]_.
    dropout : float, default=0.0
        Fraction of the last hidden layer that is left out while training.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in the loss, as in scikit-learn.
    optimizer : {"adam", "sgd"}, default="adam"
        "adam" decouples the weight decay (AdamW).
    max_epochs : int, default=100
        Passes over the training rows.
    batch_size : int, default=32
        Crystals per step; the rows are dealt out evenly over the batches.
    lr : float, default=0.01
        Largest learning rate.
    lr_schedule : {"cosine", "constant", "step"}, default="cosine"
        "cosine" rises over the first tenth of the steps, then falls to zero, so that a fixed number
        of epochs needs no row to watch. "step" divides by ten after four fifths, as in [1]_.
    momentum : float, default=0.9
        Of "sgd".
    weight_decay : float, default=0.0
        Decay of the weights per step, times the learning rate.
    early_stopping : bool, default=False
        Set `validation_fraction` of the fitted rows aside, stop when the loss on them no longer
        falls, and keep the best weights. Off, so that all rows are trained on.
    validation_fraction : float, default=0.1
        Shuffled and seeded, with the classes in proportion.
    n_iter_no_change : int, default=50
        Epochs without improvement after which to stop.
    n_ensemble : int, default=1
        Networks trained from different seeds, whose predictions are averaged.
    warm_start : bool, default=False
        Let `fit` go on from the weights, and the scaling of targets, of the last one.
    adversarial : StructureAttack, default=None
        Train on perturbed crystals: in every batch a random half of them is attacked, with the
        network as it then is. ``method="random"`` augments with noise. Its `estimator` stays None.
    device : str, default="auto"
        "auto" takes CUDA where there is one, else the CPU.
    random_state : int, RandomState or None, default=None
        Decides initial weights, order of rows, dropout and validation rows, and leaves torch's own
        random state alone. The same integer on the same machine gives the same network.
    n_jobs : int, default=None
        Processes for members of an ensemble, and for building graphs.
    callbacks : list of skorch callbacks, default=None
        Called while training.
    verbose : bool, default=False
        Show a progress bar over the epochs.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net, the first one of an ensemble.
    nets_ : list of skorch.NeuralNet
        All of them.
    elements_ : ndarray of int
        Atomic numbers of the elements in the training rows.
    history_ : list of dict
        ``member``, ``epoch``, ``train_loss``, ``valid_loss`` (with early stopping), ``lr`` and
        ``dur`` (s) of each epoch.
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
    StructureToGraph : Builds the graphs once, for many fits.
    sklmat.embeddings.GraphEmbedding : The network as a transformer.
    load_cgcnn_checkpoint : The networks published with [1]_.

    Notes
    -----
    Where this differs from the paper and its code:

    - Adam with a cosine schedule in place of SGD; narrower layers.
      ``from_preset("xie2018")`` has the original's setting.
    - An atom with fewer neighbours than the others simply receives fewer messages. The original
      fills up with atom 0 of the crystal at 9 Å, inside the sum and the batch norm; only loaded
      checkpoints do that here.
    - A shell of equal distances is not cut (see `StructureToGraph`).
    - Gaussians below 1e-12 are zero. They are denormal numbers, on which many CPUs are slow.
    - Validation rows come from the fitted rows only, and no held-out row is looked at.

    References
    ----------
    .. [1] T. Xie, J. C. Grossman, "Crystal graph convolutional neural networks for an accurate and
       interpretable prediction of material properties", Phys. Rev. Lett. 120, 145301 (2018),
       :doi:`10.1103/PhysRevLett.120.145301`

    Examples
    --------
    >>> import numpy as np
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import CGCNNClassifier
    >>> a = np.linspace(2.6, 3.2, 24)
    >>> cells = [Structure(Lattice.cubic(x), ["Fe", "Al"], [[0, 0, 0], [0.5] * 3]) for x in a]
    >>> y = np.where(a > 2.9, "loose", "dense")
    >>> model = CGCNNClassifier(hidden_dim=8, max_epochs=60, batch_size=8, random_state=0)
    >>> bool(model.fit(cells[::2], y[::2]).score(cells[1::2], y[1::2]) > 0.9)
    True
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
        cutoff=None,
        max_neighbors=None,
        atom_init="physical",
        hidden_dim=32,
        n_conv=3,
        readout_dim=64,
        n_readout=1,
        gaussian_step=0.2,
        dropout=0.0,
        class_weight=None,
        optimizer="adam",
        max_epochs=100,
        batch_size=32,
        lr=0.01,
        lr_schedule="cosine",
        momentum=0.9,
        weight_decay=0.0,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=50,
        n_ensemble=1,
        warm_start=False,
        adversarial=None,
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
        self.adversarial = adversarial
        self.device = device
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.callbacks = callbacks
        self.verbose = verbose
