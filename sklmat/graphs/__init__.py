"""Structures to graphs: a flat container and the transformer that fills it."""

from sklmat.graphs._crystal_graphs import CrystalGraphs
from sklmat.graphs._element_graphs import ElementGraphs, grid_points
from sklmat.graphs._structure_to_graph import StructureToGraph

__all__ = [
    "CrystalGraphs",
    "ElementGraphs",
    "StructureToGraph",
    "grid_points",
]
