"""Checks of how an estimator treats crystals: rows, containers, invalid ones, symmetry."""

import json
import warnings

import numpy as np
import pandas as pd
from sklearn.utils import _safe_indexing, get_tags

from sklmat.estimator_checks._convention_checks import raised
from sklmat.estimator_checks._toy_data import (
    assert_same,
    fitted,
    is_table,
    output,
    seeded_clone,
    toy_data,
)
from sklmat.exceptions import InvalidStructureError, InvalidStructureWarning


def object_array(items):
    """A 1-D object array, which np.asarray would not make of equal-sized cells."""
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def check_order_invariance(estimator):
    """Permuted rows give permuted outputs."""
    model, X, _ = fitted(estimator)
    order = np.random.default_rng(0).permutation(len(X))
    actual = output(model, [X[k] for k in order])
    assert_same(actual, _safe_indexing(output(model, X), order), "permuted rows", exact=False)


def check_subset_invariance(estimator):
    """What is said of a crystal does not depend on the others in the call."""
    model, X, _ = fitted(estimator)
    whole = output(model, X)
    for rows in ([0], [5], [1, 2, 6], list(range(len(X))) * 2):
        actual = output(model, [X[k] for k in rows])
        expected = _safe_indexing(whole, np.array(rows))
        assert_same(actual, expected, f"rows {rows} alone", exact=False)


def check_n_jobs(estimator):
    """Two jobs give exactly what one gives."""
    X, y = toy_data(estimator)
    outputs = []
    for n_jobs in (1, 2):
        model = seeded_clone(estimator).set_params(n_jobs=n_jobs).fit(X, y)
        outputs.append(output(model, X))
    assert_same(outputs[1], outputs[0], "n_jobs=2")


def check_containers(estimator):
    """List, tuple, object array, Series, dicts and ASE atoms mean the same."""
    from pymatgen.io.ase import AseAtomsAdaptor

    model, X, y = fitted(estimator)
    expected = output(model, X)
    series = pd.Series(object_array(X), index=np.arange(len(X)) * 3 + 7)
    same = {"tuple": tuple(X), "object array": object_array(X), "Series": series}
    for name, container in same.items():
        assert_same(output(model, container), expected, name)
        refitted = seeded_clone(estimator).fit(container, pd.Series(y, index=series.index))
        assert_same(output(refitted, X), expected, f"fit on {name}")
    others = {
        "dicts": [s.as_dict() for s in X],
        "ASE atoms": [AseAtomsAdaptor.get_atoms(s) for s in X],
    }
    for name, container in others.items():
        assert_same(output(model, container), expected, name, exact=False)


def check_equal_sizes(estimator):
    """Cells that all have the same number of atoms are still single crystals."""
    model, X, _ = fitted(estimator, equal_size=True)
    result = output(model, X)
    assert len(result) == len(X), f"{len(result)} outputs for {len(X)} crystals of equal size"
    single = output(model, X[:1])
    assert_same(single, _safe_indexing(result, np.array([0])), "first crystal", exact=False)


def check_inputs_not_mutated(estimator):
    """Neither the crystals nor the list nor y are changed."""
    X, y = toy_data(estimator)
    y.setflags(write=False)
    before = [json.dumps(s.as_dict(), default=str) for s in X]
    given = list(X)
    model = seeded_clone(estimator).fit(X, y)
    output(model, X)
    assert len(X) == len(given), "the list of crystals has changed its length"
    for k, (now, old) in enumerate(zip(X, given)):
        assert now is old, f"item {k} of the list was replaced"
        assert json.dumps(now.as_dict(), default=str) == before[k], f"crystal {k} was changed"


def _broken_crystals(good):
    """One crystal of each kind that must be refused."""
    from pymatgen.core import Lattice, Structure

    lattice = good.lattice
    not_finite = [[np.nan, 0, 0]]
    return {
        "no structure": 3.5,
        "None": None,
        "overlapping atoms": Structure(lattice, ["Ni", "Cu"], [[0, 0, 0], [0.01, 0, 0]]),
        "partial occupancy": Structure(lattice, [{"Ni": 0.5, "Cu": 0.5}], [[0, 0, 0]]),
        "no atoms": Structure(lattice, [], []),
        "unknown position": Structure(lattice, ["Ni"], not_finite),
        "no volume": Structure(Lattice(np.zeros((3, 3))), ["Ni"], [[0, 0, 0]]),
        "missing file": "no_such_file.cif",
    }


def check_invalid_crystals(estimator):
    """A broken crystal is refused by its row, in fit and after it; a failed fit leaves nothing."""
    model, X, y = fitted(estimator)
    for kind, broken in _broken_crystals(X[0]).items():
        bad = [*X[:2], broken, *X[3:]]
        error = raised(lambda bad=bad: output(model, bad), InvalidStructureError)
        assert error is not None, f"{kind} is accepted"
        assert error.index == 2, f"{kind} in row 2 is reported in row {error.index}"
        if get_tags(estimator).requires_fit:
            new = seeded_clone(estimator)
            error = raised(lambda new=new, bad=bad: new.fit(bad, y), InvalidStructureError)
            assert error is not None, f"fit accepts {kind}"
            assert error.index == 2, f"{kind} in row 2 of fit is reported in row {error.index}"
            learned = [name for name in vars(new) if name.endswith("_") and name[0] != "_"]
            assert not learned, f"a failed fit leaves {learned} behind"


def check_invalid_input(estimator):
    """A single crystal, a 2-D array of sites, and (in fit) nothing at all raise."""
    model, X, y = fitted(estimator, equal_size=True)
    sites = object_array([site for s in X for site in s]).reshape(len(X), -1)
    for name, wrong in {"a single crystal": X[0], "a 2-D array of sites": sites}.items():
        error = raised(lambda wrong=wrong: output(model, wrong), ValueError, TypeError)
        assert error is not None, f"{name} is accepted"
    if get_tags(estimator).requires_fit:
        error = raised(lambda: seeded_clone(estimator).fit([], y[:0]), ValueError)
        assert error is not None, "fit accepts an empty list"


def check_on_invalid_warn(estimator):
    """With on_invalid="warn", invalid rows become NaN under one warning and the others stay."""
    X, y = toy_data(estimator)
    model = seeded_clone(estimator).set_params(on_invalid="warn").fit(X, y)
    expected = np.asarray(output(model, X))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        actual = np.asarray(output(model, [*X[:2], 3.5, *X[3:]]))
    found = [w for w in caught if issubclass(w.category, InvalidStructureWarning)]
    assert len(found) == 1, f"{len(found)} warnings for one invalid crystal"
    assert "structure 2" in str(found[0].message), "the warning does not name row 2"
    assert np.isnan(actual[2].astype(float)).all(), "the invalid row is not NaN"
    others = np.arange(len(X)) != 2
    assert_same(actual[others], expected[others], "rows beside an invalid one")


def check_isolated_atom(estimator):
    """An atom without neighbours gets a finite output, and may be fitted on."""
    from pymatgen.core import Lattice, Structure

    X, y = toy_data(estimator)
    lonely = Structure(Lattice.cubic(40.0), ["Ni"], [[0, 0, 0]])
    X = [lonely, *X[1:]]
    model = seeded_clone(estimator).fit(X, y)
    for rows in (X, X[:1]):
        result = output(model, rows)
        assert len(result) == len(rows), "the isolated atom has lost its row"
        if is_table(result):
            values = np.asarray(result)
            finite = np.isfinite(values.astype(float)) if values.dtype.kind != "U" else True
            assert np.all(finite), "an isolated atom gives NaN or infinity"


def check_physical_invariance(estimator):
    """Moving, rotating and renumbering the atoms of a crystal changes nothing."""
    model, X, _ = fitted(estimator)
    expected = output(model, X)
    if not is_table(expected):
        return
    rng = np.random.default_rng(0)
    moved = {
        "translation": [_translated(s, rng) for s in X],
        "rotation": [_rotated(s, rng) for s in X],
        "order of the atoms": [_renumbered(s, rng) for s in X],
    }
    for name, crystals in moved.items():
        assert_same(output(model, crystals), expected, f"invariance to {name}", exact=False)


def _translated(structure, rng):
    new = structure.copy()
    new.translate_sites(range(len(new)), rng.random(3))
    return new


def _rotated(structure, rng):
    from pymatgen.core import Lattice, Structure
    from scipy.stats import special_ortho_group

    turn = special_ortho_group.rvs(3, random_state=np.random.RandomState(rng.integers(2**31)))
    lattice = Lattice(structure.lattice.matrix @ turn.T)
    return Structure(lattice, structure.species, structure.frac_coords)


def _renumbered(structure, rng):
    from pymatgen.core import Structure

    order = rng.permutation(len(structure))
    species = [structure.species[k] for k in order]
    return Structure(structure.lattice, species, structure.frac_coords[order])
