"""Crystals small enough to fit anything on in no time, and the comparison of what comes out."""

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state, get_tags

_FCC = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
_BCC = np.array([[0, 0, 0], [0.25, 0.5, 0.5], [0.5, 0, 0], [0.75, 0.5, 0.5]])


def make_toy_crystals(n_samples=8, *, task="regression", equal_size=False, random_state=0):
    """Make small strained Ni-Cu-Pd crystals, alternately bcc and fcc.

    Parameters
    ----------
    n_samples : int, default=8
        Number of crystals C. Each holds all three elements, so that no fold lacks one.
    task : {"regression", "classification"}, default="regression"
        What the target is: the volume per atom (Å³), or the name of the lattice.
    equal_size : bool, default=False
        Give every crystal four atoms, where otherwise half of them have eight.
    random_state : int or RandomState, default=0
        Seed of the strains and displacements.

    Returns
    -------
    structures : list of C pymatgen Structure
    y : ndarray of shape (C,)

    Examples
    --------
    >>> from sklmat.estimator_checks import make_toy_crystals
    >>> structures, y = make_toy_crystals(4, task="classification")
    >>> [len(structure) for structure in structures], y.tolist()
    ([4, 4, 8, 8], ['bcc', 'fcc', 'bcc', 'fcc'])
    """
    rng = check_random_state(random_state)
    structures = [_toy_crystal(k, equal_size, rng) for k in range(n_samples)]
    if task == "classification":
        return structures, np.resize(np.array(["bcc", "fcc"]), n_samples)
    return structures, np.array([s.volume / len(s) for s in structures])


def _toy_crystal(k, equal_size, rng):
    from pymatgen.core import Lattice, Structure

    fcc = k % 2
    a = (3.7 if fcc else 2.95) * rng.uniform(0.97, 1.03)
    sites = _FCC if fcc else _BCC
    species = ["Ni", "Cu", "Pd", ("Ni", "Cu", "Pd")[rng.randint(3)]]
    structure = Structure(Lattice.orthorhombic(a if fcc else 2 * a, a, a), species, sites)
    if not equal_size and k % 4 >= 2:
        structure.make_supercell([1, 2, 1])
    # Far below the 0.01-0.1 Å of symmetry finders, whose verdict near their tolerance depends on
    # the order of the atoms.
    shifts = rng.normal(scale=0.002, size=(len(structure), 3))
    return Structure(
        structure.lattice,
        structure.species,
        structure.cart_coords + shifts,
        coords_are_cartesian=True,
    )


def toy_data(estimator, **settings):
    """Toy crystals with the target that suits `estimator`."""
    # A transformer, too, may need classes.
    has_classes = get_tags(estimator).classifier_tags is not None
    task = "classification" if has_classes else "regression"
    return make_toy_crystals(task=task, **settings)


def seeded_clone(estimator):
    """Clone `estimator`, with a fixed seed where it takes one."""
    new = clone(estimator)
    if "random_state" in new.get_params(deep=False):
        new.set_params(random_state=0)
    return new


def fitted(estimator, **settings):
    """Fit a seeded clone on toy crystals; return it with them."""
    X, y = toy_data(estimator, **settings)
    return seeded_clone(estimator).fit(X, y), X, y


def output(estimator, X):
    """Return the most detailed thing the estimator says of `X`."""
    for method in ("predict_proba", "predict", "transform"):
        if hasattr(estimator, method):
            return getattr(estimator, method)(X)
    raise AssertionError(f"{type(estimator).__name__} has neither predict nor transform")


def is_table(values):
    """Whether an output is a table or an array, rather than a container of graphs."""
    return isinstance(values, np.ndarray) or hasattr(values, "to_numpy")


def assert_same(actual, expected, what, *, exact=True):
    """Compare two outputs: equal, or (`exact=False`) equal but for rounding.

    Rounding errors are judged by how much the output differs between crystals.
    """
    if not is_table(expected):
        assert type(actual) is type(expected), f"{what}: {type(actual)} and {type(expected)}"
        for name, value in vars(expected).items():
            if isinstance(value, np.ndarray):
                assert_same(getattr(actual, name), value, f"{what}, {name}", exact=exact)
        return
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{what}: shapes {actual.shape} and {expected.shape}"
    if exact or expected.dtype.kind not in "fc":
        np.testing.assert_array_equal(actual, expected, err_msg=what)
        return
    spread = np.nan_to_num(np.nanstd(expected, axis=0)) if len(expected) else 0.0
    size = np.nanmax(np.abs(expected)) if expected.size else 0.0
    excess = np.abs(actual - expected) - (1e-3 * spread + 1e-5 * size)
    same = np.isnan(actual) == np.isnan(expected)
    assert (same & ~(excess > 0)).all(), f"{what}:\n{actual}\nis not\n{expected}"
