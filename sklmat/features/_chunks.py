"""`split_into_chunks`: crystals that are described together, limited by the memory they need."""

from __future__ import annotations

from collections.abc import Iterable

#: Largest number of crystals in a chunk: about 0.1 s of work.
MAX_CRYSTALS = 50
# Largest number of atoms in a chunk of several crystals; their arrays take about 200 MB.
_MAX_ATOMS = 10_000


def split_into_chunks(sizes: Iterable[int], max_crystals: int = MAX_CRYSTALS) -> list[slice]:
    """Split a list of crystals, with these numbers of atoms, into chunks.

    A crystal with more atoms than a chunk may have is a chunk of its own.
    """
    starts, n_crystals, n_atoms = [0], 0, 0
    for row, size in enumerate(sizes):
        if n_crystals and (n_crystals == max_crystals or n_atoms + size > _MAX_ATOMS):
            starts.append(row)
            n_crystals = n_atoms = 0
        n_crystals, n_atoms = n_crystals + 1, n_atoms + size
    stops = [*starts[1:], starts[-1] + n_crystals]
    return [slice(start, stop) for start, stop in zip(starts, stops) if stop > start]
