"""Values on the periodic table."""

import numpy as np
import pandas as pd
import pytest
from crystals import perovskite, rocksalt_nacl
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose

from sklmat import StructureToGraph
from sklmat.plotting import PeriodicTableDisplay


def texts(display):
    return [text.get_text() for text in display.ax_.texts]


def place(display, symbol):
    """Group, and upper end in heights of cells."""
    cell = display.cells_[symbol]
    return round(cell.get_x() + 0.48), round(cell.get_y() / 1.2, 2)


def test_elements_are_in_their_groups_and_periods():
    display = PeriodicTableDisplay.from_values({"Fe": 1.0})
    assert len(display.cells_) == 103
    for symbol, group, period in [
        ("H", 1, 1),
        ("He", 18, 1),
        ("Be", 2, 2),
        ("B", 13, 2),
        ("Cl", 17, 3),
        ("Sc", 3, 4),
        ("Fe", 8, 4),
        ("Ba", 2, 6),
        ("Hf", 4, 6),
        ("Rn", 18, 6),
        ("Ra", 2, 7),
    ]:
        assert place(display, symbol) == (group, period - 1), symbol
    below = 7 + 0.35 / 1.2
    assert place(display, "La") == (3, round(below, 2))
    assert place(display, "Lu") == (17, round(below, 2))
    assert place(display, "Lr") == (17, round(below + 1, 2))
    heavy = PeriodicTableDisplay.from_values({"Og": 1.0})
    assert place(heavy, "Og") == (18, 6)
    assert "Rf" not in heavy.cells_


def test_values_are_colours_and_texts():
    display = PeriodicTableDisplay.from_values(
        pd.Series({"O": 2.0, "Fe": 0.1234, "Ni": np.nan}), label="charge", unit="e"
    )
    assert display.values.to_dict() == {"O": 2.0, "Fe": 0.1234}
    assert to_hex(display.cells_["O"].get_facecolor()) == "#fde725"
    assert to_hex(display.cells_["Fe"].get_facecolor()) == "#440154"
    assert display.cells_["Ni"].get_facecolor()[3] == 0
    assert {"2", "0.12"} <= set(texts(display))
    assert display.limits_ == (0.1234, 2.0)
    assert display.colorbar_.ax.get_xlabel() == "charge (e)"
    assert {text.get_fontsize() for text in display.ax_.texts} <= {6.5, 8, 10}


def test_values_of_both_signs_have_white_at_zero():
    display = PeriodicTableDisplay.from_values({"O": -2.0, "Fe": 1.0, "Ni": 0.0})
    assert display.limits_ == (-2.0, 2.0)
    assert display.colorbar_.norm(0.0) == 0.5
    red, _, blue, _ = display.cells_["O"].get_facecolor()
    assert blue > red
    assert "−2" in texts(display)
    limited = PeriodicTableDisplay.from_values({"O": -2.0, "Fe": 1.0}, limits=(-1, 3))
    assert limited.colorbar_.ax.get_xlim() == (-1, 3)
    assert limited.colorbar_.norm(0.0) == 0.5
    assert limited.colorbar_.extend == "min"
    plain = PeriodicTableDisplay.from_values({"O": -2.0, "Fe": 1.0}, diverging=False)
    assert plain.limits_ == (-2.0, 1.0)


@pytest.mark.parametrize("kind", ["structures", "graphs", "formulas", "table"])
def test_number_of_crystals_of_each_element(kind):
    cells = [rocksalt_nacl(), perovskite(), perovskite(species=("Ba", "Ti", "O"))]
    X = {
        "structures": pd.Series(cells, index=[5, 6, 7]),
        "graphs": StructureToGraph(cutoff=4.0).fit_transform(cells),
        "formulas": ["NaCl", "SrTiO3", "BaTiO3"],
        "table": pd.DataFrame(
            np.vstack([[0.5, 0.5, 0, 0, 0, 0], [0, 0, 0.6, 0.2, 0.2, 0], [0, 0, 0.6, 0.2, 0, 0.2]]),
            columns=["x_Na", "x_Cl", "x_O", "x_Ti", "x_Sr", "x_Ba"],
        ),
    }[kind]
    display = PeriodicTableDisplay.from_structures(X)
    expected = {"O": 2, "Na": 1, "Cl": 1, "Ti": 2, "Sr": 1, "Ba": 1}
    assert display.values.to_dict() == expected
    assert display.log_scale
    assert display.colorbar_.ax.get_xlabel() == "number of crystals"


def test_errors_are_means_over_crystals_that_contain_the_element():
    display = PeriodicTableDisplay.from_errors(
        ["NaCl", "KCl", "K"], [1.0, 2.0, 3.0], [1.5, 1.0, 3.3], unit="eV"
    )
    assert list(display.values.index) == ["Na", "Cl", "K"]
    assert_allclose(display.values, [0.5, 0.75, 0.65])
    assert display.counts.to_dict() == {"Na": 1, "Cl": 2, "K": 2}
    written = texts(display)
    at = written.index("Cl")
    assert written[at : at + 3] == ["Cl", "0.75", "2"]
    assert "below each value: number of crystals" in written
    assert display.colorbar_.ax.get_xlabel() == "mean absolute error (eV)"


def test_contributions_leave_out_crystals_without_the_element():
    table = pd.DataFrame({"Ni": [0.2, 0.0, 0.4], "Al": [-0.1, -0.1, 0.0]})
    display = PeriodicTableDisplay.from_contributions(table, unit="eV")
    assert_allclose(display.values[["Al", "Ni"]], [-0.1, 0.3])
    assert display.counts.to_dict() == {"Al": 2, "Ni": 2}
    assert_allclose(display.limits_, (-0.3, 0.3))


def test_given_axes_are_used():
    import matplotlib.pyplot as plt

    _, (first, second) = plt.subplots(1, 2)
    display = PeriodicTableDisplay.from_values({"Fe": 1e7}, ax=second)
    assert display.ax_ is second
    assert r"1.0$\times$10$^{7}$" in texts(display)
    assert display.plot(ax=first).ax_ is first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"values": {"Xx": 1.0}}, "'Xx', which is no symbol"),
        ({"values": {"D": 1.0}}, "'D', which is no symbol"),
        ({"values": {"Fe": np.nan}}, "no number for any element"),
        ({"values": {}}, "no number for any element"),
        ({"values": {"Fe": np.inf}}, "the value of Fe is infinite"),
        ({"values": {"Fe": "a"}}, "'a' in row 0, which is no number"),
        ({"values": {"Fe": 0.0}, "log_scale": True}, "the value of Fe is 0"),
        ({"values": {"Fe": 1.0}, "log_scale": True, "limits": (0, 1)}, "limits must be positive"),
        ({"values": {"Fe": 1.0}, "limits": (2, 1)}, "two increasing numbers"),
    ],
)
def test_values_that_cannot_be_drawn(arguments, message):
    with pytest.raises(ValueError, match=message):
        PeriodicTableDisplay.from_values(**arguments)


def test_targets_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"y_pred has the shape \(1,\) for 2 crystals"):
        PeriodicTableDisplay.from_errors(["Fe", "Ni"], [1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="y_true is nan in row 1"):
        PeriodicTableDisplay.from_errors(["Fe", "Ni"], [1.0, np.nan], [1.0, 2.0])
