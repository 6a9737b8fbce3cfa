"""Readers: files, folders and tables to structures with their targets."""

from sklmat.readers._load_structures import load_structures
from sklmat.readers._save_structures import save_structures

__all__ = ["load_structures", "save_structures"]
