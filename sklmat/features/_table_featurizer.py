"""`TableFeaturizer`: base of transformers from crystals to a table with named columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sklmat.elements import element_table
from sklmat.features._chunks import MAX_CRYSTALS, split_into_chunks
from sklmat.nested_parameters import NestedParameters
from sklmat.processes import count_processes, run_parallel
from sklmat.reference_links import ReferenceLink


class TableFeaturizer(ReferenceLink, NestedParameters, TransformerMixin, BaseEstimator):
    """Base of transformers from crystals to a table with named columns."""

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return the names of the columns.

        Parameters
        ----------
        input_features : None
            Ignored: crystals have no input columns.

        Returns
        -------
        names : ndarray of str, shape (F,)
            One name for each column of ``transform``.
        """
        check_is_fitted(self)
        return np.asarray(self.feature_names_, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


def output_table(transformer: TransformerMixin, values: np.ndarray, X: object) -> Any:
    """Return values as a DataFrame, or as an array if `set_output` or the configuration says so.

    Parameters
    ----------
    transformer : TableFeaturizer
    values : ndarray of shape (C, F)
    X : sequence of C crystals
        Input of the transformer; the index of a Series or DataFrame is that of the result.

    Returns
    -------
    DataFrame or ndarray of shape (C, F)
    """
    container = getattr(transformer, "_sklearn_output_config", {}).get("transform")
    is_array = container == "default"
    if is_array or (container or sklearn.get_config()["transform_output"]) == "polars":
        return values
    index = X.index if isinstance(X, pd.Series | pd.DataFrame) else None
    return pd.DataFrame(values, columns=transformer.get_feature_names_out(), index=index)


def chosen_groups(groups, known, default):
    """Check the parameter `groups`, and return it as a list."""
    groups = list(default if groups is None else groups)
    unknown = [group for group in groups if group not in known]
    if unknown or not groups or len(set(groups)) < len(groups):
        raise ValueError(f"groups must be one or several of {list(known)}, each once; got {groups}")
    return groups


def elements_of(structures):
    """Symbols of all elements in the structures, alphabetically."""
    numbers = np.unique(np.concatenate([s.atomic_numbers for s in structures]))
    return sorted(element_table().index[numbers - 1])


def describe_crystals(describe, crystals, n_jobs, verbose):
    """Compute columns of crystals in parallel; return their names and values, shape (C, F).

    Parameters
    ----------
    describe : callable
        Takes a list of n crystals and returns a dict of column names and values of shape (n,). The
        names are the same, in the same order, for all crystals.
    crystals : list of CrystalArrays
    n_jobs : int or None
    verbose : bool
        Whether to show a progress bar.
    """
    from tqdm.auto import tqdm

    largest_first = sorted(range(len(crystals)), key=lambda row: -len(crystals[row].atomic_numbers))
    n_processes, max_crystals = count_processes(n_jobs), MAX_CRYSTALS
    if n_processes > 1:
        max_crystals = min(MAX_CRYSTALS, max(1, len(crystals) // (4 * n_processes)))
    sizes = [len(crystals[row].atomic_numbers) for row in largest_first]
    chunks = [largest_first[rows] for rows in split_into_chunks(sizes, max_crystals)]
    items = (([crystals[row] for row in chunk],) for chunk in chunks)
    results = run_parallel(_describe_chunk, items, common=(describe,), n_jobs=n_jobs)
    bar = tqdm(results, total=len(chunks), desc="structures to table", disable=not verbose)
    tables = list(bar)
    names = tables[0][0] if tables else []
    values = np.empty((len(crystals), len(names)))
    for chunk, (_, chunk_values) in zip(chunks, tables):
        values[chunk] = chunk_values
    return names, values


def _describe_chunk(describe, crystals):
    columns = describe(crystals)
    values = np.empty((len(crystals), len(columns)))
    for place, column in enumerate(columns.values()):
        values[:, place] = column
    return list(columns), values
