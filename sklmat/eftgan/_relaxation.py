"""`LatticeRelaxation`: probability of the lattice to which an alloy relaxes from a phase."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from sklmat.augmentation import process_mean
from sklmat.elements import element_table, element_vectors
from sklmat.recorded_warnings import ignore_warnings

#: Probabilities below this are set to zero, which saves the prediction for this lattice.
_NEGLIGIBLE = 0.02
#: Standard deviation of each input, and value of the indicator of a phase. The length scale of the
#: kernel is one before its parameters are fitted.
_INPUT_DEVIATION = 0.25
_PHASE_INDICATOR = 0.7


class LatticeRelaxation(ClassifierMixin, BaseEstimator):
    """Probability of each lattice after relaxation, from composition and starting phase.

    A cell that is set up as bcc may relax to fcc, and then has the properties of an fcc cell. The
    structures of the training rows show the lattice after relaxation. A Gaussian process is fitted
    to 0/1 indicators of this lattice, as a function of the fractions and the phase.

    The inputs of the process are the means and standard deviations, over the atoms, of properties
    of the elements, so that alloys of similar elements are near each other. In the space of
    fractions they would not be.

    Parameters
    ----------
    elements : list of str
        Symbols of the columns of fractions.
    sharpness : float, default=2.0
        The predicted indicators are clipped, raised to this power and normalised. The predictions
        shrink towards the mean, which the power corrects; 2 was best on the alloys.

    Attributes
    ----------
    classes_ : ndarray of str
        Lattices.
    phases_ : ndarray of str
        Phases.
    certain_ : ndarray of int, shape (n_phases,) or None
        Position in `classes_` of the lattice of each phase, if each phase always relaxes to one.
    process_ : GaussianProcessRegressor
        The fitted process, only where `certain_` is None.
    """

    def __init__(self, elements, sharpness=2.0):
        self.elements = elements
        self.sharpness = sharpness

    def fit(self, x, phase, lattice):
        """Fit the process.

        Parameters
        ----------
        x : ndarray of shape (n, E)
            Fractions.
        phase : ndarray of str, shape (n,)
            Lattice that each cell was set up on.
        lattice : ndarray of str, shape (n,)
            The lattice after relaxation.
        """
        self.phases_, phase_number = np.unique(phase, return_inverse=True)
        self.classes_, lattice_number = np.unique(lattice, return_inverse=True)
        lattices_of_phase = [
            np.unique(lattice_number[phase_number == k]) for k in range(len(self.phases_))
        ]
        self.certain_ = None
        if all(len(lattices) == 1 for lattices in lattices_of_phase):
            self.certain_ = np.concatenate(lattices_of_phase)
            return self
        self._vectors = _standard_vectors(self.elements)
        moments = self._moments(x)
        self._shift, deviation = moments.mean(axis=0), moments.std(axis=0)
        self._scale = _INPUT_DEVIATION / np.where(deviation > 0, deviation, 1.0)
        kernel = ConstantKernel(1.0) * Matern(1.0, (0.1, 100.0), nu=1.5)
        kernel += WhiteKernel(0.05, (1e-4, 1.0))
        self.process_ = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
        # Where the lattices have no noise, the noise of the kernel reaches its lower bound.
        with ignore_warnings(ConvergenceWarning):
            indicators = np.eye(len(self.classes_))[lattice_number]
            self.process_.fit(self._inputs(x, phase_number), indicators)
        return self

    def predict_proba(self, x, phase):
        """Predict the probability of each lattice.

        Parameters
        ----------
        x : ndarray of shape (n, E)
        phase : ndarray of str, shape (n,)

        Returns
        -------
        ndarray of shape (n, n_lattices)
        """
        phase_number = np.searchsorted(self.phases_, phase)
        if self.certain_ is not None:
            return np.eye(len(self.classes_))[self.certain_[phase_number]]
        indicators = process_mean(self.process_, self._inputs(x, phase_number))
        probability = np.clip(indicators, 1e-3, 1) ** self.sharpness
        probability /= probability.sum(axis=1, keepdims=True)
        probability[probability < _NEGLIGIBLE] = 0.0
        return probability / probability.sum(axis=1, keepdims=True)

    def _inputs(self, x, phase_number):
        moments = (self._moments(x) - self._shift) * self._scale
        return np.hstack([moments, np.eye(len(self.phases_))[phase_number] * _PHASE_INDICATOR])

    def _moments(self, x):
        """Mean and standard deviation of each property over the atoms."""
        mean = x @ self._vectors
        variance = np.maximum(x @ self._vectors**2 - mean**2, 0.0)
        # Without the constant the gradient of the square root would be infinite at pure elements.
        return np.hstack([mean, np.sqrt(variance + 1e-6)])


def _standard_vectors(elements):
    """Physical properties in which the elements differ, each with a standard deviation of one."""
    table = element_vectors("physical")[0]
    vectors = np.asarray(table, dtype=np.float64)[element_table(elements)["atomic number"]]
    deviation = vectors.std(axis=0)
    differs = np.isfinite(deviation) & (deviation > 1e-9)
    return (vectors[:, differs] - vectors[:, differs].mean(axis=0)) / deviation[differs]
