"""`check_parent`: a given parent, which may be a disordered crystal."""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sklmat.exceptions import InvalidStructureError
from sklmat.structures import check_structures, structure_of_partial

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core.structure import IStructure


def check_parent(parent: IStructure | Atoms | dict[str, Any] | str | Path) -> IStructure:
    """Validate a parent, and put the most frequent element onto partially occupied sites.

    Parameters
    ----------
    parent : crystal
        In any form that `check_structures` takes; with partial occupancies a structure, a dict, a
        path or the text of a CIF.

    Returns
    -------
    Structure

    Raises
    ------
    InvalidStructureError
        When it is not a valid crystal, for example because sites are too close to be occupied at
        the same time.
    """
    try:
        [structure] = check_structures([parent])
    except InvalidStructureError as error:
        disordered = structure_of_partial(parent, error)
        if disordered is None:
            raise
        from pymatgen.core import Structure

        species = [max(site.species.items(), key=itemgetter(1))[0] for site in disordered]
        ordered = Structure(disordered.lattice, species, disordered.frac_coords)
        [structure] = check_structures([ordered])
    return structure
