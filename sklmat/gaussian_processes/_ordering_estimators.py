"""`OrderingRegressor`, `OrderingClassifier`: which element is on which site of one parent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted
from threadpoolctl import threadpool_limits

from sklmat.argument_checks import checked_arguments
from sklmat.docstrings import insert_paragraphs, parameter_paragraphs
from sklmat.fitted_state import unchanged_by_failure
from sklmat.gaussian_processes._finite_targets import check_targets
from sklmat.gaussian_processes._given_parent import check_parent
from sklmat.gaussian_processes._ordering_kernel import OrderingKernel
from sklmat.gaussian_processes._ordering_process import (
    fit_classification,
    fit_regression,
    probability_of_class,
)
from sklmat.gaussian_processes._site_occupations import SiteOccupations
from sklmat.parameter_constraints import Interval
from sklmat.reference_links import ReferenceLink
from sklmat.scores import ClassifierScoreMixin, RegressorScoreMixin
from sklmat.structures import check_structures, crystal_arrays, is_graphs
from sklmat.targets import label_column, refuse_missing_rows

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from sklmat.typing import ArrayLike, RandomState, Structures

#: Tolerance (Å) of the symmetry of a given parent.
_SYMPREC_GIVEN = 0.01
#: Rows predicted at once, and pairs of these rows and images of the training rows, at most. The
#: last chunk is filled up: the result of a row then has the same bits in whatever list it is
#: predicted.
_CHUNK = 256
_MAX_PAIRS = 20_000_000

_PARAGRAPHS = parameter_paragraphs("""
    parent : crystal, default=None
        The crystal whose sites are occupied, in any form that `check_structures` takes. Sites with
        the same element, or with common elements in the crystals of `fit`, can be equivalent. It
        may be a smaller cell, of which the crystals are supercells, and it may be disordered: of a
        partially occupied site, the position and the most frequent element are used. ``None`` means
        the mean of the crystals of `fit`, after each was put onto one of them. Pass the ideal
        crystal if there are few crystals and they are relaxed.
    symprec : float, default=None
        Tolerance (Å) within which sites of the parent are symmetry-equivalent, and its lattice has
        a symmetry operation. ``None`` means 0.01 for a given `parent`. Otherwise an operation is a
        symmetry operation if it moves no site farther from another one than 5 % of the smallest
        distance between sites, and changes no length by more than 1 %; if the crystals vary more,
        twice the root-mean-square displacement of the atoms on that site where it is largest, and
        twice the root-mean-square strain of the crystals are tolerated. Too small a tolerance loses
        symmetry, which costs accuracy; too large a one takes orderings that differ for the same.
    n_optimizer_rows : int, default=1500
        Rows on which the vectors of the elements and the variances are fitted, drawn at random if
        there are more. Predictions use all rows. For parents with many site permutations, such as
        large supercells, there are fewer: the number of rows squared times that of permutations is
        limited to 2 · 10⁷. If no orbit has more than two elements, as in a binary alloy, there are
        more rows, and the time grows with the number of sites instead.
    max_iter : int, default=60
        Largest number of iterations on these rows. Before, there are eight searches of 60
        iterations on at most 400 rows from different starts, and the best three are continued.
    random_state : int, RandomState or None, default=None
        Seed of the vectors at the start, and of the choice of rows.
    verbose : bool, default=False
        Show a progress bar over the iterations.
    parent_ : Structure
        The parent with the sites in use; on each site is the element of the first row of `fit`.
    permutations_ : ndarray of int, shape (G, S)
        How the symmetry operations of the parent permute its sites. ``len(permutations_)`` tells
        whether the symmetry that you expect was found.
    orbits_ : ndarray of int, shape (S,)
        The same number for sites that are symmetry-equivalent.
    n_iter_ : int
        Iterations of all searches together; the largest number if there are several.
""")


class _OrderingEstimator(ReferenceLink, BaseEstimator):
    """Base of both: crystals to tables of elements on sites, and what is common in `fit`."""

    _parameter_constraints: dict = {
        "parent": "no_validation",
        "symprec": [Interval(Real, 0, None, closed="neither"), None],
        "n_optimizer_rows": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["boolean"],
    }

    def __init__(
        self,
        parent: Structure | None = None,
        *,
        symprec: float | None = None,
        n_optimizer_rows: int = 1500,
        max_iter: int = 60,
        random_state: RandomState = None,
        verbose: bool = False,
    ) -> None:
        self.parent = parent
        self.symprec = symprec
        self.n_optimizer_rows = n_optimizer_rows
        self.max_iter = max_iter
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.required = True
        tags.non_deterministic = self.random_state is None
        return tags

    def _fit(self, structures: np.ndarray, fit: Callable, columns: list) -> None:
        """Find the parent, fit a process to each column of labels, and set all attributes."""
        crystals = crystal_arrays(structures)
        parent = None
        if self.parent is not None:
            [parent] = crystal_arrays([check_parent(self.parent)])
        symprec = self.symprec
        if symprec is None and parent is not None:
            symprec = _SYMPREC_GIVEN
        occupations, numbers = SiteOccupations.fit(
            crystals, lambda row: structures[row].formula, parent, symprec
        )
        kernel = OrderingKernel(
            occupations.orbits, [len(e) for e in occupations.elements], occupations.permutations
        )
        codes = occupations.codes(numbers)
        rng = check_random_state(self.random_state)
        # Several threads change the order of sums, and thereby the result.
        with _progress(self.verbose) as tick, threadpool_limits(1, user_api="blas"):
            processes = [
                fit(kernel, codes, column, self.n_optimizer_rows, self.max_iter, rng, tick)
                for column in columns
            ]
        # A search that is interrupted changes nothing.
        self._occupations, self._kernel, self._processes = occupations, kernel, processes
        self.permutations_ = occupations.permutations
        self.orbits_ = occupations.orbits
        self.parent_ = occupations.parent.with_elements(numbers[0]).to_structure()
        self.n_iter_ = max(process.n_iter for process in processes)

    def _moments(self, X, return_std=True):
        """Return means and standard deviations of the functions, shape (n_processes, n)."""
        check_is_fitted(self)
        structures = _read(self, X)
        numbers = self._occupations.read(
            crystal_arrays(structures), lambda row: structures[row].formula
        )
        codes = self._occupations.codes(numbers)
        means = np.empty((len(self._processes), len(codes)))
        deviations = np.zeros_like(means)
        rows = self._processes[0].rows
        size = max(min(_CHUNK, _MAX_PAIRS // (self._kernel.n_images(rows) * len(rows))), 1)
        chunk = np.tile(rows[0], (size, 1))
        for start in range(0, len(codes), size):
            part = codes[start : start + size]
            chunk[: len(part)] = part
            for number, process in enumerate(self._processes):
                mean, deviation = process.predict(self._kernel, chunk, return_std)
                means[number, start : start + size] = mean[: len(part)]
                if return_std:
                    deviations[number, start : start + size] = deviation[: len(part)]
        return means, deviations


@insert_paragraphs(_PARAGRAPHS)
class OrderingRegressor(RegressorScoreMixin, _OrderingEstimator):
    """Gaussian process for crystals that differ in which element is on which site.

    Alloys on one lattice, mixed halides, perovskites with several metals: if all crystals are
    orderings of one parent crystal, what matters is which element is on which site, up to the
    symmetry of the parent. This model learns a vector for each element, compares two crystals site
    by site, and averages over all symmetry operations of the parent. Its predictions are therefore
    the same for all choices of lattice vectors, origin, orientation and order of atoms.

    Parameters
    ----------
    {parent}
    {symprec}
    {n_optimizer_rows}
    {max_iter}
    {random_state}
    {verbose}

    Attributes
    ----------
    {parent_}
    {permutations_}
    {orbits_}
    noise_std_ : float or ndarray of shape (T,)
        Standard deviation of the noise of the labels, in the unit of `y`.
    {n_iter_}

    See Also
    --------
    OrderingClassifier : The same for classes.
    enumerate_orderings : All distinct orderings of a parent, to predict them.
    CGCNNRegressor : Crystals without a common parent.

    Notes
    -----
    **Which crystals.** A crystal belongs to the parent if there is a choice of its lattice vectors
    with the lengths (within 10 %) and angles (within about 6°) of the parent's, after both have the
    same volume, and if each atom is within a third of the smallest distance of two sites from a
    site of its own, after a common shift. Orientation, origin, order of atoms, choice of the cell,
    volume and mirror images make no difference. Displacements and volumes are not used: the model
    predicts from the ordering alone. Rows of other crystals raise an error that names the first of
    them. Supercells of one parent must have one shape. A supercell can hold one crystal in two ways
    that no symmetry operation of the supercell relates, such as layers along its short and its long
    axis; they count as two orderings.

    Sublattices that hold different elements are told apart by the elements: of all ways to put a
    crystal onto the parent, the one with the most atoms on sites where their elements have been
    seen is chosen, or on sites that share elements with them. Crystals of one composition, the most
    frequent one, are read first, then those with the largest part of known elements. An element
    that is new goes where the mean electronegativity of the elements is most similar. For NaCl and
    KBr, this puts K onto the sites of Na. The order of the rows makes no difference, unless atoms
    are displaced by more than about a tenth of the smallest distance between sites.

    **The kernel** has three terms, each with vectors of its own for the elements on each orbit of
    sites. Two terms are the mean over all site permutations g of ``exp(-Σ |v(s) - v'(g s)|²)``,
    where the sum is over the sites s, and v and v' are the vectors of the elements there in the two
    crystals. The third one is ``exp(-Σ |c - c'|²)``, a sum over the orbits, with their mean vectors
    c, and so knows the composition. With the mean over a group, the process is one of functions
    that do not change under the group [1]_. Vectors, variances and noise maximise the marginal
    likelihood [2]_ times a weak normal prior, by L-BFGS-B with exact gradients. It has many maxima.
    The kernel is the mean of three, and the noise variance too.

    Up to 5,000 rows, the posterior is exact, and time grows with the cube of their number. Beyond,
    it is that of the values at 2,000 rows drawn at random (projected process [2]_), with a few
    arrays of 16 kB for each row. For many permutations, both numbers are smaller: for 5,184, as of
    108 sites, 1,964 rows are exact.

    Labels are standardised. With several targets, each has a process of its own. The results have
    the same bits on any number of threads.

    References
    ----------
    .. [1] D. Ginsbourger, O. Roustant, N. Durrande, "On degeneracy and invariances of random fields
       paths with applications in Gaussian process modelling", J. Stat. Plan. Inference 170, 117
       (2016). :doi:`10.1016/j.jspi.2015.10.002`
    .. [2] C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press
       (2006). :doi:`10.7551/mitpress/3206.001.0001`

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import OrderingRegressor, enumerate_orderings
    >>> sites = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    >>> fcc = Structure(Lattice.cubic(3.7), ["Cu"] * 4, sites)
    >>> crystals = enumerate_orderings(fcc * (2, 1, 1), {"Cu": ["Cu", "Au"]})[:]
    >>> y = [0.1 * crystal.composition["Au"] ** 2 for crystal in crystals]
    >>> model = OrderingRegressor(random_state=0).fit(crystals[::2], y[::2])
    >>> model.predict(crystals[1:7:2]).round(1), y[1:7:2]
    (array([0.1, 0.4, 1.6]), [0.1, 0.4, 1.6])
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @unchanged_by_failure
    def fit(self, X: Structures, y: ArrayLike) -> Self:
        """Find the parent, and fit a process for each target.

        Parameters
        ----------
        X : sequence of n crystals
            In any form that `check_structures` takes.
        y : array-like of shape (n,) or (n, T)
            Targets.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        InvalidStructureError
            When a row is not a valid crystal, or not an ordering of the parent.
        ValueError
            When `y` has NaN, infinity, or values whose variance cannot be computed, or the parent
            is a wire or a molecule.
        """
        self._validate_params()
        structures = _read(self, X)
        labels = check_targets(type(self).__name__, structures, y)
        table = labels.reshape(len(labels), -1)
        means, scales = table.mean(axis=0), table.std(axis=0)
        scales[np.ptp(table, axis=0) == 0] = 0.0
        standardised = (table - means) / np.where(scales == 0, 1.0, scales)
        self._fit(structures, fit_regression, list(standardised.T))
        self._n_dim, self._means, self._scales = labels.ndim, means, scales
        noise = np.sqrt([process.noise for process in self._processes]) * self._scales
        self.noise_std_ = float(noise[0]) if self._n_dim == 1 else noise
        return self

    @checked_arguments()
    def predict(
        self, X: Structures, return_std: bool = False, include_noise: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the mean of the function, and its standard deviation.

        Parameters
        ----------
        X : sequence of n crystals
            Crystals to predict.
        return_std : bool, default=False
            Whether to return standard deviations.
        include_noise : bool, default=False
            Whether the standard deviation is that of a new label, which has noise, and not that of
            the function.

        Returns
        -------
        mean : ndarray of shape (n,) or (n, T)
            Predicted targets, in their units.
        deviation : ndarray of shape (n,) or (n, T)
            Only with `return_std`.

        Raises
        ------
        InvalidStructureError
            When a row is not an ordering of the parent, or has an element on a site on which no row
            of `fit` had it, nor on an equivalent one.
        """
        means, deviations = self._moments(X, return_std)
        means = means.T * self._scales + self._means
        if not return_std:
            return means[:, 0] if self._n_dim == 1 else means
        deviations = deviations.T * self._scales
        if include_noise:
            deviations = np.hypot(deviations, self.noise_std_)
        return (means[:, 0], deviations[:, 0]) if self._n_dim == 1 else (means, deviations)


@insert_paragraphs(_PARAGRAPHS)
class OrderingClassifier(ClassifierScoreMixin, _OrderingEstimator):
    """Classes of crystals that differ in which element is on which site.

    The log-odds have the Gaussian process of `OrderingRegressor`, where the crystals, the kernel
    and the parameters are explained.

    Parameters
    ----------
    {parent}
    {symprec}
    {n_optimizer_rows}
    {max_iter}
    {random_state}
    {verbose}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted.
    {parent_}
    {permutations_}
    {orbits_}
    {n_iter_}

    See Also
    --------
    OrderingRegressor : The same for numbers.

    Notes
    -----
    The likelihood is logistic. The posterior is found by variational inference with the bound of
    Jaakkola and Jordan [1]_, in turn with the parameters of the kernel. Probabilities are means
    over the posterior (MacKay's approximation [2]_). With more than two classes, there is a process
    for each class against all others, and their probabilities are divided by their sum.

    References
    ----------
    .. [1] T. S. Jaakkola, M. I. Jordan, "Bayesian parameter estimation via variational methods",
       Stat. Comput. 10, 25 (2000). :doi:`10.1023/A:1008932416310`
    .. [2] D. J. C. MacKay, "The evidence framework applied to classification networks", Neural
       Comput. 4, 720 (1992). :doi:`10.1162/neco.1992.4.5.720`

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import OrderingClassifier, enumerate_orderings
    >>> sites = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    >>> fcc = Structure(Lattice.cubic(3.7), ["Cu"] * 4, sites)
    >>> crystals = enumerate_orderings(fcc * (2, 1, 1), {"Cu": ["Cu", "Au"]})[:]
    >>> y = ["gold" if crystal.composition["Au"] > 4 else "other" for crystal in crystals]
    >>> model = OrderingClassifier(random_state=0).fit(crystals[::2], y[::2])
    >>> model.predict_proba(crystals[1::2]).shape
    (14, 2)
    """

    @unchanged_by_failure
    def fit(self, X: Structures, y: ArrayLike) -> Self:
        """Find the parent, and fit a process for the classes.

        Parameters
        ----------
        X : sequence of n crystals
            In any form that `check_structures` takes.
        y : array-like of shape (n,)
            Classes.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        InvalidStructureError
            When a row is not a valid crystal, or not an ordering of the parent.
        ValueError
            When `y` has fewer than two classes, or the parent is a wire or a molecule.
        """
        self._validate_params()
        structures = _read(self, X)
        if y is None:
            raise ValueError(_NO_TARGET.format(type(self).__name__))
        labels = label_column(y)
        refuse_missing_rows(labels)
        check_consistent_length(structures, labels)
        check_classification_targets(labels)
        encoder = LabelEncoder().fit(labels)
        classes = encoder.classes_
        if len(classes) < 2:
            raise ValueError(f"y has one class only: {classes[0]!r}; a classifier needs two")
        numbers = encoder.transform(labels)
        # With two classes, one process has the log-odds of the second.
        ones = [1] if len(classes) == 2 else range(len(classes))
        self._fit(structures, fit_classification, [numbers == one for one in ones])
        self.classes_ = classes
        return self

    def predict_proba(self, X: Structures) -> np.ndarray:
        """Predict the probabilities of the classes.

        Parameters
        ----------
        X : sequence of n crystals
            Crystals to predict.

        Returns
        -------
        ndarray of shape (n, n_classes)
            Columns in the order of ``classes_``.
        """
        one = probability_of_class(*self._moments(X)).T
        if len(self.classes_) == 2:
            return np.hstack([1 - one, one])
        return one / one.sum(axis=1, keepdims=True)

    def predict(self, X: Structures) -> np.ndarray:
        """Predict the most probable class.

        Parameters
        ----------
        X : sequence of n crystals
            Crystals to predict.

        Returns
        -------
        ndarray of shape (n,)
            Predicted classes.
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]


_NO_TARGET = "{} requires y to be passed, but the target y is None"


def _read(estimator: BaseEstimator, X: Any) -> np.ndarray:
    """Return valid structures; graphs are an error, as they do not have the sites."""
    if is_graphs(X):
        raise TypeError(
            f"{type(estimator).__name__} needs the structures themselves, not CrystalGraphs: pass "
            "the structures that the graphs were built from"
        )
    structures = check_structures(X)
    if not len(structures):
        raise ValueError(f"{type(estimator).__name__} needs at least one structure, and X is empty")
    return structures


@contextmanager
def _progress(verbose: bool) -> Iterator[Callable[..., None]]:
    """Yield a function to call after each iteration; it moves a progress bar if `verbose`."""
    from tqdm.auto import tqdm

    with tqdm(desc="orderings", unit="iteration", disable=not verbose) as bar:

        def tick(_):
            bar.update()

        yield tick
