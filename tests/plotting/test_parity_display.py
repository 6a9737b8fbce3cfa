"""Parity plots show the numbers they are given."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression

from sklmat.model_selection import compare_estimators
from sklmat.plotting import ParityDisplay


def offsets(panel):
    return np.vstack([c.get_offsets() for c in panel.collections])


def corner_text(panel):
    (text,) = panel.texts
    return text.get_text()


def test_points_errors_and_labels():
    display = ParityDisplay.from_predictions(
        [0.0, 1.0, 2.0, 3.0], [0.1, 1.0, 2.0, 2.5], quantity="band gap", unit="eV"
    )
    # Errors 0.1, 0, 0, 0.5: mean 0.15; squares 0.01 and 0.25; variance of y is 5 / 4.
    errors = display.errors_["prediction"]
    assert errors["MAE"] == pytest.approx(0.15)
    assert errors["RMSE"] == pytest.approx(np.sqrt(0.26 / 4))
    assert errors["R2"] == pytest.approx(1 - 0.26 / 5)
    assert corner_text(display.ax_) == "MAE 0.150 eV\nRMSE 0.255 eV\nR² 0.948"
    np.testing.assert_allclose(offsets(display.ax_), [[0, 0.1], [1, 1], [2, 2], [3, 2.5]])
    assert display.ax_.get_xlabel() == "true band gap (eV)"
    assert display.ax_.get_ylabel() == "predicted band gap (eV)"
    assert display.ax_.get_title() == ""
    assert display.figure_ is display.ax_.figure


def test_panel_is_square_with_a_diagonal():
    display = ParityDisplay.from_predictions([0.0, 10.0], [5.0, 20.0])
    panel = display.ax_
    assert panel.get_xlim() == panel.get_ylim() == (-1, 21)
    (line,) = panel.lines
    np.testing.assert_array_equal(line.get_xdata(), line.get_ydata())
    assert panel.get_aspect() == 1


def test_constant_values_still_have_a_range():
    low, high = ParityDisplay.from_predictions([2.0, 2.0], [2.0, 2.0]).ax_.get_xlim()
    assert (low, high) == (1.5, 2.5)


def test_comparison_gives_one_panel_per_estimator_on_common_limits():
    X = np.arange(12.0).reshape(-1, 1)
    y = 2 * X.ravel()
    models = {"line": LinearRegression(), "mean": DummyRegressor()}
    table = compare_estimators(models, X, y, cv=3)
    display = ParityDisplay.from_comparison(table, unit="eV/atom")
    assert [panel.get_title() for panel in display.axes_] == ["line", "mean"]
    assert display.axes_[0].get_xlim() == display.axes_[1].get_xlim()
    assert display.axes_[0].get_ylabel() == "predicted value (eV/atom)"
    assert display.axes_[1].get_ylabel() == ""
    np.testing.assert_allclose(offsets(display.axes_[0]), np.column_stack([y, y]), atol=1e-9)
    np.testing.assert_allclose(
        offsets(display.axes_[1]), np.column_stack([y, table.predictions["mean"]])
    )
    # All folds have four rows, so the pooled MAE is the mean over folds.
    assert display.errors_["mean"]["MAE"] == pytest.approx(table.loc["mean", "MAE mean"])
    same = ParityDisplay.from_comparison(table.predictions)
    assert same.errors_ == display.errors_


def test_one_target_of_several():
    X = np.arange(8.0).reshape(-1, 1)
    y = pd.DataFrame({"energy": X.ravel(), "moment": -X.ravel()})
    table = compare_estimators({"line": LinearRegression()}, X, y, cv=2)
    display = ParityDisplay.from_comparison(table, target="moment")
    np.testing.assert_array_equal(np.sort(display.y_true), np.arange(-7, 1))
    with pytest.raises(ValueError, match=r"choose target= one of \['energy', 'moment'\]"):
        ParityDisplay.from_comparison(table)


def test_groups_get_a_colour_a_marker_and_a_legend():
    phase = pd.Series(["fcc", "bcc", "fcc"], name="phase")
    panel = ParityDisplay.from_predictions([0, 1, 2], [0, 1, 2], color_by=phase).ax_
    bcc, fcc = panel.collections
    np.testing.assert_array_equal(bcc.get_offsets(), [[1, 1]])
    np.testing.assert_array_equal(fcc.get_offsets(), [[0, 0], [2, 2]])
    assert to_hex(bcc.get_facecolor()[0]) != to_hex(fcc.get_facecolor()[0])
    assert len(bcc.get_paths()[0].vertices) != len(fcc.get_paths()[0].vertices)
    legend = panel.get_legend()
    assert legend.get_title().get_text() == "phase"
    assert [text.get_text() for text in legend.get_texts()] == ["bcc", "fcc"]


def test_colours_of_a_comparison_follow_the_rows_of_the_input():
    X = np.arange(6.0).reshape(-1, 1)
    cv = [([0, 1, 2], [5, 3, 4]), ([3, 4, 5], [2, 0, 1])]
    table = compare_estimators({"line": LinearRegression()}, X, X.ravel(), cv=cv)
    groups = ["a", "b", "a", "b", "a", "b"]
    first, second = ParityDisplay.from_comparison(table, color_by=groups).ax_.collections
    np.testing.assert_array_equal(np.sort(first.get_offsets()[:, 0]), [0, 2, 4])
    np.testing.assert_array_equal(np.sort(second.get_offsets()[:, 0]), [1, 3, 5])


def test_many_numbers_get_a_colour_bar():
    volume = pd.Series(np.linspace(10, 12, 20), name="volume (Å³)")
    y = np.arange(20.0)
    display = ParityDisplay.from_predictions(y, {"a": y, "b": y}, color_by=volume)
    for panel in display.axes_:
        np.testing.assert_array_equal(panel.collections[0].get_array(), volume)
    (bar,) = set(display.figure_.axes) - set(display.axes_)
    assert bar.get_ylabel() == "volume (Å³)"
    # Axes that the user made keep their places: the colour bar is beside the last.
    given = display.figure_.__class__().subplots(1, 2)
    (bar,) = display.plot(ax=given).axes_[-1].child_axes
    assert bar.get_ylabel() == "volume (Å³)"


def test_from_estimator():
    X = np.arange(5.0).reshape(-1, 1)
    model = LinearRegression().fit(X, X.ravel())
    display = ParityDisplay.from_estimator(model, X, X.ravel() + 1)
    assert display.errors_["LinearRegression"]["MAE"] == pytest.approx(1)
    mean = DummyRegressor().fit(X, X.ravel())
    both = ParityDisplay.from_estimator({"line": model, "mean": mean}, X, X.ravel())
    assert [panel.get_title() for panel in both.axes_] == ["line", "mean"]
    assert both.errors_["mean"]["MAE"] == pytest.approx(1.2)


def test_drawing_on_given_axes_and_again():
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3)
    display = ParityDisplay.from_predictions([0, 1], {"a": [0, 1], "b": [1, 0]}, ax=axes)
    assert list(display.axes_) == list(axes[:2])
    assert display.figure_ is figure
    assert display.plot() is display
    assert display.figure_ is not figure
    single = ParityDisplay.from_predictions([0, 1], [0, 1], ax=axes[2], s=50, color="k")
    assert single.ax_ is axes[2]
    assert single.ax_.collections[0].get_sizes()[0] == 50
    with pytest.raises(ValueError, match="2 panels do not fit on 1 axes"):
        display.plot(ax=axes[0])


@pytest.mark.parametrize("n_models", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("with_scale", [False, True])
def test_labels_and_titles_do_not_overlap(n_models, with_scale):
    names = ["Gaussian process, composition", "XGBoost on composition and structure", "mean"]
    names = [*names, "network, composition", "network, structure"][:n_models]
    y = np.linspace(-100, 20, 30)
    display = ParityDisplay.from_predictions(
        y,
        dict.fromkeys(names, y),
        quantity="formation energy",
        unit="meV/atom",
        true_name="computed",
        color_by=pd.Series(y, name="order") if with_scale else None,
    )
    display.figure_.canvas.draw()
    texts = [
        text.get_window_extent()
        for panel in display.axes_
        for text in (panel.title, panel.xaxis.label, panel.yaxis.label)
        if text.get_text()
    ]
    page = display.figure_.bbox
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 for box in texts)
    assert all(page.y0 <= box.y0 and box.y1 <= page.y1 for box in texts)
    pairs = itertools.combinations(texts, 2)
    assert not any(one.overlaps(other) for one, other in pairs)
    # The panels use the width of the figure: they are not made smaller by the height.
    widths = [panel.get_window_extent().width for panel in display.axes_]
    n_columns = len({round(panel.get_window_extent().x0) for panel in display.axes_})
    assert n_columns * widths[0] > (0.4 if with_scale else 0.7) * page.width


def test_five_panels_wrap():
    y = np.arange(3.0)
    display = ParityDisplay.from_predictions(y, dict.fromkeys("abcde", y))
    assert len(display.axes_) == len(display.figure_.axes) == 5
    assert display.axes_[4].get_subplotspec().rowspan.start == 1


@pytest.mark.parametrize(
    ("y_pred", "settings", "message"),
    [
        ([0, 1, 2], {}, "'prediction' has 3 predictions for 2 values"),
        ([0, np.nan], {}, "'prediction' has 1 values that are not finite"),
        ([[0], [1]], {}, r"shape \(2, 1\); draw one target at a time"),
        ([0, 1], {"color_by": ["a"]}, "color_by has 1 entries for 2 points"),
        ([0, 1], {"color_by": ["a", None]}, "1 missing"),
    ],
)
def test_refusals(y_pred, settings, message):
    with pytest.raises(ValueError, match=message):
        ParityDisplay.from_predictions([0, 1], y_pred, **settings)


def test_too_many_groups():
    y = np.arange(9.0)
    with pytest.raises(ValueError, match="9 groups; at most 7"):
        ParityDisplay.from_predictions(y, y, color_by=list("abcdefghi"))


def test_empty_input():
    with pytest.raises(ValueError, match="y_true is empty"):
        ParityDisplay.from_predictions([], [])


def test_outliers_are_marked_at_the_edge_and_do_not_stretch_the_axes():
    y = np.linspace(0, 1, 11)
    predicted = y.copy()
    predicted[[2, 5]] = [80, -7]
    display = ParityDisplay.from_predictions(y, predicted, unit="eV")
    assert display.limits_ == pytest.approx((-0.05, 1.05))
    markers = display.ax_.collections[1:]
    # An inset of 2 % of the axis keeps the triangles inside.
    np.testing.assert_allclose(
        np.vstack([each.get_offsets() for each in markers]), [[0.2, 1.028], [0.5, -0.028]]
    )
    assert display.ax_.texts[0].get_text() == "2 outside"
    # Of eleven rows, errors of 79.8 and 7.5.
    assert display.errors_["prediction"]["MAE"] == pytest.approx((79.8 + 7.5) / 11)
    # Points that are far, but not far enough, are shown.
    assert ParityDisplay.from_predictions([0.0, 1], [0, 2.9]).limits_[1] > 2.9


def test_given_limits_and_names():
    display = ParityDisplay.from_predictions(
        [0.0, 1.0, 5.0], [0.0, 1.0, 5.0], true_name="computed", unit="eV", limits=(0, 2)
    )
    assert display.ax_.get_xlim() == display.ax_.get_ylim() == (0, 2)
    assert display.ax_.get_xlabel() == "computed value (eV)"
    assert display.ax_.texts[0].get_text() == "1 outside"
    for limits in ((1, 0), (0, np.inf), 3, (0, 1, 2)):
        with pytest.raises(ValueError, match="limits must be two increasing numbers"):
            ParityDisplay.from_predictions([0.0, 1.0], [0.0, 1.0], limits=limits)


def test_large_numbers_are_written_with_powers_of_ten():
    display = ParityDisplay.from_predictions([0.0, 1e6], [0.0, 1e6 - 250000])
    assert corner_text(display.ax_).startswith(r"MAE 1.25$\times$10$^{5}$")
    display.figure_.draw_without_rendering()
    assert "10^{6}" in display.ax_.xaxis.get_offset_text().get_text()


@pytest.mark.parametrize(("n_panels", "rows"), [(2, [2]), (3, [3]), (4, [2, 2]), (5, [3, 2])])
def test_panels_share_labels(n_panels, rows):
    y = np.arange(5.0)
    display = ParityDisplay.from_predictions(y, {str(n): y for n in range(n_panels)})
    specs = [panel.get_subplotspec() for panel in display.axes_]
    assert np.unique([spec.rowspan.start for spec in specs], return_counts=True)[1].tolist() == rows
    for panel, spec in zip(display.axes_, specs):
        assert bool(panel.get_ylabel()) == (spec.colspan.start == 0)
        is_bottom = spec.rowspan.start == len(rows) - 1
        if n_panels == 5 and spec.colspan.start == 2:
            is_bottom = True  # nothing is below the third panel
        assert bool(panel.get_xlabel()) == is_bottom
