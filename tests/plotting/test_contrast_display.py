"""Pictures of contrasts: numbers stand where the table says."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from numpy.testing import assert_allclose, assert_array_equal

from sklmat.adversarial import contrast
from sklmat.plotting import ContrastDisplay
from sklmat.plotting._style import COLORS


def make_tables(shifts=(0.1, -2.0, 1.0), n=50, seed=0):
    rng = np.random.default_rng(seed)
    names = [f"d{k}" for k in range(len(shifts))]
    return (
        pd.DataFrame(rng.normal(size=(n, len(shifts))) + shifts, columns=names),
        pd.DataFrame(rng.normal(size=(2 * n, len(shifts))), columns=names),
    )


def test_effects_and_intervals_are_drawn_from_the_top():
    table = contrast(*make_tables())
    display = ContrastDisplay.from_contrast(table)
    panel = display.ax_
    assert display.features_ == ["d1", "d2", "d0"]
    assert [label.get_text() for label in panel.get_yticklabels()] == display.features_
    assert panel.yaxis_inverted()
    bars, dots = panel.collections
    assert_allclose(dots.get_offsets(), np.column_stack([table["effect size"], range(3)]))
    ends = np.array([segment[:, 0] for segment in bars.get_segments()])
    assert_allclose(ends, table[["low", "high"]])
    assert panel.get_xlabel() == "effect size (Hedges' g,\nadversarial − normal)"
    assert panel.get_title(loc="left") == ""
    assert display.figure_ is panel.figure


def test_significant_effects_are_filled():
    table = contrast(*make_tables())
    table["p corrected"] = [0.02, 0.002, 0.5]
    for alpha, filled in ((0.05, [1, 1, 0]), (0.01, [0, 1, 0])):
        display = ContrastDisplay.from_contrast(table, significance_level=alpha)
        faces = display.ax_.collections[1].get_facecolor()
        expected = [to_rgba(COLORS[1] if one else "white") for one in filled]
        assert_allclose(faces, expected)
        texts = display.ax_.get_legend().get_texts()
        assert texts[0].get_text() == f"corrected p < {alpha:g}"


def test_what_is_not_drawn_is_counted():
    first, second = make_tables((0.1, -2.0, 1.0, 0.5, 3.0))
    first["d0"] = second["d0"] = 1.0
    table = contrast(first, second)
    display = ContrastDisplay.from_contrast(table, max_features=2)
    assert display.features_ == ["d4", "d1"]
    note = display.ax_.get_xlabel().split("normal)\n")[1]
    assert note == "the 2 largest of 4 effects\n1 more has no effect size"
    display = ContrastDisplay.from_contrast(table)
    assert "d0" not in display.features_
    assert display.ax_.get_xlabel().endswith("normal)\n1 more has no effect size")
    # A table sorted otherwise is drawn in the same order.
    again = ContrastDisplay.from_contrast(table.sort_index())
    assert again.features_ == display.features_


def test_infinite_effects_stand_at_the_edge():
    first, second = make_tables()
    first["d0"], second["d0"] = 0.0, 1.0
    first["d2"], second["d2"] = 5.0, 1.0
    display = ContrastDisplay.from_contrast(contrast(first, second))
    assert display.features_ == ["d0", "d2", "d1"]
    bars, dot, left, right = display.ax_.collections
    assert len(bars.get_segments()) == len(dot.get_offsets()) == 1
    far = -bars.get_segments()[0][:, 0].min()
    (at_left,), (at_right,) = left.get_offsets(), right.get_offsets()
    assert at_left[0] < -far
    assert at_right[0] > far
    assert (at_left[1], at_right[1]) == (0, 1)
    assert [text.get_text() for text in display.ax_.texts] == ["−∞", "∞"]


def test_only_infinite_effects():
    table = contrast(np.zeros((3, 1)), np.ones((3, 1)))
    display = ContrastDisplay.from_contrast(table)
    assert display.features_ == [0]


def test_long_names_are_wrapped_and_fit():
    first, second = make_tables()
    long = "short-range order Br-I in the second shell of the halide sublattice (fraction)"
    first, second = (table.rename(columns={"d0": long}) for table in (first, second))
    display = ContrastDisplay.from_data(first, second)
    label = display.ax_.get_yticklabels()[2]
    lines = label.get_text().split("\n")
    assert " ".join(lines) == long
    assert max(map(len, lines)) <= 44
    display.figure_.canvas.draw()
    assert label.get_window_extent().x0 >= 0
    # The panel keeps more than half of the width.
    assert display.ax_.get_position().width > 0.5


def test_data_axes_and_keywords():
    first, second = make_tables()
    ax = plt.subplots()[1]
    display = ContrastDisplay.from_data(
        first, second, ["d0", "d2"], confidence_level=0.5, ax=ax, s=99
    )
    assert display.ax_ is ax
    assert display.table.attrs["confidence_level"] == 0.5
    assert_array_equal(ax.collections[1].get_sizes(), [99])
    assert display.plot().ax_ is not ax


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (lambda t: t.drop(columns="low"), {}, "no column 'low'"),
        (lambda t: t.assign(**{"effect size": np.nan}), {}, "no descriptor of the table has"),
        (lambda t: t, {"significance_level": 5}, "significance_level must lie between 0 and 1"),
        (lambda t: t, {"max_features": 0}, "max_features must be positive"),
    ],
)
def test_contrasts_that_cannot_be_drawn(table, options, message):
    with pytest.raises(ValueError, match=message):
        ContrastDisplay.from_contrast(table(contrast(*make_tables())), **options)


def test_limits():
    table = contrast(*make_tables((0.1, -2.0)))
    assert ContrastDisplay.from_contrast(table, limits=(-3, 3)).ax_.get_xlim() == (-3, 3)
    with pytest.raises(ValueError, match="two increasing numbers"):
        ContrastDisplay.from_contrast(table, limits=(3, -3))
