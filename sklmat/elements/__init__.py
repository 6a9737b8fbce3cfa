"""Properties of the elements, and their vectors for networks."""

from sklmat.elements._element_table import MAX_PHYSICAL as MAX_PHYSICAL
from sklmat.elements._element_table import N_ROWS as N_ROWS
from sklmat.elements._element_table import element_symbols as element_symbols
from sklmat.elements._element_table import element_table
from sklmat.elements._element_vectors import element_vectors
from sklmat.elements._element_vectors import lookup as lookup

__all__ = ["element_table", "element_vectors"]
