"""Transformers from crystals to tables with named columns; none of them needs torch."""

from sklmat.features._composition_columns import composition_columns as composition_columns
from sklmat.features._composition_columns import is_composition_column as is_composition_column
from sklmat.features._composition_featurizer import CompositionFeaturizer
from sklmat.features._disorder_featurizer import DisorderFeaturizer
from sklmat.features._infer_lattice import infer_lattice
from sklmat.features._phases import check_phase as check_phase
from sklmat.features._phases import request_phase as request_phase
from sklmat.features._structure_featurizer import StructureFeaturizer
from sklmat.features._symmetry import lattice_of_symmetry as lattice_of_symmetry
from sklmat.features._symmetry import quiet_spglib as quiet_spglib
from sklmat.features._symmetry import symmetry_dataset as symmetry_dataset
from sklmat.features._table_featurizer import TableFeaturizer as TableFeaturizer
from sklmat.features._table_featurizer import output_table as output_table

__all__ = ["CompositionFeaturizer", "DisorderFeaturizer", "StructureFeaturizer", "infer_lattice"]
