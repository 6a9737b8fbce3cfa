"""On which lattice an alloy that was set up in some phase comes to rest."""

import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from sklmat.augmentation._gaussian_process import process_mean
from sklmat.elements import element_table, element_vectors

#: Probabilities below this are zero: a lattice that hardly matters costs as much as another.
_NEGLIGIBLE = 0.02
#: Spread of each input, and height of the indicator of a phase, in units of the first length scale.
_SPREAD = 0.25
_PHASE = 0.7


class LatticeRelaxation(ClassifierMixin, BaseEstimator):
    """Probability of each lattice after relaxation, from composition and starting phase.

    A cell that is set up as bcc may relax to fcc, and its properties are then those of fcc. The
    structures of the training rows tell where that happened; a Gaussian process on the indicators
    of the lattices learns it as a function of the fractions and the phase.

    What decides is read from the means and the standard deviations, over the atoms, of the
    properties of the elements: with these the elements learn from each other, which fractions do
    not allow.

    Parameters
    ----------
    elements : list of str
        Symbols of the columns of fractions.
    sharpness : float, default=2.0
        Power that the clipped regression of the indicators is raised to before it is normalised.
        Regression shrinks towards the mean; squares were best on the alloys.

    Attributes
    ----------
    classes_ : ndarray of str
        Lattices.
    phases_ : ndarray of str
        Phases.
    certain_ : ndarray of int, shape (n_phases,) or None
        Where each phase always comes to rest on the same lattice: which.
    process_ : GaussianProcessRegressor
        Only where `certain_` is None.
    """

    def __init__(self, elements, sharpness=2.0):
        self.elements = elements
        self.sharpness = sharpness

    def fit(self, x, phase, lattice):
        """Learn.

        Parameters
        ----------
        x : ndarray of shape (n, E)
            Fractions.
        phase : ndarray of str, shape (n,)
            Where each cell started.
        lattice : ndarray of str, shape (n,)
            Where it ended.
        """
        self.phases_, place = np.unique(phase, return_inverse=True)
        self.classes_, end = np.unique(lattice, return_inverse=True)
        ends = [np.unique(end[place == k]) for k in range(len(self.phases_))]
        self.certain_ = None
        if all(len(end) == 1 for end in ends):
            self.certain_ = np.concatenate(ends)
            return self
        self._vectors = _standard_vectors(self.elements)
        moments = self._moments(x)
        self._shift, spread = moments.mean(axis=0), moments.std(axis=0)
        self._scale = _SPREAD / np.where(spread > 0, spread, 1.0)
        kernel = ConstantKernel(1.0) * Matern(1.0, (0.1, 100.0), nu=1.5)
        kernel += WhiteKernel(0.05, (1e-4, 1.0))
        self.process_ = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
        with warnings.catch_warnings():
            # Lattices that follow exactly drive the noise to its bound.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.process_.fit(self._inputs(x, place), np.eye(len(self.classes_))[end])
        return self

    def predict_proba(self, x, phase):
        """Probabilities.

        Parameters
        ----------
        x : ndarray of shape (n, E)
        phase : ndarray of str, shape (n,)

        Returns
        -------
        ndarray of shape (n, n_lattices)
        """
        place = np.searchsorted(self.phases_, phase)
        if self.certain_ is not None:
            return np.eye(len(self.classes_))[self.certain_[place]]
        told = process_mean(self.process_, self._inputs(x, place))
        likely = np.clip(told, 1e-3, 1) ** self.sharpness
        likely /= likely.sum(axis=1, keepdims=True)
        likely[likely < _NEGLIGIBLE] = 0.0
        return likely / likely.sum(axis=1, keepdims=True)

    def _inputs(self, x, place):
        moments = (self._moments(x) - self._shift) * self._scale
        return np.hstack([moments, np.eye(len(self.phases_))[place] * _PHASE])

    def _moments(self, x):
        """Mean and standard deviation of each property over the atoms."""
        mean = x @ self._vectors
        variance = np.maximum(x @ self._vectors**2 - mean**2, 0.0)
        # The square root alone would rise infinitely fast at the pure elements.
        return np.hstack([mean, np.sqrt(variance + 1e-6)])


def _standard_vectors(elements):
    """Physical properties of the elements, those that differ, each with a spread of one."""
    table = element_vectors("physical")[0]
    vectors = np.asarray(table, dtype=np.float64)[element_table(elements)["atomic number"]]
    spread = vectors.std(axis=0)
    differs = np.isfinite(spread) & (spread > 1e-9)
    return (vectors[:, differs] - vectors[:, differs].mean(axis=0)) / spread[differs]
