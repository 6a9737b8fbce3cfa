"""Paragraphs of the docstrings of `CGCNNRegressor`, `ECNetRegressor` and their classifiers."""

from sklmat.docstrings import parameter_paragraphs

_GRAPH_ESTIMATORS = parameter_paragraphs("""
    loss : {"mae", "mse", "huber"}, default="mae"
        Loss of the scaled targets. "mae" is less sensitive to a few wrong labels than "mse".
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in the loss, as in scikit-learn.
    batch_size : int, default=32
        Largest number of crystals per step. All batches have nearly the same size.
    early_stopping : bool, default=False
        Set `validation_fraction` of the rows aside, stop when the validation loss no longer falls,
        and keep the weights with the lowest validation loss. By default, all rows are used for
        training.
    validation_fraction : float, default=0.1
        Fraction of the rows that `early_stopping` sets aside, drawn with `random_state` (for
        classifiers, in about the proportions of the classes). Rows of the same reduced composition
        are set aside together, so that the validation loss is that of new compositions; if the
        compositions have too many rows for this, a warning names the rows.
    n_iter_no_change : int, default=50
        Epochs without improvement after which `early_stopping` stops the training.
    warm_start : bool, default=False
        Let `fit` continue from the weights (and, for regressors, the scaling of the targets) of the
        previous `fit`. A target is scaled anew, and the output of the network adapted to it by a
        linear fit, if the fitted network misses it by more than half of its standard deviation, as
        when the unit is another one. `partial_fit` keeps the scaling.
    adversarial : StructureAttack, default=None
        Train on perturbed crystals: in every batch, each crystal is perturbed with a probability of
        one half. The attack uses the gradients of the network at its current weights, or, with
        ``method="random"``, random displacements. The parameter `estimator` of the attack must be
        None.
    extra : list of column names, transformer or None, default=None
        Further numbers for each crystal that the network reads beside the structure, such as a
        temperature, the level of a calculation or the energy of a potential:

        - A list names columns of numbers in a DataFrame `X`, which also has a column of structures,
          or of CrystalGraphs (`CrystalGraphs.with_extra`).
        - A transformer (or Pipeline) makes them from the structures, such as `PotentialFeaturizer`;
          one that reads tables, such as a ``ColumnTransformer``, is given the whole DataFrame. It
          is cloned and fitted on the training rows.

        The columns are scaled to mean 0 and standard deviation 1 over the training rows; a constant
        one is read as zero. Where the composition explains nine tenths of the variance of a column,
        as of an energy, the network also reads the rest: the column minus a linear model of the
        atomic fractions, fitted on the training rows, and scaled (zero for a crystal with an
        element that no training row has, as its rest is not known). The last layers read the
        columns, and the output has a term that is linear in them. The columns do not change with
        the positions: attacks, `adversarial` and attributions hold them fixed.
    device : str, default="auto"
        Device of the network. "auto" is CUDA if it is available, and the CPU otherwise.
    precision : {"float32", "bfloat16"}, default="float32"
        Precision of the matrix products in training and prediction. With "bfloat16", their results
        take half the memory, for large batches on a GPU; on a CPU it is slower. Predictions differ
        from those with "float32" by less than those of two seeds. Weights, sums, normalisations and
        the last layers stay in single precision, and so do attacks and attributions.
    random_state : int, RandomState or None, default=None
        Seed of the initial weights, the order of rows, dropout and the choice of validation rows.
        The random state of torch is not changed. An integer gives the same network in every run on
        the same machine.
    callbacks : list of skorch callbacks, default=None
        Called while training. Those that score or save the net, such as `EpochScoring`, are
        refused; one that monitors the validation loss needs ``early_stopping=True``.
    verbose : bool, default=False
        Show a progress bar over the epochs.
    n_iter_ : int
        Epochs trained.
    graph_settings_ : dict
        Settings of the graphs of `fit`, after edges beyond `cutoff` and `max_neighbors` were
        removed; `predict` builds graphs with the same settings.
    extra_columns_ : object or None
        Columns of `extra`: ``names``, ``mean``, ``scale`` and the fitted ``transformer``. None
        without `extra`.
    structure_column_ : object or None
        Name of the column of the DataFrame of `fit` that held the structures; `predict` reads the
        column of this name. None if `X` was no DataFrame.
    y_mean_ : ndarray of shape (n_targets,)
        Mean of the training rows' targets; see `warm_start`.
    y_scale_ : ndarray of shape (n_targets,)
        Standard deviation of the training rows' targets; see `warm_start`.
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted.
""")

_CGCNN = parameter_paragraphs("""
    max_epochs : int or "auto", default="auto"
        Number of passes over the training rows. "auto" is 100. For many rows (see `optimizer`) and
        "muon" it is as many as are needed for 14,000 steps, but at least 100 and at most 200.
    cutoff : float, default=None
        Largest distance of a neighbour (Å). ``None`` means the cutoff of given graphs, or 8.0 for
        structures, as in [1]_. From graphs with a larger cutoff, the edges beyond this value are
        removed, in `fit` and in `predict`. Graphs with a smaller cutoff raise an error; graphs with
        a larger one do so if reverse edges were added (`symmetrize` of `StructureToGraph`) or if a
        pymatgen strategy chose the neighbours.
    max_neighbors : int, default=None
        Neighbours per atom. ``None`` means the number in given graphs, or 12 for structures, as in
        [1]_. Given graphs are reduced as for `cutoff`. `StructureToGraph` has more options (ties,
        pymatgen strategies).
    atom_init : str, dict, DataFrame or path, default="physical"
        Element vectors, see `element_vectors`. With "physical", similar elements have similar
        vectors. A path may name the ``atom_init.json`` of the original code.
    hidden_dim : int or "auto", default="auto"
        Width of the atom vectors. "auto" is 32, where 64 is no more accurate and takes twice the
        time. For many rows (see `optimizer`) and "muon" it is 64, as in [1]_. A network that is
        trained further, or starts from another one, keeps its width.
    n_conv : int, default=3
        Number of graph convolutions.
    readout_dim : int, default=64
        Width of the layers after pooling.
    n_readout : int, default=1
        Number of layers after pooling.
    gaussian_step : float, default=0.2
        Distance between the centres of the Gaussian basis functions, and also their width (Å), as
        in [1]_.
    dropout : float, default=0.0
        Fraction of the last hidden layer that is set to zero at random during training.
    optimizer : {"auto", "adam", "muon", "sgd"}, default="auto"
        "adam" is AdamW, with decoupled weight decay. "muon" [2]_ changes all directions of a weight
        matrix equally fast, by orthogonal steps; all other weights are trained by AdamW. "auto" is
        "muon" for many rows if `lr` is "auto" too, and otherwise "adam". Many rows are more than
        1000 training rows and more than 100 for each element in them. With fewer, the small
        network with "adam" already fits the training rows much better than other rows, and "muon"
        was not more accurate. A network that is trained further keeps its optimizer; another one
        than "auto" or this is an error.
    lr : float or "auto", default="auto"
        Largest learning rate. "auto" is 0.004 for "muon" and 0.01 for other optimizers.
    lr_schedule : {"cosine", "constant", "step"}, default="cosine"
        "cosine": the rate rises over the first tenth of the steps, then falls to zero at
        `max_epochs`. The weights then no longer change, so early stopping, which needs validation
        rows, is not necessary. "constant" keeps `lr`. "step": the rate is divided by ten after
        four fifths of the steps, as in [1]_.
    momentum : float, default=0.9
        Momentum of the optimizer "sgd".
    weight_decay : float, default=0.0
        Weight decay; it is multiplied by the learning rate in each step.
    n_ensemble : int, default=1
        Number of networks, trained from different seeds, whose predictions are averaged.
    warm_start_from : path or FrozenEstimator, default=None
        A fitted CGCNN from whose weights `fit` starts: the path of a file that its ``save`` wrote,
        ``sklearn.frozen.FrozenEstimator(fitted)``, or a network of the original code as in
        `GraphEmbedding` (``"cgcnn:band-gap"``, or the path of a ``.pth.tar`` file). The fitted
        estimator itself is not accepted, because ``clone`` would remove its weights. Its network
        must have the same parameters, such as widths, and as many members, or one, from which all
        members then start. Graphs of structures are built with its settings. The statistics of its
        batch normalisations are replaced by those of the training rows, unless `freeze` keeps them.
        The targets may differ; with another number of targets, or other classes, the layers after
        pooling start from random weights.
    freeze : {"none", "embedding", "convolutions"}, default="none"
        Weights of `warm_start_from` that are not trained: none, the embedding of the element
        vectors, or the embedding and the convolutions (with the statistics of their batch
        normalisations), so that only the layers after pooling are trained.
    n_jobs : int, default=None
        Number of processes that build the graphs and train the members of an ensemble. With one
        process, the members are trained one after another.
    net_ : skorch.NeuralNet
        The trained net; the first one of an ensemble.
    nets_ : list of skorch.NeuralNet
        The trained nets of all members of the ensemble.
    auto_params_ : dict
        Values in the last training of `hidden_dim`, `optimizer`, `max_epochs` and `lr`, of those
        that are "auto".
    elements_ : ndarray of int
        Atomic numbers of the elements in the training rows.
    history_ : list of dict
        ``member``, ``epoch``, ``train_loss``, ``valid_loss`` (with early stopping), ``lr`` and
        ``dur`` (s) of each epoch.
""")

_ECNET = parameter_paragraphs("""
    max_epochs : int, default=100
        Number of passes over the training rows.
    cutoff : float, default=None
        Largest distance of a neighbour (Å). ``None`` means the cutoff of given graphs, or 6.0 for
        structures, as in [1]_. From graphs with a larger cutoff, the edges beyond this value are
        removed, in `fit` and in `predict`. Graphs with a smaller cutoff raise an error; graphs with
        a larger one do so if reverse edges were added (`symmetrize` of `StructureToGraph`) or if a
        pymatgen strategy chose the neighbours.
    max_neighbors : int, default=None
        Neighbours per atom. ``None`` means the number in given graphs, or, for structures, all
        neighbours within the cutoff. Given graphs are reduced as for `cutoff`.
    atom_init : str, dict, DataFrame or path, default="onehot"
        Element vectors, see `element_vectors`. With "onehot" the network learns a vector for each
        element, as in [1]_. With "physical", similar elements have similar vectors, so crystals
        with elements that no training row has can be predicted; on alloys it is less accurate.
    radial_step : float, default=0.25
        Distance between the grid points of the partial radial distributions (Å). With a
        larger step, the filters (see `radial_filter`) have fewer free values and are smoother.
    radial_spread : bool, default=True
        For each pair of elements, also use the standard deviation of the radial distribution over
        the atoms of the first element. [1]_ uses only the mean over these atoms. The standard
        deviations help most for alloys with more components than the training rows have.
    radial_filter : {"grid", "gaussian"}, default="grid"
        A filter is the weight of a neighbour as a function of its distance. "grid" learns its value
        at each grid point. "gaussian" is the filter of [1]_, a small network whose inputs are 50
        Gaussians of the distance. It needs ``radial_spread=False``, ignores `radial_step`, and uses
        a grid so fine that sums over neighbours are exact to single precision.
    hidden_dim : int, default=64
        Width of the elemental vectors.
    n_filters : int, default=64
        Number of filters in each convolution.
    n_conv : int, default=1
        Number of element convolutions.
    tower_dims : tuple of int, default=(64,)
        Widths of the hidden layers between elemental vectors and target. Each target has its own
        stack of hidden layers (tower).
    activation : {"silu", "shifted_softplus"}, default="silu"
        Activation function; [1]_ uses "shifted_softplus".
    normalize : bool, default=True
        Apply layer normalisation to the vectors of the elements before the convolutions and again
        before the towers. The network of [1]_ has no layer normalisation.
    pool : {"mean", "sum"}, default="mean"
        How the outputs of the towers for the elements of a crystal are combined: "mean" weights
        them by the atomic fractions, which suits quantities per atom; "sum" adds them without
        weights.
    dropout : float, default=0.0
        Fraction of the hidden units that is set to zero at random during training.
    lr : float, default=0.005
        Largest learning rate.
    lr_schedule : {"cosine", "constant", "step"}, default="cosine"
        "cosine": the rate rises over the first tenth of the steps, then falls to zero at
        `max_epochs`. The weights then no longer change, so early stopping, which needs validation
        rows, is not necessary. "constant" keeps `lr`. "step": the rate is divided by ten after
        four fifths of the steps.
    weight_decay : float, default=0.3
        Weight decay (AdamW); it is multiplied by the learning rate in each step.
    n_ensemble : int, default=8
        Number of networks whose predictions are averaged. They are trained together, on the same
        batches, from different initial weights.
    warm_start_from : path or FrozenEstimator, default=None
        A fitted ECNet from whose weights `fit` starts: the path of a file that its ``save`` wrote,
        or ``sklearn.frozen.FrozenEstimator(fitted)``. The fitted estimator itself is not accepted,
        because ``clone`` would remove its weights. Its network must have the same parameters, such
        as widths and filters, and the same number of members. Graphs of structures are built with
        its settings. The targets may differ; with another
        number of targets, or other classes, the towers start from random weights.
    freeze : {"none", "embedding", "convolutions"}, default="none"
        Weights of `warm_start_from` that are not trained: none, the embedding of the element
        vectors, or the embedding and the convolutions, so that only the towers are trained.
    n_jobs : int, default=None
        Processes that build graphs.
    net_ : skorch.NeuralNet
        The trained net; it holds all members of the ensemble.
    nets_ : list of skorch.NeuralNet
        ``[net_]``.
    elements_ : ndarray of int
        Atomic numbers of the elements in the training rows of this estimator and of
        `warm_start_from`.
    history_ : list of dict
        ``member`` (always 0), ``epoch``, ``train_loss``, ``valid_loss`` (with early stopping),
        ``lr`` and ``dur`` (s) of each epoch. Losses are summed over the members.
""")

_CGCNN_DIFFERENCES = """
    - The defaults are AdamW or Muon with a cosine schedule instead of SGD, for regression the
      absolute error instead of the squared error, and, for few rows, narrower layers.
      ``from_preset("xie2018")`` has the settings of the original.
    - If an atom has fewer than `max_neighbors` neighbours within the cutoff, the original replaces
      each missing neighbour by the first atom of the crystal, at a distance of 9 Å (the cutoff plus
      1 Å). Here this is done only for networks from `load_cgcnn_checkpoint`; in all other networks
      such an atom has fewer neighbours.
    - If `max_neighbors` is reached within a shell of equal distances, the whole shell is kept, so
      an atom can have more neighbours than `max_neighbors` (see `StructureToGraph`).
    - Values of the Gaussian basis functions below 1e-8 are set to zero, because denormal numbers
      are slow on many CPUs.
    - Validation rows come only from the rows that are given to `fit`.
"""

_CGCNN_REFERENCES = """
    .. [1] T. Xie, J. C. Grossman, "Crystal graph convolutional neural networks for an accurate and
       interpretable prediction of material properties", Phys. Rev. Lett. 120, 145301 (2018),
       :doi:`10.1103/PhysRevLett.120.145301`
    .. [2] J. Liu et al., "Muon is scalable for LLM training" (2025),
       :doi:`10.48550/arXiv.2502.16982`
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
