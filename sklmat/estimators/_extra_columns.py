"""`ExtraColumns`: the further columns that a network reads beside the crystals, and their scaling.

They come from columns of a table that `X` holds beside its structures, or from a transformer. The
graphs of the crystals carry them, so that whatever selects crystals selects their rows too.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Hashable
from dataclasses import dataclass, replace
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils import _safe_indexing, get_tags

from sklmat.elements import N_ROWS
from sklmat.estimators._same_values import same_values
from sklmat.exceptions import ExtrapolationWarning
from sklmat.graphs import CrystalGraphs, number_columns
from sklmat.readers import find_structures, holds_structures
from sklmat.recorded_warnings import frames_inside
from sklmat.structures import convert_structures

if TYPE_CHECKING:
    from sklmat.estimators._graph_estimator import GraphEstimator

#: Standard deviation of a column, relative to its largest value, below which it is constant.
_CONSTANT = 1e-9
#: Part of the variance of a column that is linear in the composition: if it is within these limits,
#: the network also reads the rest of the column. Beyond the second one, the rest is rounding.
_LINEAR_PART = (0.9, 1 - 1e-6)
#: Strengths of the ridge regression on the composition, of which leave-one-out chooses one for each
#: column.
_ALPHAS = np.logspace(-6, 2, 9)


@dataclass
class ExtraColumns:
    """Names and scaling of the further columns of a fitted network.

    A network reads each column with mean 0 and standard deviation 1 over the training rows. Where
    the composition explains most of a column, as of an energy, what it does not explain is small
    and would be lost beside it. The network then also reads this rest: the column minus a linear
    model of the atomic fractions, with standard deviation 1.

    Parameters
    ----------
    names : list of K column names
    mean, scale : ndarray of shape (K,)
        Of the training rows. The scale of a constant column is zero, and the network reads zeros.
    rest : ndarray of shape (R,), integers
        Columns of which the network also reads the rest.
    references : ndarray of shape (119, R)
        Linear model of the scaled columns: a number for each element, zero for those that no
        training row has.
    rest_scale : ndarray of shape (R,)
    elements : ndarray of int
        Atomic numbers of the elements in the training rows.
    transformer : fitted transformer or None
        Makes the columns; None if they are columns of a table.
    """

    names: list[Any]
    mean: np.ndarray
    scale: np.ndarray
    rest: np.ndarray
    references: np.ndarray
    rest_scale: np.ndarray
    elements: np.ndarray
    transformer: Any = None

    @classmethod
    def fit(cls, names, values, fractions, transformer):
        """Scale columns of the training rows, ndarray of shape (n, K)."""
        mean, scale = values.mean(axis=0), values.std(axis=0)
        scale[scale <= _CONSTANT * np.abs(values).max(axis=0)] = 0.0
        scaled = _divided(values - mean, scale)
        elements = np.flatnonzero(fractions.any(axis=0))
        ridge = RidgeCV(_ALPHAS, fit_intercept=False, alpha_per_target=True)
        references = np.zeros((N_ROWS, len(names)))
        coefficients = ridge.fit(fractions[:, elements], scaled).coef_
        references[elements] = coefficients.reshape(len(names), -1).T
        spread = (scaled - fractions @ references).std(axis=0)
        low, high = _LINEAR_PART
        rest = np.flatnonzero((scale > 0) & (spread**2 < 1 - low) & (spread**2 > 1 - high))
        return cls(
            names, mean, scale, rest, references[:, rest], spread[rest], elements, transformer
        )

    def of_table(self, values, fractions):
        """Columns as the network reads them, ndarray of shape (n, K + R).

        Parameters
        ----------
        values : ndarray of shape (n, K)
        fractions : ndarray of shape (n, 119)
        """
        changed = (self.scale == 0) & (np.abs(values - self.mean) > 1e-6 * np.abs(self.mean)).any(0)
        if changed.any():
            number = int(np.argmax(changed))
            warnings.warn(
                f"the column {self.names[number]!r} was {self.mean[number]:g} in all training rows "
                "and now has other values; the network does not know what they mean",
                ExtrapolationWarning,
                stacklevel=frames_inside(),
            )
        scaled = _divided(values - self.mean, self.scale)
        rest = (scaled[:, self.rest] - fractions @ self.references) / self.rest_scale
        rest[fractions[:, self.elements].sum(axis=1) < 1 - 1e-9] = 0.0
        return np.hstack([scaled, rest])

    def with_unknown_scales(self, other):
        """Take mean and scale from other rows where a column was constant."""
        unknown = self.scale == 0
        return replace(
            self,
            mean=np.where(unknown, other.mean, self.mean),
            scale=np.where(unknown, other.scale, self.scale),
        )


def _divided(values, scale):
    return np.divide(values, scale, out=np.zeros_like(values), where=scale > 0)


# -- reading


def read_input(
    estimator: GraphEstimator, X: Any, column: Any = None, *, with_extra: bool = True
) -> tuple[Any, Any, Any]:
    """Return what the columns and the graphs are made from.

    Parameters
    ----------
    estimator : GraphEstimator
    X : sequence of C structures, CrystalGraphs, or for an estimator with `extra` a DataFrame
    column : default=None
        Name of the column that held the structures in `fit`. None looks for it.
    with_extra : bool, default=True
        Whether a DataFrame needs the columns that `extra` names.

    Returns
    -------
    X
        What `extra` reads: the whole DataFrame, or only its structures for a transformer that takes
        no table. Structures are converted here if the transformer reads them too.
    crystals : sequence of C structures, or CrystalGraphs
        `X`, or the column of a DataFrame that holds the structures.
    column
        Name of this column, also if this `X` is no DataFrame.
    """
    extra = getattr(estimator, "extra", None)
    if extra is None:
        return X, X, column
    if isinstance(X, pd.DataFrame):
        given = [] if _is_transformer(extra) else list(extra)
        if with_extra:
            _check_columns(X, given, "which extra names")
        given = [name for name in given if name in X.columns]
        if column is None:
            column = _structure_column(X, given)
        else:
            _check_columns(X, [column], "which held the structures in fit")
        if _is_transformer(extra) and not _reads_tables(extra):
            structures = convert_structures(X[column])
            return structures, structures, column
        return X, X[column], column
    if with_extra and isinstance(_first(extra), ColumnTransformer):
        raise ValueError(
            f"extra is a {type(extra).__name__} that reads columns of a table, and X is a "
            f"{type(X).__name__} without them; pass a DataFrame with the structures and columns"
        )
    if _is_transformer(extra) and not isinstance(X, CrystalGraphs):
        X = convert_structures(X)
    return X, X, column


def _check_columns(X, names, what):
    """Raise if a table does not have each of some columns once."""
    _check_names(names)
    columns = X.columns.tolist()
    for name in names:
        if columns.count(name) == 0:
            raise ValueError(
                f"X has no column {name!r}, {what}; its columns are {', '.join(map(repr, columns))}"
            )
        if columns.count(name) > 1:
            raise ValueError(f"X has several columns {name!r}, {what}; keep one of them")


def _structure_column(X, given):
    """Name of the column that holds structures, beside those that `extra` names."""
    for name in given:
        if holds_structures(X[name]):
            raise ValueError(f"extra names {name!r}, which holds structures; leave it out of extra")
    return find_structures(X.drop(columns=given)).name


def fit_extra(
    estimator: GraphEstimator,
    X: Any,
    graphs: CrystalGraphs,
    used: np.ndarray,
    y: np.ndarray,
    before: ExtraColumns | None,
) -> tuple[CrystalGraphs, ExtraColumns | None]:
    """Fit the columns on training rows.

    Parameters
    ----------
    estimator : GraphEstimator
    X : as `read_input` returns it
    graphs : CrystalGraphs
    used : ndarray of int
        Training rows with a weight.
    y : ndarray of shape (C, ...)
        Targets, for a transformer that needs them.
    before : ExtraColumns or None
        Columns of the fitted networks from which the training starts. They are kept, except for the
        scale of a column that was constant.

    Returns
    -------
    graphs : CrystalGraphs
        With the columns as the network reads them.
    columns : ExtraColumns or None
    """
    extra = getattr(estimator, "extra", None)
    if extra is None:
        return _without_extra(graphs), None
    if not _is_transformer(extra):
        if not extra:
            raise ValueError("extra names no columns; use None for a network without them")
        _check_names(extra)
        names, values, transformer = list(extra), _named_columns(extra, X), None
    elif before is not None:
        transformer = before.transformer
        names, values = _transformed(transformer, transformer.transform, X, len(graphs))
        _check_same_names(names, before.names)
    else:
        transformer = clone(extra)
        names, values = _fit_transformed(transformer, X, used, y, len(graphs))
    fractions = _fractions(graphs)
    fitted = ExtraColumns.fit(names, values[used], fractions[used], transformer)
    if before is not None:
        fitted = before.with_unknown_scales(fitted)
    return graphs.with_extra(fitted.of_table(values, fractions)), fitted


def add_extra(estimator: GraphEstimator, X: Any, graphs: CrystalGraphs) -> CrystalGraphs:
    """Return the graphs with the columns that a fitted estimator reads, or without columns.

    Parameters
    ----------
    estimator : fitted GraphEstimator
    X : as `read_input` returns it
    graphs : CrystalGraphs
    """
    fitted = extra_columns(estimator)
    if fitted is None:
        return _without_extra(graphs)
    if fitted.transformer is None:
        values = _named_columns(fitted.names, X)
    else:
        transform = fitted.transformer.transform
        names, values = _transformed(fitted.transformer, transform, X, len(graphs))
        _check_same_names(names, fitted.names)
    return graphs.with_extra(fitted.of_table(values, _fractions(graphs)))


def _check_same_names(names, fitted_names):
    """Raise if a transformer gives other columns than in `fit`, or in another order."""
    if names != fitted_names:
        raise ValueError(
            f"the transformer of extra gave the {len(fitted_names)} columns {fitted_names} in fit, "
            f"and now gives the {len(names)} columns {names}; give it a table with the same "
            "columns in the same order"
        )


def extra_columns(estimator: GraphEstimator) -> ExtraColumns | None:
    """Columns of a fitted estimator; those that were saved by earlier versions have none."""
    return getattr(estimator, "extra_columns_", None)


def describe_extras(one: Any, other: Any) -> tuple[Any, Any]:
    """Describe two values of the parameter `extra` in a few words, equal if they are the same.

    Parameters
    ----------
    one, other : list of column names, transformer, ExtraColumns or None

    Returns
    -------
    tuple of two descriptions
    """
    one, other = map(_parameter, (one, other))
    if same_values(one, other):
        return one, one
    names = _different_params(one, other)
    shown = _described(one, names), _described(other, names)
    return shown if shown[0] != shown[1] else (shown[0], f"{shown[1]} with other values")


def _parameter(extra):
    """The value of the parameter `extra` with which columns were fitted."""
    if isinstance(extra, ExtraColumns):
        extra = extra.names if extra.transformer is None else extra.transformer
    return list(extra) if isinstance(extra, list | tuple) else extra


def _different_params(one, other):
    """Names of the parameters of two transformers of one class that differ."""
    if type(one) is not type(other) or not isinstance(one, BaseEstimator):
        return []
    params, others = one.get_params(deep=False), other.get_params(deep=False)
    return [name for name in params if not same_values(params[name], others.get(name))]


def _described(extra, names):
    if not _is_transformer(extra):
        return extra
    shown = [f"{name}={_brief(getattr(extra, name, None))}" for name in names[:3]]
    return f"{type(extra).__name__}({', '.join(shown)})"


def _brief(value):
    return shorten(repr(value), 60, placeholder="...")


def _is_transformer(extra):
    return hasattr(extra, "transform")


def _reads_tables(transformer):
    """Whether a transformer, or the first one within it, takes tables and not structures."""
    return get_tags(_first(transformer)).input_tags.two_d_array


def _first(transformer):
    """The transformer itself, or the one within it that reads `X`."""
    if isinstance(transformer, Pipeline):
        return _first(transformer.steps[0][1])
    if isinstance(transformer, FeatureUnion):
        return _first(transformer.transformer_list[0][1])
    return transformer


def _check_names(names):
    unusable = [name for name in names if not isinstance(name, Hashable)]
    if unusable:
        raise ValueError(f"extra names the column {unusable[0]!r}, which is no name of a column")
    if len(set(names)) < len(names):
        raise ValueError(f"extra names a column twice: {list(names)}")


def _without_extra(graphs):
    return graphs if graphs.extra is None else graphs.with_extra(None)


def _named_columns(names, X):
    """Columns of a table or of graphs by their names, ndarray of shape (C, K)."""
    if isinstance(X, pd.DataFrame):
        return number_columns([X[name] for name in names], names, len(X))
    listed = ", ".join(f"{name!r}: ..." for name in names)
    if not isinstance(X, CrystalGraphs):
        raise ValueError(
            f"extra={list(names)} names columns of a table, and X is a {type(X).__name__} without "
            f"columns; pass pd.DataFrame({{'structure': structures, {listed}}})"
        )
    missing = [name for name in names if name not in X.extra_names]
    if missing:
        raise ValueError(
            f"extra={list(names)} names columns that these CrystalGraphs do not have: {missing}; "
            f"pass graphs.with_extra(table[{list(names)}]), or a DataFrame with the structures and "
            "these columns"
        )
    return X.extra[:, [X.extra_names.index(name) for name in names]]


def _fractions(graphs):
    """Atomic fractions, ndarray of shape (C, 119)."""
    amounts = np.zeros((len(graphs), N_ROWS))
    for first, part in graphs.chunks():
        index = part.crystal_of_atom * N_ROWS + part.atomic_numbers
        counts = np.bincount(index, minlength=len(part) * N_ROWS)
        amounts[first : first + len(part)] = counts.reshape(len(part), N_ROWS)
    return amounts / amounts.sum(axis=1, keepdims=True)


# -- transformers


def _items(X):
    """What a transformer reads: the table, or the structures as an array."""
    if not isinstance(X, CrystalGraphs):
        return X
    structures = np.empty(len(X), dtype=object)
    structures[:] = X.to_structures()
    return structures


def _fit_transformed(transformer, X, used, y, n_rows):
    """Fit a transformer on some rows and transform all: names and values of its columns."""
    items = _items(X)
    others = np.setdiff1d(np.arange(n_rows), used)

    def fit_transform(items):
        of_used = items if len(others) == 0 else _safe_indexing(items, used)
        if hasattr(transformer, "fit_transform"):
            table = transformer.fit_transform(of_used, y[used])
        else:
            table = transformer.fit(of_used, y[used]).transform(of_used)
        if len(others) == 0:
            return table
        table = _dense(table)
        rest = _dense(transformer.transform(_safe_indexing(items, others)))
        back = np.argsort(np.concatenate([used, others]))
        if isinstance(table, pd.DataFrame):
            return pd.concat([table, rest]).iloc[back]
        return np.concatenate([table, rest])[back]

    return _transformed(transformer, fit_transform, items, n_rows)


def _transformed(transformer, transform, X, n_rows):
    """Names of the columns of a transformer, and the columns: ndarray of shape (C, K)."""
    table = _dense(transform(_items(X)))
    name = type(transformer).__name__
    if table.ndim != 2 or len(table) != n_rows or table.shape[1] == 0:
        raise ValueError(
            f"extra needs a table with a row for each of the {n_rows} crystals, and {name} gave an "
            f"array of shape {table.shape}"
        )
    if isinstance(table, pd.DataFrame):
        names = list(table.columns)
        columns = [table.iloc[:, number] for number in range(len(names))]
    else:
        columns, names = list(table.T), []
        with contextlib.suppress(AttributeError, NotImplementedError, ValueError):
            names = list(transformer.get_feature_names_out())
        if len(names) != len(columns):
            names = [f"{name} {number}" for number in range(len(columns))]
    return names, number_columns(columns, names, n_rows)


def _dense(table):
    if sparse.issparse(table):
        return table.toarray()
    return table if isinstance(table, pd.DataFrame) else np.asarray(table)
