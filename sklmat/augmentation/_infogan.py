"""Augmentation by an InfoGAN whose code is what a row is made of."""

import warnings
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import zero_one_loss
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklmat.augmentation._base import BaseAugmenter
from sklmat.augmentation._code_sampling import check_codes, sample_codes
from sklmat.augmentation._codes import find_blocks, find_codes
from sklmat.augmentation._labels import check_labeler, default_labeler, label_rows
from sklmat.augmentation._quality import quality_report
from sklmat.augmentation._scaling import TableCodec
from sklmat.networks import InfoGAN
from sklmat.training import seeded
from sklmat.training._gan import train_gan

#: A column whose generated spread is below this fraction of the real one is called collapsed.
_COLLAPSED = 0.25


class InfoGANAugmenter(BaseAugmenter):
    """Add rows that an InfoGAN generates for codes of its own: compositions and phases.

    The columns of a table fall into a *code*, which says what a row is (fractions of the elements,
    lattice), and features, which say how it looks (what a network has learned of each element in
    it). A generator makes features from a code and noise, a discriminator judges whether they could
    be real, and an information head reads the code back from them. Once trained, the generator
    gives the features of compositions for which there is no structure, and a regressor trained on
    the real rows, the `labeler`, gives their targets.

    Parameters
    ----------
    code_features : sequence of str or int, callable or None, default=None
        The code columns: names, places, or a function of the table that returns them. ``None``
        takes the fractions ``x_*`` and the 0/1 columns ``lattice_*`` and ``phase_*`` by name, and
        on a plain array the leading columns whose rows sum to one.
    n_samples : int or float, default=5.0
        How many rows to generate: an int is their number, a float a multiple of the real rows.
    code_sampling : {"interpolate", "uniform"}, default="interpolate"
        Codes of generated rows: mixtures of two real rows of the same categories, or uniform on the
        simplex of all elements, the categories as often as among the real rows. Mixtures stay where
        there are data.
    latent_dim : int, default=4
        Length of the noise.
    hidden_dim : int, default=64
        Width of the networks.
    n_layers : int, default=2
        Hidden layers of the generator, and of what discriminator and information head share.
    n_ensemble : int, default=5
        GANs that are trained side by side, each from weights of its own; a generated row comes from
        one of them in turn.
    info_weight : float, default=1.0
        Weight of the mutual information of code and features, in the losses of both sides.
    reconstruction_weight : float, default=1.0
        Weight of the squared distance between a real row and what is generated for its code.
    moment_weight : float, default=0.0
        Weight of the squared distance between means and second moments of real and generated
        batches.
    penalty_weight : float, default=1.0
        Weight of the squared slope of the discriminator at real rows, which keeps the game stable.
    max_epochs : int, default=500
        Passes over the real rows.
    batch_size : int or None, default=None
        ``None`` takes a quarter of the rows, at least 16 and at most 64.
    lr : float, default=0.002
        Learning rate of Adam for both sides, falling along half a cosine.
    labeler : regressor, classifier or None, default=None
        Trained on the real rows, labels the generated ones. ``None`` takes, for numbers, the mean
        of two Gaussian processes, of which one reads the features weighted by the fractions of
        their elements and one the code alone; for classes, a vote of trees and a linear model.
    max_uncertainty : float, array-like or None, default=None
        Generated rows whose label is less sure are thrown away and drawn again: standard deviation
        of the labeler (from its ``return_std`` or the spread of its ``estimators_``), in units of
        `y`, one number or one for each target; for classes, one minus the probability. The default
        keeps all: on alloys, filtering did not help.
    n_iterations : int, default=1
        With more than one, labelled rows go back into the training of further GANs, with the target
        as a part of the code, as in the paper. It ends when the error on rows held out for that
        purpose stops falling, and then all rows are used for the best number of iterations.
    validation_fraction : float, default=0.2
        Rows held out to choose the number of iterations; not used with ``n_iterations=1``.
    y_range : (low, high) or None, default=None
        Generated rows with a label outside are thrown away and drawn again.
    random_state : int, RandomState or None, default=None
        Seed of weights, batches, noise and codes.
    verbose : bool, default=False
        Show a progress bar over the epochs.

    Attributes
    ----------
    code_features_ : ndarray of int
        Places of the code columns.
    gans_ : list of InfoGAN
        The trained networks, one for each iteration.
    history_ : list of dict
        Losses of each epoch (``discriminator``, ``generator``, ``information``,
        ``reconstruction``), with the number of the iteration.
    labeler_ : regressor or classifier
        Fitted on the real rows; only where `fit` was given targets.
    n_iterations_ : int
        Iterations that were kept.
    validation_errors_ : list of float
        With ``n_iterations > 1``: error of the labeler on features generated for the codes of the
        rows held out, after each iteration: root mean square in units of the standard deviation of
        `y`, or the fraction of wrong classes.
    classes_ : ndarray or None
        The classes, where the target is one.
    sample_origin_ : ndarray of int, shape (n + n_generated,)
        After `fit_resample`: 0 for real rows, k for those generated in iteration k.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Their names, where `X` was a DataFrame.

    Warns
    -----
    ConvergenceWarning
        When a GAN collapsed: what it generates varies by less than a quarter of what is real.

    See Also
    --------
    MixupAugmenter, NoiseAugmenter : The controls that it has to beat.
    AugmentedRegressor : Uses it inside scikit-learn's own Pipeline.

    Notes
    -----
    Generated rows carry their codes exactly, and columns of absent elements (``Fe_3`` where
    ``x_Fe`` is 0; on plain arrays columns that are zero wherever a fraction is) are exactly zero.
    Scaling is learned and undone inside.

    Where this differs from the paper [1]_ and its code: the generator is trained at all (there its
    output is detached from its loss); real rows teach the information head too, so that a code
    means the same for both; the discriminator's slope is penalised; the reconstruction term ties
    generated features to the real ones of the same code; several GANs share the work. As in [2]_
    the discriminator does not see the code, so without information and reconstruction the generator
    is free to ignore it.

    The networks are small, and are trained on one thread of the CPU.

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
    >>> augmenter = InfoGANAugmenter(n_samples=20, max_epochs=150, random_state=0)
    >>> X_more, y_more = augmenter.fit_resample(X, y)
    >>> X_more.shape, augmenter.sample_origin_.sum()
    ((80, 4), np.int64(20))
    >>> new = augmenter.sample(pd.DataFrame({"x_Fe": [0.25], "x_Ni": [0.75]}))
    >>> bool(abs(new["Fe_0"] - np.sin(0.5))[0] < 0.15)
    True
    """

    _parameter_constraints: dict = {
        "code_features": ["array-like", str, callable, None],
        "code_sampling": [StrOptions({"interpolate", "uniform"})],
        "latent_dim": [Interval(Integral, 1, None, closed="left")],
        "hidden_dim": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "n_ensemble": [Interval(Integral, 1, None, closed="left")],
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
        "verbose": ["verbose"],
        **BaseAugmenter._parameter_constraints,
    }

    def __init__(
        self,
        code_features=None,
        *,
        n_samples=5.0,
        code_sampling="interpolate",
        latent_dim=4,
        hidden_dim=64,
        n_layers=2,
        n_ensemble=5,
        info_weight=1.0,
        reconstruction_weight=1.0,
        moment_weight=0.0,
        penalty_weight=1.0,
        max_epochs=500,
        batch_size=None,
        lr=0.002,
        labeler=None,
        max_uncertainty=None,
        n_iterations=1,
        validation_fraction=0.2,
        y_range=None,
        random_state=None,
        verbose=False,
    ):
        super().__init__(n_samples=n_samples, y_range=y_range, random_state=random_state)
        self.code_features = code_features
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
        self.verbose = verbose

    def sample(self, codes, *, noise=True):
        """Generate rows, without targets.

        Parameters
        ----------
        codes : int, DataFrame or array of shape (n, n_codes)
            A number of rows, whose codes are drawn as `code_sampling` says; or their codes: a
            DataFrame with (at least) the code columns, or an array with these columns in the order
            of the table.
        noise : bool, default=True
            Draw noise, and one member of the ensemble for each row. ``False`` gives the mean of the
            members without noise: the best guess of the features.

        Returns
        -------
        rows : DataFrame or ndarray of shape (n, F)
            Complete rows, a DataFrame where `fit` was given one.

        Raises
        ------
        ValueError
            When fractions are negative or do not sum to one, when a category is not one of the
            fitted ones, or a code column is missing.
        """
        check_is_fitted(self)
        rng = self._generator()
        if isinstance(codes, Integral):
            rows = sample_codes(self._codec, self._rows, int(codes), self.code_sampling, rng)
            index = None
        else:
            rows = check_codes(codes, self._codec, getattr(self, "feature_names_in_", None))
            index = getattr(codes, "index", None)
        rows = self._follow(rows, rng, noise)[-1]
        return self._as_table(rows, index)

    def quality_report(self, X):
        """Compare real rows with rows generated for their codes.

        Parameters
        ----------
        X : DataFrame or array of shape (n, F)
            Real rows; best such that `fit` has not seen.

        Returns
        -------
        report : QualityReport
            Distances of each column, difference of the correlations, distance to the nearest
            training row, how well a classifier tells real from generated, how well the code is
            recovered; see `QualityReport`.
        """
        check_is_fitted(self)
        X = self._check_rows(X)
        codec = self._codec
        rows = check_codes(X[:, codec.columns], codec, None)
        generated = self._follow(rows, self._generator(), True)[-1]
        names = getattr(self, "feature_names_in_", [f"column {k}" for k in range(X.shape[1])])
        return quality_report(X, generated, self._rows, codec, list(names))

    def _learn(self, X, y):
        names = getattr(self, "feature_names_in_", None)
        codes = find_codes(names, X, self.code_features)
        blocks = find_blocks(names, X, codes)
        self.code_features_ = codes.columns
        self._codec = TableCodec(codes, blocks, X)
        if not len(self._codec.features):
            raise ValueError(
                "every column is a code column, so there is nothing to generate; add features, or "
                "name fewer columns as code_features"
            )
        self._fractions, self._blocks, self._rows = codes.fractions, blocks, X
        if y is None and self.n_iterations > 1:
            raise ValueError("n_iterations > 1 puts the target into the code, so fit needs y")
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        self.validation_errors_ = []
        self.n_iterations_ = 1 if self.n_iterations == 1 else self._choose_iterations(X, y, seed)
        self._train(X, y, self.n_iterations_, seed)
        self._warn_of_collapse(X)

    def _choose_iterations(self, X, y, seed):
        """Number of iterations with the least error on rows held out."""
        rows = np.arange(len(X))
        learn, held = train_test_split(
            rows,
            test_size=self.validation_fraction,
            random_state=seed,
            stratify=y if self.classes_ is not None else None,
        )
        for done in range(1, self.n_iterations + 1):
            # The stages before are trained as in the last round: same rows, same seeds.
            self._train(X[learn], y[learn], done, seed, keep=done > 1)
            self.validation_errors_.append(self._error(X[held], y[held], y[learn]))
            if done > 1 and self.validation_errors_[-1] >= self.validation_errors_[-2]:
                break
        return 1 + int(np.argmin(self.validation_errors_))

    def _error(self, X, y, y_train):
        """Error of the labeler on features that are generated for codes of rows held out."""
        guess = self._follow(self._only_codes(X), np.random.default_rng(0), False)[-1]
        labels = label_rows(self.labeler_, self._as_table(guess), False)[0]
        if is_classifier(self.labeler_):
            return float(zero_one_loss(y, labels))
        return float(np.sqrt((((labels - y) / y_train.std(axis=0)) ** 2).mean()))

    def _train(self, X, y, n_iterations, seed, keep=False):
        """Train the labeler and the GANs of all iterations, or with `keep` the last one only."""
        if not keep:
            self.gans_, self.history_ = [], []
            if y is not None:
                self.labeler_ = self._make_labeler(seed).fit(self._as_table(X), y)
        while len(self.gans_) < n_iterations:
            rows, target = X, None
            if self.gans_:
                # The paper's loop: what was generated and labelled last joins the training.
                rng = np.random.default_rng(seed + len(self.gans_))
                codes = sample_codes(self._codec, X, len(X), self.code_sampling, rng)
                new = self._follow(codes, rng, True)[-1]
                labels = label_rows(self.labeler_, self._as_table(new), False)[0]
                rows, target = np.vstack([X, new]), np.concatenate([y, labels])
            self._train_gan(rows, target, seed + len(self.gans_))

    def _train_gan(self, X, target, seed):
        codec = self._codec
        code = codec.encode_codes(X)
        if target is not None:
            code = np.hstack([self._encode_target(target, fit=True), code])
        parts = [codec.encode_features(X), code, codec.present(X)]
        groups = tuple(len(group) for group in codec.groups)
        with seeded(seed):
            gan = InfoGAN(
                len(codec.features),
                code.shape[1] - sum(groups),
                groups,
                n_members=self.n_ensemble,
                latent_dim=self.latent_dim,
                hidden_dim=self.hidden_dim,
                n_layers=self.n_layers,
            )
        history = train_gan(
            gan,
            *(torch.as_tensor(part, dtype=torch.float32) for part in parts),
            max_epochs=self.max_epochs,
            batch_size=self.batch_size or int(np.clip(len(X) // 4, 16, 64)),
            seed=seed,
            verbose=self.verbose,
            lr=self.lr,
            info_weight=self.info_weight,
            reconstruction_weight=self.reconstruction_weight,
            moment_weight=self.moment_weight,
            penalty_weight=self.penalty_weight,
        )
        self.gans_.append(gan)
        self.history_ += [{"iteration": len(self.gans_), **row} for row in history]

    def _encode_target(self, target, fit=False):
        """The target as continuous codes: standardised numbers, or one-hot classes."""
        if self.classes_ is not None:
            return np.eye(len(self.classes_))[target]
        target = target.reshape(len(target), -1)
        if fit:
            scale = target.std(axis=0)
            self._target_moments = target.mean(axis=0), np.where(scale > 0, scale, 1.0)
        return (target - self._target_moments[0]) / self._target_moments[1]

    def _make_labeler(self, seed):
        if self.labeler is not None:
            return check_labeler(self.labeler, self.classes_)
        return default_labeler(
            self.classes_, self._fractions, self._blocks, self._codec.columns, seed
        )

    def _generate(self, n, rng):
        codes = sample_codes(self._codec, self._rows, n, self.code_sampling, rng)
        rows = self._follow(codes, rng, True)[-1]
        want = self.max_uncertainty is not None
        labels, uncertainty = label_rows(self.labeler_, self._as_table(rows), want)
        sure = np.ones(n, dtype=bool)
        if want:
            sure = (uncertainty <= np.asarray(self.max_uncertainty)).reshape(n, -1).all(axis=1)
        return rows[sure], labels[sure], np.full(sure.sum(), self.n_iterations_)

    def _follow(self, rows, rng, noise):
        """Fill rows that hold codes with features, iteration by iteration."""
        stages = [self._run(self.gans_[0], rows, None, rng, noise)]
        for gan in self.gans_[1:]:
            labels = label_rows(self.labeler_, self._as_table(stages[-1]), False)[0]
            stages.append(self._run(gan, rows, self._encode_target(labels), rng, noise))
        return stages

    def _run(self, gan, rows, target, rng, noise):
        """Features of one GAN for rows that hold codes."""
        codec, n = self._codec, len(rows)
        code = codec.encode_codes(rows)
        if target is not None:
            code = np.hstack([target, code])
        shape = (n, self.n_ensemble, self.latent_dim)
        z = rng.standard_normal(shape) if noise else np.zeros(shape)
        given = [torch.as_tensor(a, dtype=torch.float32) for a in (z, code, codec.present(rows))]
        with torch.inference_mode():
            made = gan.generate(*given).numpy().astype(np.float64)
        made = made[np.arange(n), np.arange(n) % self.n_ensemble] if noise else made.mean(axis=1)
        return codec.decode(rows.copy(), made)

    def _only_codes(self, X):
        rows = np.zeros_like(X)
        rows[:, self._codec.columns] = X[:, self._codec.columns]
        return rows

    def _as_table(self, rows, index=None):
        """Rows as the user's tables look, for the user and for the labeler."""
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            return rows
        import pandas as pd

        return pd.DataFrame(rows, columns=names, index=index)

    def _warn_of_collapse(self, X):
        made = self._follow(self._only_codes(X), np.random.default_rng(0), True)[-1]
        real, made = (self._codec.encode_features(rows) for rows in (X, made))
        varies = real.std(axis=0) > 0
        ratio = np.median(made[:, varies].std(axis=0) / real[:, varies].std(axis=0))
        if ratio < _COLLAPSED:
            warnings.warn(
                f"the InfoGAN has collapsed: generated features vary by {ratio:.0%} of what real "
                "ones do (median over columns); use more epochs, another lr, or a larger "
                "reconstruction_weight or penalty_weight",
                ConvergenceWarning,
                stacklevel=4,
            )
