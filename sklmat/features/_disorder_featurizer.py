"""`DisorderFeaturizer`: distortion and chemical disorder of crystals in a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from sklmat.argument_checks import check_names
from sklmat.docstrings import insert_paragraphs
from sklmat.features._disorder_descriptors import (
    GROUPS,
    ON_PARENT,
    at_symprec,
    describe_disorder,
)
from sklmat.features._disorder_schema import DisorderSchema
from sklmat.features._element_columns import MAX_ELEMENTS
from sklmat.features._invalid_rows import (
    crystals_of_known_elements,
    missing_value_errors,
    read_structures,
    refuse,
)
from sklmat.features._shared_docstrings import FEATURIZER_PARAGRAPHS
from sklmat.features._sublattices import (
    learn_sublattices,
    mixed_sublattices,
    named_sublattices,
    sublattice_names,
)
from sklmat.features._table_featurizer import (
    TableFeaturizer,
    chosen_groups,
    describe_crystals,
    elements_of,
    output_table,
)
from sklmat.fitted_state import unchanged_by_failure
from sklmat.parallel import N_JOBS
from sklmat.parameter_constraints import Interval
from sklmat.structures import crystal_arrays

if TYPE_CHECKING:
    import pandas as pd

    from sklmat.typing import Structures

#: Groups with columns that belong to elements.
_OF_ELEMENTS = {"symmetry", "bonds", "angles", "order", "entropy"}


@insert_paragraphs(FEATURIZER_PARAGRAPHS)
class DisorderFeaturizer(TableFeaturizer):
    """Transformer to a table that describes how crystals deviate from their ideal parent.

    The parent is the ideal crystal with one kind of atom per sublattice, such as the cubic
    perovskite of a tilted mixed-halide perovskite. The columns describe the remaining symmetry, the
    distortion of bonds, angles and polyhedra, and the arrangement of elements on shared
    sublattices.

    Parameters
    ----------
    groups : sequence of str, default=None
        Groups of columns, in the order of the table; by default all. The name of a sublattice lists
        its elements, such as ``Br/I``.

        - "symmetry": number of symmetry-inequivalent sites; this number divided by the number of
          atoms in the primitive cell; atoms in the primitive cell; symmetry operations (the order
          of the point group, 1 to 48, which does not count lattice translations and so does not
          depend on the cell); space group number; and, with several sublattices, inequivalent sites
          of each. These columns are computed for the crystal at each `symprec` [1]_, and "on the
          parent lattice", that is, for a crystal with the elements on the ideal sites of the
          parent. The last column is the logarithm of the number of equivalent arrangements of the
          elements, that is, of the different arrangements into which the symmetry operations of the
          parent transform the given one. It is ln[(n_parent / a_parent) / (n / a)], with n symmetry
          operations and a atoms in the primitive cell "on the parent lattice", and n_parent and
          a_parent for the parent.
        - "bonds": mean (Å), variance (Å²) and skew (m₃ / m₂^1.5, with the central moments m) of the
          bond lengths of each pair of elements.
        - "angles": mean (°), variance (°²) and skew of the bond angles at each element. These are
          the angles at the centre of an octahedron between ligands that are not opposite (12 of 15
          pairs, about 90°), at the centre of a tetrahedron between all ligands (6 pairs), and at an
          anion between the centres of the polyhedra that it joins.
        - "polyhedra": mean and standard deviation over the polyhedra of four quantities, for a
          centre with n ligands at distances l. Quadratic elongation [2]_ λ = Σ (l / l₀)² / n, with
          l₀ the centre-to-vertex distance of the regular octahedron or tetrahedron of the same
          volume (1 for a regular polyhedron). Bond angle variance (°²) [2]_ Σ (θ - θ₀)² / (m - 1)
          of the m = 12 or 6 angles θ, with θ₀ = 90° or 109.47°. Bond length distortion [3]_
          ``Σ |l - l̄| / (n l̄)``, with the mean distance l̄. Off-centring (Å), the distance of the
          centre from the mean position of its ligands.
        - "tilts": mean and standard deviation (°) of the tilt (180° - φ) / 2, with φ the angle at
          an anion that joins two octahedra. If rigid octahedra are rotated by ω about one axis, the
          tilt is ω at 2/3 of the anions and 0 at 1/3 [4]_.
        - "volume": each atom has a volume π d³ / 6 (Å³), where d is Hoppe's weighted mean distance
          [5]_ from the atom to its neighbours (see `StructureFeaturizer`). The column is the
          root-mean-square deviation of these volumes from the mean volume of the atoms of the same
          sublattice. With `voronoi`, a further column is the same deviation for the volumes of
          Voronoi cells.
        - "order": columns for each mixed sublattice (one with several elements in some crystal of
          `fit`). A like pair is a pair of atoms of one element; the excess of like pairs is their
          fraction minus their fraction in a random crystal. The first columns describe each
          neighbour shell of the sublattice: Warren-Cowley α [6]_ of each pair of elements, mean of
          abs(α), excess of like pairs Σ p(A-A) - Σ p(A)², and fraction of like pairs Σ p(A-A);
          `StructureFeaturizer` defines α and p. The next columns describe how the elements A of the
          mixed sublattice are distributed around the atoms of each sublattice. Each such atom is
          the centre of a polyhedron, whose n ligands are its nearest neighbours on the mixed
          sublattice. Let c(A) be the concentration of A on the sublattice, u the unit vector to a
          ligand, and s = 1 - c(A) for ligands of element A and s = -c(A) for the others; Σ is the
          sum over the ligands. Three columns are the count variance (Σ s)² / n, the squared dipole
          ``|Σ s u|² / n`` and the squared quadrupole ``|Σ s (u uᵀ - I/3)|² / (2n / 3)``. For each
          polyhedron these quantities are summed over the elements A and divided by two; each column
          is the mean over the polyhedra. One more column, the mean dipole, is the mean over the
          polyhedra of the square root of the squared dipole. In a random crystal of two elements
          with the concentrations c and 1 - c, the count variance, the squared dipole and the
          squared quadrupole are c (1 - c) on average. The dipole is large if opposite ligands are
          different, which displaces the centre; the quadrupole is large if opposite ligands are
          equal. The last columns, one for each of the angles 60°, 90°, 109°, 120° and 180° (± 5°),
          are the excess of like pairs among the pairs of ligands that form this angle at the
          centre of a polyhedron.
        - "entropy": configurational entropy -Σ c ln c of each mixed sublattice (kB per site), and
          the mean over all atoms (kB per atom).
        - "prototype": root-mean-square and largest displacement from the ideal sites of the parent
          (Å), without the net translation; strain relative to the parent, the Frobenius norm of the
          Green strain of the lattice relative to the parent lattice of the same volume; space group
          number of the parent.
    symprec : float or sequence of float, default=0.1
        Tolerances (Å) within which sites are symmetry-equivalent. The default suits relaxed cells.
        At 0.01, noise of 0.005 Å changes the counts of most cells. If displacements are about as
        large as the tolerance, the result depends on the order of the atoms. For precise positions,
        use several tolerances such as ``(0.01, 0.1)``.
    parent_symprec : float or None, default=1.0
        Tolerance (Å) within which the crystal, with one kind of atom per sublattice, must match its
        parent. If the atoms of CsSnX₃ are displaced by 0.25 Å in random directions, the default
        finds the cubic parent of 40 of 40 cells of 20 atoms; a tolerance of 0.7 finds 38, and 0.5
        finds 26. With None, no parent is used: the columns that need it are left out, and
        neighbours are found at the displaced positions.
    sublattices : sequence of sequences of str, default=None
        Elements that share a sublattice, such as ``(("Br", "I"),)``; each other element has its own
        sublattice. By default, anions (N, O, F, P, S, Cl, Se, Br, Te, I) share a sublattice, and so
        do cations whose median number of anion neighbours in `fit` is in the same range (up to 4; 5
        or 6; more). In data without anions, or without cations, all elements share one sublattice.
    pairs : {"auto", True, False}, default="auto"
        Whether columns belong to elements. "auto" means True if `fit` sees at most 12 elements. If
        True, "bonds" has columns for each pair of elements, "angles" for each element, "order" also
        for each pair of elements on one sublattice, and the names of sublattices list their
        elements. If False, "bonds" describes all bonds together, their lengths divided by the sum
        of the covalent radii; "angles" the angles at cations and those at anions; "order" has no
        columns of pairs; and sublattices are called ``anions``, ``cations 1``, ...
    {handle_unknown}
    n_shells : int, default=4
        Number of shells of a sublattice in the group "order", 1 to 4.
    voronoi : bool, default=False
        Whether to add the deviation of Voronoi volumes, which takes longer than all other columns.
    {n_jobs}
    {on_invalid}
    {verbose}

    Attributes
    ----------
    elements_ : list of str
        Symbols seen in `fit`, alphabetically.
    sublattices_ : list of list of str
        Elements of each sublattice.
    mixed_ : list of str
        Names of the sublattices that hold several elements in some crystal of `fit`.
    groups_ : list of str
        The groups in use.
    {feature_names_}
    neutral_ : ndarray of shape (F,)
        Value of each column for crystals to which the column does not apply; see Notes.

    See Also
    --------
    StructureFeaturizer : Columns that do not need a parent.

    Notes
    -----
    Parent: if the atoms of one sublattice form a simple, body- or face-centred cubic lattice (see
    `infer_lattice`), the vectors between neighbouring atoms of this sublattice give the lattice
    vectors of the parent. The positions of the atoms of the other sublattices are averaged over all
    primitive cells of this lattice, and over the symmetry that spglib finds within
    `parent_symprec`. The parent of a tilted perovskite is therefore the cubic perovskite, and the
    parent of an alloy is its lattice, even after a large relaxation. Other crystals are idealised
    by spglib at `parent_symprec`, or at half or a quarter of it. If all three fail, the crystal is
    its own parent.

    Bonds and polyhedra are determined in the parent and measured in the crystal, so that
    displacements change the lengths of bonds but not the neighbours. A tin atom is therefore bonded
    to Br and to I atoms, although these bonds differ in length. Cations are bonded to anions; in a
    crystal without anions or without cations, all atoms are bonded to each other. The bonded
    neighbours of an atom are those before the largest relative step in the sorted distances, at
    most 16. This gives 12 in fcc and 14 in bcc. In all groups but "order", polyhedra are centred
    on cations with 4 or 6 anions. If a crystal has no such cation, they are centred on all
    cations, and in an alloy on all atoms. A tetrahedron is a centre with four ligands, and an
    octahedron a centre with six ligands that form three opposite pairs. Quadratic elongation, bond
    angle variance and the group "angles" use only octahedra and tetrahedra of anions, and the group
    "tilts" only octahedra of anions.

    The table has the columns that have a value for at least one crystal of `fit`. A crystal without
    a value, such as CsSnBr₃ in the columns of Sn-I bonds, gets a neutral value: 0 (no order) in the
    group "order", and elsewhere the mean over the crystals of `fit` that have a value. Valid
    crystals therefore have no NaN, and missing values do not appear as differences between crystals
    in tree models and in tests of distributions. Distributions of bond lengths or angles with a
    standard deviation below 10⁻⁴ Å or 10⁻³ ° have skew 0.

    Elements that `fit` has not seen: `handle_unknown` has an effect only if the table has columns
    of elements, that is, if `pairs` is True, or "auto" with at most 12 elements, and `groups` has
    "symmetry", "bonds", "angles", "order" or "entropy". In all other tables, crystals with any
    elements are described. An unseen element is on the sublattice of the anions if it is in the
    list of anions above; otherwise it is on the only sublattice or, if there are several, on none.
    Where crystals with unseen elements are described in a table with columns of elements, "bonds"
    leaves out the bonds of the unseen element and "angles" the angles at its atoms, and for "order"
    its sites are empty. "symmetry" counts only sites on sublattices. In all other columns, an
    unseen element counts like any other.

    Shells: the distances from each atom of a sublattice to its neighbours on this sublattice are
    sorted, and the k-th distances of all atoms are averaged. If the mean of the (k + 1)-th
    distances is more than 3 % larger than the mean of the k-th distances, a shell ends with the
    k-th neighbour.

    Rotation, translation, the order of the atoms and the choice of the cell do not change the
    columns, except for rounding and for the counts at a `symprec` as large as the displacements.
    The output is a pandas DataFrame, or an array after ``set_output(transform="default")``; see
    `CompositionFeaturizer`.

    References
    ----------
    .. [1] A. Togo, K. Shinohara and I. Tanaka, Sci. Technol. Adv. Mater. Methods 4, 2384822
       (2024). :doi:`10.1080/27660400.2024.2384822`
    .. [2] K. Robinson, G. V. Gibbs and P. H. Ribbe, Science 172, 567 (1971).
       :doi:`10.1126/science.172.3983.567`
    .. [3] W. H. Baur, Acta Cryst. B 30, 1195 (1974). :doi:`10.1107/S0567740874004560`
    .. [4] A. M. Glazer, Acta Cryst. B 28, 3384 (1972). :doi:`10.1107/S0567740872007976`
    .. [5] R. Hoppe, Z. Kristallogr. 150, 23 (1979). :doi:`10.1524/zkri.1979.150.14.23`
    .. [6] J. M. Cowley, Phys. Rev. 77, 669 (1950). :doi:`10.1103/PhysRev.77.669`

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat.features import DisorderFeaturizer
    >>> sites = [[0.5, 0.5, 0.5], [0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
    >>> bromide = Structure(Lattice.cubic(5.8), ["Cs", "Sn", "Br", "Br", "Br"], sites)
    >>> mixed = Structure(Lattice.cubic(5.9), ["Cs", "Sn", "Br", "Br", "I"], sites)
    >>> featurizer = DisorderFeaturizer(groups=["symmetry", "entropy"], symprec=0.01)
    >>> table = featurizer.fit_transform([bromide, mixed])
    >>> featurizer.mixed_
    ['Br/I']
    >>> table["inequivalent sites at 0.01 Å"].tolist()
    [3.0, 4.0]
    >>> table["configurational entropy of Br/I (kB per site)"].round(4).tolist()
    [0.0, 0.6365]
    """

    _parameter_constraints = {
        "groups": ["array-like", None],
        "symprec": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "parent_symprec": [Interval(Real, 0, None, closed="neither"), None],
        "sublattices": ["array-like", None],
        "pairs": [StrOptions({"auto"}), "boolean"],
        "handle_unknown": [StrOptions({"error", "warn", "ignore"})],
        "n_shells": [Interval(Integral, 1, 4, closed="both")],
        "voronoi": ["boolean"],
        "n_jobs": N_JOBS,
        "on_invalid": [StrOptions({"raise", "warn"})],
        "verbose": ["boolean"],
    }

    def __init__(
        self,
        *,
        groups: Sequence[str] | None = None,
        symprec: float | Sequence[float] = 0.1,
        parent_symprec: float | None = 1.0,
        sublattices: Sequence[Sequence[str]] | None = None,
        pairs: Literal["auto"] | bool = "auto",
        handle_unknown: Literal["error", "warn", "ignore"] = "error",
        n_shells: int = 4,
        voronoi: bool = False,
        n_jobs: int | None = None,
        on_invalid: Literal["raise", "warn"] = "raise",
        verbose: bool = False,
    ) -> None:
        self.groups = groups
        self.symprec = symprec
        self.parent_symprec = parent_symprec
        self.sublattices = sublattices
        self.pairs = pairs
        self.handle_unknown = handle_unknown
        self.n_shells = n_shells
        self.voronoi = voronoi
        self.n_jobs = n_jobs
        self.on_invalid = on_invalid
        self.verbose = verbose

    @unchanged_by_failure
    def fit(self, X: Structures, y: object = None) -> Self:
        """Determine the sublattices, which of them are mixed, and the columns of the table.

        Parameters
        ----------
        X : sequence of C crystals
            In any form that `check_structures` takes.
        y : None
            Ignored.

        Returns
        -------
        self : DisorderFeaturizer
            The fitted estimator.

        Raises
        ------
        InvalidStructureError
            When a row is not a valid crystal, or spglib fails for it, and `on_invalid` is "raise".
        ValueError
            When a group is unknown, a tolerance is not positive, `sublattices` holds an element
            twice or something that is not an element, no row is valid, or no crystal has a
            value in any column of the groups.
        TypeError
            When `X` is a `CrystalGraphs`.
        """
        self._fit(X)
        return self

    @unchanged_by_failure
    def fit_transform(self, X: Structures, y: object = None) -> pd.DataFrame:
        """Same result as ``fit(X).transform(X)``, computed faster.

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
        return output_table(self, self._fill_neutral(*self._fit(X)), X)

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
            When a row is invalid, spglib fails for it, or it has an element that no row of `fit`
            has, with `handle_unknown` "error" and columns of elements, and `on_invalid` is "raise".
        """
        check_is_fitted(self)
        structures = read_structures(X, self.on_invalid)
        return output_table(self, self._fill_neutral(*self._describe(structures)), X)

    def _fit(self, X):
        """Fit, and return the result of `_describe` for the training rows."""
        self._validate_params()
        check_names(groups=self.groups)
        groups = chosen_groups(self.groups, GROUPS, default=GROUPS)
        symprec = self._tolerances()
        structures = read_structures(X, self.on_invalid)
        usable = [s for s in structures if s is not None]
        if not usable:
            raise ValueError("no row of X can be used to fit on")
        crystals = crystal_arrays(usable)
        self.groups_, self.elements_ = groups, elements_of(usable)
        if self.sublattices is None:
            self.sublattices_ = learn_sublattices(crystals)
        else:
            self.sublattices_ = named_sublattices(self.sublattices, self.elements_)
        pairs = self.pairs
        if pairs == "auto":
            pairs = len(self.elements_) <= MAX_ELEMENTS
        names_of_sublattices = sublattice_names(self.sublattices_, by_species=pairs)
        self.mixed_ = mixed_sublattices(self.sublattices_, names_of_sublattices, usable)
        self._schema = DisorderSchema(
            elements=self.elements_,
            sublattices=self.sublattices_,
            names=names_of_sublattices,
            mixed=self.mixed_,
            pairs=pairs,
            symprec=symprec,
            parent_symprec=self.parent_symprec,
            n_shells=self.n_shells,
            voronoi=self.voronoi,
        )
        names, values, described = self._describe(structures)
        order_columns = []
        if "order" in groups:
            order_columns = describe_disorder(crystals[:1], ["order"], self._schema)
        self._learn_columns(names, values, list(order_columns))
        return names, values, described

    def _learn_columns(self, names, values, order_columns):
        """Keep the columns that have a value in some row, and find the neutral value of each."""
        # Values are sorted so that rounding of the sums does not depend on the order of rows.
        ranked = np.sort(values, axis=0)
        known = ~np.isnan(ranked)
        kept = known.any(axis=0)
        if not kept.any():
            raise ValueError(
                f"no crystal of X has anything in the columns of the groups {self.groups_}; add "
                "other groups"
            )
        self.feature_names_ = [name for name, is_kept in zip(names, kept) if is_kept]
        means = np.where(known, ranked, 0).sum(axis=0)[kept] / known.sum(axis=0)[kept]
        self.neutral_ = np.where(np.isin(self.feature_names_, order_columns), 0.0, means)

    def _describe(self, structures):
        """Compute the columns of all rows; raise an error or warn for invalid rows.

        Returns
        -------
        names : list of str
            Names of all columns of the groups; empty if no row is valid.
        values : ndarray of shape (C, len(names))
        described : ndarray of bool, shape (C,)
            Mask of the valid rows; the others are NaN.
        """
        owns_elements = self._schema.pairs and not _OF_ELEMENTS.isdisjoint(self.groups_)
        crystals, errors = crystals_of_known_elements(
            structures,
            self.elements_,
            self.on_invalid,
            self.handle_unknown if owns_elements else "ignore",
            "their bonds and pairs have no columns of their own",
        )
        rows = list(crystals)
        describe = partial(describe_disorder, groups=self.groups_, schema=self._schema)
        names, row_values = describe_crystals(
            describe, list(crystals.values()), self.n_jobs, self.verbose
        )
        values = np.full((len(structures), len(names)), np.nan)
        values[rows] = row_values
        if names:
            reasons = self._symmetry_reasons()
            # Wires and molecules have no space group; the others must have one.
            with_group = [row for row in rows if sum(structures[row].lattice.pbc) >= 2]
            errors += missing_value_errors(structures, with_group, values, names, reasons)
        refused = [error.index for error in errors]
        values[refused] = np.nan
        refuse(sorted(errors, key=lambda error: error.index), self.on_invalid)
        described = np.isin(np.arange(len(values)), rows)
        described[refused] = False
        return names, values, described

    def _fill_neutral(self, names, values, described):
        """Select the columns of `fit`, and replace missing values by the neutral ones."""
        if not names:
            return np.full((len(values), len(self.feature_names_)), np.nan)
        place = {name: k for k, name in enumerate(names)}
        values = values[:, [place[name] for name in self.feature_names_]]
        return np.where(np.isnan(values) & described[:, None], self.neutral_, values)

    def _symmetry_reasons(self):
        """Columns that are NaN if spglib finds no symmetry, each with its error message."""
        if "symmetry" not in self.groups_:
            return {}
        places = [at_symprec(symprec) for symprec in self._schema.symprec]
        if self._schema.parent_symprec is not None:
            places.append(ON_PARENT)
        return {
            f"space group number {place}": f"spglib finds no symmetry {place}; choose other values "
            "of symprec and parent_symprec, or leave the group 'symmetry' out"
            for place in places
        }

    def _tolerances(self):
        """Check `symprec`, and return it as a list."""
        tolerances = self.symprec if isinstance(self.symprec, Iterable) else [self.symprec]
        tolerances = list(tolerances)
        positive = all(isinstance(t, Real) and t > 0 for t in tolerances)
        if not tolerances or not positive or len(set(tolerances)) < len(tolerances):
            raise ValueError(
                "symprec must be a positive number in Å, or several that differ; got "
                f"{self.symprec!r}"
            )
        return tolerances
