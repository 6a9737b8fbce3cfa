"""Structures to graphs: a flat container and the transformer that fills it."""

from sklmat.graphs._container import CrystalGraphs
from sklmat.graphs._elements import ElementGraphs, grid_points
from sklmat.graphs._transformer import StructureToGraph

__all__ = [
    "CrystalGraphs",
    "ElementGraphs",
    "StructureToGraph",
    "grid_points",
]
