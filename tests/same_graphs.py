"""Comparison of graphs, array by array."""

import numpy as np

ARRAYS = [
    "atomic_numbers",
    "positions",
    "lattices",
    "pbc",
    "edge_source",
    "edge_target",
    "edge_image",
    "edge_distance",
    "atom_ptr",
    "edge_ptr",
]


def assert_same(a, b):
    assert a.settings == b.settings
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
        assert getattr(a, name).dtype == getattr(b, name).dtype, name
