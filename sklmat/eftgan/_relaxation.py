"""On which lattice an alloy that was set up in some phase comes to rest."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from sklmat.augmentation._processes import process_mean

#: Probabilities below this are zero: a lattice that hardly matters costs as much as another.
_NEGLIGIBLE = 0.02


class LatticeRelaxation(ClassifierMixin, BaseEstimator):
    """Probability of each lattice after relaxation, from composition and starting phase.

    A cell that is set up as bcc may relax to fcc, and its properties are then those of fcc. The
    structures of the training rows tell where that happened; a Gaussian process on the indicators
    of the lattices learns it as a function of the fractions and the phase.

    Parameters
    ----------
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
    """

    def __init__(self, sharpness=2.0):
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
        kernel = ConstantKernel(1.0) * Matern(1.0, (0.1, 100.0), nu=0.5) + WhiteKernel(
            0.05, (1e-4, 1.0)
        )
        self.process_ = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
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
        return np.hstack([np.sqrt(x), np.eye(len(self.phases_))[place]])
