"""Validation and reading of crystals: `check_structures`, and what other modules build on."""

from sklmat.structures._as_structure import as_structure as as_structure
from sklmat.structures._as_structure import with_file as with_file
from sklmat.structures._check_structures import as_items as as_items
from sklmat.structures._check_structures import check_structures
from sklmat.structures._check_structures import convert_items as convert_items
from sklmat.structures._check_structures import convert_structures as convert_structures
from sklmat.structures._check_structures import is_graphs as is_graphs
from sklmat.structures._check_structures import warn_of_notes as warn_of_notes
from sklmat.structures._content_checks import check_content as check_content
from sklmat.structures._crystal_arrays import CrystalArrays as CrystalArrays
from sklmat.structures._crystal_arrays import crystal_arrays as crystal_arrays
from sklmat.structures._distances import check_distances as check_distances
from sklmat.structures._distances import close_atoms_error as close_atoms_error
from sklmat.structures._distances import covalent_radii as covalent_radii
from sklmat.structures._distances import find_pairs as find_pairs
from sklmat.structures._distances import largest_smallest_distance as largest_smallest_distance
from sklmat.structures._distances import smallest_distances as smallest_distances
from sklmat.structures._found_crystal import FoundCrystal as FoundCrystal
from sklmat.structures._partial_occupancy import (
    composition_of_partial as composition_of_partial,
)
from sklmat.structures._partial_occupancy import (
    structure_of_partial as structure_of_partial,
)
from sklmat.structures._read_crystals import crystals_of_document as crystals_of_document
from sklmat.structures._read_crystals import crystals_of_text as crystals_of_text
from sklmat.structures._read_crystals import read_crystals as read_crystals
from sklmat.structures._structure_from_dict import structure_from_dict as structure_from_dict

__all__ = ["check_structures"]
