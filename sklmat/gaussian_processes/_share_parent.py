"""`share_parent`: whether crystals are orderings of one parent crystal, decided in short time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sklmat.exceptions import InvalidStructureError
from sklmat.gaussian_processes._site_occupations import SiteOccupations
from sklmat.structures import CrystalArrays, as_items, check_structures, crystal_arrays

if TYPE_CHECKING:
    from sklmat.typing import Structures

#: Rows that are tried first: most data sets without a parent are recognised by these.
_N_FIRST = 20
#: The time to put a crystal onto a parent grows with the square of the number of atoms: larger
#: data sets take more than about a minute.
_MAX_SQUARED_ATOMS = 4_000_000


def share_parent(X: Structures, min_rows: int = 5) -> bool:
    """Whether `OrderingRegressor` can be expected to learn from crystals, and from parts of them.

    The crystals must be orderings of one parent. So that a part of them, as in cross-validation,
    has the elements of the others, each element must be on the sites of each orbit on which it
    occurs in several crystals.

    Parameters
    ----------
    X : sequence of n crystals
        In any form that `check_structures` takes.
    min_rows : int, default=5
        Number of crystals with an element on an orbit of sites, at least.

    Returns
    -------
    bool
        False also if a crystal is not valid, or if there are so many and large crystals that the
        search would take long: more than 4 million for the sum of their squared numbers of atoms.
    """
    items = as_items(X)
    step = max(len(items) // _N_FIRST, 1)
    for some, least in ((items[::step], 1), (items, min_rows)):
        try:
            crystals = crystal_arrays(check_structures(some))
        except InvalidStructureError:
            return False
        sizes = {len(crystal.atomic_numbers) for crystal in crystals}
        if len(sizes) != 1 or len(items) * sizes.pop() ** 2 > _MAX_SQUARED_ATOMS:
            return False
        if _rows_of_elements(crystals) < least:
            return False
    return True


def _rows_of_elements(crystals: list[CrystalArrays]) -> int:
    """Return the smallest number of crystals with an element on an orbit; 0 without a parent."""
    try:
        occupations, numbers = SiteOccupations.fit(crystals, str, None, None)
    except InvalidStructureError:
        return 0
    return min(
        int((numbers[:, occupations.orbits == orbit] == element).any(axis=1).sum())
        for orbit, elements in enumerate(occupations.elements)
        for element in elements
    )
