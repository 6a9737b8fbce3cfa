"""Chunks of crystals that are described together."""

from sklmat.features._chunks import split_into_chunks


def test_chunks_are_limited_by_crystals_and_by_atoms():
    assert split_into_chunks([]) == []
    assert split_into_chunks([4] * 5, max_crystals=2) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    sizes = [30_000, 6_000, 4_000, 1, 9_999, 1]
    assert split_into_chunks(sizes) == [slice(0, 1), slice(1, 3), slice(3, 5), slice(5, 6)]
