"""`DerivedColumns`: columns that follow from the fractions, recomputed for generated rows."""

import numpy as np

from sklmat.compositions import element_of_column, is_element
from sklmat.elements import N_ROWS, element_table
from sklmat.features import composition_columns, is_composition_column

#: Largest median difference of a column from the recomputed one, relative to its largest value;
#: published fractions are rounded.
_TOLERANCE = 0.01


def derived_columns(names, codes):
    """Find the columns whose names say that they follow from the composition.

    Parameters
    ----------
    names : sequence of str or None
        Names of the columns; without names there are none.
    codes : Codes
        From `find_codes`; a column that is named as a code is left out.

    Returns
    -------
    ndarray of int
        Positions, such as those of ``mean group`` from `CompositionFeaturizer`.
    """
    if names is None:
        return np.empty(0, dtype=int)
    columns = [column for column, name in enumerate(names) if is_composition_column(name)]
    return np.setdiff1d(np.array(columns, dtype=int), codes.columns)


class DerivedColumns:
    """Columns that follow from the fractions of a row.

    Parameters
    ----------
    names : sequence of str or None
        Names of the columns.
    codes : Codes
        From `find_codes`.
    X : ndarray of shape (n, F)
        The training rows.

    Attributes
    ----------
    columns : ndarray of int
        Their positions.

    Raises
    ------
    ValueError
        When there are such columns, but they cannot be computed from columns of fractions, or have
        other values.
    """

    def __init__(self, names, codes, X):
        self.columns = derived_columns(names, codes)
        self._names = [str(names[column]) for column in self.columns]
        self._fractions = codes.fractions
        if not len(self.columns):
            return
        listed = _some_of(self._names)
        elements = [element_of_column(names[column]) for column in codes.fractions]
        if not elements or not all(is_element(element) for element in elements):
            raise ValueError(
                f"the columns {listed} follow from the composition, and cannot be computed for "
                "generated rows without columns of fractions x_<element> that sum to one: use "
                "CompositionFeaturizer(fractions=True), or leave them out"
            )
        self._numbers = element_table(elements)["atomic number"].to_numpy()
        self._refuse_other_values(X)

    def fill(self, rows):
        """Return a copy of rows with the columns computed from their fractions."""
        rows = rows.copy()
        if len(self.columns) and len(rows):
            fractions = np.zeros((len(rows), N_ROWS))
            fractions[:, self._numbers] = rows[:, self._fractions]
            rows[:, self.columns] = composition_columns(self._names, fractions)
        return rows

    def _refuse_other_values(self, X):
        """Refuse columns that do not hold what their names say, for example after scaling."""
        real, expected = X[:, self.columns], self.fill(X)[:, self.columns]
        difference = np.abs(real - expected)
        limit = _TOLERANCE * np.abs(real).max(axis=0)
        wrong = np.flatnonzero(~(np.median(difference, axis=0) <= limit))
        if len(wrong):
            row = int(difference[:, wrong[0]].argmax())
            raise ValueError(
                f"the column {self._names[wrong[0]]!r} should follow from the fractions, but row "
                f"{row} has {real[row, wrong[0]]:.4g} instead of {expected[row, wrong[0]]:.4g}, so "
                "that it cannot be computed for generated rows: augment before scaling, or give a "
                "column of another meaning another name"
            )


def _some_of(names):
    """Return up to three names for a message."""
    return f"{names[:3]}" if len(names) <= 3 else f"{names[:3]} and {len(names) - 3} more"
