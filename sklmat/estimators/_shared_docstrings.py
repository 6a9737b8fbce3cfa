"""Paragraphs of the docstrings of `CGCNNRegressor`, `ECNetRegressor` and their classifiers."""

from sklmat.docstrings import parameter_paragraphs

_GRAPH_ESTIMATORS = parameter_paragraphs("""
    loss : {"mae", "mse", "huber"}, default="mae"
        Of the scaled targets. The absolute error is not ruled by a few bad labels.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in the loss, as in scikit-learn.
    max_epochs : int, default=100
        Passes over the training rows.
    batch_size : int, default=32
        Crystals per step; the rows are dealt out evenly over the batches.
    early_stopping : bool, default=False
        Set `validation_fraction` of the fitted rows aside, stop when the loss on them no longer
        falls, and keep the best weights. Off, so that all rows are trained on.
    validation_fraction : float, default=0.1
        Shuffled and seeded; a classifier keeps the classes in proportion.
    n_iter_no_change : int, default=50
        Epochs without improvement after which to stop.
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
    callbacks : list of skorch callbacks, default=None
        Called while training.
    verbose : bool, default=False
        Show a progress bar over the epochs.
    n_iter_ : int
        Epochs trained.
    graph_settings_ : dict
        How graphs were built; those of `predict` are built alike.
    y_mean_ : ndarray of shape (n_targets,)
        Mean of the training rows' targets.
    y_scale_ : ndarray of shape (n_targets,)
        Standard deviation of the training rows' targets.
    classes_ : ndarray of shape (n_classes,)
        The labels.
""")

_CGCNN = parameter_paragraphs("""
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
    optimizer : {"adam", "sgd"}, default="adam"
        "adam" decouples the weight decay (AdamW).
    lr : float, default=0.01
        Largest learning rate.
    lr_schedule : {"cosine", "constant", "step"}, default="cosine"
        "cosine" rises over the first tenth of the steps, then falls to zero, so that a fixed number
        of epochs needs no row to watch. "step" divides by ten after four fifths, as in [1]_.
    momentum : float, default=0.9
        Of "sgd".
    weight_decay : float, default=0.0
        Decay of the weights per step, times the learning rate.
    n_ensemble : int, default=1
        Networks trained from different seeds, whose predictions are averaged.
    n_jobs : int, default=None
        Processes for members of an ensemble, and for building graphs.
    net_ : skorch.NeuralNet
        The trained net, the first one of an ensemble.
    nets_ : list of skorch.NeuralNet
        All of them.
    elements_ : ndarray of int
        Atomic numbers of the elements in the training rows.
    history_ : list of dict
        ``member``, ``epoch``, ``train_loss``, ``valid_loss`` (with early stopping), ``lr`` and
        ``dur`` (s) of each epoch.
""")

_ECNET = parameter_paragraphs("""
    cutoff : float, default=None
        Largest distance of a neighbour (Å). ``None`` takes that of the graphs given, or 6.0 for
        structures, as in [1]_. A smaller value filters graphs, a larger one is an error.
    max_neighbors : int, default=None
        Neighbours per atom. ``None`` takes that of the graphs given, or all for structures.
    atom_init : str, dict, DataFrame or path, default="onehot"
        Element vectors, see `element_vectors`. "onehot" learns a vector for each element, as in
        [1]_. "physical" lets similar elements share what is learned, and also predicts elements
        that no training row has; on alloys it is less accurate.
    radial_step : float, default=0.25
        Distance between the grid points of the partial radial distributions (Å). Fewer points
        make smoother filters.
    radial_spread : bool, default=True
        Also look at how unlike the surroundings of the atoms of one element are: the standard
        deviations of the partial radial distributions over these atoms. [1]_ has means only. This
        helps most for alloys of more components than the training rows have.
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
    lr : float, default=0.005
        Largest learning rate.
    lr_schedule : {"cosine", "constant", "step"}, default="cosine"
        "cosine" rises over the first tenth of the steps, then falls to zero, so that a fixed number
        of epochs needs no row to watch. "step" divides by ten after four fifths.
    weight_decay : float, default=0.3
        Decay of the weights per step, times the learning rate (AdamW).
    n_ensemble : int, default=8
        Networks whose predictions are averaged. They train side by side in one pass, on the same
        batches, from different weights.
    warm_start_from : path or FrozenEstimator, default=None
        A fitted ECNet of the same shape whose weights `fit` starts from: the file that its ``save``
        wrote, or ``sklearn.frozen.FrozenEstimator(fitted)``. A bare estimator is refused, since
        ``clone`` would strip it of what it has learned.
    freeze : {"none", "embedding", "convolutions"}, default="none"
        What stays as it was in `warm_start_from`: nothing, the map from element vectors, or that
        and the convolutions, so that only the towers learn.
    n_jobs : int, default=None
        Processes for building graphs.
    net_ : skorch.NeuralNet
        The trained net; it holds all members.
    nets_ : list of skorch.NeuralNet
        ``[net_]``.
    elements_ : ndarray of int
        Atomic numbers of the elements in the training rows, and in those of `warm_start_from`.
    history_ : list of dict
        ``member`` (0: all train as one), ``epoch``, ``train_loss``, ``valid_loss`` (with early
        stopping), ``lr`` and ``dur`` (s) of each epoch. Losses are summed over the members.
""")

_CGCNN_DIFFERENCES = """
    - Adam with a cosine schedule in place of SGD, in regression the absolute error in place of the
      squared one, and narrower layers. ``from_preset("xie2018")`` has the original's setting.
    - An atom with fewer neighbours than the others simply receives fewer messages. The original
      fills up with atom 0 of the crystal at 9 Å, inside the sum and the batch norm; only loaded
      checkpoints do that here.
    - A shell of equal distances is not cut (see `StructureToGraph`).
    - Gaussians below 1e-12 are zero. They are denormal numbers, on which many CPUs are slow.
    - Validation rows come from the fitted rows only, and no held-out row is looked at.
"""

_CGCNN_REFERENCES = """
    .. [1] T. Xie, J. C. Grossman, "Crystal graph convolutional neural networks for an accurate and
       interpretable prediction of material properties", Phys. Rev. Lett. 120, 145301 (2018),
       :doi:`10.1103/PhysRevLett.120.145301`
"""

_ECNET_REFERENCES = """
    .. [1] X. Wang, N.-D. Tran, S. Zeng, C. Hou, Y. Chen, J. Ni, "Element-wise representations with
       ECNet for material property prediction and applications in high-entropy alloys", npj Comput.
       Mater. 8, 253 (2022), :doi:`10.1038/s41524-022-00945-x`
    .. [2] Y. Sun, C. Hou, N.-D. Tran, Y. Lu, Z. Li, Y. Chen, J. Ni, "EFTGAN: Elemental features and
       transferring corrected data augmentation for the study of high-entropy alloys", npj Comput.
       Mater. 11, 54 (2025).
"""

CGCNN_PARAGRAPHS = {
    **_GRAPH_ESTIMATORS,
    **_CGCNN,
    "differences": _CGCNN_DIFFERENCES,
    "references": _CGCNN_REFERENCES,
}
ECNET_PARAGRAPHS = {**_GRAPH_ESTIMATORS, **_ECNET, "references": _ECNET_REFERENCES}
