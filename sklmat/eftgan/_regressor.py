"""`EFTGANRegressor`: element convolution, InfoGAN and a regressor, chained as in the paper."""

from __future__ import annotations

import os
from numbers import Integral
from typing import TYPE_CHECKING, Literal, Self, cast, overload

import numpy as np
import pandas as pd
from sklearn import get_config
from sklearn.base import BaseEstimator, RegressorMixin, clone, is_classifier
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sklmat.argument_checks import checked_arguments
from sklmat.augmentation import InfoGANAugmenter, KnownLabelsRegressor, label_rows
from sklmat.compositions import fraction_column, fraction_table, is_fraction_table
from sklmat.deprecation import renamed_attribute, renamed_parameters
from sklmat.eftgan._eftgan_file import load_eftgan, save_eftgan
from sklmat.eftgan._extrapolation import ExtrapolationDetector
from sklmat.eftgan._input_checks import (
    check_targets,
    count_compositions,
    refuse_formulas,
)
from sklmat.eftgan._phase_regressor import PhaseAwareProcesses
from sklmat.eftgan._relaxation import LatticeRelaxation
from sklmat.embeddings import ECNetFeaturizer
from sklmat.features import check_phase, request_phase
from sklmat.fitted_state import unchanged_by_failure
from sklmat.known_labels import score_known_labels
from sklmat.nested_parameters import NestedParameters
from sklmat.parallel import N_JOBS
from sklmat.parameter_constraints import Interval
from sklmat.random_state import draw_seed
from sklmat.reference_links import ReferenceLink
from sklmat.structures import check_structures, is_graphs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymatgen.core.structure import IStructure
    from sklearn.utils.metadata_routing import MetadataRequest

    from sklmat.graphs import CrystalGraphs
    from sklmat.reports import Report
    from sklmat.typing import ArrayLike, Compositions, PathLike, RandomState, Structures, Table

#: Compositions per chunk: memory does not depend on the size of the grid, and the outputs of the
#: networks fit into the cache.
_CHUNK = 4096


@renamed_parameters(ecnet="estimator")
class EFTGANRegressor(ReferenceLink, NestedParameters, RegressorMixin, BaseEstimator):
    """Regressor that is trained on structures and predicts from compositions alone.

    It consists of four models. A graph network learns an elemental vector for each element in each
    training structure (`ECNetFeaturizer`). An InfoGAN learns to generate these vectors for
    a composition on a lattice (`InfoGANAugmenter`). A Gaussian process learns to which lattice a
    cell relaxes, given its composition and the phase that it was set up in. A regressor learns the
    targets from composition, lattice and *generated* features, so that its inputs are made in the
    same way for training and new compositions, and need no structure.

    Targets of structures are predicted by the network itself, which uses the whole structure,
    unless `predict_from` is "composition".

    Parameters
    ----------
    estimator : ECNetRegressor, FrozenEstimator, path or None, default=None
        The graph network; see `ECNetFeaturizer`. ``None`` means ``ECNetRegressor()``.
    augmenter : InfoGANAugmenter or None, default=None
        The InfoGAN; it is cloned. Its `n_samples` generated rows, labelled by its `labeler`, are
        added to the training rows of `regressor`. ``None`` means ``InfoGANAugmenter(n_samples=0)``,
        which adds no rows. Added rows would be labelled by a model much like the default regressor,
        so they would not make that regressor more accurate.
    regressor : regressor or None, default=None
        Learns the targets from the generated table; it is cloned. If the relaxed lattice of some
        training cells is not the one that they were set up on (their phase), the last columns of
        the table are ``phase_fcc``, ... The
        default is the mean of two Gaussian processes: the inputs of the first are the features,
        weighted by the fractions of their elements; the inputs of the second are composition and
        lattice alone. The phase is an input only for targets whose leave-one-out error it lowers by
        more than a tenth.
    n_components : int, default=5
        Number of feature columns for each element; see `ECNetFeaturizer`.
    n_iterations : int or None, default=None
        Iterations of the augmenter: generated rows and their predicted labels are added to the
        training rows of the next GAN. ``None`` keeps the value of the augmenter (default: one).
    predict_from : {"structure", "composition"}, default="structure"
        What `predict` and `score` read of structures: the whole structure, or, as for new alloys
        without a structure, only its composition, together with `phase`. The second is for
        cross-validation: with ``sklearn.set_config(enable_metadata_routing=True)``,
        ``cross_validate(model, structures, y, params={"phase": phase})`` and searches pass the
        phase to `fit`, `predict` and `score`; ``compare_estimators(..., params={"phase": phase})``
        always does.
    random_state : int, RandomState or None, default=None
        Seed of the network, the augmenter and, if it has a `random_state`, the regressor. ``None``
        keeps the seeds of the given estimators.
    n_jobs : int, default=None
        Number of processes that build graphs, if `estimator` is None.
    verbose : bool, default=False
        Show progress bars.

    Attributes
    ----------
    estimator_ : ECNetRegressor
        The trained network.
    featurizer_ : ECNetFeaturizer
        Fitted transformer that computes the table of the training rows.
    augmenter_ : InfoGANAugmenter
        The InfoGAN, trained on this table.
    relaxation_ : LatticeRelaxation
        Model of the probability of each lattice after relaxation, given composition and phase.
    regressor_ : regressor
        Trained on rows that are generated for the training compositions, with their true targets,
        and on the rows that the augmenter adds.
    report_ : QualityReport
        Comparison of generated and real features of the training rows.
    elements_ : list of str
        Symbols, by atomic number: the order of the columns of an array of fractions.
    phases_ : list of str
        Phases of the training rows, which `predict` accepts.
    target_names_ : list of str
        Names of the columns of `y`; "y", or "y0", "y1", ..., if they have no names.
    n_outputs_ : int
        Number of targets.

    Warns
    -----
    ExtrapolationWarning
        By `predict`, for compositions whose distance to the nearest training composition is larger
        than any such distance among the training compositions, or in which the fraction of an
        element is above or below its range in the training compositions.

    See Also
    --------
    ECNetRegressor : The network alone, for candidates that have structures.
    screen : Predictions for a grid of compositions.

    Notes
    -----
    `phase` is the lattice that a cell was *set up* on before relaxation; for a candidate only this
    is known. `infer_lattice` finds the lattice of the training cells after relaxation. A prediction
    is the mean of the predictions for all lattices, weighted by the probabilities that the cell
    relaxes to them. With ``phase=None`` in `fit`, the lattice after relaxation is the phase.

    A third of the alloys of `sklmat.datasets.fetch_hea` have relaxed to another lattice than their
    label says. On these alloys, predictions of the formation energy and the moment are more
    accurate than those of simple models of the composition, and less accurate than those of the
    network from structures (:ref:`benchmarks-compositions` in the user guide). For total and mixing
    energies, predict the formation energy and add the reference energies of the elements.

    The network and the InfoGAN are each trained on their own `device`: by default on a GPU with
    CUDA, if there is one.

    Some targets, such as the volume or the displacement during relaxation, can be computed from the
    relaxed cell itself. Evaluate predictions of such targets for compositions only.

    Differences from [1]_: there, the regressor is trained on real features and then on generated
    ones. Here, it gets generated features both in training and in prediction. This is more
    accurate, because real features of training rows contain more information about their targets
    than generated features do. [1]_ has no relaxation model. Here, every model is fitted only on
    the rows given to `fit`.

    References
    ----------
    .. [1] Y. Sun, C. Hou, N.-D. Tran, Y. Lu, Z. Li, Y. Chen, J. Ni, "EFTGAN: Elemental features and
       transferring corrected data augmentation for the study of high-entropy alloys", npj Comput.
       Mater. 11, 54 (2025).

    Examples
    --------
    >>> from pymatgen.core import Composition
    >>> from sklmat import ECNetRegressor, EFTGANRegressor, InfoGANAugmenter
    >>> from sklmat.datasets import make_alloys
    >>> alloys = make_alloys(40, random_state=0)
    >>> model = EFTGANRegressor(
    ...     ECNetRegressor(max_epochs=10, n_ensemble=2),
    ...     InfoGANAugmenter(n_samples=0, max_epochs=30, n_ensemble=2),
    ...     random_state=0,
    ... ).fit(alloys.data, alloys.target)
    >>> model.predict([Composition("NiCu"), Composition("Pd3Pt")], phase="fcc").shape
    (2,)
    >>> energy, std = model.predict_composition(["NiCu"], phase="fcc", return_std=True)
    >>> energy.round(2), std.round(2)
    (array([0.02]), array([0.02]))
    """

    _parameter_constraints: dict = {
        "estimator": [None, str, os.PathLike, HasMethods(["fit", "elemental_vectors"])],
        "augmenter": [None, HasMethods(["fit_resample", "sample"])],
        "regressor": [None, HasMethods(["fit", "predict"])],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "n_iterations": [None, Interval(Integral, 1, None, closed="left")],
        "predict_from": [StrOptions({"structure", "composition"})],
        "random_state": ["random_state"],
        "n_jobs": N_JOBS,
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator: BaseEstimator | PathLike | None = None,
        augmenter: BaseEstimator | None = None,
        regressor: BaseEstimator | None = None,
        *,
        n_components: int = 5,
        n_iterations: int | None = None,
        predict_from: Literal["structure", "composition"] = "structure",
        random_state: RandomState = None,
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.estimator = estimator
        self.augmenter = augmenter
        self.regressor = regressor
        self.n_components = n_components
        self.n_iterations = n_iterations
        self.predict_from = predict_from
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    ecnet_ = renamed_attribute("ecnet_", "estimator_")

    @unchanged_by_failure
    def fit(
        self, X: Structures | CrystalGraphs, y: ArrayLike, phase: ArrayLike | None = None
    ) -> Self:
        """Train all four models.

        Parameters
        ----------
        X : sequence of C structures, or CrystalGraphs
            See `check_structures`.
        y : Series, DataFrame or array of shape (C,) or (C, n_targets)
            Targets; the names of its columns become `target_names_`. If there are several targets,
            some of them may be missing (NaN) in a row; every stage then learns a target from the
            rows whose label is known.
        phase : array-like of str, shape (C,), or None, default=None
            Lattice that each cell was set up on: "bcc", "fcc", ... ``None`` takes the lattice of
            the given structure, from `infer_lattice`.

        Returns
        -------
        self : EFTGANRegressor
            The fitted estimator.

        Raises
        ------
        InvalidStructureError
            When a crystal cannot be used.
        ValueError
            When `y` is infinite, or missing in a whole row or column, or `phase` is not one label
            for each row.
        """
        self._validate_params()
        if self.regressor is not None and is_classifier(self.regressor):
            raise TypeError(f"regressor is a classifier, {type(self.regressor).__name__}")
        values, names = check_targets(y)
        check_consistent_length(X, values)
        # Errors in `phase` are raised before the training, which takes longest.
        phase = None if phase is None else check_phase(phase, len(values))
        ecnet_seed, augmenter_seed, regressor_seed = self._draw_seeds()
        featurizer = ECNetFeaturizer(
            self.estimator,
            n_components=self.n_components,
            random_state=ecnet_seed,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        ).set_output(transform="pandas")
        table = featurizer.fit_transform(X, values).reset_index(drop=True)
        self.featurizer_, self.estimator_ = featurizer, featurizer.estimator_
        self.elements_ = list(featurizer.elements_)
        self.target_names_, self._n_dim = names, values.ndim
        self.n_outputs_ = 1 if values.ndim == 1 else values.shape[1]
        x = table[[fraction_column(symbol) for symbol in self.elements_]].to_numpy()
        lattice = self._read_lattices(table)
        phase = lattice if phase is None else phase
        self.relaxation_ = LatticeRelaxation(self.elements_).fit(x, phase, lattice)
        self.phases_ = self.relaxation_.phases_.tolist()
        self._extrapolation = ExtrapolationDetector(x)
        table, values, phase = self._generate_training_rows(
            table, values, lattice, phase, augmenter_seed
        )
        self._add_phase(table, phase)
        regressor = self._make_regressor(regressor_seed)
        if self.regressor is not None and np.isnan(values).any():
            regressor = KnownLabelsRegressor(regressor)
        self.regressor_ = regressor.fit(table, values)
        return self

    @overload
    def predict(
        self,
        X: Structures | CrystalGraphs | Compositions | Table,
        phase: str | ArrayLike | None = None,
        return_std: Literal[False] = False,
    ) -> np.ndarray: ...
    @overload
    def predict(
        self,
        X: Structures | CrystalGraphs | Compositions | Table,
        phase: str | ArrayLike | None = None,
        *,
        return_std: Literal[True],
    ) -> tuple[np.ndarray, np.ndarray]: ...
    @checked_arguments()
    def predict(
        self,
        X: Structures | CrystalGraphs | Compositions | Table,
        phase: str | ArrayLike | None = None,
        return_std: bool = False,
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the targets of structures, or of compositions without a structure.

        Parameters
        ----------
        X : sequence of structures, sequence of Composition, or table of fractions
            For structures (or CrystalGraphs), the network computes the predictions, unless
            `predict_from` is "composition". A table is a DataFrame with columns ``x_Fe`` or ``Fe``,
            or an array with a column for each of `elements_`.
        phase : str or array-like of str, default=None
            For predictions from compositions: one phase for all, or one for each. It may be left
            out if all training rows have the same phase.
        return_std : bool, default=False
            Also return standard deviations. For structures it is the standard deviation over the
            networks of the ensemble; for compositions it combines the standard deviation of the
            regressor with the spread of the predictions over the possible lattices.

        Returns
        -------
        y : ndarray of shape (n,) or (n, n_targets)
            Predicted targets, in their units.
        std : ndarray of the same shape
            Only with `return_std`.

        Raises
        ------
        InvalidStructureError
            When a crystal cannot be used.
        TypeError
            When structures and compositions are mixed.
        ValueError
            When `X` is empty, a composition holds an element that `fit` has not seen, fractions are
            negative or do not sum to one, `phase` is missing, unknown, or given with structures, or
            `regressor` gives no standard deviations for `return_std`.

        Warns
        -----
        ExtrapolationWarning
            When compositions are far from all training compositions.
        """
        check_is_fitted(self)
        if is_fraction_table(X):
            x = fraction_table(X, self.elements_)
            return self._predict_fractions(x, phase, return_std)
        found = count_compositions(X)
        if not found:
            refuse_formulas(X)
            if self.predict_from == "composition":
                structures = cast("Sequence[IStructure]", _structures_of(X))
                compositions = [structure.composition for structure in structures]
                x = fraction_table(compositions, self.elements_)
                return self._predict_fractions(x, phase, return_std)
            if phase is not None:
                raise ValueError(
                    "X holds no Composition and is read as structures, which have a lattice of "
                    "their own: leave phase out, or set predict_from='composition'; pass formulas "
                    "and dicts to predict_composition"
                )
            return self._predict_structures(X, return_std)
        if found < len(X):
            raise TypeError(
                f"X mixes {found} compositions with {len(X) - found} other items; predict "
                "structures and compositions in two calls"
            )
        x = fraction_table(cast("Compositions", X), self.elements_)
        return self._predict_fractions(x, phase, return_std)

    @overload
    def predict_composition(
        self,
        X: Compositions | Table,
        phase: str | ArrayLike | None = None,
        return_std: Literal[False] = False,
    ) -> np.ndarray: ...
    @overload
    def predict_composition(
        self,
        X: Compositions | Table,
        phase: str | ArrayLike | None = None,
        *,
        return_std: Literal[True],
    ) -> tuple[np.ndarray, np.ndarray]: ...
    @checked_arguments()
    def predict_composition(
        self,
        X: Compositions | Table,
        phase: str | ArrayLike | None = None,
        return_std: bool = False,
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the targets of compositions: formulas, dicts, objects or a table.

        Parameters
        ----------
        X : sequence of str, dict or Composition, or table of fractions
            Strings are formulas such as ``"Fe2NiCr"``, dicts hold amounts such as
            ``{"Fe": 0.5, "Ni": 0.5}``.
        phase : str or array-like of str, default=None
            As in `predict`.
        return_std : bool, default=False
            As in `predict`.

        Returns
        -------
        y : ndarray of shape (n,) or (n, n_targets)
            Predicted targets, in their units.
        std : ndarray of the same shape
            Only with `return_std`.

        Raises
        ------
        ValueError
            As in `predict`.
        """
        check_is_fitted(self)
        return self._predict_fractions(fraction_table(X, self.elements_), phase, return_std)

    def score(
        self,
        X: Structures | CrystalGraphs | Compositions | Table,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        phase: str | ArrayLike | None = None,
    ) -> float:
        """Coefficient of determination of the predictions.

        Parameters
        ----------
        X : sequence of structures, sequence of Composition, or table of fractions
            As in `predict`.
        y : array-like of shape (n,) or (n, n_targets)
            True values; NaN where a label is missing.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.
        phase : str or array-like of str, default=None
            As in `predict`.

        Returns
        -------
        r2 : float
            R² of the known labels of each target, averaged over the targets: 1 for perfect
            predictions, 0 for predicting the mean.

        Raises
        ------
        ValueError
            When labels are missing and a target has fewer than two known labels.
        """
        return score_known_labels(r2_score, y, self.predict(X, phase), sample_weight)

    def lattice_probability(
        self, X: Compositions | Table, phase: str | ArrayLike | None = None
    ) -> pd.DataFrame:
        """Probability that compositions relax to each lattice.

        Parameters
        ----------
        X : sequence of str, dict or Composition, or table of fractions
            The rows.
        phase : str or array-like of str, default=None
            As in `predict`.

        Returns
        -------
        DataFrame of shape (n, n_lattices)
            A column for each lattice among the training rows.
        """
        check_is_fitted(self)
        x = fraction_table(X, self.elements_)
        probability = self.relaxation_.predict_proba(x, self._phases_of(phase, len(x)))
        return pd.DataFrame(probability, columns=self.relaxation_.classes_)

    @checked_arguments()
    def save(self, path: PathLike, *, report: Report | None = None) -> None:
        """Write the fitted model to one file, which holds numbers and JSON and no code.

        Parameters
        ----------
        path : str or path-like
            A safetensors file. It contains all stages, and the training rows as a table.
        report : Report or None, default=None
            From `report`: its short form is written too, and `saved_report` reads it.

        Raises
        ------
        ValueError
            When `regressor`, or the `labeler` of `augmenter`, is an estimator of yours: write such
            a model with ``joblib.dump``.
        """
        check_is_fitted(self)
        compositions = self._extrapolation.training_compositions
        save_eftgan(self, self._n_dim, compositions, path, report)

    @classmethod
    @checked_arguments()
    def load(cls, path: PathLike) -> Self:
        """Read a model that `save` wrote.

        Parameters
        ----------
        path : str or path-like
            Path of a file that ``save`` has written.

        Returns
        -------
        model : EFTGANRegressor

        Raises
        ------
        ValueError
            When the file does not hold an EFTGANRegressor.
        """
        model, model._n_dim, model._extrapolation = load_eftgan(cls, path)
        return model

    def get_metadata_routing(self) -> MetadataRequest:
        """Return the requested metadata: the phase, also to predict from compositions.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRequest
            What scikit-learn reads to pass metadata on.
        """
        without_structure = self.predict_from == "composition"
        return request_phase(
            super().get_metadata_routing(),
            fit=True,
            predict=without_structure,
            score=without_structure,
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.multi_output = True
        tags.non_deterministic = self.random_state is None
        return tags

    def _draw_seeds(self):
        """Seeds of network, augmenter and regressor; None keeps the seed that each has."""
        if self.random_state is None:
            return [None] * 3
        return draw_seed(self.random_state, size=3)

    def _generate_training_rows(self, table, values, lattice, phase, seed):
        """Fit the augmenter; return rows for the regressor with their targets and phases.

        The features of the training rows are generated too, in the same way as in `predict`.
        """
        self.augmenter_ = self._make_augmenter(seed)
        rows, labels = self.augmenter_.fit_resample(table, values)
        self.report_ = self.augmenter_.quality_report(table)
        added = self.augmenter_.sample_origin_ > 0
        generated = pd.concat(
            [self.augmenter_.sample(table, noise=False), rows[added]], ignore_index=True
        )
        # Added rows have a lattice but no phase: they get the most frequent one on that lattice.
        frequent = {
            name: pd.Series(phase[lattice == name]).mode()[0] for name in np.unique(lattice)
        }
        added_phase = [frequent[name] for name in self._read_lattices(rows[added])]
        values = np.concatenate([values, labels[added]])
        return generated, values, np.concatenate([phase, added_phase])

    def _make_augmenter(self, seed):
        default = InfoGANAugmenter(n_samples=0)
        augmenter = clone(default if self.augmenter is None else self.augmenter)
        if self.n_iterations is not None:
            augmenter.set_params(n_iterations=self.n_iterations)
        if seed is not None:
            augmenter.set_params(random_state=seed)
        if self.verbose:
            augmenter.set_params(verbose=True)
        return augmenter

    def _make_regressor(self, seed):
        if self.regressor is None:
            return PhaseAwareProcesses(len(self._phase_columns()))
        regressor = clone(self.regressor)
        if seed is not None:
            names = [k for k in regressor.get_params() if k.split("__")[-1] == "random_state"]
            regressor.set_params(**dict.fromkeys(names, seed))
        return regressor

    def _phase_columns(self):
        """Names of the columns for the phase; none where the phase determines the lattice."""
        if self.relaxation_.certain_ is not None:
            return []
        return [f"phase_{name}" for name in self.phases_]

    def _add_phase(self, table, phase):
        for name in self._phase_columns():
            table[name] = (phase == name.removeprefix("phase_")).astype(float)

    def _read_lattices(self, table):
        """The lattice of each row, from its one-hot columns."""
        names = self.featurizer_.lattices_
        columns = table[[f"lattice_{name}" for name in names]].to_numpy()
        return np.array(names)[columns.argmax(axis=1)]

    def _predict_structures(self, X, return_std):
        network = self.estimator_
        return network.predict(X, return_std=True) if return_std else network.predict(X)

    def _predict_fractions(self, x, phase, return_std):
        phase = self._phases_of(phase, len(x))
        self._extrapolation.warn(x)
        mean = np.empty((len(x), self.n_outputs_))
        std = np.empty_like(mean)
        for start in range(0, len(x), _CHUNK):
            rows = slice(start, start + _CHUNK)
            mean[rows], std[rows] = self._average_lattices(x[rows], phase[rows], return_std)
        if self._n_dim == 1:
            mean, std = mean[:, 0], std[:, 0]
        return (mean, std) if return_std else mean

    def _average_lattices(self, x, phase, return_std):
        """Mean and standard deviation over the lattices, weighted by their probabilities."""
        probability = self.relaxation_.predict_proba(x, phase)
        # One row for each lattice of nonzero probability; rows of one composition are consecutive.
        rows, lattice = np.nonzero(probability)
        start = np.searchsorted(rows, np.arange(len(x)))
        weight = probability[rows, lattice][:, None]
        table = self._generate_table(x[rows], lattice, phase[rows])
        prediction, deviation = label_rows(self.regressor_, table, return_std)
        prediction = prediction.reshape(len(rows), -1)
        mean = np.add.reduceat(weight * prediction, start)
        if not return_std:
            return mean, np.nan
        second_moment = deviation.reshape(prediction.shape) ** 2 + prediction**2
        second_moment = np.add.reduceat(weight * second_moment, start)
        return mean, np.sqrt(np.maximum(second_moment - mean**2, 0.0))

    def _generate_table(self, x, lattice, phase):
        """Generated table for fractions, lattices (positions in the classes) and phases."""
        lattices = list(self.featurizer_.lattices_)
        column = np.array([lattices.index(name) for name in self.relaxation_.classes_])
        names = [fraction_column(symbol) for symbol in self.elements_]
        names += [f"lattice_{name}" for name in lattices]
        codes = np.hstack([x, np.eye(len(lattices))[column[lattice]]])
        table = self.augmenter_.sample(pd.DataFrame(codes, columns=names), noise=False)
        self._add_phase(table, phase)
        return table

    def _how_to_route(self):
        """How the phase reaches `predict` in a cross-validation, if it does not yet."""
        if self.predict_from == "structure" or get_config()["enable_metadata_routing"]:
            return ""
        return (
            " (in a cross-validation, params={'phase': phase} reaches predict and score only after "
            "sklearn.set_config(enable_metadata_routing=True))"
        )

    def _phases_of(self, phase, n):
        """One known phase for each row."""
        if phase is None:
            if len(self.phases_) > 1:
                raise ValueError(
                    f"a composition alone does not say its phase; pass phase, one of {self.phases_}"
                    + self._how_to_route()
                )
            phase = self.phases_[0]
        labels = np.full(n, phase) if isinstance(phase, str) else check_phase(phase, n)
        unknown = np.flatnonzero(~np.isin(labels, self.phases_))
        if len(unknown):
            raise ValueError(
                f"row {unknown[0]} has the phase {str(labels[unknown[0]])!r}; fit saw "
                f"{self.phases_}"
            )
        return labels


def _structures_of(X):
    """The crystals of sequences in any form, or of graphs."""
    return X.to_structures() if is_graphs(X) else check_structures(X)
