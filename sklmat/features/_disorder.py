"""Disorder as a table: symmetry that is left, distortion, tilts and short-range order."""

from collections.abc import Iterable
from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklmat.elements import element_table
from sklmat.exceptions import InvalidStructureError
from sklmat.features._base import (
    TableFeaturizer,
    chosen_groups,
    formula,
    in_chunks,
    load_structures,
    refuse,
    symbols_in,
    unseen_elements,
)
from sklmat.features._disorder_parent import learn_sublattices
from sklmat.features._disorder_rows import GROUPS, ON_PARENT, DisorderDescriber, at
from sklmat.features._neighbors import compact


class DisorderFeaturizer(TableFeaturizer):
    """Describe how each crystal deviates from its ideal parent."""

    _parameter_constraints = {
        "groups": ["array-like", None],
        "symprec": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "parent_symprec": [Interval(Real, 0, None, closed="neither"), None],
        "sublattices": ["array-like", None],
        "n_shells": [Interval(Integral, 1, 4, closed="both")],
        "voronoi": ["boolean"],
        "n_jobs": [Integral, None],
        "on_invalid": [StrOptions({"raise", "warn"})],
        "verbose": ["boolean"],
    }

    def __init__(
        self,
        *,
        groups=None,
        symprec=(0.01, 0.1),
        parent_symprec=0.5,
        sublattices=None,
        n_shells=4,
        voronoi=False,
        n_jobs=None,
        on_invalid="raise",
        verbose=False,
    ):
        self.groups = groups
        self.symprec = symprec
        self.parent_symprec = parent_symprec
        self.sublattices = sublattices
        self.n_shells = n_shells
        self.voronoi = voronoi
        self.n_jobs = n_jobs
        self.on_invalid = on_invalid
        self.verbose = verbose

    def fit(self, X, y=None):
        """Learn the sublattices, which of them are mixed, and which columns there are.

        Parameters
        ----------
        X : sequence of C crystals
            In any form that `check_structures` takes.
        y : None
            Ignored.

        Returns
        -------
        self : DisorderFeaturizer

        Raises
        ------
        InvalidStructureError
            When a row is no usable crystal, or spglib fails on it, and `on_invalid` is "raise".
        ValueError
            When a group is unknown, a tolerance is not positive, `sublattices` names a species
            twice or one that no crystal has, or no row can be used.
        TypeError
            When `X` is a `CrystalGraphs`.
        """
        self._fit_values(X)
        return self

    def fit_transform(self, X, y=None):
        """Do what ``fit(X).transform(X)`` does, describing each crystal once.

        Parameters
        ----------
        X : sequence of C crystals
        y : None
            Ignored.

        Returns
        -------
        table : pandas.DataFrame or ndarray of shape (C, F)
        """
        return self._table(self._finish(self._fit_values(X)), X)

    def transform(self, X):
        """Compute the table.

        Parameters
        ----------
        X : sequence of C crystals

        Returns
        -------
        table : pandas.DataFrame or ndarray of shape (C, F)

        Raises
        ------
        InvalidStructureError
            When a row is not usable, holds an element that `fit` has not seen, or spglib fails on
            it, and `on_invalid` is "raise".
        """
        check_is_fitted(self)
        structures = load_structures(X, self.on_invalid)
        return self._table(self._finish(self._values(structures)), X)

    def _fit_values(self, X):
        """Fit, and return the values of all candidate columns."""
        self._validate_params()
        groups = chosen_groups(self.groups, GROUPS, default=GROUPS)
        self._tolerances()
        structures = load_structures(X, self.on_invalid)
        usable = [s for s in structures if s is not None]
        if not usable:
            raise ValueError("no row of X can be used to fit on")
        elements = symbols_in(usable)
        sublattices = self._chosen_sublattices(usable, elements)
        self.groups_, self.elements_, self.sublattices_ = groups, elements, sublattices
        seen = [set(s.symbol_set) for s in usable]
        self.mixed_ = [
            "/".join(own) for own in sublattices if any(len(s.intersection(own)) > 1 for s in seen)
        ]
        values = self._values(structures)
        # Sorted, so that the sums do not depend on the order of the rows.
        ranked = np.sort(values, axis=0)
        known = ~np.isnan(ranked)
        self._kept = known.any(axis=0)
        describe = self._describer()
        self.feature_names_ = [n for n, kept in zip(describe.columns, self._kept) if kept]
        total = np.where(known, ranked, 0).sum(axis=0)[self._kept]
        no_order = np.isin(self.feature_names_, describe.order_columns)
        self.neutral_ = np.where(no_order, 0.0, total / known.sum(axis=0)[self._kept])
        return values

    def _values(self, structures):
        """Values of all candidate columns, refusing rows that have none."""
        crystals = {row: compact(s) for row, s in enumerate(structures) if s is not None}
        errors = unseen_elements(structures, crystals, self.elements_)
        for error in errors:
            del crystals[error.index]
        if self.on_invalid == "raise":
            refuse(errors, "raise")
        describe = self._describer()
        values = np.full((len(structures), len(describe.columns)), np.nan)
        rows = in_chunks(describe, list(crystals.values()), self.n_jobs, self.verbose)
        values[list(crystals)] = np.reshape(rows, (len(crystals), -1))
        errors += self._without_symmetry(structures, crystals, values, describe.columns)
        refuse(sorted(errors, key=lambda error: error.index), self.on_invalid)
        return values

    def _finish(self, values):
        """Keep the columns of fit, with the neutral value where a crystal has none."""
        values = values[:, self._kept]
        blank = np.isnan(values).all(axis=1, keepdims=True)
        return np.where(np.isnan(values) & ~blank, self.neutral_, values)

    def _without_symmetry(self, structures, crystals, values, columns):
        """Blank the rows where spglib failed, and say so."""
        if "symmetry" not in self.groups_:
            return []
        places = [at(symprec) for symprec in self._tolerances()]
        if self.parent_symprec is not None:
            places.append(ON_PARENT)
        errors = {}
        for place in places:
            column = columns.index(f"space group number {place}")
            for row in crystals:
                if np.isnan(values[row, column]):
                    reason = (
                        f"spglib finds no symmetry {place}; choose other values of symprec and "
                        "parent_symprec, or leave the group 'symmetry' out"
                    )
                    errors[row] = InvalidStructureError(row, formula(structures[row]), reason)
        values[list(errors)] = np.nan
        return list(errors.values())

    def _tolerances(self):
        tolerances = self.symprec if isinstance(self.symprec, Iterable) else [self.symprec]
        tolerances = list(tolerances)
        real = all(isinstance(t, Real) and t > 0 for t in tolerances)
        if not tolerances or not real or len(set(tolerances)) < len(tolerances):
            raise ValueError(
                f"symprec must be a positive number in Å, or different ones; got {self.symprec!r}"
            )
        return tolerances

    def _chosen_sublattices(self, structures, elements):
        """Lists of symbols that share a sublattice."""
        table = element_table()
        if self.sublattices is None:
            groups = learn_sublattices([compact(s) for s in structures])
            return sorted(sorted(table.index[z - 1] for z in group) for group in groups)
        named = [symbol for group in self.sublattices for symbol in group]
        wrong = [symbol for symbol in named if symbol not in table.index]
        if wrong or len(set(named)) < len(named):
            raise ValueError(
                "sublattices must be groups of element symbols, each symbol in one group, such as "
                f"(('Br', 'I'),); got {self.sublattices!r}"
            )
        groups = [sorted(set(group) & set(elements)) for group in self.sublattices]
        alone = [[symbol] for symbol in elements if symbol not in named]
        return sorted([group for group in groups if group] + alone)

    def _describer(self):
        number = element_table()["atomic number"]
        names = ["/".join(own) for own in self.sublattices_]
        return DisorderDescriber(
            self.groups_,
            self._tolerances(),
            self.parent_symprec,
            [sorted(int(number[symbol]) for symbol in own) for own in self.sublattices_],
            [names.index(name) for name in self.mixed_],
            self.n_shells,
            self.voronoi,
        )
