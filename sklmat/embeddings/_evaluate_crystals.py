"""`evaluate_crystals`: outputs of a potential for many crystals, in batches and from a cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sklmat.elements import element_symbols
from sklmat.embeddings._potential_output import PotentialOutput
from sklmat.embeddings._potentials import Potential
from sklmat.exceptions import InvalidStructureError
from sklmat.graphs import (
    GraphCache,
    cached_result,
    chunk_slices,
    content_key,
    keep_result,
    pointer_from_counts,
)
from sklmat.processes import run_parallel
from sklmat.structures import CrystalArrays, check_distances
from sklmat.training import one_thread

if TYPE_CHECKING:
    from pymatgen.core.structure import IStructure


def evaluate_crystals(
    potential: Potential,
    structures: Sequence[IStructure],
    crystals: list[CrystalArrays],
    columns: Sequence[str],
    *,
    cache: GraphCache | None,
    n_jobs: int | None,
    verbose: bool,
) -> list[PotentialOutput]:
    """Return the outputs for each crystal; each different crystal is computed once with a cache.

    Parameters
    ----------
    potential : Potential
    structures : sequence of C pymatgen Structure
        Their distances between atoms are checked here, except for crystals that are in the cache.
    crystals : list of C CrystalArrays
        The arrays of the structures.
    columns : sequence of str
        Outputs that the potential must have.
    cache : GraphCache or None
    n_jobs : int or None
    verbose : bool
        Whether to show a progress bar.

    Raises
    ------
    InvalidStructureError
        When a crystal is invalid, or when the potential cannot describe it.
    ValueError
        When the potential lacks one of the columns.
    """
    if potential.outputs is not None:
        _check_outputs(potential.name, potential.outputs, columns)
    _refuse_untrained_elements(potential, structures, crystals)
    keys: list[str] = list(map(str, range(len(crystals))))
    found: dict[str, PotentialOutput | None] = {}
    if cache is not None:
        keys = [content_key(crystal, ("potential", potential.identity)) for crystal in crystals]
        found = {key: cached_result(cache, key, PotentialOutput) for key in dict.fromkeys(keys)}
    first_row = {key: row for row, key in reversed(list(enumerate(keys)))}
    missing = sorted(row for key, row in first_row.items() if found.get(key) is None)
    for row in missing:
        check_distances(row, structures[row])
    for row, output in _computed(potential, missing, crystals, n_jobs, verbose):
        # Checked here too, before the other rows are computed.
        _check_outputs(potential.name, output.names, columns, row, structures[row])
        found[keys[row]] = output
        if cache is not None:
            keep_result(cache, keys[row], output)
    outputs = [of_row for key in keys if (of_row := found[key]) is not None]
    for row, output in enumerate(outputs):
        _check_outputs(potential.name, output.names, columns, row, structures[row])
    widths = {output.embedding.shape[1] for output in outputs if output.embedding is not None}
    if "embedding" in columns and len(widths) > 1:
        raise ValueError(f"{potential.name} has vectors of different lengths for these rows")
    return outputs


def _computed(
    potential: Potential,
    rows: list[int],
    crystals: list[CrystalArrays],
    n_jobs: int | None,
    verbose: bool,
) -> Iterator[tuple[int, PotentialOutput]]:
    """Yield rows and their outputs."""
    from tqdm.auto import tqdm

    rows = sorted(rows, key=lambda row: (len(crystals[row].atomic_numbers), row))
    sizes = pointer_from_counts([len(crystals[row].atomic_numbers) for row in rows])
    batches = [rows[part] for part in chunk_slices(sizes, potential.batch_atoms) if rows]
    # The largest first, so that no process begins one when the others are done.
    batches.reverse()
    items = ((batch, [crystals[row] for row in batch]) for batch in batches)
    # A list is sent once to each process, and the potential opened once there.
    results = run_parallel(_evaluate_batch, items, common=([potential],), n_jobs=n_jobs)
    with tqdm(total=len(rows), unit="crystal", desc=potential.name, disable=not verbose) as bar:
        for batch, outputs in zip(batches, results):
            yield from zip(batch, outputs)
            bar.update(len(batch))


def rows_of_atoms(crystals: list[CrystalArrays]) -> tuple[np.ndarray, np.ndarray]:
    """Row and atomic number of each atom."""
    counts = [len(crystal.atomic_numbers) for crystal in crystals]
    numbers = np.concatenate([crystal.atomic_numbers for crystal in crystals])
    return np.repeat(np.arange(len(crystals)), counts), numbers


def _check_outputs(name, has, columns, row=None, structure=None):
    """Raise if a potential does not have some of the columns, for any row or for this one."""
    lacking = [column for column in columns if column not in has]
    if lacking:
        of_row = "" if row is None else f" (structure {row}, {formula_of(structure)})"
        raise ValueError(
            f"{name} has no {' and no '.join(lacking)}, only {', '.join(has)}{of_row}; "
            f"set columns={tuple(column for column in columns if column in has) or tuple(has)}"
        )


def _refuse_untrained_elements(potential, structures, crystals):
    """Raise for the first crystal with an element that the potential was not trained on."""
    if not potential.missing_elements or not crystals:
        return
    rows, numbers = rows_of_atoms(crystals)
    lacking = np.isin(numbers, list(potential.missing_elements))
    if lacking.any():
        atom = int(lacking.argmax())
        row = int(rows[atom])
        raise InvalidStructureError(
            row,
            formula_of(structures[row]),
            f"holds the element {element_symbols([numbers[atom]])[0]}, on which {potential.name} "
            "was not trained; leave this row out",
        )


def _evaluate_batch(potentials, rows, crystals):
    """Outputs of some crystals."""
    (potential,) = potentials
    # The number of threads of torch can change rounding errors.
    with one_thread():
        potential.load()
        if potential.is_batched:
            outputs = potential.evaluate(crystals)
        else:
            outputs = [_evaluate_one(potential, *item) for item in zip(rows, crystals)]
    for row, crystal, output in zip(rows, crystals, outputs):
        for name in output.names:
            if not np.isfinite(getattr(output, name)).all():
                raise InvalidStructureError(
                    row,
                    formula_of(crystal.to_structure()),
                    f"{potential.name} returns a value that is not finite as {name}; leave this "
                    "row out",
                )
    return outputs


def _evaluate_one(potential, row, crystal):
    try:
        return potential.evaluate([crystal])[0]
    except Exception as error:
        raise InvalidStructureError(
            row,
            formula_of(crystal.to_structure()),
            f"{potential.name} raised {type(error).__name__}: {error}",
        ) from error


def formula_of(structure: IStructure) -> str:
    """Formula for error messages."""
    return structure.formula.replace(" ", "")
