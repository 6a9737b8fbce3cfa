"""What the table featurizers have in common: pandas out by default, rows refused by name."""

import numpy as np
import pandas as pd
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from sklmat.elements import element_table

# Crystals sent to a worker at once, at most: about a tenth of a second of work.
_CHUNK = 50


class TableFeaturizer(TransformerMixin, BaseEstimator):
    """Base of transformers from crystals to a table with named columns."""

    def get_feature_names_out(self, input_features=None):
        """Names of the columns.

        Parameters
        ----------
        input_features : None
            Ignored: crystals have no input columns.

        Returns
        -------
        names : ndarray of str, shape (F,)
        """
        check_is_fitted(self)
        return np.asarray(self.feature_names_, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags

    def _table(self, values, X):
        """Return a DataFrame unless `set_output` was asked for something else."""
        asked = getattr(self, "_sklearn_output_config", {}).get("transform")
        if asked == "default" or (asked or sklearn.get_config()["transform_output"]) == "polars":
            return values
        index = X.index if isinstance(X, pd.Series) else None
        return pd.DataFrame(values, columns=self.get_feature_names_out(), index=index)


def chosen_groups(groups, known, default):
    """List the groups of columns that were asked for."""
    groups = list(default if groups is None else groups)
    unknown = [group for group in groups if group not in known]
    if unknown or not groups or len(set(groups)) < len(groups):
        raise ValueError(
            f"groups must be different ones out of {list(known)}, at least one; got {groups}"
        )
    return groups


def symbols_in(structures):
    """Symbols of all elements in the structures, alphabetically."""
    numbers = np.unique(np.concatenate([s.atomic_numbers for s in structures]))
    return sorted(element_table().index[numbers - 1])


def in_chunks(describe, crystals, n_jobs, verbose):
    """Describe compact crystals in chunks, large ones first, and give the rows in order."""
    from joblib import effective_n_jobs
    from tqdm import tqdm

    order = sorted(range(len(crystals)), key=lambda i: -len(crystals[i][0]))
    size = min(_CHUNK, max(1, len(crystals) // (4 * effective_n_jobs(n_jobs))))
    chunks = [order[start : start + size] for start in range(0, len(order), size)]
    bar = tqdm(chunks, desc="structures to table", disable=not verbose)
    results = Parallel(n_jobs=n_jobs)(
        delayed(describe)([crystals[i] for i in chunk]) for chunk in bar
    )
    rows = [None] * len(crystals)
    for chunk, result in zip(chunks, results):
        for i, row in zip(chunk, result):
            rows[i] = row
    return rows
