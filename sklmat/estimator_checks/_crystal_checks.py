"""Checks of crystals as input: order of rows, containers, invalid crystals, invariances."""

import json
import warnings

import numpy as np
import pandas as pd
from sklearn.utils import _safe_indexing, get_tags

from sklmat.estimator_checks._fit_and_compare import (
    assert_same,
    fitted,
    is_table,
    output,
    raised,
    seeded_clone,
    toy_data,
)
from sklmat.exceptions import InvalidStructureError, InvalidStructureWarning


def object_array(items):
    """A 1-D object array; np.asarray would turn cells of equal size into a 2-D array."""
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def check_order_invariance(estimator):
    """Permuted rows give permuted outputs."""
    model, X, _ = fitted(estimator)
    order = np.random.default_rng(0).permutation(len(X))
    actual = output(model, [X[row] for row in order])
    assert_same(actual, _safe_indexing(output(model, X), order), "permuted rows", exact=False)


def check_subset_invariance(estimator):
    """The output for a crystal does not depend on the other crystals in the call."""
    model, X, _ = fitted(estimator)
    output_of_all = output(model, X)
    for rows in ([0], [5], [1, 2, 6], list(range(len(X))) * 2):
        actual = output(model, [X[row] for row in rows])
        expected = _safe_indexing(output_of_all, np.array(rows))
        assert_same(actual, expected, f"rows {rows} alone", exact=False)


def check_n_jobs(estimator):
    """Two jobs give exactly the same output as one job."""
    X, y = toy_data(estimator)
    outputs = []
    for n_jobs in (1, 2):
        model = seeded_clone(estimator).set_params(n_jobs=n_jobs).fit(X, y)
        outputs.append(output(model, X))
    assert_same(outputs[1], outputs[0], "n_jobs=2")


def check_containers(estimator):
    """List, tuple, object array, Series, dicts and ASE atoms give the same output."""
    from pymatgen.io.ase import AseAtomsAdaptor

    model, X, y = fitted(estimator)
    expected = output(model, X)
    series = pd.Series(object_array(X), index=np.arange(len(X)) * 3 + 7)
    containers = {"tuple": tuple(X), "object array": object_array(X), "Series": series}
    for name, container in containers.items():
        assert_same(output(model, container), expected, name)
        refitted = seeded_clone(estimator).fit(container, pd.Series(y, index=series.index))
        assert_same(output(refitted, X), expected, f"fit on {name}")
    others = {
        "dicts": [structure.as_dict() for structure in X],
        "ASE atoms": [AseAtomsAdaptor.get_atoms(structure) for structure in X],
    }
    for name, container in others.items():
        assert_same(output(model, container), expected, name, exact=False)


def check_equal_sizes(estimator):
    """Cells with the same number of atoms are treated as separate crystals."""
    model, X, _ = fitted(estimator, equal_size=True)
    result = output(model, X)
    assert len(result) == len(X), f"{len(result)} outputs for {len(X)} crystals of equal size"
    single = output(model, X[:1])
    assert_same(single, _safe_indexing(result, np.array([0])), "first crystal", exact=False)


def check_inputs_not_mutated(estimator):
    """The crystals, their list and y are not changed."""
    X, y = toy_data(estimator)
    y.setflags(write=False)
    before = [json.dumps(structure.as_dict(), default=str) for structure in X]
    given = list(X)
    model = seeded_clone(estimator).fit(X, y)
    output(model, X)
    assert len(X) == len(given), "the list of crystals has changed its length"
    for row, (structure, original) in enumerate(zip(X, given)):
        assert structure is original, f"item {row} of the list was replaced"
        after = json.dumps(structure.as_dict(), default=str)
        assert after == before[row], f"crystal {row} was changed"


def _broken_crystals(good):
    """Crystals that must raise an error, by a description of their defect."""
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
    """Invalid crystals raise an error with their row; after a failed fit no attributes are set."""
    model, X, y = fitted(estimator)
    broken_crystals = _broken_crystals(X[0])
    if raised(lambda: output(model, [crystal.composition for crystal in X]), Exception) is None:
        # Their composition is known, and the model needs no more.
        del broken_crystals["partial occupancy"]
    for name, broken in broken_crystals.items():
        crystals = [*X[:2], broken, *X[3:]]
        error = raised(lambda crystals=crystals: output(model, crystals), InvalidStructureError)
        assert error is not None, f"{name} is accepted"
        assert error.index == 2, f"{name} in row 2 is reported in row {error.index}"
        if get_tags(estimator).requires_fit:
            _check_fit_refuses(estimator, crystals, y, name)


def _check_fit_refuses(estimator, crystals, y, name):
    """Check that fit raises an error for the crystal in row 2."""
    new = seeded_clone(estimator)
    error = raised(lambda: new.fit(crystals, y), InvalidStructureError)
    assert error is not None, f"fit accepts {name}"
    assert error.index == 2, f"{name} in row 2 of fit is reported in row {error.index}"
    fitted_names = [name for name in vars(new) if name.endswith("_") and name[0] != "_"]
    assert not fitted_names, f"a failed fit leaves {fitted_names} behind"


def check_invalid_input(estimator):
    """A single crystal, a 2-D array of sites and (in fit) an empty list raise an error."""
    model, X, y = fitted(estimator, equal_size=True)
    sites = object_array([site for structure in X for site in structure]).reshape(len(X), -1)
    for name, wrong in {"a single crystal": X[0], "a 2-D array of sites": sites}.items():
        error = raised(lambda wrong=wrong: output(model, wrong), ValueError, TypeError)
        assert error is not None, f"{name} is accepted"
    if get_tags(estimator).requires_fit:
        error = raised(lambda: seeded_clone(estimator).fit([], y[:0]), ValueError)
        assert error is not None, "fit accepts an empty list"


def check_on_invalid_warn(estimator):
    """With on_invalid="warn", invalid rows become NaN with one warning; others are unchanged."""
    X, y = toy_data(estimator)
    model = seeded_clone(estimator).set_params(on_invalid="warn").fit(X, y)
    expected = np.asarray(output(model, X))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        actual = np.asarray(output(model, [*X[:2], 3.5, *X[3:]]))
    issued = [each for each in caught if issubclass(each.category, InvalidStructureWarning)]
    assert len(issued) == 1, f"{len(issued)} warnings for one invalid crystal"
    assert "structure 2" in str(issued[0].message), "the warning does not name row 2"
    assert np.isnan(actual[2].astype(float)).all(), "the invalid row is not NaN"
    others = np.arange(len(X)) != 2
    assert_same(actual[others], expected[others], "rows beside an invalid one")


def check_isolated_atom(estimator):
    """An atom without neighbours gets a finite output and is accepted by fit."""
    from pymatgen.core import Lattice, Structure

    X, y = toy_data(estimator)
    isolated = Structure(Lattice.cubic(40.0), ["Ni"], [[0, 0, 0]])
    X = [isolated, *X[1:]]
    model = seeded_clone(estimator).fit(X, y)
    for rows in (X, X[:1]):
        result = output(model, rows)
        assert len(result) == len(rows), "the isolated atom has lost its row"
        if is_table(result):
            values = np.asarray(result)
            finite = np.isfinite(values.astype(float)) if values.dtype.kind != "U" else True
            assert np.all(finite), "an isolated atom gives NaN or infinity"


def check_physical_invariance(estimator):
    """The output is invariant to translation, rotation and the order of the atoms."""
    model, X, _ = fitted(estimator)
    expected = output(model, X)
    if not is_table(expected):
        return
    rng = np.random.default_rng(0)
    transformed = {
        "translation": [_translated(structure, rng) for structure in X],
        "rotation": [_rotated(structure, rng) for structure in X],
        "order of the atoms": [_renumbered(structure, rng) for structure in X],
    }
    for name, crystals in transformed.items():
        assert_same(output(model, crystals), expected, f"invariance to {name}", exact=False)


def _translated(structure, rng):
    new = structure.copy()
    new.translate_sites(range(len(new)), rng.random(3))
    return new


def _rotated(structure, rng):
    from pymatgen.core import Lattice, Structure
    from scipy.stats import special_ortho_group

    seed = np.random.RandomState(rng.integers(2**31))
    rotation = special_ortho_group.rvs(3, random_state=seed)
    lattice = Lattice(structure.lattice.matrix @ rotation.T)
    return Structure(lattice, structure.species, structure.frac_coords)


def _renumbered(structure, rng):
    from pymatgen.core import Structure

    order = rng.permutation(len(structure))
    species = [structure.species[atom] for atom in order]
    return Structure(structure.lattice, species, structure.frac_coords[order])
