"""Readers: files, folders and tables to structures with their targets."""

from sklmat.readers._columns import NoIdColumnError as NoIdColumnError
from sklmat.readers._columns import find_id_column as find_id_column
from sklmat.readers._columns import find_structures as find_structures
from sklmat.readers._columns import holds_structures as holds_structures
from sklmat.readers._columns import is_missing as is_missing
from sklmat.readers._columns import read_target as read_target
from sklmat.readers._columns import target_array as target_array
from sklmat.readers._load_structures import load_structures
from sklmat.readers._save_structures import is_saved as is_saved
from sklmat.readers._save_structures import save_structures
from sklmat.readers._tables import read_table as read_table

__all__ = ["load_structures", "save_structures"]
