"""Errors before arrays are made that no memory of this computer holds, or that are too fine."""

import contextlib
import os
from pathlib import Path

#: Where it cannot be read how much memory there is, such as on Windows (bytes).
_UNKNOWN = 2**40
#: Least bytes of an atom of a pymatgen Structure, of one of CrystalGraphs, and of a number.
BYTES_PER_ATOM, BYTES_PER_ATOM_OF_GRAPHS, BYTES_PER_NUMBER = 500, 100, 8
#: Largest number of points on a grid of distances; a hundred resolve all that a network reads.
MOST_POINTS = 100_000


def refuse_fine_grid(cutoff: float, step: float) -> None:
    """Raise a ValueError when a grid of distances has more than `MOST_POINTS` points.

    Parameters
    ----------
    cutoff : float
        End of the grid (Å).
    step : float
        Distance between grid points (Å).
    """
    if cutoff > MOST_POINTS * step:
        raise ValueError(
            f"distances up to {cutoff:g} Å in steps of {step:g} Å are more than {MOST_POINTS:,} "
            "points: choose a larger step"
        )


def refuse_beyond_memory(what: str, n_bytes: float) -> None:
    """Raise an error when something needs more memory than there is.

    Without it, a number with a few zeros too many takes all memory, and the system ends the
    process.

    Parameters
    ----------
    what : str
        What is asked for, in the plural, with the parameter that says how many.
    n_bytes : float
        The memory that is needed at least.

    Raises
    ------
    ValueError
    """
    available = total_memory()
    if n_bytes > available:
        raise ValueError(
            f"{what} take at least {n_bytes / 2**30:,.0f} GiB, more than the "
            f"{available / 2**30:,.1f} GiB of memory of this computer: choose a smaller number"
        )


def total_memory() -> float:
    """Return the memory of this computer, or the part that this container may use (bytes)."""
    total = float(_UNKNOWN)
    with contextlib.suppress(AttributeError, ValueError, OSError):
        total = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with contextlib.suppress(ValueError, OSError):
        # The word "max" where there is no limit.
        total = min(total, float(Path("/sys/fs/cgroup/memory.max").read_text()))
    return total
