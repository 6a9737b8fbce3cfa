"""`explain_by_sampling`: SHAP values of any function of a table."""

from collections.abc import Callable

import numpy as np

from sklmat.inspection._shapley_values import shapley_values

#: Largest number of rows of the background: the cost is proportional to it.
_MAX_BACKGROUND = 100
#: Largest number of cells of the tables that are predicted at a time, to limit memory.
_MAX_CELLS = 4_000_000


def explain_by_sampling(
    predict: Callable[[np.ndarray], np.ndarray],
    table: np.ndarray,
    background: np.ndarray,
    n_permutations: int,
    rng: np.random.RandomState,
) -> tuple[np.ndarray, np.ndarray]:
    """Explain predictions by Shapley values from sampled permutations of the columns.

    Parameters
    ----------
    predict : callable
        Returns the predictions for a table, ndarray of shape (n,) or (n, K).
    table : ndarray of shape (C, F)
        Rows to explain.
    background : ndarray of shape (B, F)
        Columns that are left out take their values from these rows.
    n_permutations : int
    rng : RandomState

    Returns
    -------
    values : ndarray of shape (C, F) or (C, F, K)
    base_values : ndarray of shape (C,) or (C, K)
        Mean predictions for the background. They and the values of a row sum to its prediction.
    """
    if len(background) > _MAX_BACKGROUND:
        rows = rng.choice(len(background), _MAX_BACKGROUND, replace=False)
        background = background[np.sort(rows)]
    values = [
        shapley_values(_of_sets(predict, row, background), len(row), n_permutations, rng)
        for row in table
    ]
    base_value = predict(background).mean(axis=0)
    return np.stack(values), np.repeat(base_value[None], len(table), axis=0)


def _of_sets(predict, row, background):
    """Mean predictions for sets of columns of one row that are kept, as a function of the sets."""
    n_sets = max(1, _MAX_CELLS // background.size)

    def mean_predictions(keep):
        means = []
        for start in range(0, len(keep), n_sets):
            part = keep[start : start + n_sets]
            rows = np.where(part[:, None, :], row, background).reshape(-1, len(row))
            outputs = predict(rows)
            means.append(outputs.reshape(len(part), len(background), *outputs.shape[1:]).mean(1))
        return np.concatenate(means)

    return mean_predictions
