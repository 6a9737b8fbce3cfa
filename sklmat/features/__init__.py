"""Crystals to tables with named columns, without torch."""

from sklmat.features._composition import CompositionFeaturizer
from sklmat.features._disorder import DisorderFeaturizer
from sklmat.features._lattice import infer_lattice
from sklmat.features._structure import StructureFeaturizer

__all__ = ["CompositionFeaturizer", "DisorderFeaturizer", "StructureFeaturizer", "infer_lattice"]
