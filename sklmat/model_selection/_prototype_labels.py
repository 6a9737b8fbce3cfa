"""`prototype_labels`: which crystals have the same arrangement of sites."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from math import gcd
from string import ascii_uppercase
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from sklmat.argument_checks import checked_arguments
from sklmat.exceptions import InvalidStructureError
from sklmat.recorded_warnings import ignore_warnings
from sklmat.structures import convert_structures, is_graphs

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import Structures

#: Space groups of which another one, with a lower number, is the mirror image.
_MIRRORED = {78, 95, 96, 145, 153, 154, 170, 172, 179, 181, 213}


@checked_arguments()
def prototype_labels(X: Structures | CrystalGraphs, *, symprec: float = 0.1) -> np.ndarray:
    """Name the prototype of every crystal: the arrangement of its sites, whatever their elements.

    Parameters
    ----------
    X : sequence of C crystals, or CrystalGraphs
        In any form that `check_structures` takes.
    symprec : float, default=0.1
        Tolerance (Å) within which atoms are symmetry-equivalent. The default suits relaxed cells.

    Returns
    -------
    labels : ndarray of shape (C,), dtype str
        Labels in the form of the AFLOW library of prototypes [1]_: stoichiometry, Pearson symbol,
        space group number, and Wyckoff positions of each element. NaCl and MgO are
        "AB_cF8_225_a_b".

    Raises
    ------
    InvalidStructureError
        When a crystal is invalid, or has no symmetry within `symprec`.
    ValueError
        When `symprec` is not positive.

    Notes
    -----
    A label does not depend on the cell, the origin, the order of the atoms, or which element is on
    which position: A is the rarest element, while AFLOW takes elements in alphabetical order, so
    CaF2 and Li2O are both "AB2_cF12_225_a_c". A crystal and its mirror image, such as left-handed
    and right-handed quartz, have one label. The space group and the Wyckoff positions come from
    spglib, and the equivalent ways to name the positions from pymatgen [2]_. Charges and magnetic
    moments are ignored.

    Pymatgen's 288 AFLOW prototypes have 272 names if these are written in the same way, and 269
    labels; 246 labels are equal to the name. Of the others, 26 count the atoms of a rhombohedral
    cell in the hexagonal setting, 9 have a higher symmetry within 0.1 Å, 4 are of the mirror image,
    and 3 take other letters for equivalent positions.

    Coordinates and the ratios of axes are not part of a label, so that crystals with one label may
    differ in the values of free coordinates. Cells without symmetry, such as random alloys, have
    one label if they have the same stoichiometry and number of atoms.

    References
    ----------
    .. [1] M. J. Mehl et al., Comput. Mater. Sci. 136, S1 (2017).
       :doi:`10.1016/j.commatsci.2017.01.017`
    .. [2] R. E. A. Goodall et al., Sci. Adv. 8, eabn4117 (2022). :doi:`10.1126/sciadv.abn4117`

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat.model_selection import prototype_labels
    >>> sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
    >>> salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], sites)
    >>> cscl = Structure(Lattice.cubic(4.12), ["Cs", "Cl"], sites)
    >>> prototype_labels([salt, salt * [2, 1, 1], cscl]).tolist()
    ['AB_cF8_225_a_b', 'AB_cF8_225_a_b', 'AB_cP2_221_a_b']
    """
    if not symprec > 0:  # spglib would crash
        raise ValueError(f"symprec must be a positive number of Å, got {symprec!r}")
    structures: Iterable[Structure]
    structures = X.to_structures() if is_graphs(X) else convert_structures(cast("Structures", X))
    return np.array([_prototype(row, item, symprec) for row, item in enumerate(structures)])


def _prototype(row, structure, symprec):
    """Label of one crystal."""
    from pymatgen.core import Lattice, Structure

    lattice, numbers, coords = structure.lattice, structure.atomic_numbers, structure.frac_coords
    with ignore_warnings():
        try:
            # Without charges and magnetic moments, which spglib would tell apart.
            symmetry = _symmetry(Structure(lattice, numbers, coords), symprec)
            if symmetry.space_group in _MIRRORED:
                mirrored = Structure(Lattice(-lattice.matrix), numbers, coords)
                symmetry = _symmetry(mirrored, symprec)
        except Exception as error:  # spglib and pymatgen raise several kinds
            raise InvalidStructureError(
                row,
                structure.formula.replace(" ", ""),
                f"has no prototype within symprec={symprec} Å ({error}); choose another symprec",
            ) from error
    return _label(*symmetry)


class _Symmetry(NamedTuple):
    """Space group number, Pearson symbol, and element -> letter -> number of its orbits."""

    space_group: int
    pearson: str
    orbits: dict[str, Counter]


def _symmetry(structure, symprec):
    """Symmetry of a crystal; a distorted one is symmetrised first if spglib needs it."""
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    analyzer = SpacegroupAnalyzer(structure, symprec=symprec, angle_tolerance=5)
    symmetry = _read(analyzer)
    if _amounts(symmetry) != _reduced(structure.composition.get_el_amt_dict()):
        refined = analyzer.get_refined_structure()
        symmetry = _read(SpacegroupAnalyzer(refined, symprec=1e-5, angle_tolerance=-1))
        if _amounts(symmetry) != _reduced(structure.composition.get_el_amt_dict()):
            raise ValueError("its Wyckoff positions contradict its formula")
    return symmetry


def _read(analyzer):
    symmetrized = analyzer.get_symmetrized_structure()
    orbits: dict[str, Counter] = {}
    for sites, position in zip(symmetrized.equivalent_sites, symmetrized.wyckoff_symbols):
        orbits.setdefault(sites[0].specie.symbol, Counter())[position.lstrip("0123456789")] += 1
    return _Symmetry(analyzer.get_space_group_number(), analyzer.get_pearson_symbol(), orbits)


def _amounts(symmetry):
    """Element -> amount in the reduced formula, from the multiplicities of the orbits."""
    sites = _wyckoff_table("multiplicities")[str(symmetry.space_group)]
    return _reduced(
        {
            element: sum(count * sites[letter] for letter, count in letters.items())
            for element, letters in symmetry.orbits.items()
        }
    )


def _reduced(amounts):
    divisor = gcd(*map(int, amounts.values()))
    return {element: int(amount) // divisor for element, amount in amounts.items()}


@cache
def _wyckoff_table(name):
    """Table of Wyckoff positions that pymatgen brings along.

    Its module ``pymatgen.analysis.prototypes`` is not imported, because that takes several seconds.
    """
    path = files("pymatgen.analysis") / "prototypes" / f"wyckoff-position-{name}.json.gz"
    return json.loads(gzip.decompress(path.read_bytes()))


def _label(space_group, pearson, orbits):
    """Write a label that does not depend on which of the elements comes first.

    Of the equivalent ways to name the positions of a space group, which differ by the origin or the
    axes, the one with the first letters is taken, as in pymatgen.
    """
    amounts = _amounts(_Symmetry(space_group, pearson, orbits))
    ways = []
    for relabeling in _wyckoff_table("relabelings")[str(space_group)]:
        elements = sorted(
            (
                amounts[element],
                sorted((*_place(relabeling[str(ord(old))]), n) for old, n in letters.items()),
            )
            for element, letters in orbits.items()
        )
        ways.append((sum(place for _, used in elements for place, *_ in used), elements))
    _, elements = min(ways)
    formula = "".join(symbol + _number(n) for symbol, (n, _) in zip(ascii_uppercase, elements))
    positions = ["".join(_number(n) + letter for _, letter, n in used) for _, used in elements]
    return "_".join([formula, pearson, str(space_group), *positions])


def _place(letter):
    """Place in the alphabet and letter; the 27th position of a space group is named A."""
    return 27 if letter == "A" else ord(letter) - 96, letter


def _number(n):
    return "" if n == 1 else str(n)
