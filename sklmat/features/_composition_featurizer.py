"""`CompositionFeaturizer`: fractions, lattice, element properties and mixing entropy in a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from sklmat.argument_checks import check_names
from sklmat.compositions import MIXING_ENTROPY, fraction_column, is_element, mixing_entropy
from sklmat.docstrings import insert_paragraphs
from sklmat.elements import element_symbols, element_table
from sklmat.exceptions import InvalidStructureError
from sklmat.features._composition_columns import (
    NORM_COLUMNS,
    ORBITAL_COLUMNS,
    orbital_fractions,
    property_values,
)
from sklmat.features._composition_rows import CompositionRows, formula_of, read_compositions
from sklmat.features._composition_statistics import (
    STATISTICS,
    fraction_norms,
    present_elements,
    property_statistics,
)
from sklmat.features._element_columns import MAX_ELEMENTS
from sklmat.features._invalid_rows import refuse, unseen_errors
from sklmat.features._phases import request_phase
from sklmat.features._shared_docstrings import FEATURIZER_PARAGRAPHS
from sklmat.features._table_featurizer import TableFeaturizer, output_table
from sklmat.fitted_state import unchanged_by_failure
from sklmat.unseen_elements import (
    find_unseen_elements,
    unseen_element_errors,
    warn_unseen_elements,
)

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.utils.metadata_routing import MetadataRequest

    from sklmat.typing import ArrayLike, Compositions, Structures

#: Properties beside fractions of elements; of metals, in the first place.
FEW_PROPERTIES = (
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
FEW_STATISTICS = ("mean", "deviation", "min", "max", "range")
#: Properties without fractions, for any chemistry: all are known or estimated from H to Pu.
MANY_PROPERTIES = (
    "atomic number",
    "group",
    "period",
    "Mendeleev number",
    "Glawe number",
    "atomic mass (u)",
    "valence electrons",
    "s valence electrons",
    "p valence electrons",
    "d valence electrons",
    "f valence electrons",
    "unfilled valence states",
    "electronegativity (Pauling)",
    "atomic radius (Å)",
    "covalent radius (Å)",
    "single-bond radius (Å)",
    "isodensity radius (Å)",
    "van der Waals radius (Å)",
    "first ionisation energy (eV)",
    "electron affinity (eV)",
    "polarizability (Å³)",
    "atomisation enthalpy (eV)",
    "molar volume (cm³/mol)",
    "melting point (K)",
    "boiling point (K)",
)
MANY_STATISTICS = ("mean", "average deviation", "range", "min", "max", "mode")


@insert_paragraphs(FEATURIZER_PARAGRAPHS)
class CompositionFeaturizer(TableFeaturizer):
    """Transformer to a table that describes the composition of each crystal.

    The columns are, in this order:

    - with `fractions`, the atomic fraction of each element (``x_Cr``, ``x_Fe``, ... by atomic
      number);
    - with `lattice`, one 0/1 column for each lattice seen in `fit` (``lattice_bcc``,
      ``lattice_fcc``, ...);
    - statistics of element properties (``mean electronegativity (Pauling)``, ...);
    - without `fractions`, norms of the fractions and the fractions of s, p, d and f electrons among
      the valence electrons;
    - ``mixing entropy (kB per atom)``, the configurational entropy -Σ c ln c of the random solution
      with fractions c.

    Parameters
    ----------
    lattice : bool, default=False
        Whether to add the lattice type of the crystal, from `infer_lattice` or from a column
        ``phase`` of `X`. In `transform`, rows with a lattice that no row of `fit` has are invalid.
    fractions : {"auto", True, False}, default="auto"
        Whether to add a column with the fraction of each element. "auto" adds them if `elements` is
        given or `fit` sees at most 12 elements. With more, most fractions are zero in most rows;
        properties then let a model apply what it learns about one element to another.
    elements : list of str, "all" or None, default=None
        Elements with a column of fractions: those seen in `fit` by default, or all 118.
    {handle_unknown}
        If `elements` is given, the elements outside this list count as unseen, also in the rows of
        `fit_transform`.
    properties : sequence of str, default=None
        Names of numeric columns of `element_table`. By default, beside fractions: group, period,
        Mendeleev number, mass, valence electrons, electronegativity, atomic, covalent and metallic
        radius (the last only if every element of `fit` and `elements` has one and `handle_unknown`
        is "error"), first ionisation energy, electron affinity,
        molar volume and melting point. Without fractions, 25 properties that are known or
        estimated for every element from H to Pu. An empty sequence gives no columns of properties.
    statistics : sequence of str, default=None
        Statistics of each property, from "mean" and "deviation" (the standard deviation), "average
        deviation" (the mean absolute deviation), all three weighted by the fractions, "min", "max"
        and "range" over the elements in the crystal, and "mode", the value of the most abundant
        element (the smallest value if there are several). By default, mean, deviation, min, max and
        range beside fractions; without fractions mean, average deviation, range, min, max and mode.
    {on_invalid}

    Attributes
    ----------
    elements_ : list of str
        Elements with a column of fractions; without such columns, those seen in `fit`. By atomic
        number.
    fractions_ : bool
        Whether the table has columns of fractions.
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
    element_table : The properties, with units, sources and estimates.

    Notes
    -----
    `transform` returns a pandas DataFrame (with the index of `X` if it is a Series), or an array
    after ``set_output(transform="default")``. ``FeatureUnion`` and ``ColumnTransformer`` return
    arrays unless their own ``set_output(transform="pandas")`` was called.

    The table without fractions follows Ward et al. [1]_, whose set is known as Magpie: their
    statistics, norms (Σ xᵖ)^(1/p) of the fractions for p = 2, 3, 5, 7 and 10, the number of
    elements (p = 0), and valence orbitals. Differences: properties of the elements that Ward et al.
    took from DFT (volume, band gap and magnetic moment of the ground state) are replaced by radii,
    polarizability, ionisation energy, electron affinity and atomisation enthalpy, so that nothing
    depends on the settings of a calculation. "deviation" is the standard deviation; it is
    not divided by the mean, unlike the size mismatch δ of alloy theory.

    Partially occupied sites are allowed if `lattice` is False or the phase is given, because the
    composition is known.

    References
    ----------
    .. [1] L. Ward et al., npj Comput. Mater. 2, 16028 (2016). :doi:`10.1038/npjcompumats.2016.28`

    Examples
    --------
    >>> from sklmat import CompositionFeaturizer
    >>> featurizer = CompositionFeaturizer(
    ...     properties=["electronegativity (Pauling)"], statistics=["mean", "range"]
    ... )
    >>> featurizer.fit_transform(["Ni3Fe", "Ni"]).T.round(3)
                                           0     1
    x_Fe                               0.250  0.00
    x_Ni                               0.750  1.00
    mean electronegativity (Pauling)   1.890  1.91
    range electronegativity (Pauling)  0.080  0.00
    mixing entropy (kB per atom)       0.562  0.00

    Any chemistry, also of elements that `fit` has not seen:

    >>> featurizer = CompositionFeaturizer(fractions=False).fit(["NaCl", "MgO"])
    >>> featurizer.transform(["KBr"]).shape
    (1, 161)

    Compositions with their phase:

    >>> import pandas as pd
    >>> alloys = pd.DataFrame({"composition": ["FeNi3", "FeCr"], "phase": ["fcc", "bcc"]})
    >>> table = CompositionFeaturizer(lattice=True, properties=[]).fit_transform(alloys)
    >>> table.columns.tolist()[:5]
    ['x_Cr', 'x_Fe', 'x_Ni', 'lattice_bcc', 'lattice_fcc']
    """

    _parameter_constraints = {
        "lattice": ["boolean"],
        "fractions": [StrOptions({"auto"}), "boolean"],
        "elements": ["array-like", StrOptions({"all"}), None],
        "handle_unknown": [StrOptions({"error", "warn", "ignore"})],
        "properties": ["array-like", None],
        "statistics": ["array-like", None],
        "on_invalid": [StrOptions({"raise", "warn"})],
    }

    def __init__(
        self,
        *,
        lattice: bool = False,
        fractions: Literal["auto"] | bool = "auto",
        elements: Sequence[str] | Literal["all"] | None = None,
        handle_unknown: Literal["error", "warn", "ignore"] = "error",
        properties: Sequence[str] | None = None,
        statistics: Sequence[str] | None = None,
        on_invalid: Literal["raise", "warn"] = "raise",
    ) -> None:
        self.lattice = lattice
        self.fractions = fractions
        self.elements = elements
        self.handle_unknown = handle_unknown
        self.properties = properties
        self.statistics = statistics
        self.on_invalid = on_invalid

    @unchanged_by_failure
    def fit(
        self, X: Structures | Compositions, y: object = None, phase: str | ArrayLike | None = None
    ) -> Self:
        """Find the elements and, with `lattice`, the lattices in the data.

        Parameters
        ----------
        X : sequence of C crystals, compositions or formulas, or DataFrame
            Crystals in any form that `check_structures` takes, pymatgen ``Composition``, formulas
            such as ``"Fe2O3"`` and dicts such as ``{"Fe": 2, "O": 3}``. A DataFrame has one column
            of them and may have a column ``phase`` with the lattice. Compositions without a phase
            are allowed only if `lattice` is False.
        y : None
            Ignored.
        phase : str or array-like of str, shape (C,), default=None
            With `lattice`: the lattice of all rows or of each, in place of that of the structures.
            With the metadata routing of scikit-learn, a Pipeline passes it on.

        Returns
        -------
        self : CompositionFeaturizer
            The fitted estimator.

        Raises
        ------
        InvalidStructureError
            When a row is not a valid crystal or composition and `on_invalid` is "raise".
        ValueError
            When a property, statistic or element is unknown, a property in `properties` has no
            value for one of the elements, or no row is valid.
        TypeError
            When `X` is `CrystalGraphs`, or holds compositions without a phase although `lattice` is
            True.
        """
        self._fit(X, phase)
        return self

    @unchanged_by_failure
    def fit_transform(
        self, X: Structures | Compositions, y: object = None, phase: str | ArrayLike | None = None
    ) -> pd.DataFrame:
        """Same result as ``fit(X).transform(X)``, but `X` is read and validated only once.

        Parameters
        ----------
        X : sequence of C crystals, compositions or formulas, or DataFrame
            Training rows.
        y : None
            Ignored.
        phase : str or array-like of str, shape (C,), default=None
            As in `fit`.

        Returns
        -------
        table : pandas.DataFrame or ndarray of shape (C, F)
            One row for each crystal, with the columns of ``get_feature_names_out``.
        """
        return output_table(self, self._table(self._fit(X, phase)), X)

    def _fit(self, X, phase):
        """Fit, and return the rows of `X`."""
        self._validate_params()
        check_names(elements=self.elements, properties=self.properties, statistics=self.statistics)
        rows = read_compositions(X, self.lattice, self.on_invalid, phase)
        total = np.nansum(rows.fractions, axis=0)
        if not total.any():
            raise ValueError("no row of X can be used to fit on")
        seen = element_symbols(np.flatnonzero(total))
        self.fractions_ = self._has_fractions(seen)
        self.elements_ = self._checked_elements() or seen
        self.lattices_ = []
        if rows.lattices is not None:
            valid = ~np.isnan(rows.fractions[:, 0])
            self.lattices_ = sorted(set(rows.lattices[valid].tolist()))
        self.statistics_ = self._checked_statistics()
        self.properties_ = self._checked_properties(seen)
        numbers = element_table(self.elements_)["atomic number"]
        self.property_values_ = property_values(self.properties_)[numbers]
        self.feature_names_ = [
            *(fraction_column(symbol) for symbol in self.elements_ if self.fractions_),
            *(f"lattice_{name}" for name in self.lattices_),
            *(f"{statistic} {name}" for name in self.properties_ for statistic in self.statistics_),
        ]
        if not self.fractions_:
            self.feature_names_ += [*NORM_COLUMNS, *ORBITAL_COLUMNS]
        self.feature_names_.append(MIXING_ENTROPY)
        return rows

    def get_metadata_routing(self) -> MetadataRequest:
        """Return the requested metadata: with `lattice`, the phase.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRequest
            What scikit-learn reads to pass metadata on.
        """
        request = super().get_metadata_routing()
        return request_phase(request, fit=self.lattice, transform=self.lattice)

    def _has_fractions(self, seen):
        if self.fractions is False and self.elements is not None:
            raise ValueError(
                "elements names the columns of fractions; leave it None with fractions=False"
            )
        if self.fractions == "auto":
            return self.elements is not None or len(seen) <= MAX_ELEMENTS
        return self.fractions

    def _checked_elements(self):
        """Elements of the parameter, by atomic number; None if it is None."""
        if self.elements is None:
            return None
        if isinstance(self.elements, str):
            return list(element_table().index)
        unknown = [symbol for symbol in self.elements if not is_element(symbol)]
        if unknown or not len(self.elements) or len(set(self.elements)) < len(self.elements):
            raise ValueError(
                f"elements must be 'all' or symbols, each once, got {list(self.elements)}"
            )
        return [symbol for symbol in element_table().index if symbol in set(self.elements)]

    def transform(
        self, X: Structures | Compositions, phase: str | ArrayLike | None = None
    ) -> pd.DataFrame:
        """Compute the table.

        Parameters
        ----------
        X : sequence of C crystals, compositions or formulas, or DataFrame
            The rows.
        phase : str or array-like of str, shape (C,), default=None
            As in `fit`.

        Returns
        -------
        table : pandas.DataFrame or ndarray of shape (C, F)
            One row for each crystal, with the columns of ``get_feature_names_out``.

        Raises
        ------
        InvalidStructureError
            With `on_invalid` "raise": when a row is invalid, when no row of `fit` has its lattice,
            or, with `handle_unknown` "error" and columns of fractions, when it has an unseen
            element.
        """
        check_is_fitted(self)
        rows = read_compositions(X, self.lattice, self.on_invalid, phase)
        return output_table(self, self._table(rows), X)

    def _table(self, rows: CompositionRows) -> np.ndarray:
        """Values of shape (C, F); invalid rows are NaN."""
        values = np.full((len(rows.items), len(self.feature_names_)), np.nan)
        valid = np.flatnonzero(~np.isnan(rows.fractions[:, 0]))
        errors = self._unseen_elements(rows, valid) + self._missing_properties(rows, valid)
        valid = np.setdiff1d(valid, [error.index for error in errors])
        if rows.lattices is not None:
            lattices = rows.lattices.tolist()
            unseen = {row: [lattices[row]] for row in valid if lattices[row] not in self.lattices_}
            errors += unseen_errors("lattice", unseen, rows.items, self.lattices_)
            valid = np.setdiff1d(valid, list(unseen))
        refuse(sorted(errors, key=lambda error: error.index), self.on_invalid)
        if len(valid):
            values[valid] = self._describe(rows, valid)
        return values

    def _unseen_elements(self, rows, valid):
        """Errors of the rows with an element that has no column of fractions."""
        if not self.fractions_:
            return []
        at, numbers = np.nonzero(rows.fractions[valid] > 0)
        columns = element_table(self.elements_)["atomic number"]
        unseen = find_unseen_elements(valid[at], numbers, columns)
        if self.handle_unknown == "warn":
            consequence = "they have no column of fractions, so that x_* sum to less than one"
            warn_unseen_elements(unseen, consequence)
        if self.handle_unknown != "error":
            return []
        return unseen_element_errors(
            unseen,
            lambda row: formula_of(rows.items[row]),
            self.elements_,
            "use fractions=False, elements or handle_unknown, or leave this row out",
            "which no structure of fit had"
            if self.elements is None
            else "which is not in elements",
        )

    def _missing_properties(self, rows, valid):
        """Errors of the rows with an element that lacks a property."""
        lacking = np.isnan(property_values(self.properties_))
        errors = []
        for row, number in np.argwhere(rows.fractions[valid][:, lacking.any(axis=1)] > 0):
            number = int(np.flatnonzero(lacking.any(axis=1))[number])
            names = [name for name, lacks in zip(self.properties_, lacking[number]) if lacks]
            index = int(valid[row])
            errors.append(
                InvalidStructureError(
                    index,
                    formula_of(rows.items[index]),
                    f"{names[0]} is not known for {element_symbols([number])[0]}; leave it out of "
                    "properties, or leave this row out",
                )
            )
        return list({error.index: error for error in reversed(errors)}.values())

    def _checked_statistics(self):
        default = FEW_STATISTICS if self.fractions_ else MANY_STATISTICS
        statistics = list(default if self.statistics is None else self.statistics)
        unknown = [statistic for statistic in statistics if statistic not in STATISTICS]
        if unknown:
            raise ValueError(f"unknown statistics {unknown}; choose from {list(STATISTICS)}")
        return statistics

    def _checked_properties(self, seen):
        table = element_table(estimates=True).drop(columns="block")
        if self.properties is None:
            if not self.fractions_:
                return list(MANY_PROPERTIES)
            # Rows with other elements may follow unless they are errors.
            needed = table.loc[sorted({*seen, *self.elements_} & {*table.index[:94]})]
            if self.handle_unknown != "error":
                needed = table.iloc[:94]
            return [name for name in FEW_PROPERTIES if needed[name].notna().all()]
        names = list(self.properties)
        unknown = [name for name in names if name not in table]
        if unknown:
            raise ValueError(f"unknown properties {unknown}; choose from {list(table.columns)}")
        for name in names:
            missing = [symbol for symbol in seen if np.isnan(table.at[symbol, name])]
            if missing:
                raise ValueError(
                    f"{name} is not known for {', '.join(missing)}; leave it out of properties"
                )
        return names

    def _describe(self, rows, valid):
        fractions = rows.fractions[valid]
        columns = []
        if self.fractions_:
            columns.append(fractions[:, element_table(self.elements_)["atomic number"]])
        if self.lattices_:
            columns.append(rows.lattices[valid][:, None] == np.array(self.lattices_))
        columns.append(
            property_statistics(fractions, property_values(self.properties_), self.statistics_)
        )
        if not self.fractions_:
            columns += [fraction_norms(fractions), orbital_fractions(fractions)]
        columns.append(mixing_entropy(present_elements(fractions)[0])[:, None])
        return np.hstack(columns)
