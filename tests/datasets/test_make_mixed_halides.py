"""Generated mixed-halide perovskites."""

import numpy as np
import pytest

from sklmat.datasets import make_mixed_halide_perovskites
from sklmat.datasets._mixed_halide_potential import PairPotential, vegard


def relaxed(cell, iodine):
    x = iodine.sum(axis=1) / cell.n_cells
    return x, PairPotential(cell).relax(iodine, vegard(x), fmax=1e-4)


# make_mixed_halide_perovskites
def test_generated_bunch():
    made = make_mixed_halide_perovskites([(2, 2, 1)])
    frame = made.frame
    assert len(made.data) == len(made.ideal) == len(frame) == 270
    assert made.target_names == ["other", "high ordering energy"]
    assert made.target.sum() == 81  # 30 % of 270
    assert made.target.dtype.kind == "i"
    ordering = frame["ordering energy (eV/f.u.)"]
    assert ordering[made.target == 1].min() > ordering[made.target == 0].max()
    assert (frame["relaxation energy (eV/f.u.)"] < 1e-6).all()
    assert (frame["largest force (eV/Å)"] <= 1e-4).all()
    for row in (0, 100, 269):
        relaxed, ideal, line = made.data[row], made.ideal[row], frame.loc[row]
        assert relaxed.species == ideal.species
        assert relaxed.composition["I"] == line["x"] * 4
        mask = [site.specie.symbol == "I" for site in relaxed[8:]]
        assert sum(bit << i for i, bit in enumerate(mask)) == line["arrangement"]
        assert relaxed.composition.reduced_formula == line["formula"]
        edge = 5.8 + 0.4 * line["x"] / 3
        assert np.allclose(relaxed.lattice.abc, [2 * edge, 2 * edge, edge])
        moved = [a.distance(b) for a, b in zip(relaxed, ideal)]
        assert max(moved) == pytest.approx(line["largest displacement (Å)"], abs=1e-9)


def test_crystals_come_once_by_default():
    made = make_mixed_halide_perovskites()
    assert len(made.data) == 4 + 15 + 12 + 6 + 68 + 230
    # Different crystals of one composition have different energies, down to rounding.
    assert not made.frame[["x", "energy (eV/f.u.)"]].round(6).duplicated().any()


def test_targets_samples_and_seeds():
    names = ["ordering_energy", "mixing_energy"]
    options = {"n_iodine": [11, 12], "n_samples": 3, "target": names, "return_X_y": True}
    data, target = make_mixed_halide_perovskites([(2, 2, 2)], **options)
    assert len(data) == 6
    assert target.shape == (6, 2)
    again = make_mixed_halide_perovskites([(2, 2, 2)], **options)[1]
    other = make_mixed_halide_perovskites([(2, 2, 2)], **options, random_state=1)[1]
    assert (target == again).all()
    assert (target != other).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"supercells": (2, 2, 1)}, "must be a list of supercells"),
        ({"supercells": [(2, 2)]}, "three integers or three rows"),
        ({"supercells": [(2, 2, 1.5)]}, "must be a list of supercells"),
        ({"supercells": [((1, 0, 0), (1, 0, 0), (0, 0, 1))]}, "has 0 formula units"),
        ({"supercells": [(3, 3, 3)]}, "27 formula units; 1 to 21"),
        ({"supercells": []}, "empty"),
        ({"n_iodine": 4}, "0 to 3"),
        ({"n_iodine": [1, 1]}, "different integers"),
        ({"n_iodine": []}, "different integers"),
        ({"n_samples": 0}, "n_samples must be None or a positive integer"),
        ({"fmax": 0}, "fmax must be a positive number"),
        ({"target": "gap"}, "unknown target 'gap'"),
        ({"supercells": [(2, 2, 2)], "n_iodine": 12}, "too many to list: give n_samples"),
    ],
)
def test_wrong_parameters(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_mixed_halide_perovskites(**arguments)
