"""Disorder of slabs, wires and molecules, and of data with many elements."""

import warnings

import numpy as np
import pytest
from crystals import b2_nial, bcc_fe, fcc_cu, l12_cu3au, rocksalt_nacl
from pymatgen.core import Lattice, Structure

from sklmat.exceptions import ExtrapolationWarning
from sklmat.features import DisorderFeaturizer


def halide_slab(height=25.0, shift=0.0, seed=0, pbc=(True, True, False)):
    """Two layers of CsSn(Br/I)3 with displaced atoms, and vacuum along c."""
    rng = np.random.default_rng(seed)
    sites = [[0.5, 0.5, 0.5], [0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
    crystal = Structure(Lattice.cubic(5.9), ["Cs", "Sn", "Br", "Br", "I"], sites) * [2, 1, 2]
    positions = crystal.cart_coords + rng.normal(0, 0.05, crystal.cart_coords.shape)
    positions[:, 2] += shift
    lattice = Lattice([[11.8, 0, 0], [0, 5.9, 0], [0, 0, height]], pbc=pbc)
    return Structure(lattice, crystal.species, positions, coords_are_cartesian=True)


@pytest.mark.parametrize(
    "pbc", [(True, True, False), (False, True, False), (False, False, False)], ids=str
)
def test_vacuum_and_place_in_it_do_not_matter(pbc):
    crystals = [
        halide_slab(height, shift, pbc=pbc)
        for height, shift in [(25, 0), (25, 3), (25, 20), (25, -11), (40, 0), (60, 31)]
    ]
    crystals.append(halide_slab(seed=1, pbc=pbc))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = DisorderFeaturizer().fit_transform(crystals).to_numpy()
    np.testing.assert_allclose(table[1:6], table[:1].repeat(5, axis=0), atol=1e-6)
    assert not np.allclose(table[6], table[0])


def test_data_of_many_elements_has_few_columns():
    names = ("Na F", "Mg O", "K Cl", "Ca O", "Rb Br", "Sr S", "Cs I", "Ba Se", "Li F")
    salts = [
        Structure(
            Lattice.cubic(5 + 0.2 * number), np.repeat(name.split(), 4), rocksalt_nacl().frac_coords
        )
        for number, name in enumerate(names)
    ]
    featurizer = DisorderFeaturizer().fit(salts)
    assert len(featurizer.elements_) > 12
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = featurizer.transform([*salts, rocksalt_nacl(), l12_cu3au()])
    assert np.isfinite(table.to_numpy()).all()
    assert len(table.columns) < 60
    columns = " ".join(table.columns)
    assert not any(f"{symbol}-" in columns for symbol in featurizer.elements_)
    # NaCl in its own radii: 2.82 Å over 1.66 + 1.02 Å.
    radii = 1.66 + 1.02
    expected = rocksalt_nacl().lattice.a / 2 / radii
    assert table["mean relative bond length"].iloc[len(salts)] == pytest.approx(expected)
    assert table["mean angle at cations (°)"].iloc[0] == pytest.approx(90)


def test_unseen_elements_are_kept_on_request():
    training = [bcc_fe(), b2_nial()]
    rows = [bcc_fe(), fcc_cu()]
    for groups in (["prototype", "volume"], ["bonds"]):
        kept = DisorderFeaturizer(groups=groups, handle_unknown="ignore").fit(training)
        assert np.isfinite(kept.transform(rows).to_numpy()).all()
    with pytest.warns(ExtrapolationWarning, match=r"Cu \(row 1\)"):
        DisorderFeaturizer(handle_unknown="warn").fit(training).transform(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DisorderFeaturizer(groups=["prototype"]).fit(training).transform(rows)


def test_a_square_of_ligands_is_no_tetrahedron():
    square = [[0, 0, 0], [0.25, 0, 0], [-0.25, 0, 0], [0, 0.25, 0], [0, -0.25, 0]]
    planar = Structure(Lattice.tetragonal(8, 5), ["Pt", "O", "O", "O", "O"], square)
    quarter = [[0, 0, 0], [0.25, 0.25, 0.25]]
    solid = Structure.from_spacegroup("F-43m", Lattice.cubic(5.4), ["Zn", "S"], quarter)
    table = DisorderFeaturizer(groups=["polyhedra"]).fit_transform([planar, solid])
    assert table["mean quadratic elongation"].tolist() == pytest.approx([1, 1])
