"""Structures to graphs: a flat container and the transformer that fills it."""

from sklmat.graphs._container import CrystalGraphs
from sklmat.graphs._elements import ElementGraphs, edge_slopes, grid_points
from sklmat.graphs._moved import edge_vectors, move_atoms, nearby_pairs
from sklmat.graphs._transformer import StructureToGraph

__all__ = [
    "CrystalGraphs",
    "ElementGraphs",
    "StructureToGraph",
    "edge_slopes",
    "edge_vectors",
    "grid_points",
    "move_atoms",
    "nearby_pairs",
]
