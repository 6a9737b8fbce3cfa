"""`StructureFeaturizer`: volume, distances, coordination, order and symmetry in a table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from sklmat.argument_checks import check_names
from sklmat.docstrings import insert_paragraphs
from sklmat.features._element_columns import MAX_ELEMENTS
from sklmat.features._infer_lattice import lattice_labels
from sklmat.features._invalid_rows import (
    crystals_of_known_elements,
    missing_value_errors,
    read_structures,
    refuse,
    unseen_errors,
)
from sklmat.features._shared_docstrings import FEATURIZER_PARAGRAPHS
from sklmat.features._structure_descriptors import GROUPS, StructureSchema, describe_structures
from sklmat.features._table_featurizer import (
    TableFeaturizer,
    chosen_groups,
    describe_crystals,
    elements_of,
    output_table,
)
from sklmat.features._undefined_values import warn_of_undefined_values, warn_of_vacuum
from sklmat.fitted_state import unchanged_by_failure
from sklmat.parallel import N_JOBS
from sklmat.parameter_constraints import Interval
from sklmat.structures import crystal_arrays

if TYPE_CHECKING:
    import pandas as pd

    from sklmat.typing import Structures


@insert_paragraphs(FEATURIZER_PARAGRAPHS)
class StructureFeaturizer(TableFeaturizer):
    """Transformer to a table that describes the geometry and short-range order of each crystal.

    Parameters
    ----------
    groups : sequence of str, default=None
        Groups of columns, in the order of the table; by default all except "lattice".

        - "volume": volume per atom (Å³); density (g/cm³); packing fraction (of spheres with half
          the distance to the nearest neighbour as radius: 0.740 for fcc, 0.680 for bcc); volume
          relative to the elements (divided by the mean atomic volume of the pure elements, weighted
          by their fractions). If `fit` has slabs, wires or molecules, see Notes.
        - "distances": mean, deviation (the standard deviation), min and max over the atoms of the
          distance to the nearest neighbour (Å); this mean divided by the cube root of the volume
          per atom; mean and deviation of all distances in the first and in the second shell (Å);
          mean of the second shell divided by the mean of the first; off-centre displacement (Å),
          the mean distance of an atom from the centre of its first shell; relative root-mean-square
          deviation of the distances to the 18 nearest atoms from the distances in each ideal
          lattice (see `infer_lattice`).
        - "coordination": mean, deviation, min and max over the atoms of the coordination number
          (atoms in the first shell) and of Hoppe's effective coordination number [1]_.
        - "order": for the first and the second shell, the mean absolute value of the Warren-Cowley
          parameters α, and the excess of like pairs (two atoms of one element) over a random alloy.
          With columns for pairs of elements (see `pairs`), also the fraction of the pairs of atoms
          and α for each pair of elements seen in `fit`, and for the first shell the mean difference
          of electronegativity and of metallic radius over its pairs. Without them, also the
          fraction of unlike pairs; mean, deviation and max over the pairs of the difference of
          electronegativity, covalent radius and Mendeleev number; for the first shell, mean,
          deviation, min and max of the distance divided by the sum of the covalent radii.
        - "symmetry": space group number, crystal system (1 triclinic to 7 cubic), point group order
          (1 to 48).
        - "lattice": one 0/1 column for each lattice seen in `fit`, from `infer_lattice`. In
          `transform`, rows with another lattice are invalid. The group is not used by default,
          because ``CompositionFeaturizer(lattice=True)`` has the same columns.
    pairs : bool or "auto", default="auto"
        Whether the group "order" has four columns for each pair of elements. "auto" means up to 12
        elements in `fit`; 80 elements would have 12,960 such columns.
    symprec : float, default=0.1
        Tolerance (Å) within which atoms are symmetry-equivalent. The default suits relaxed cells,
        whose atoms have small random displacements from their ideal sites.
    {handle_unknown}
    {n_jobs}
    {on_invalid}
    {verbose}

    Attributes
    ----------
    elements_ : list of str
        Symbols seen in `fit`, alphabetically.
    pairs_ : bool
        Whether pairs of elements have columns in the group "order".
    periodic_directions_ : list of int
        Numbers of periodic directions of the structures seen in `fit`: [3] for crystals only.
    lattices_ : list of str
        Lattices seen in `fit`, alphabetically; empty without the group "lattice".
    groups_ : list of str
        The groups in use.
    {feature_names_}

    See Also
    --------
    CompositionFeaturizer : Columns that do not need a structure.
    infer_lattice : The lattice type, which determines the number of atoms in the shells.

    Notes
    -----
    Shells: in a crystal whose lattice `infer_lattice` recognises, the first and second shell are
    the nearest 8 and the next 6 atoms (bcc), 12 and 6 (fcc, hcp), 6 and 12 (sc), 4 and 12
    (diamond), so that displacements do not move atoms between shells. In all other crystals the
    first shell of an atom ends 5 % beyond Hoppe's weighted mean distance, Σ w d / Σ w with
    w = exp(1 - (d / mean)⁶) iterated to self-consistency. The second shell is found in the same way
    among the atoms beyond the first.

    Warren-Cowley: α(A-B) = 1 - p(A-B) / (p(A) p(B)). Each pair of neighbours in a shell is counted
    in both directions; p(A-B) is the fraction of these ordered pairs that go from A to B, and p(A)
    the fraction that start at A. (The columns "fraction of A-B pairs" count both directions
    together.) If all atoms have the same number of neighbours, p(A) is the concentration, and this
    is the usual α = 1 - P(B|A) / c(B) [2]_. Zero means as many A-B pairs as in a random alloy, a
    negative value means more of them, and 1 means none. In a crystal without A or without B, α(A-B)
    is 0 by definition, so that the table has no NaN. Means over pairs of elements are weighted by
    p(A) p(B). The excess of like pairs is Σ p(A-A) - Σ p(A)²; it is 0 for a pure element.

    Only the columns of pairs of elements belong to elements. The others need properties of the
    elements, which all elements have: for elements without a value in `element_table`, the
    electronegativity is that of Allen's scale [3]_ (He, Ne, Ar), the molar volume is that of a
    predicted density (At, Fr), and elements beyond Cm have the values of the next lighter element.
    The difference of metallic radius is left out if an element in `fit` is a non-metal without this
    radius.

    Slabs, wires and molecules (structures that are not periodic in three directions, from
    ``lattice.pbc``) have no volume. If all structures in `fit` are of this kind, the columns that
    need the volume are left out. If some are, these columns are NaN in their rows, and a warning
    names rows and columns. The group "volume" then has the area per atom (Å², if `fit` has slabs),
    the length per atom (Å, if `fit` has wires), and the number of periodic directions if it
    differs. The space group of a slab is that of the slab between layers of vacuum; wires and
    molecules have none. In a small molecule, the second shell can be empty, and the columns of its
    distances, and the means over its pairs, are NaN; so are the deviations from ideal lattices if
    an atom has fewer than 18 neighbours. No column depends on the thickness of the vacuum or on the
    place of the atoms in it.

    In a structure declared as periodic in three directions, vacuum counts as volume. A warning
    names rows with more than 8 Å without atoms along a lattice vector.

    Rotation, translation, the order of the atoms and the choice of the cell do not change the
    columns, except for rounding and, if displacements are about as large as `symprec`, for the
    group "symmetry". The output is a pandas DataFrame, or an array after
    ``set_output(transform="default")``; see `CompositionFeaturizer`.

    References
    ----------
    .. [1] R. Hoppe, Z. Kristallogr. 150, 23 (1979). :doi:`10.1524/zkri.1979.150.14.23`
    .. [2] J. M. Cowley, Phys. Rev. 77, 669 (1950). :doi:`10.1103/PhysRev.77.669`
    .. [3] L. C. Allen, J. Am. Chem. Soc. 111, 9003 (1989). :doi:`10.1021/ja00207a003`

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import StructureFeaturizer
    >>> nial = Structure(Lattice.cubic(2.88), ["Ni", "Al"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> table = StructureFeaturizer().fit_transform([nial])
    >>> table["volume per atom (Å³)"].round(2).tolist()
    [11.94]
    >>> table[["Warren-Cowley α(Al-Ni) shell 1", "Warren-Cowley α(Al-Ni) shell 2"]].values.round(6)
    array([[-1.,  1.]])
    """

    _parameter_constraints = {
        "groups": ["array-like", None],
        "pairs": ["boolean", StrOptions({"auto"})],
        "symprec": [Interval(Real, 0, None, closed="neither")],
        "handle_unknown": [StrOptions({"error", "warn", "ignore"})],
        "n_jobs": N_JOBS,
        "on_invalid": [StrOptions({"raise", "warn"})],
        "verbose": ["boolean"],
    }

    def __init__(
        self,
        *,
        groups: Sequence[str] | None = None,
        pairs: bool | Literal["auto"] = "auto",
        symprec: float = 0.1,
        handle_unknown: Literal["error", "warn", "ignore"] = "error",
        n_jobs: int | None = None,
        on_invalid: Literal["raise", "warn"] = "raise",
        verbose: bool = False,
    ) -> None:
        self.groups = groups
        self.pairs = pairs
        self.symprec = symprec
        self.handle_unknown = handle_unknown
        self.n_jobs = n_jobs
        self.on_invalid = on_invalid
        self.verbose = verbose

    @unchanged_by_failure
    def fit(self, X: Structures, y: object = None) -> Self:
        """Find the elements and, for the group "lattice", the lattices in the data.

        Parameters
        ----------
        X : sequence of C crystals
            In any form that `check_structures` takes.
        y : None
            Ignored.

        Returns
        -------
        self : StructureFeaturizer
            The fitted estimator.

        Raises
        ------
        InvalidStructureError
            When a row is not a valid crystal and `on_invalid` is "raise".
        ValueError
            When a group is unknown, no row is valid, or the groups have no column for structures
            without periodicity.
        TypeError
            When `X` is a `CrystalGraphs`.
        """
        self._fit(X)
        return self

    @unchanged_by_failure
    def fit_transform(self, X: Structures, y: object = None) -> pd.DataFrame:
        """Same result as ``fit(X).transform(X)``, but `X` is read and validated only once.

        Parameters
        ----------
        X : sequence of C crystals
            Training crystals.
        y : None
            Ignored.

        Returns
        -------
        table : pandas.DataFrame or ndarray of shape (C, F)
            One row for each crystal, with the columns of ``get_feature_names_out``.
        """
        return output_table(self, self._describe(self._fit(X)), X)

    def _fit(self, X):
        """Fit, and return the structures of `X`."""
        self._validate_params()
        check_names(groups=self.groups)
        default = [group for group in GROUPS if group != "lattice"]
        groups = chosen_groups(self.groups, GROUPS, default=default)
        read = read_structures(X, self.on_invalid)
        structures = [s for s in read if s is not None]
        if not structures:
            raise ValueError("no row of X can be used to fit on")
        self.groups_ = groups
        self.elements_ = elements_of(structures)
        self.pairs_ = len(self.elements_) <= MAX_ELEMENTS if self.pairs == "auto" else self.pairs
        self.periodic_directions_ = sorted({sum(s.lattice.pbc) for s in structures})
        self.lattices_ = []
        if "lattice" in self.groups_:
            self.lattices_ = sorted(set(lattice_labels(structures).tolist()))
        # All crystals have the same columns; the smallest crystal gives their names fastest.
        columns = self._describer()(crystal_arrays([min(structures, key=len)]))
        self.feature_names_ = list(columns)
        if not columns:
            raise ValueError(
                f"the groups {groups} have no column for structures without periodicity; add other "
                "groups"
            )
        return read

    def transform(self, X: Structures) -> pd.DataFrame:
        """Compute the table.

        Parameters
        ----------
        X : sequence of C crystals
            The crystals.

        Returns
        -------
        table : pandas.DataFrame or ndarray of shape (C, F)
            One row for each crystal, with the columns of ``get_feature_names_out``.

        Raises
        ------
        InvalidStructureError
            When a row is invalid, has a lattice that no row of `fit` has, or has an element that no
            row of `fit` has and `handle_unknown` is "error", and `on_invalid` is "raise".
        """
        check_is_fitted(self)
        return output_table(self, self._describe(read_structures(X, self.on_invalid)), X)

    def _describe(self, structures):
        """Values of shape (C, F); invalid rows are NaN."""
        crystals, errors = crystals_of_known_elements(
            structures,
            self.elements_,
            self.on_invalid,
            self.handle_unknown if self.pairs_ and "order" in self.groups_ else "ignore",
            "their pairs have no columns of their own",
        )
        values = np.full((len(structures), len(self.feature_names_)), np.nan)
        if crystals:
            _, rows = describe_crystals(
                self._describer(), list(crystals.values()), self.n_jobs, self.verbose
            )
            values[list(crystals)] = rows
        errors += self._errors_in_values(structures, list(crystals), values)
        values[[error.index for error in errors]] = np.nan
        refuse(sorted(errors, key=lambda error: error.index), self.on_invalid)
        refused = {error.index for error in errors}
        crystals = {row: crystal for row, crystal in crystals.items() if row not in refused}
        warn_of_undefined_values(structures, list(crystals), values, self.feature_names_)
        if {"volume", "distances"} & set(self.groups_):
            warn_of_vacuum(structures, crystals)
        return values

    def _describer(self):
        schema = StructureSchema(
            elements=self.elements_,
            lattices=self.lattices_,
            symprec=self.symprec,
            pairs=self.pairs_,
            periodic_directions=self.periodic_directions_,
        )
        return partial(describe_structures, groups=self.groups_, schema=schema)

    def _errors_in_values(self, structures, rows, values):
        """Errors for rows with a lattice that no row of `fit` has, or for which spglib fails."""
        errors = []
        if "lattice" in self.groups_:
            columns = [self.feature_names_.index(f"lattice_{name}") for name in self.lattices_]
            unseen = [row for row in rows if not values[row, columns].any()]
            names = {row: lattice_labels([structures[row]]).tolist() for row in unseen}
            errors += unseen_errors("lattice", names, structures, self.lattices_)
            rows = [row for row in rows if row not in names]
        if "symmetry" in self.groups_ and "space group number" in self.feature_names_:
            rows = [row for row in rows if sum(structures[row].lattice.pbc) >= 2]
            reason = (
                f"spglib finds no symmetry within symprec={self.symprec} Å; choose a smaller "
                "symprec, or leave the group 'symmetry' out"
            )
            reasons = {"space group number": reason}
            errors += missing_value_errors(structures, rows, values, self.feature_names_, reasons)
        return errors
