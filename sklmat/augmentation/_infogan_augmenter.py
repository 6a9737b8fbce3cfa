"""`InfoGANAugmenter`: rows that an InfoGAN generates for compositions and lattices."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import zero_one_loss
from sklearn.utils._param_validation import HasMethods, Hidden, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklmat.argument_checks import checked_arguments
from sklmat.augmentation._base_augmenter import BaseAugmenter
from sklmat.augmentation._codes import (
    check_codes,
    code_groups,
    find_blocks,
    find_codes,
    sample_codes,
)
from sklmat.augmentation._dataframes import as_table, is_pandas, is_polars
from sklmat.augmentation._derived_columns import DerivedColumns
from sklmat.augmentation._infogan_file import load_augmenter, save_augmenter
from sklmat.augmentation._iterated_gan import IteratedGAN
from sklmat.augmentation._known_labels import KnownLabelsRegressor
from sklmat.augmentation._labeler import check_labeler, default_labeler
from sklmat.augmentation._quality_report import quality_report
from sklmat.augmentation._sampling_strategy import OVER_SAMPLING, rows_per_class
from sklmat.augmentation._shared_docstrings import SAMPLER_PARAGRAPHS
from sklmat.augmentation._table_codec import TableCodec, TargetCodec
from sklmat.docstrings import insert_paragraphs
from sklmat.parameter_constraints import MOST_LAYERS, MOST_MEMBERS, MOST_UNITS, Interval
from sklmat.random_state import draw_seed
from sklmat.recorded_warnings import frames_inside
from sklmat.row_groups import hold_out_rows
from sklmat.targets import number_array
from sklmat.training import check_device

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from sklmat.augmentation import QualityReport
    from sklmat.typing import ArrayLike, PathLike, RandomState, Table

#: A GAN has collapsed where the standard deviation of generated features, relative to that of real
#: ones, is below this.
_MIN_VARIATION = 0.25


@insert_paragraphs(SAMPLER_PARAGRAPHS)
class InfoGANAugmenter(BaseAugmenter):
    """Add rows that an InfoGAN generates for new compositions and phases.

    Each column of the table belongs either to the *code* of a row (fractions of the elements,
    lattice) or to its features (such as the elemental vectors of a graph network). A
    generator computes features from a code and noise, a discriminator separates real from generated
    features, and an information head predicts the code from the features. The trained generator
    gives the features of compositions without a structure. Their targets are predicted by the
    `labeler`, a regressor or classifier that is trained on the real rows.

    Parameters
    ----------
    code_features : sequence of str or int, callable or None, default=None
        The code columns: names, positions, or a function of the table that returns them. ``None``
        takes the fractions ``x_*`` and the 0/1 columns ``lattice_*`` and ``phase_*`` by name, and
        on a plain array the leading columns whose rows sum to one.
    {n_samples}
    sampling_strategy : float, str, dict, callable or None, default=None
        For classes: fill up rare classes instead of adding `n_samples` rows. For each of these
        classes, an InfoGAN is trained on its rows alone, and all rows that it generates belong to
        the class, so that no labeler is used. The values are those of imbalanced-learn: "auto"
        fills up all classes to the size of the most frequent one, "minority" only the rarest; a
        float is the number of rows of the rare class over that of the other, for two classes; a
        dict holds the wanted number of rows of each class, real ones included.
    code_sampling : {"permute", "interpolate", "uniform"}, default="permute"
        Codes of generated rows. "permute" assigns the fractions of a real row to the elements in a
        random order, so that generated rows have as many components, in the same ratios, as real
        ones, but other elements; a data set usually contains only some of these compositions.
        "interpolate" mixes the fractions of two real rows with the same values in the 0/1 columns
        (``lattice_*``, ``phase_*``). "uniform" draws uniformly from the simplex of all elements.
        Lattices and phases are as frequent as among the real rows.
    latent_dim : int, default=4
        Number of noise components.
    hidden_dim : int, default=64
        Width of the networks.
    n_layers : int, default=2
        Hidden layers of the generator, and of the layers shared by discriminator and information
        head.
    n_ensemble : int, default=5
        Number of GANs in the ensemble, each with its own initial weights. Each generated row comes
        from one of them.
    info_weight : float, default=1.0
        Weight of the mutual information of code and features, in the losses of generator and
        discriminator.
    reconstruction_weight : float, default=1.0
        Weight of the squared distance between a real row and the row generated for its code.
    moment_weight : float, default=0.0
        Weight of a loss that compares real and generated batches: the squared distance between
        their means and second moments.
    penalty_weight : float, default=1.0
        Weight of the squared gradient of the discriminator at real rows, which keeps the training
        stable.
    max_epochs : int, default=500
        Passes over the real rows.
    batch_size : int or None, default=None
        Real rows per training step. ``None`` takes a quarter of the rows, at least 16 and at most
        64.
    lr : float, default=0.002
        Learning rate of Adam for generator and discriminator, with cosine decay.
    labeler : regressor, classifier or None, default=None
        Predicts the targets of generated rows, after training on the real rows. The default for
        numeric targets is the mean of two Gaussian processes: the inputs of the first are the
        features, weighted by the fractions of their elements; the inputs of the second are the code
        alone. The default for classes is a vote of trees and a linear model. If some of several
        numeric targets are missing (NaN) in some rows, a clone of the labeler is trained for each
        target, on the rows whose label is known.
    max_uncertainty : float, array-like or None, default=None
        Generated rows whose label has a larger uncertainty are discarded and drawn again. For
        numeric targets the uncertainty is the standard deviation of the labeler (from its
        ``return_std`` or the spread of its ``estimators_``) in units of `y`, with one limit for all
        targets or one for each; for classes it is one minus the probability. The default keeps all
        rows, because a limit did not improve results on alloys. Labelers that are ensembles raise
        an error if their prediction is not the mean of their ``estimators_``.
    n_iterations : int, default=1
        If larger than one, generated rows and their labels are added to the training rows of the
        next GAN, with the target as a part of the code, as in [1]_. The iterations stop when the
        error on held-out rows no longer decreases. All iterations up to the best one are then
        repeated on all rows, which more than doubles the time.
    validation_fraction : float, default=0.2
        Fraction of the rows that are held out to choose the number of iterations; not used with
        ``n_iterations=1``. Rows of the same composition are held out together. With classes, it is
        this fraction of each class, and a class with a single row is for training.
    {y_range}
    device : str, default="auto"
        Device on which the networks are trained. "auto" is CUDA if it is available, and the CPU
        otherwise. After the training they are on the CPU. The random numbers are the same on all
        devices.
    random_state : int, RandomState or None, default=None
        Seed of weights, batches, noise and codes.
    verbose : bool, default=False
        Show a progress bar over the epochs.

    Attributes
    ----------
    code_features_ : ndarray of int
        Positions of the code columns.
    gans_ : list of InfoGAN
        The trained networks: for each iteration one `InfoGAN`, which holds the generators,
        discriminators and information heads of all `n_ensemble` members.
    history_ : list of dict
        For each epoch ``iteration`` and ``epoch``, counted from one; the losses ``discriminator``,
        ``generator``, ``information``, ``reconstruction`` and, with a `moment_weight`, ``moments``,
        each before it is multiplied by its weight, mean over the ensemble; and the duration ``dur``
        of the epoch in seconds.
    labeler_ : regressor, classifier or None
        Fitted on the real rows; a class is encoded as its position in `classes_`. None if `fit` was
        given no targets.
    sampling_strategy_ : dict
        With `sampling_strategy`: class -> number of rows that `fit_resample` adds.
    samplers_ : dict
        With `sampling_strategy`: class -> InfoGANAugmenter that was fitted on the rows of the
        class. Their `sample` and `quality_report` replace those of this sampler.
    n_iterations_ : int
        Number of iterations that were kept.
    validation_errors_ : list of float
        With ``n_iterations > 1``: error of the labeler after each iteration, on features generated
        for the codes of the held-out rows. It is the root mean square error in units of the
        standard deviation of `y`, or the fraction of wrong classes.
    {classes_}
    sample_origin_ : ndarray of int, shape (n + n_generated,)
        After `fit_resample`: 0 for real rows, k for those generated in iteration k.
    {n_features_in_}
    {feature_names_in_}

    Warns
    -----
    ConvergenceWarning
        When a GAN collapsed: generated features vary by less than a quarter of the variation of
        real ones. When a KeyboardInterrupt ended the training of a GAN: this GAN is kept as it is,
        and the next ones are still trained.

    See Also
    --------
    MixupAugmenter, NoiseAugmenter : Simpler samplers, as baselines.
    AugmentedRegressor : Uses a sampler inside scikit-learn's own Pipeline.

    Notes
    -----
    The code columns of a generated row hold exactly the code for which it was generated. Columns
    that describe an element, such as ``Fe_3``, are exactly zero in rows without this element
    (``x_Fe`` is 0). In a plain array, a column describes an element if it is zero in all rows in
    which the fraction of this element is zero. Columns of `CompositionFeaturizer`, such as ``mean
    group``, are no features: they are computed from the fractions of a generated row. Features are
    standardised for the training and scaled back in generated rows.

    If few compositions of many are among the real rows, generate more rows than the default, to
    cover the others: the benchmarks on high-entropy alloys use ``n_samples=1000``.

    Differences from [1]_ and its code: the generator is trained (in the code, its output is
    detached from its loss, so that it gets no gradient); the information head is trained on real
    rows too, so that codes and features are related in the same way in real and in generated rows;
    the discriminator's gradient is penalised; the reconstruction loss compares generated features
    with the real ones of the same code; several GANs form an ensemble. As in [2]_ the code is no
    input of the discriminator, so without the information and reconstruction losses the generator
    could ignore the code.

    The networks are small. On a CPU they are trained on one thread. On a GPU, each step is a CUDA
    graph, in which all sums have a fixed order.

    References
    ----------
    .. [1] Y. Sun, C. Hou, N.-D. Tran, Y. Lu, Z. Li, Y. Chen, J. Ni, "EFTGAN: Elemental features and
       transferring corrected data augmentation for the study of high-entropy alloys", npj Comput.
       Mater. 11, 54 (2025).
    .. [2] X. Chen, Y. Duan, R. Houthooft, J. Schulman, I. Sutskever, P. Abbeel, "InfoGAN:
       Interpretable representation learning by information maximizing generative adversarial nets"
       (2016), :arxiv:`1606.03657`.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklmat import InfoGANAugmenter
    >>> rng = np.random.default_rng(0)
    >>> x = rng.uniform(size=60)
    >>> X = pd.DataFrame({"x_Fe": x, "x_Ni": 1 - x})
    >>> X["Fe_0"], X["Ni_0"] = np.sin(2 * x), x**2
    >>> y = X["Fe_0"] - X["Ni_0"]
    >>> augmenter = InfoGANAugmenter(n_samples=20, max_epochs=100, n_ensemble=1, random_state=0)
    >>> X_more, y_more = augmenter.fit_resample(X, y)
    >>> X_more.shape, augmenter.sample_origin_.sum()
    ((80, 4), np.int64(20))
    >>> new = augmenter.sample(pd.DataFrame({"x_Fe": [0.25], "x_Ni": [0.75]}))
    >>> new[["Fe_0", "Ni_0"]].round(1)  # the true values are 0.48 and 0.06
       Fe_0  Ni_0
    0   0.5   0.1
    """

    _parameter_constraints: dict = {
        "code_features": ["array-like", str, callable, None],
        "sampling_strategy": [*OVER_SAMPLING, None],
        "code_sampling": [StrOptions({"permute", "interpolate", "uniform"})],
        "latent_dim": [Interval(Integral, 1, MOST_UNITS, closed="both")],
        "hidden_dim": [Interval(Integral, 1, MOST_UNITS, closed="both")],
        "n_layers": [Interval(Integral, 1, MOST_LAYERS, closed="both")],
        "n_ensemble": [Interval(Integral, 1, MOST_MEMBERS, closed="both")],
        "info_weight": [Interval(Real, 0, None, closed="left")],
        "reconstruction_weight": [Interval(Real, 0, None, closed="left")],
        "moment_weight": [Interval(Real, 0, None, closed="left")],
        "penalty_weight": [Interval(Real, 0, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "labeler": [HasMethods(["fit", "predict"]), None],
        "max_uncertainty": [Interval(Real, 0, None, closed="neither"), "array-like", None],
        "n_iterations": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "device": [str, Hidden(torch.device)],
        "verbose": ["verbose"],
        **BaseAugmenter._parameter_constraints,
    }

    _labels_may_be_missing = True

    def __init__(
        self,
        code_features: Sequence[str | int] | Callable[..., Any] | None = None,
        *,
        n_samples: int | float = 1.0,
        sampling_strategy: float | str | Mapping[Any, int] | Callable[..., Any] | None = None,
        code_sampling: Literal["permute", "interpolate", "uniform"] = "permute",
        latent_dim: int = 4,
        hidden_dim: int = 64,
        n_layers: int = 2,
        n_ensemble: int = 5,
        info_weight: float = 1.0,
        reconstruction_weight: float = 1.0,
        moment_weight: float = 0.0,
        penalty_weight: float = 1.0,
        max_epochs: int = 500,
        batch_size: int | None = None,
        lr: float = 0.002,
        labeler: BaseEstimator | None = None,
        max_uncertainty: float | ArrayLike | None = None,
        n_iterations: int = 1,
        validation_fraction: float = 0.2,
        y_range: tuple[ArrayLike | float | None, ArrayLike | float | None] | None = None,
        device: str = "auto",
        random_state: RandomState = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(n_samples=n_samples, y_range=y_range, random_state=random_state)
        self.code_features = code_features
        self.sampling_strategy = sampling_strategy
        self.code_sampling = code_sampling
        self.latent_dim = latent_dim
        self.hidden_dim = hidden_dim
        self.n_layers = n_layers
        self.n_ensemble = n_ensemble
        self.info_weight = info_weight
        self.reconstruction_weight = reconstruction_weight
        self.moment_weight = moment_weight
        self.penalty_weight = penalty_weight
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.labeler = labeler
        self.max_uncertainty = max_uncertainty
        self.n_iterations = n_iterations
        self.validation_fraction = validation_fraction
        self.device = device
        self.verbose = verbose

    @checked_arguments()
    def sample(self, codes: int | Table, *, noise: bool = True) -> Any:
        """Generate rows, without targets.

        Parameters
        ----------
        codes : int, DataFrame or array of shape (n, n_codes)
            The number of rows, whose codes are then drawn at random (see `code_sampling`); or the
            codes of the rows: a DataFrame with (at least) the code columns, or an array with the
            columns in the order of `code_features_`.
        noise : bool, default=True
            Draw noise and a member of the ensemble at random for each row. ``False`` gives the mean
            of the members at zero noise, the best estimate of the features.

        Returns
        -------
        rows : DataFrame or ndarray of shape (n, F)
            Complete rows: a DataFrame if `fit` was given one. It is a polars DataFrame if `codes`
            is one, or if `codes` is no DataFrame and `fit` was given a polars DataFrame. With an
            integer `random_state`, the same call gives the same rows.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            When a code column is missing, when fractions are negative or do not sum to one, when
            the 0/1 columns of lattices or phases do not contain exactly one 1, or when no training
            row had the element, lattice or phase.
        """
        check_is_fitted(self)
        self._refuse_class_samplers("sample")
        rng, index = self._generator(), None
        if isinstance(codes, Integral):
            if codes < 0:
                raise ValueError(f"the number of rows to sample must not be negative, got {codes}")
            self._refuse_beyond_memory(int(codes), "codes")
            rows = self._draw_codes(int(codes), rng)
        else:
            rows = check_codes(codes, self._gan.codec, self._names())
            index = getattr(codes, "index", None) if is_pandas(codes) else None
        generated = self._gan.generate(rows, rng if noise else None)
        polars = is_polars(codes) or (self._fitted_on_polars and not is_pandas(codes))
        return as_table(generated, self._names(), index, polars=polars)

    def quality_report(self, X: Table) -> QualityReport:
        """Compare real rows with rows generated for their codes.

        Parameters
        ----------
        X : DataFrame of pandas or polars, or array, of shape (n, F)
            Real rows, preferably rows that were not used in `fit`.

        Returns
        -------
        report : QualityReport
            Distances of each column, difference of the correlations, distance to the nearest
            training row, how well a classifier separates real from generated rows, and how well
            the code is predicted from the features; see `QualityReport`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            When the rows have other columns than those of `fit`, or codes that `sample` refuses.
        """
        check_is_fitted(self)
        self._refuse_class_samplers("quality_report")
        real = self._check_rows(X)
        codec, names = self._gan.codec, self._names()
        rows = check_codes(real[:, codec.columns], codec, names)
        generated = self._gan.generate(rows, self._generator())
        if names is None:
            names = [f"column {k}" for k in range(real.shape[1])]
        return quality_report(real, generated, self._rows, codec, list(names))

    @checked_arguments()
    def save(self, path: PathLike) -> None:
        """Write the fitted sampler to one file, which holds numbers and JSON and no code.

        Parameters
        ----------
        path : str or path-like
            A safetensors file. It contains the training rows, too.

        Raises
        ------
        ValueError
            When `labeler` is an estimator of yours, the targets are classes, or `code_features` is
            a function: write such a sampler with ``joblib.dump``.
        """
        check_is_fitted(self)
        self._refuse_class_samplers("save")
        save_augmenter(self, self._gan, self._rows, path)

    @classmethod
    @checked_arguments()
    def load(cls, path: PathLike) -> Self:
        """Read a sampler that `save` wrote.

        Parameters
        ----------
        path : str or path-like
            Path of a file that ``save`` has written.

        Returns
        -------
        augmenter : InfoGANAugmenter
            Fitted. Without codes in a DataFrame, it samples DataFrames of pandas.

        Raises
        ------
        ValueError
            When the file does not hold an InfoGANAugmenter.
        """
        augmenter, gan, rows = load_augmenter(cls, path)
        augmenter._gan, augmenter._rows, augmenter._fitted_on_polars = gan, rows, False
        return augmenter

    def _validate_params(self):
        super()._validate_params()
        check_device(self.device)

    def _learn(self, X, y):
        self._check_uncertainty(y)
        for fitted in ("samplers_", "sampling_strategy_"):
            vars(self).pop(fitted, None)
        codes = find_codes(self._names(), X, self.code_features)
        self._derived = DerivedColumns(self._names(), codes, X)
        if len(codes.columns) == X.shape[1]:
            raise ValueError(
                "every column is a code column, so there is nothing to generate; add features, or "
                "name fewer columns as code_features"
            )
        if self.sampling_strategy is not None:
            self._check_classes()
        if y is None and self.n_iterations > 1:
            raise ValueError("n_iterations > 1 puts the target into the code, so fit needs y")
        if self.classes_ is not None and len(self.classes_) == 1:
            raise ValueError(
                f"y holds the class {self.classes_.tolist()[0]!r} only, so there is nothing to "
                "label by; pass rows of another class too, or floats if y is a quantity"
            )
        self.code_features_, self._rows = codes.columns, X
        blocks = find_blocks(self._names(), X, codes)
        seed = draw_seed(self.random_state)
        self.n_iterations_, self.validation_errors_ = 1, []
        if self.sampling_strategy is not None:
            self._learn_classes(X, y, seed)
            return
        if self.n_iterations > 1:
            self.n_iterations_ = self._choose_iterations(X, y, codes, blocks, seed)
        self._gan = self._new_gan(X, y, codes, blocks, seed)
        for _ in range(self.n_iterations_):
            self._train_next(self._gan, X, y, seed)
        self.gans_, self.history_ = self._gan.gans, self._gan.history
        self.labeler_ = self._gan.labeler
        self._warn_of_collapse(X)

    def _check_classes(self):
        """Refuse a target and parameters that do not go with `sampling_strategy`."""
        if self.classes_ is None:
            raise ValueError(
                "sampling_strategy fills up classes, and y is missing or holds floats, which are a "
                "numeric target: pass the classes as strings, integers or booleans"
            )
        defaults = {"labeler": None, "max_uncertainty": None, "n_iterations": 1}
        given = [name for name, default in defaults.items() if getattr(self, name) != default]
        if given:
            raise ValueError(
                f"{' and '.join(given)} concern predicted labels; with sampling_strategy, rows "
                "have the class that their InfoGAN was trained on: leave one of them out"
            )

    def _learn_classes(self, X, y, seed):
        """Train a sampler for each class to fill up, on its rows."""
        labels = self.classes_[y]
        numbers = rows_per_class(self.sampling_strategy, labels, "over-sampling")
        self._refuse_beyond_memory(sum(numbers.values()), "rows of sampling_strategy")
        self.sampling_strategy_ = numbers
        self.samplers_, self.gans_, self.history_, self.labeler_ = {}, [], [], None
        for label in numbers:
            rows = X[labels == label]
            if len(rows) < 2:
                raise ValueError(
                    f"class {label!r} has a single row, and an InfoGAN needs at least two: leave "
                    "the class out of sampling_strategy"
                )
            sampler = clone(self).set_params(
                sampling_strategy=None,
                code_features=self.code_features_.tolist(),
                random_state=seed,
            )
            sampler.fit(as_table(rows, self._names()))
            self.samplers_[label] = sampler
            self.gans_ += sampler.gans_
            self.history_ += sampler.history_

    def _refuse_class_samplers(self, method):
        if hasattr(self, "samplers_"):
            raise ValueError(
                f"with sampling_strategy there is an InfoGAN for each class: call {method} of one "
                f"of samplers_, which has the classes {list(self.samplers_)}"
            )

    def _n_new(self, n_real):
        if self.sampling_strategy is None:
            return super()._n_new(n_real)
        return sum(self.sampling_strategy_.values())

    def _choose_iterations(self, X, y, codes, blocks, seed):
        """Number of iterations with the least error on validation rows."""
        train, validation = hold_out_rows(
            np.arange(len(X)),
            self.validation_fraction,
            groups=code_groups(X, codes),
            seed=seed,
            classes=None if self.classes_ is None else y,
            purpose="n_iterations",
        )
        gan = self._new_gan(X[train], y[train], codes, blocks, seed)
        errors = self.validation_errors_
        while len(errors) < self.n_iterations:
            self._train_next(gan, X[train], y[train], seed)
            errors.append(self._error(gan, X[validation], y[validation]))
            if len(errors) > 1 and errors[-1] >= errors[-2]:
                break
        return 1 + int(np.argmin(errors))

    def _error(self, gan, X, y):
        """Error of the labeler on features that are generated for the codes of validation rows."""
        labels = gan.label(gan.generate(X))[0]
        if self.classes_ is not None:
            return float(zero_one_loss(y, labels))
        encode = gan.target_codec.encode
        return float(np.sqrt(np.nanmean((encode(labels) - encode(y)) ** 2)))

    def _new_gan(self, X, y, codes, blocks, seed):
        """Fit scales and labeler on the rows; no network is trained yet."""
        names, labeler, target_codec = self._names(), None, None
        if y is not None:
            if self.labeler is None:
                labeler = default_labeler(self.classes_, codes, blocks, seed)
            else:
                labeler = check_labeler(self.labeler, self.classes_)
            if np.isnan(y).any():
                labeler = KnownLabelsRegressor(labeler)
            labeler.fit(as_table(X, names), y.ravel() if y.shape[1:] == (1,) else y)
            target_codec = TargetCodec(y, self.classes_)
        return IteratedGAN(
            TableCodec(codes, blocks, X, self._derived),
            target_codec,
            labeler,
            names,
            network={
                "n_members": self.n_ensemble,
                "latent_dim": self.latent_dim,
                "hidden_dim": self.hidden_dim,
                "n_layers": self.n_layers,
            },
            training={
                "max_epochs": self.max_epochs,
                "batch_size": self.batch_size,
                "device": self.device,
                "verbose": self.verbose,
                "lr": self.lr,
                "info_weight": self.info_weight,
                "reconstruction_weight": self.reconstruction_weight,
                "moment_weight": self.moment_weight,
                "penalty_weight": self.penalty_weight,
            },
        )

    def _train_next(self, gan, X, y, seed):
        """Train the network of the next iteration."""
        iteration = len(gan.gans)
        if not iteration:
            gan.train_next(X, None, seed)
            return
        # As in the paper, rows of the last GAN with their labels join the training rows.
        rng = np.random.default_rng(seed + iteration)
        codes = sample_codes(gan.codec, X, len(X), self.code_sampling, rng)
        generated = gan.generate(codes, rng)
        # The target is a part of the code, so real rows with a missing label are left out.
        known = ~np.isnan(y.reshape(len(y), -1)).any(axis=1)
        target = np.concatenate([y[known], gan.label(generated)[0]])
        gan.train_next(np.vstack([X[known], generated]), target, seed + iteration)

    def _generate(self, n, rng):
        if self.sampling_strategy is not None:
            return self._generate_classes()
        rows = self._gan.generate(self._draw_codes(n, rng), rng)
        limit = self.max_uncertainty
        labels, uncertainty = self._gan.label(rows, limit is not None)
        if limit is not None:
            certain = (uncertainty <= np.asarray(limit)).reshape(n, -1).all(axis=1)
            rows, labels = rows[certain], labels[certain]
        return rows, labels, np.full(len(rows), self.n_iterations_)

    def _generate_classes(self):
        """Return all rows of all classes that are filled up."""
        numbers = self.sampling_strategy_
        rows = [np.asarray(self.samplers_[label].sample(numbers[label])) for label in numbers]
        positions = np.searchsorted(self.classes_, list(numbers))
        return np.vstack(rows), np.repeat(positions, list(numbers.values()))

    def _draw_codes(self, n, rng):
        return sample_codes(self._gan.codec, self._rows, n, self.code_sampling, rng)

    def _names(self):
        return getattr(self, "feature_names_in_", None)

    def _check_uncertainty(self, y):
        """Refuse a `max_uncertainty` that does not fit the target."""
        if self.max_uncertainty is None:
            return
        limit = number_array(self.max_uncertainty, "max_uncertainty")
        n_targets = limit.size if y is None else y[:1].size
        if limit.ndim > 1 or limit.size not in (1, n_targets) or not (limit > 0).all():
            raise ValueError(
                f"max_uncertainty must be a positive number, or one for each of {n_targets} "
                f"targets, got {self.max_uncertainty!r}"
            )

    def _report_shortage(self, n_accepted, n):
        if not n_accepted and self.max_uncertainty is not None:
            raise ValueError(
                f"no generated row had a label within max_uncertainty={self.max_uncertainty!r} and "
                f"y_range={self.y_range!r}; raise max_uncertainty or widen y_range"
            )
        super()._report_shortage(n_accepted, n)

    def _warn_of_collapse(self, X):
        """Compare the variation of generated and real features over rows that have the element."""
        generated = self._gan.generate(X, np.random.default_rng(0))
        codec = self._gan.codec
        absent = ~codec.present(X)
        real_deviation, deviation = (
            np.ma.array(codec.encode_features(rows), mask=absent).std(axis=0)
            for rows in (X, generated)
        )
        varies = real_deviation.filled(0) > 0
        if not varies.any():
            return
        ratio = np.median((deviation / real_deviation)[varies].filled(0))
        if ratio < _MIN_VARIATION:
            warnings.warn(
                f"the InfoGAN has collapsed: generated features vary by {ratio:.0%} of what real "
                "ones do (median over columns); use more epochs, another lr, or a larger "
                "reconstruction_weight or penalty_weight",
                ConvergenceWarning,
                stacklevel=frames_inside(),
            )
