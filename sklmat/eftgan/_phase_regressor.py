"""`PhaseAwareProcesses`: Gaussian processes, the default regressor of `EFTGANRegressor`."""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from sklmat.augmentation import GaussianProcessLabeler

#: The phase is an input where it lowers the leave-one-out error to less than this fraction.
_MAX_ERROR_RATIO = 0.9


class PhaseAwareProcesses(RegressorMixin, BaseEstimator):
    """Gaussian processes on a generated table, for each target with or without the phase.

    Most properties depend on the lattice to which a cell has relaxed, and the phase that the cell
    was set up in adds only noise to the inputs. A few depend on the phase itself: the displacement
    during relaxation, and mixing energies, whose references differ between the phases. The
    leave-one-out error on the training rows decides whether the phase is an input for a target.

    Parameters
    ----------
    n_phase_columns : int
        Number of one-hot columns of the phase, the last ones of the table; may be 0.

    Attributes
    ----------
    processes_ : list of GaussianProcessLabeler
        One for each target.
    reads_phase_ : ndarray of bool, shape (n_targets,)
        Whether the phase is an input of the process of each target.
    """

    def __init__(self, n_phase_columns):
        self.n_phase_columns = n_phase_columns

    def fit(self, X, y):
        """Fit a process for each target, with the phase where this lowers the error.

        Parameters
        ----------
        X : DataFrame of shape (n, F)
        y : ndarray of shape (n,) or (n, n_targets)
            NaN where one of several targets is missing in a row.
        """
        names, rows = list(X.columns), X.to_numpy()
        n_plain = len(names) - self.n_phase_columns
        self.n_dim_ = y.ndim
        self.processes_, reads_phase = [], []
        for target in y.reshape(len(y), -1).T:
            known = ~np.isnan(target)
            chosen = _fit_processes(names[:n_plain], rows[:, :n_plain], target, known)
            reads_phase.append(False)
            if self.n_phase_columns:
                with_phase = _fit_processes(names, rows, target, known)
                error, error_with_phase = _error(chosen), _error(with_phase)
                reads_phase[-1] = error_with_phase < _MAX_ERROR_RATIO * error
                chosen = with_phase if reads_phase[-1] else chosen
            self.processes_.append(chosen)
        self.reads_phase_ = np.array(reads_phase)
        return self

    def predict(self, X, return_std=False):
        """Predict; with `return_std` also standard deviations."""
        check_is_fitted(self)
        rows = np.asarray(X)
        predictions = [
            process.predict(rows[:, : process.n_features_in_], return_std=return_std)
            for process in self.processes_
        ]
        if not return_std:
            return self._like_target(predictions)
        means, deviations = zip(*predictions)
        return self._like_target(means), self._like_target(deviations)

    def _like_target(self, columns):
        """Join arrays (n,), one for each target, to the shape of the targets of `fit`."""
        return columns[0] if self.n_dim_ == 1 else np.column_stack(columns)


def _fit_processes(names, rows, target, known):
    """Fit the processes of a target on the rows with a known label."""
    return GaussianProcessLabeler.for_table(names, rows).fit(rows[known], target[known])


def _error(process):
    return process.leave_one_out_error()[0]
