"""Entropy, free energy, lattice parameters, stable phases and the hull."""

import math

import numpy as np
import pandas as pd
import pytest
from phase_model import ENERGY

from sklmat.screening import (
    composition_grid,
    configurational_entropy,
    energy_above_hull,
    free_energy,
    lattice_parameter,
    stable_phase,
)

SENARY = ["Fe", "Ni", "Co", "Cr", "Mn", "Pd"]
K_B = 8.617333262e-5


@pytest.fixture
def grid():
    return composition_grid(["Fe", "Ni", "Cr"], 0.1, chunk_size=8)


def test_entropy_by_hand():
    assert configurational_entropy([0.5, 0.5]) == pytest.approx(K_B * math.log(2), rel=1e-9)
    assert configurational_entropy([0.2] * 5) == pytest.approx(K_B * math.log(5), rel=1e-9)
    np.testing.assert_array_equal(configurational_entropy(np.eye(3)), [0, 0, 0])
    assert not np.signbit(configurational_entropy(np.eye(3))).any()
    one_in_four = -K_B * (0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    table = pd.DataFrame({"phase": ["bcc"], "x_Fe": [0.25], "x_Ni": [0.75], "volume": [11.0]})
    np.testing.assert_allclose(configurational_entropy(table), [one_in_four])
    assert (configurational_entropy(composition_grid(SENARY, 0.1).points()) >= 0).all()


def test_free_energy_by_hand():
    assert free_energy(0.1, [0.5, 0.5], 1000) == pytest.approx(0.1 - 0.0597318, abs=1e-6)
    assert free_energy(0.1, [0.5, 0.5], 0) == 0.1
    grid = free_energy([0.0, 0.1], [[1, 0], [0.5, 0.5]], np.array([[0.0], [1000.0], [2000.0]]))
    assert grid.shape == (3, 2)
    np.testing.assert_allclose(grid[:, 0], 0)
    np.testing.assert_allclose(grid[:, 1], 0.1 - K_B * math.log(2) * np.array([0, 1000, 2000]))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[0.5, 0.5], [0.5, 0.4]], "row 1 has fractions that do not sum to one"),
        ([1.5, -0.5], "row 0 has a negative fraction"),
        ([np.nan, 1], "row 0 holds NaN"),
        (np.ones((1, 1, 1)), "shape"),
        (pd.DataFrame({"Fe": [1.0]}), "call them x_Fe"),
    ],
)
def test_entropy_refuses_what_is_no_composition(x, message):
    with pytest.raises(ValueError, match=message):
        configurational_entropy(x)


@pytest.mark.parametrize("temperature", [-1, np.nan, [300, -300]])
def test_free_energy_refuses_temperatures(temperature):
    with pytest.raises(ValueError, match="0 K or more"):
        free_energy(0.0, [0.5, 0.5], temperature)


def test_lattice_parameters_of_textbook_metals():
    # a (Å) at room temperature and volume per atom (Å³), Kittel, tables 3 and 4 of chapter 1.
    volume = {"fcc": 3.61**3 / 4, "bcc": 2.87**3 / 2, "diamond": 5.43**3 / 8, "sc": 3.34**3}
    a = lattice_parameter(list(volume.values()), list(volume))
    np.testing.assert_allclose(a, [3.61, 2.87, 5.43, 3.34])
    # Mg: 3.21 and 5.21 Å, close to the ideal ratio 1.633; the cell holds two atoms.
    magnesium = math.sqrt(3) / 2 * 3.21**2 * 5.21 / 2
    assert lattice_parameter(magnesium, "hcp") == pytest.approx(3.21, abs=0.01)
    # Equal nearest-neighbour distances mean equal densities of fcc and hcp.
    v = 11.0
    assert lattice_parameter(v, "fcc") / math.sqrt(2) == pytest.approx(lattice_parameter(v, "hcp"))
    with pytest.raises(ValueError, match=r"no cell is known for.*bct"):
        lattice_parameter(v, "bct")
    with pytest.raises(ValueError, match="positive"):
        lattice_parameter([v, 0], "fcc")


def phases_table(**energies):
    """Fe-Ni at 0, 50 and 100 %, one column of energies for each phase."""
    x = np.array([0.0, 0.5, 1.0])
    return pd.concat(
        [
            pd.DataFrame({"x_Fe": 1 - x, "x_Ni": x, "phase": phase, ENERGY: values})
            for phase, values in energies.items()
        ],
        ignore_index=True,
    )


def test_stable_phase_by_hand():
    table = phases_table(bcc=[0.0, 0.1, 0.3], fcc=[0.15, -0.05, 0.0], hcp=[0.2, 0.0, 0.01])
    shuffled = table.sample(frac=1, random_state=0)
    stable = stable_phase(shuffled).sort_values("x_Ni")
    assert stable["phase"].tolist() == ["bcc", "fcc", "fcc"]
    np.testing.assert_allclose(stable["gap to next phase (eV/atom)"], [0.15, 0.05, 0.01])
    np.testing.assert_array_equal(stable[ENERGY], [0, -0.05, 0])
    assert stable.index.tolist() == [0, 4, 5], "rows keep their labels"
    first_seen = shuffled["x_Ni"].drop_duplicates().tolist()
    assert stable_phase(shuffled)["x_Ni"].tolist() == first_seen
    assert len(table) == 9
    assert "gap to next phase (eV/atom)" not in table


def test_stable_phase_of_few_and_equal_phases():
    alone = stable_phase(phases_table(bcc=[0, 0.1, 0]))
    assert alone["gap to next phase (eV/atom)"].isna().all()
    equal = stable_phase(phases_table(fcc=[0, 0.1, 0], bcc=[0, 0.1, 0]))
    assert equal["phase"].tolist() == ["fcc"] * 3
    np.testing.assert_array_equal(equal["gap to next phase (eV/atom)"], 0)


def test_stable_phase_refuses():
    table = phases_table(bcc=[0.0, 0.1, 0.0], fcc=[0.0, 0.1, 0.0])
    with pytest.raises(ValueError, match="more than one row of a phase"):
        stable_phase(pd.concat([table, table.iloc[:1]]))
    with pytest.raises(ValueError, match="no column 'phase'"):
        stable_phase(table.drop(columns="phase"))
    with pytest.raises(ValueError, match="1 of 6 energies that are not finite"):
        stable_phase(table.assign(**{ENERGY: [0, 1, np.nan, 0, 0, 0]}))
    mixing = table.rename(columns={ENERGY: "mixing energy (eV/atom)"})
    with pytest.raises(ValueError, match="cannot tell which"):
        stable_phase(mixing)
    with pytest.raises(ValueError, match="refer to different states of the elements"):
        stable_phase(mixing, energy="mixing energy (eV/atom)")


def test_hull_of_a_hand_made_system():
    # Tie lines: Fe to FeNi (fcc, -0.2), FeNi to Ni. bcc FeNi lies 0.25 above; fcc Fe 0.1.
    table = phases_table(bcc=[0.0, 0.05, 0.4], fcc=[0.1, -0.2, 0.0])
    quarter = {"x_Fe": 0.75, "x_Ni": 0.25, "phase": "bcc", ENERGY: -0.04}
    table = pd.concat([table, pd.DataFrame([quarter])], ignore_index=True)
    heights = energy_above_hull(table)
    np.testing.assert_allclose(heights, [0, 0.25, 0.4, 0.1, 0, 0, 0.06], atol=1e-12)


def test_entropy_takes_a_solution_to_the_hull():
    # Regular solution E = ω x (1 - x): spinodal below T = ω / 2 k_B, mixes at all x above.
    omega = 0.1
    x = np.linspace(0, 1, 101)
    table = pd.DataFrame({"x_Fe": 1 - x, "x_Cr": x, ENERGY: omega * x * (1 - x)})
    critical = omega / (2 * K_B)
    assert (energy_above_hull(table, 1.01 * critical) == 0).all()
    below = energy_above_hull(table, 0.8 * critical)
    # By symmetry the tie line is where dF/dx = 0: ω (1 - 2 x) = k_B T ln((1 - x) / x).
    from scipy.optimize import brentq

    temperature = 0.8 * critical
    binodal = brentq(
        lambda c: omega * (1 - 2 * c) - K_B * temperature * math.log((1 - c) / c), 0.01, 0.49
    )
    inside = (x > binodal + 0.01) & (x < 1 - binodal - 0.01)
    assert (below[inside] > 0).all()
    assert (below[(x < binodal - 0.01) | (x > 1 - binodal + 0.01)] == 0).all()
    middle = free_energy(
        [omega / 4, omega * binodal * (1 - binodal)],
        [[0.5, 0.5], [binodal, 1 - binodal]],
        temperature,
    )
    assert below[50] == pytest.approx(middle[0] - middle[1], abs=1e-5)


def test_hull_agrees_with_pymatgen():
    from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
    from pymatgen.core import Composition

    rng = np.random.default_rng(0)
    points = composition_grid(["Fe", "Ni", "Cr", "Mn"], 0.25).points()
    table = pd.concat([points.assign(phase=p) for p in ("bcc", "fcc")], ignore_index=True)
    table[ENERGY] = rng.normal(0, 0.05, len(table))
    entries = [
        PDEntry(Composition(dict(zip(["Fe", "Ni", "Cr", "Mn"], 4 * x))), 4 * energy)
        for x, energy in zip(table.iloc[:, :4].to_numpy(), table[ENERGY])
    ]
    diagram = PhaseDiagram(entries)
    expected = [diagram.get_e_above_hull(entry) for entry in entries]
    np.testing.assert_allclose(energy_above_hull(table), expected, atol=1e-9)


def test_flat_hulls():
    points = composition_grid(["Fe", "Ni", "Cr"], 0.1, {"Cr": 0.2}, {"Cr": 0.2}).points()
    straight = points.assign(**{ENERGY: 0.3 * points["x_Fe"] - 0.1})
    np.testing.assert_array_equal(energy_above_hull(straight), 0)
    one = pd.DataFrame({"x_Fe": [0.5, 0.5], "x_Ni": [0.5, 0.5], ENERGY: [0.2, 0.1]})
    np.testing.assert_allclose(energy_above_hull(one), [0.1, 0])
