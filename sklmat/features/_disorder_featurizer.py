"""`DisorderFeaturizer`: deviations from the ideal lattice and from order in a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklmat.docstrings import insert_paragraphs
from sklmat.features._disorder_descriptors import (
    GROUPS,
    ON_PARENT,
    DisorderSchema,
    at_symprec,
    describe_disorder,
)
from sklmat.features._invalid_rows import (
    crystals_of_known_elements,
    load_structures,
    missing_value_errors,
    refuse,
)
from sklmat.features._shared_docstrings import FEATURIZER_PARAGRAPHS
from sklmat.features._sublattices import (
    learn_sublattices,
    mixed_sublattices,
    named_sublattices,
)
from sklmat.features._table_featurizer import (
    TableFeaturizer,
    chosen_groups,
    describe_crystals,
    elements_of,
    output_table,
)
from sklmat.structures import crystal_arrays

if TYPE_CHECKING:
    import pandas as pd

    from sklmat.typing import Structures


@insert_paragraphs(FEATURIZER_PARAGRAPHS)
class DisorderFeaturizer(TableFeaturizer):
    """Describe how each crystal deviates from its ideal parent.

    Which symmetry is left, how far bonds, angles and polyhedra are distorted, and how the species
    are spread over a sublattice that they share.

    Parameters
    ----------
    groups : sequence of str, default=None
        Which groups of columns, in this order; the default takes all. A sublattice is named by
        its species, such as ``Br/I``.

        - "symmetry": number of symmetry-inequivalent sites, and its fraction of the atoms of the
          primitive cell; atoms in the primitive cell; symmetry operations (the order of the point
          group, 1 to 48: those of the space group without lattice translations, whose number would
          depend on the cell given); space group number; and, with several sublattices, inequivalent
          sites of each. All of it for every `symprec`, on the crystal as it is [1]_, and once more
          "on the parent lattice": species on the ideal sites of the parent, without displacements.
          Last the logarithm of the index of that space group in the parent's, that is of the number
          of equivalent ways to arrange the species, ln[(n_parent / a_parent) / (n / a)] with n
          operations and a atoms in the primitive cell.
        - "bonds": mean (Å), variance (Å²) and skew, m₃ / m₂^1.5 of the central moments, of the bond
          lengths of each pair of species.
        - "angles": mean (°), variance (°²) and skew of the bond angles at each species: at the
          centres of octahedra between ligands side by side (12 of the 15, about 90°), at those of
          tetrahedra between all (6), at anions between the centres that they join.
        - "polyhedra": mean and deviation over the centres of four measures. Quadratic elongation
          [2]_ λ = Σ (l / l₀)² / n, with l₀ the centre-to-vertex distance of the regular octahedron
          or tetrahedron of the same volume: 1 if regular. Bond angle variance (°²) [2]_
          Σ (θ - θ₀)² / (m - 1) over the m = 12 or 6 angles, θ₀ = 90° or 109.47°. Bond length
          distortion [3]_ ``Σ |l - l̄| / (n l̄)``. Off-centring (Å), the distance of the centre from
          the mean position of its ligands.
        - "tilts": mean and deviation (°) of (180° - φ) / 2, with φ the angle at an anion that joins
          two octahedra. Rigid octahedra turned by ω about one axis have 2/3 of their anions at
          tilt ω, and 1/3 at 0 [4]_.
        - "volume": deviation (Å³) of the volume π d³ / 6 of each atom, d its Hoppe mean distance
          [5]_, from the mean of its sublattice (root-mean-square over all atoms). With `voronoi`
          the same for the volumes of Voronoi cells.
        - "order": for each mixed sublattice (one with several species in some crystal of `fit`),
          by shell of the sublattice: Warren-Cowley α [6]_ of each pair of species, mean of its
          magnitude, and excess over random, Σ p(A-A) - Σ p(A)², and fraction of like pairs, as in
          `StructureFeaturizer`. Then, around each sublattice, how the species A of the mixed one
          are spread over the n ligands of a polyhedron, with s = 1 - c(A) on A and -c(A) elsewhere,
          c the concentration on the sublattice, u the directions of the ligands, a mean over
          polyhedra and half the sum over species: count variance (Σ s)² / n, squared dipole
          ``|Σ s u|² / n``, its square root as mean dipole, squared quadrupole
          ``|Σ s (uu - 1/3)|² / (2n / 3)``. Each of the squares is c (1 - c) in a random binary
          crystal. A dipole means unlike ligands opposite each other, which push a centre off its
          site; a quadrupole like ligands opposite each other. Last the excess of like pairs over
          random among ligands that a centre sees at 60°, 90°, 109°, 120° and 180° (within 5°).
        - "entropy": configurational entropy -Σ c ln c of each mixed sublattice (kB per site), and
          the mean over all atoms (kB per atom).
        - "prototype": root-mean-square and largest displacement from the ideal sites of the parent
          (Å), net translation removed; strain from the parent, the Frobenius norm of Green's strain
          of the lattice against the parent's of the same volume; space group number of the parent.
    symprec : float or sequence of float, default=0.1
        Distances in Å within which sites count as equivalent. The default suits relaxed cells. At
        0.01 noise of 0.005 Å already changes the counts of most cells, and where displacements are
        about as large as the tolerance spglib's answer depends on the order of the atoms; ask for
        several, such as ``(0.01, 0.1)``, where the atoms are precise.
    parent_symprec : float or None, default=1.0
        Distance in Å within which the crystal, its sublattices taken as one kind each, must match
        its parent. The default finds cubic CsSnX₃ below displacements of 0.25 Å in random
        directions in 40 of 40 cells of 20 atoms (0.7: 38, 0.5: 26). None does without a parent: its
        columns are left out, and neighbours are found at the displaced positions.
    sublattices : sequence of sequences of str, default=None
        Which species share a sublattice, such as ``(("Br", "I"),)``; others are on their own.
        By default, anions (N, O, F, P, S, Cl, Se, Br, Te, I) share one; cations share one with
        those whose typical number of anion neighbours in `fit` is in the same range (up to 4; 5 or
        6; more); in data without anions, or without cations, all species share one.
    n_shells : int, default=4
        Shells of a sublattice in the group "order", 1 to 4.
    voronoi : bool, default=False
        Whether to add the deviation of Voronoi volumes, which take longer than all the rest.
    {n_jobs}
    {on_invalid}
    {verbose}

    Attributes
    ----------
    elements_ : list of str
        Symbols seen in `fit`, alphabetically.
    sublattices_ : list of list of str
        Which species share a sublattice.
    mixed_ : list of str
        Names of the sublattices that hold several species in some crystal of `fit`.
    groups_ : list of str
        The groups in use.
    {feature_names_}
    neutral_ : ndarray of shape (F,)
        For each column, the value of a crystal to which it does not apply: see Notes.

    See Also
    --------
    StructureFeaturizer : What describes a crystal whether or not it has a parent.

    Notes
    -----
    Parent: if one sublattice is simple, body- or face-centred cubic (see `infer_lattice`), its
    lattice vectors are fitted to the directions of all its neighbours, the other sublattices are
    averaged over these translations and over the symmetry that spglib finds within
    `parent_symprec`. So a tilted perovskite has the cubic one as its parent, and an alloy its
    lattice, however far relaxation went. Other crystals are idealised by spglib, at
    `parent_symprec`, half or a quarter of it, whichever works first; a crystal that matches
    nothing is its own parent.

    Bonds and polyhedra are found on the parent and measured in the crystal, so that displacements
    change lengths but not which atoms are neighbours. Cations bind to anions, and where a crystal
    has no anions or no cations all atoms to each other: to those before the widest relative step in
    the sorted distances, at most 16 (12 in fcc, 14 in bcc). In this way Br and I count alike
    although their distances differ. Polyhedra are centred on cations with 4 or 6
    anions, on all cations in a crystal without such, and on all atoms of an alloy; octahedra need
    six ligands that are opposite in pairs. Quadratic elongation, angle variance, angles and
    tilts are for octahedra and tetrahedra of anions only. Shells of a sublattice end where the mean
    distance at a rank steps up by more than 3 %.

    Columns are those that have a value for at least one crystal of `fit`. A crystal without a
    value, such as CsSnBr₃ in the columns of Sn-I bonds, takes a neutral one, so that the table has
    no NaN and missing values do not look like a difference between crystals to trees and to tests
    of distributions: the mean over the crystals of `fit` that have a value, and 0 (no order) in the
    group "order". A spread below 10⁻⁴ Å or 10⁻³ ° is rounding and has skew 0.

    All columns are unchanged by rotation, translation, the order of the atoms and the choice of the
    cell, to rounding, but for the counts at a `symprec` as large as the displacements. The output
    is a pandas DataFrame unless ``set_output(transform="default")`` asks for an array; see
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
        "n_shells": [Interval(Integral, 1, 4, closed="both")],
        "voronoi": ["boolean"],
        "n_jobs": [Integral, None],
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
        self.n_shells = n_shells
        self.voronoi = voronoi
        self.n_jobs = n_jobs
        self.on_invalid = on_invalid
        self.verbose = verbose

    def fit(self, X: Structures, y: object = None) -> Self:
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
            twice or something that is no element, no row can be used, or no crystal has a
            value in any column of the groups.
        TypeError
            When `X` is a `CrystalGraphs`.
        """
        self._fit(X)
        return self

    def fit_transform(self, X: Structures, y: object = None) -> pd.DataFrame:
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
        return output_table(self, self._fill_neutral(*self._fit(X)), X)

    def transform(self, X: Structures) -> pd.DataFrame:
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
        return output_table(self, self._fill_neutral(*self._describe(structures)), X)

    def _fit(self, X):
        """Fit, and return what `_describe` does."""
        self._validate_params()
        groups = chosen_groups(self.groups, GROUPS, default=GROUPS)
        symprec = self._tolerances()
        structures = load_structures(X, self.on_invalid)
        usable = [s for s in structures if s is not None]
        if not usable:
            raise ValueError("no row of X can be used to fit on")
        crystals = crystal_arrays(usable)
        self.groups_, self.elements_ = groups, elements_of(usable)
        if self.sublattices is None:
            self.sublattices_ = learn_sublattices(crystals)
        else:
            self.sublattices_ = named_sublattices(self.sublattices, self.elements_)
        self.mixed_ = mixed_sublattices(self.sublattices_, usable)
        self._schema = DisorderSchema(
            elements=self.elements_,
            sublattices=self.sublattices_,
            mixed=self.mixed_,
            symprec=symprec,
            parent_symprec=self.parent_symprec,
            n_shells=self.n_shells,
            voronoi=self.voronoi,
        )
        names, values, described = self._describe(structures)
        order_columns = []
        if "order" in groups:
            [order_columns] = describe_disorder(crystals[:1], ["order"], self._schema)
        self._learn_columns(names, values, list(order_columns))
        return names, values, described

    def _learn_columns(self, names, values, order_columns):
        """Keep the columns that have a value in some row, and find the neutral value of each."""
        # Sorted, so that the sums do not depend on the order of the rows.
        ranked = np.sort(values, axis=0)
        known = ~np.isnan(ranked)
        kept = known.any(axis=0)
        if not kept.any():
            raise ValueError(
                f"no crystal of X has anything that the groups {self.groups_} tell: add others"
            )
        self.feature_names_ = [name for name, is_kept in zip(names, kept) if is_kept]
        means = np.where(known, ranked, 0).sum(axis=0)[kept] / known.sum(axis=0)[kept]
        self.neutral_ = np.where(np.isin(self.feature_names_, order_columns), 0.0, means)

    def _describe(self, structures):
        """Describe all rows, and refuse those that cannot be described.

        Returns
        -------
        names : list of str
            Of all columns of the groups; empty where no row can be described.
        values : ndarray of shape (C, len(names))
        described : ndarray of bool, shape (C,)
            Rows that could be described; the others are NaN.
        """
        crystals, errors = crystals_of_known_elements(structures, self.elements_, self.on_invalid)
        rows = list(crystals)
        describe = partial(describe_disorder, groups=self.groups_, schema=self._schema)
        names, row_values = describe_crystals(
            describe, list(crystals.values()), self.n_jobs, self.verbose
        )
        values = np.full((len(structures), len(names)), np.nan)
        values[rows] = row_values
        if names:
            reasons = self._symmetry_reasons()
            errors += missing_value_errors(structures, rows, values, names, reasons)
        refused = [error.index for error in errors]
        values[refused] = np.nan
        refuse(sorted(errors, key=lambda error: error.index), self.on_invalid)
        described = np.isin(np.arange(len(values)), rows)
        described[refused] = False
        return names, values, described

    def _fill_neutral(self, names, values, described):
        """Keep the columns of fit, with the neutral value where a crystal has none."""
        if not names:
            return np.full((len(values), len(self.feature_names_)), np.nan)
        place = {name: k for k, name in enumerate(names)}
        values = values[:, [place[name] for name in self.feature_names_]]
        return np.where(np.isnan(values) & described[:, None], self.neutral_, values)

    def _symmetry_reasons(self):
        """Columns without a value where spglib finds no symmetry, each with an error message."""
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
                f"symprec must be a positive number in Å, or different ones; got {self.symprec!r}"
            )
        return tolerances
