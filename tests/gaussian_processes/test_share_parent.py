"""Whether crystals are orderings of one parent, decided without a long search."""

import pytest
from crystals import b2_nial, bcc_fe, fcc_cu

from sklmat.datasets import load_mixed_halide_perovskites
from sklmat.gaussian_processes import _share_parent, share_parent


def test_mixed_halides_are_orderings_of_one_supercell():
    assert share_parent(load_mixed_halide_perovskites().data[::20])


@pytest.mark.parametrize(
    "X",
    [
        [],
        [bcc_fe()] * 4,
        [bcc_fe() * (2, 1, 1), fcc_cu()] * 5,
        [bcc_fe(), b2_nial()] * 4 + [bcc_fe() * (2, 1, 1)],
        [bcc_fe(), None] * 5,
    ],
    ids=["empty", "few rows", "other lattices", "other sizes", "invalid"],
)
def test_crystals_that_an_ordering_model_is_not_for(X):
    assert not share_parent(X)


def test_large_data_sets_are_not_searched(monkeypatch):
    monkeypatch.setattr(_share_parent, "SiteOccupations", None)
    cell = bcc_fe() * (4, 4, 4)
    assert not share_parent([cell] * (4_000_000 // len(cell) ** 2 + 1))
