"""`read_cif` reads the crystals of a CIF and refuses what the file does not say."""

from __future__ import annotations

from sklmat.structures._cif_formula import formula_text, stated_formula
from sklmat.structures._cif_sites import (
    amounts_of_elements,
    build_structure,
    check_hydrogens,
    merge_shared_sites,
    read_sites,
)
from sklmat.structures._cif_symmetry import choose_operations
from sklmat.structures._cif_tags import (
    NUMBER,
    CifProblem,
    cif_blocks,
    first_value,
    holds_sites,
    number,
)
from sklmat.structures._found_crystal import FoundCrystal

_VOLUME_TOLERANCE = 0.02


def read_cif(text: str) -> list[FoundCrystal]:
    """Read each crystal of a CIF.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of FoundCrystal
        One for each block that holds sites. A block that does not describe one crystal without
        contradiction has a `problem` in place of a structure.

    Raises
    ------
    ValueError
        If the text is not a CIF, or no block holds sites.
    """
    blocks = [(name, tags) for name, tags in cif_blocks(text) if holds_sites(tags)]
    if not blocks:
        raise ValueError("no block of the CIF holds atom sites with fractional coordinates")
    crystals = []
    for name, tags in blocks:
        try:
            structure, notes = _crystal(tags)
        except CifProblem as problem:
            crystals.append(FoundCrystal(name, None, {}, str(problem), ()))
        else:
            crystals.append(FoundCrystal(name, structure, {}, None, tuple(notes)))
    return crystals


def _crystal(tags):
    """Structure and notes of one block; raises CifProblem."""
    lattice = _lattice(tags)
    formula = stated_formula(tags)
    notes: list[str] = []
    sites = read_sites(tags, formula.amounts or {}, notes)
    sites = merge_shared_sites(sites, lattice.matrix, notes)
    check_hydrogens(tags)
    operations, (frac_coords, rows) = choose_operations(tags, sites, lattice, formula, notes)
    found = amounts_of_elements(sites, rows)
    contradiction = formula.contradiction(found)
    if contradiction:
        raise CifProblem(
            f"the sites give {formula_text(found)} (with the {operations.description}), "
            f"{contradiction}; correct the sites or the formula"
        )
    volume = first_value(tags, "_cell_volume")
    if volume is not None and NUMBER.fullmatch(volume):
        stated = number(volume, "_cell_volume")
        if abs(stated / lattice.volume - 1) > _VOLUME_TOLERANCE:
            notes.append(
                f"the file states a volume of {stated:g} Å³, but its cell has {lattice.volume:g} Å³"
            )
    return build_structure(lattice, sites, frac_coords, rows), notes


def _lattice(tags):
    from pymatgen.core import Lattice

    lengths, angles = [], []
    for axis in "abc":
        text = first_value(tags, f"_cell_length_{axis}")
        if text is None:
            raise CifProblem(f"the length of the lattice vector {axis} is missing")
        lengths.append(number(text, f"_cell_length_{axis}"))
    for angle in ("alpha", "beta", "gamma"):
        # 90 degrees is the default of the CIF dictionary.
        text = first_value(tags, f"_cell_angle_{angle}") or "90"
        if text == "?":
            raise CifProblem(f"the angle {angle} of the cell is unknown")
        angles.append(number(text, f"_cell_angle_{angle}"))
    alpha, beta, gamma = angles
    possible = all(0 < angle < 180 for angle in angles) and (
        alpha + beta + gamma < 360 and 2 * max(angles) < alpha + beta + gamma
    )
    if min(lengths) <= 0 or not possible:
        raise CifProblem(f"no cell has the lengths {lengths} Å and the angles {angles}°")
    return Lattice.from_parameters(*lengths, *angles)
