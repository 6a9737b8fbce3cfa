"""Layers of the networks: graph convolutions, element convolutions, filters and pooling."""

from sklmat.layers._dropout import Dropout
from sklmat.layers._edge_blocks import block_threads as block_threads
from sklmat.layers._element_conv import (
    ElementConv,
    GaussianFilter,
    GridFilter,
    MemberLinear,
    MemberNorm,
    shifted_softplus,
)
from sklmat.layers._graph_conv import GatedGraphConv, GaussianExpansion, RowNorm, mean_pool
from sklmat.layers._graph_conv import computes_bands as computes_bands
from sklmat.layers._precision import default_dtype as default_dtype
from sklmat.layers._precision import in_precision_of_vectors as in_precision_of_vectors
from sklmat.layers._precision import products_in_single as products_in_single
from sklmat.layers._precision import to_single as to_single
from sklmat.layers._precision import torch_state as torch_state
from sklmat.layers._reused_arrays import reused_arrays as reused_arrays
from sklmat.layers._sums import look_up as look_up
from sklmat.layers._sums import sum_atoms as sum_atoms

__all__ = [
    "Dropout",
    "ElementConv",
    "GatedGraphConv",
    "GaussianExpansion",
    "GaussianFilter",
    "GridFilter",
    "MemberLinear",
    "MemberNorm",
    "RowNorm",
    "mean_pool",
    "shifted_softplus",
]
