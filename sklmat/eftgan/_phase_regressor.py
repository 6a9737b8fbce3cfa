"""The default regressor of the chain: does a target ask for the starting phase too?"""

import numpy as np
from scipy.linalg import cho_solve
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from sklmat.augmentation._codes import find_blocks, find_codes
from sklmat.augmentation._labeler import GaussianProcessLabeler

#: The phase must lower the leave-one-out error to this part of what it is without.
_WORTHWHILE = 0.9


class PhaseAwareProcesses(RegressorMixin, BaseEstimator):
    """Gaussian processes on a generated table, for each target with or without the phase.

    Most properties are those of the lattice on which a cell has come to rest, and the phase that it
    was set up in only distracts. A few depend on it as such: the displacement during relaxation,
    and mixing energies, whose references differ between the phases. The leave-one-out error on the
    training rows decides.

    Parameters
    ----------
    n_phase_columns : int
        The last columns of the table, one-hot; may be 0.

    Attributes
    ----------
    processes_ : list of GaussianProcessLabeler
        One for each target.
    reads_phase_ : ndarray of bool, shape (n_targets,)
        Which of them read the phase.
    """

    def __init__(self, n_phase_columns):
        self.n_phase_columns = n_phase_columns

    def fit(self, X, y):
        """Fit, for each target, the better of the two.

        Parameters
        ----------
        X : DataFrame of shape (n, F)
        y : ndarray of shape (n,) or (n, n_targets)
        """
        names, rows = list(X.columns), X.to_numpy()
        n_plain = len(names) - self.n_phase_columns
        self.n_dim_ = y.ndim
        self.processes_, reads_phase = [], []
        for target in y.reshape(len(y), -1).T:
            best = _fit_processes(names[:n_plain], rows[:, :n_plain], target)
            reads_phase.append(False)
            if self.n_phase_columns:
                other = _fit_processes(names, rows, target)
                reads_phase[-1] = _left_out(other) < _WORTHWHILE * _left_out(best)
                best = other if reads_phase[-1] else best
            self.processes_.append(best)
        self.reads_phase_ = np.array(reads_phase)
        return self

    def predict(self, X, return_std=False):
        """Predict; with `return_std` also standard deviations."""
        check_is_fitted(self)
        rows = np.asarray(X)
        told = [
            process.predict(rows[:, : process.n_features_in_], return_std=return_std)
            for process in self.processes_
        ]
        parts = zip(*told) if return_std else [told]
        parts = [part[0] if self.n_dim_ == 1 else np.column_stack(part) for part in parts]
        return tuple(parts) if return_std else parts[0]


def _fit_processes(names, rows, target):
    codes = find_codes(names, rows)
    blocks = find_blocks(names, rows, codes)
    return GaussianProcessLabeler(codes.fractions, blocks, codes.columns).fit(rows, target)


def _left_out(labeler):
    """Mean absolute error with each training row left out in turn, the kernels as they are."""
    errors = []
    for member in labeler.members_[0]:
        process = member[-1]
        inverse = cho_solve((process.L_, True), np.eye(len(process.L_)))
        errors.append(process._y_train_std * process.alpha_ / np.diag(inverse))
    return np.abs(np.mean(errors, axis=0)).mean()
