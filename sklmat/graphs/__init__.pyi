from sklmat.graphs._build_graphs import build_graphs as build_graphs
from sklmat.graphs._cache import GraphCache
from sklmat.graphs._cache import cached_result as cached_result
from sklmat.graphs._cache import content_key as content_key
from sklmat.graphs._cache import keep_result as keep_result
from sklmat.graphs._cache import open_cache as open_cache
from sklmat.graphs._crystal_graphs import CrystalGraphs
from sklmat.graphs._crystal_graphs import chunk_slices as chunk_slices
from sklmat.graphs._crystal_graphs import gather_ranges as gather_ranges
from sklmat.graphs._crystal_graphs import pointer_from_counts as pointer_from_counts
from sklmat.graphs._element_graphs import ElementGraphs, grid_points
from sklmat.graphs._element_graphs import radial_gradient_to_edges as radial_gradient_to_edges
from sklmat.graphs._lazy_graphs import lazy_rows as lazy_rows
from sklmat.graphs._moved_atoms import move_atoms as move_atoms
from sklmat.graphs._moved_atoms import nearby_pairs as nearby_pairs
from sklmat.graphs._neighbor_search import rank_within_group as rank_within_group
from sklmat.graphs._number_columns import number_columns as number_columns
from sklmat.graphs._structure_to_graph import StructureToGraph

__all__ = [
    "CrystalGraphs",
    "ElementGraphs",
    "GraphCache",
    "StructureToGraph",
    "grid_points",
]
