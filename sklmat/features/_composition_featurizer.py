"""`CompositionFeaturizer`: fractions, lattice, element properties and mixing entropy in a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from sklmat.compositions import (
    MIXING_ENTROPY,
    element_amounts,
    fraction_column,
    mixing_entropy,
)
from sklmat.docstrings import insert_paragraphs
from sklmat.elements import element_table
from sklmat.exceptions import InvalidStructureError
from sklmat.features._infer_lattice import lattice_labels
from sklmat.features._invalid_rows import read_structures, refuse, unseen_errors
from sklmat.features._shared_docstrings import FEATURIZER_PARAGRAPHS
from sklmat.features._table_featurizer import TableFeaturizer, output_table
from sklmat.structures import is_graphs

if TYPE_CHECKING:
    import pandas as pd

    from sklmat.typing import Compositions, Structures

#: Properties that `CompositionFeaturizer` uses by default.
DEFAULT_PROPERTIES = (
    "group",
    "period",
    "Mendeleev number",
    "atomic mass (u)",
    "valence electrons",
    "electronegativity (Pauling)",
    "atomic radius (Å)",
    "covalent radius (Å)",
    "metallic radius (Å)",
    "first ionisation energy (eV)",
    "electron affinity (eV)",
    "molar volume (cm³/mol)",
    "melting point (K)",
)
STATISTICS = ("mean", "deviation", "min", "max", "range")


@insert_paragraphs(FEATURIZER_PARAGRAPHS)
class CompositionFeaturizer(TableFeaturizer):
    """Transformer to a table that describes the composition of each crystal.

    The columns are, in this order:

    - the atomic fraction of each element seen in `fit` (``x_Cr``, ``x_Fe``, ... by atomic number);
    - with `lattice`, one 0/1 column for each lattice seen in `fit` (``lattice_bcc``,
      ``lattice_fcc``, ...);
    - statistics of element properties (``mean electronegativity (Pauling)``, ...);
    - ``mixing entropy (kB per atom)``, the configurational entropy -Σ c ln c of the random solution
      with fractions c.

    Parameters
    ----------
    lattice : bool, default=False
        Whether to add the lattice type of the crystal, from `infer_lattice`. With True, `X` must
        hold structures, and in `transform` rows with a lattice that no row of `fit` has are
        invalid; with False, `X` may also hold compositions.
    properties : sequence of str, default=None
        Names of numeric columns of `element_table`. The default is group, period, Mendeleev number,
        mass, valence electrons, electronegativity, atomic, covalent and metallic radius, first
        ionisation energy, electron affinity, molar volume and melting point, without those that are
        unknown for an element seen in `fit`. An empty sequence gives no columns of properties.
    statistics : sequence of {"mean", "deviation", "min", "max", "range"}, default=None
        Statistics of each property; by default all five. "mean" and "deviation" (the standard
        deviation) are weighted by the fractions; "min", "max" and "range" are taken over the
        elements in the crystal.
    {on_invalid}

    Attributes
    ----------
    elements_ : list of str
        Symbols seen in `fit`, by atomic number.
    lattices_ : list of str
        Lattices seen in `fit`, alphabetically; empty without `lattice`.
    properties_ : list of str
        The element properties in use.
    statistics_ : list of str
        The statistics in use.
    property_values_ : ndarray of shape (n_elements, n_properties)
        Values of `properties_` for `elements_`.
    {feature_names_}

    See Also
    --------
    StructureFeaturizer : Describes the geometry of the crystals.

    Notes
    -----
    `transform` returns a pandas DataFrame (with the index of `X` if it is a Series), or an array
    after ``set_output(transform="default")``. ``FeatureUnion`` and ``ColumnTransformer`` return
    arrays unless their own ``set_output(transform="pandas")`` was called.

    "deviation" is the standard deviation, as in the size mismatch δ of alloy theory; Ward et
    al. [1]_ use the mean absolute deviation.

    References
    ----------
    .. [1] L. Ward et al., npj Comput. Mater. 2, 16028 (2016). :doi:`10.1038/npjcompumats.2016.28`

    Examples
    --------
    >>> from pymatgen.core import Composition
    >>> from sklmat import CompositionFeaturizer
    >>> featurizer = CompositionFeaturizer(
    ...     properties=["electronegativity (Pauling)"], statistics=["mean", "range"]
    ... )
    >>> featurizer.fit_transform([Composition("Ni3Fe"), Composition("Ni")]).T.round(3)
                                           0     1
    x_Fe                               0.250  0.00
    x_Ni                               0.750  1.00
    mean electronegativity (Pauling)   1.890  1.91
    range electronegativity (Pauling)  0.080  0.00
    mixing entropy (kB per atom)       0.562  0.00
    """

    _parameter_constraints = {
        "lattice": ["boolean"],
        "properties": ["array-like", None],
        "statistics": ["array-like", None],
        "on_invalid": [StrOptions({"raise", "warn"})],
    }

    def __init__(
        self,
        *,
        lattice: bool = False,
        properties: Sequence[str] | None = None,
        statistics: Sequence[str] | None = None,
        on_invalid: Literal["raise", "warn"] = "raise",
    ) -> None:
        self.lattice = lattice
        self.properties = properties
        self.statistics = statistics
        self.on_invalid = on_invalid

    def fit(self, X: Structures | Compositions, y: object = None) -> Self:
        """Find the elements and, with `lattice`, the lattices in the data.

        Parameters
        ----------
        X : sequence of C crystals, or of C pymatgen Composition
            Crystals in any form that `check_structures` takes; compositions are allowed only if
            `lattice` is False.
        y : None
            Ignored.

        Returns
        -------
        self : CompositionFeaturizer

        Raises
        ------
        InvalidStructureError
            When a row is not a valid crystal or composition and `on_invalid` is "raise".
        ValueError
            When a property or statistic is unknown, a property in `properties` has no value for one
            of the elements, or no row is valid.
        TypeError
            When `X` is `CrystalGraphs`, or holds compositions although `lattice` is True.
        """
        self._fit(X)
        return self

    def fit_transform(self, X: Structures | Compositions, y: object = None) -> pd.DataFrame:
        """Same result as ``fit(X).transform(X)``, but `X` is read and validated only once.

        Parameters
        ----------
        X : sequence of C crystals, or of C pymatgen Composition
        y : None
            Ignored.

        Returns
        -------
        table : pandas.DataFrame or ndarray of shape (C, F)
        """
        return output_table(self, self._table(*self._fit(X)), X)

    def _fit(self, X):
        """Fit, and return the result of `_read`."""
        self._validate_params()
        items, amounts = self._read(X)
        total = np.nansum(amounts, axis=0)
        if not total.any():
            raise ValueError("no row of X can be used to fit on")
        symbols = element_table().index
        self.elements_ = [symbols[z - 1] for z in np.flatnonzero(total).tolist()]
        self.lattices_ = []
        if self.lattice:
            structures = [structure for structure in items if structure is not None]
            self.lattices_ = sorted(set(lattice_labels(structures).tolist()))
        self.statistics_ = self._checked_statistics()
        self._fit_properties()
        self.feature_names_ = [
            *(fraction_column(symbol) for symbol in self.elements_),
            *(f"lattice_{name}" for name in self.lattices_),
            *(f"{statistic} {name}" for name in self.properties_ for statistic in self.statistics_),
            MIXING_ENTROPY,
        ]
        return items, amounts

    def transform(self, X: Structures | Compositions) -> pd.DataFrame:
        """Compute the table.

        Parameters
        ----------
        X : sequence of C crystals, or of C pymatgen Composition

        Returns
        -------
        table : pandas.DataFrame or ndarray of shape (C, F)

        Raises
        ------
        InvalidStructureError
            When a row is invalid, or has an element or lattice that no row of `fit` has, and
            `on_invalid` is "raise".
        """
        check_is_fitted(self)
        return output_table(self, self._table(*self._read(X)), X)

    def _table(self, items, amounts):
        """Values of shape (C, F); invalid rows are NaN."""
        values = np.full((len(items), len(self.feature_names_)), np.nan)
        rows = np.flatnonzero(~np.isnan(amounts[:, 0]))
        numbers = element_table(self.elements_)["atomic number"].to_numpy(dtype=int)
        errors = self._unseen_elements(items, amounts, rows, numbers)
        rows = np.setdiff1d(rows, [error.index for error in errors])
        lattices = lattice_labels(items[rows]) if self.lattices_ and len(rows) else None
        if lattices is not None:
            unseen = {
                row: [name] for row, name in zip(rows, lattices) if name not in self.lattices_
            }
            errors += unseen_errors("lattice", unseen, items, self.lattices_)
            usable = ~np.isin(rows, list(unseen))
            rows, lattices = rows[usable], lattices[usable]
        refuse(sorted(errors, key=lambda error: error.index), self.on_invalid)
        if len(rows):
            values[rows] = self._describe(amounts[np.ix_(rows, numbers)], lattices)
        return values

    def _read(self, X):
        """Structures or compositions of the rows, and atomic fractions by atomic number.

        An invalid row has None as its structure and NaN as its fractions.
        """
        items = _compositions(X, self.lattice, self.on_invalid)
        if items is None:
            items = read_structures(X, self.on_invalid)
        amounts = element_amounts(items)
        return items, amounts / amounts.sum(axis=1, keepdims=True)

    def _checked_statistics(self):
        statistics = list(STATISTICS if self.statistics is None else self.statistics)
        unknown = [statistic for statistic in statistics if statistic not in STATISTICS]
        if unknown:
            raise ValueError(f"unknown statistics {unknown}; choose from {list(STATISTICS)}")
        return statistics

    def _fit_properties(self):
        table = element_table(self.elements_).drop(columns="block")
        names = list(DEFAULT_PROPERTIES if self.properties is None else self.properties)
        unknown = [name for name in names if name not in table]
        if unknown:
            raise ValueError(f"unknown properties {unknown}; choose from {list(table.columns)}")
        if self.properties is None:
            names = [name for name in names if table[name].notna().all()]
        for name in names:
            missing = table.index[table[name].isna()]
            if len(missing):
                raise ValueError(
                    f"{name} is not known for {', '.join(missing)}; leave it out of properties"
                )
        self.properties_ = names
        self.property_values_ = table[names].to_numpy(dtype=float)

    def _unseen_elements(self, items, amounts, rows, numbers):
        other = np.setdiff1d(np.arange(amounts.shape[1]), numbers)
        symbols = element_table().index
        unseen = {
            row: [symbols[z - 1] for z in other[amounts[row, other] > 0]]
            for row in rows[(amounts[np.ix_(rows, other)] > 0).any(axis=1)]
        }
        return unseen_errors("element", unseen, items, self.elements_)

    def _describe(self, fractions, lattices):
        columns = [fractions]
        if lattices is not None:
            columns.append(lattices[:, None] == np.array(self.lattices_))
        present = fractions > 0
        for values in self.property_values_.T:
            statistics = _weighted_statistics(fractions, present, values)
            columns += [statistics[name][:, None] for name in self.statistics_]
        columns.append(mixing_entropy(fractions)[:, None])
        return np.hstack(columns)


def _weighted_statistics(fractions, present, values):
    mean = (fractions * values).sum(axis=1)
    variance = (fractions * (values - mean[:, None]) ** 2).sum(axis=1)
    smallest = np.where(present, values, np.inf).min(axis=1)
    largest = np.where(present, values, -np.inf).max(axis=1)
    return {
        "mean": mean,
        "deviation": np.sqrt(variance),
        "min": smallest,
        "max": largest,
        "range": largest - smallest,
    }


def _compositions(X, lattice, on_invalid):
    """Return the compositions in `X` as an object array, or None if `X` holds structures."""
    from pymatgen.core import Composition

    if isinstance(X, Composition):
        raise TypeError("expected a sequence of compositions, got a single one; put it in a list")
    if is_graphs(X) or isinstance(X, str | dict) or not hasattr(X, "__len__"):
        return None
    if getattr(X, "ndim", 1) != 1 or not any(isinstance(item, Composition) for item in X):
        return None
    if lattice:
        raise TypeError("a Composition has no lattice: pass structures, or set lattice=False")
    items = np.empty(len(X), dtype=object)
    errors = []
    for row, item in enumerate(X):
        reason = _unusable(item)
        if reason is None:
            items[row] = item
        else:
            formula = item.formula if isinstance(item, Composition) else type(item).__name__
            errors.append(InvalidStructureError(row, formula or "empty", reason))
    refuse(errors, on_invalid)
    return items


def _unusable(item):
    from pymatgen.core import Composition, DummySpecies

    if not isinstance(item, Composition):
        return "is no Composition like other rows; pass compositions only or structures only"
    if not item.num_atoms > 0 or not np.isfinite(item.num_atoms):
        return "has no atoms; give each element a positive amount"
    if any(isinstance(specie, DummySpecies) for specie in item):
        return "holds a dummy species; name chemical elements"
    return None
