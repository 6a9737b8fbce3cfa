"""Maps over compositions: what is drawn, and where."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from sklmat.plotting import CompositionMapDisplay
from sklmat.plotting._ternary_axes import (
    TRIANGLE,
    connected_regions,
    innermost_point,
    polygon,
    project,
    triangulate,
)
from sklmat.screening import composition_grid, screen

ENERGY = "formation energy (eV/atom)"
MOMENT = "magnetic moment (μB/atom)"
ELEMENTS = ["Cr", "Mn", "Fe", "Co", "Ni"]


class PhaseModel:
    """bcc is stable where there is less than 30 % Ni; the moment differs between the phases."""

    phases_ = ["bcc", "fcc"]
    target_names_ = ["formation_energy", "magnetic_moment"]

    def __init__(self, elements=("Fe", "Ni", "Cr")):
        self.elements_ = list(elements)

    def predict(self, table, phase):
        energy = table["x_Ni"] - 0.3 if phase == "bcc" else 0 * table["x_Ni"]
        moment = 2.0 + 0 * table["x_Ni"] if phase == "bcc" else 1 - table["x_Fe"]
        return np.column_stack([energy, moment])


def boundary(ax):
    """Points of the black lines."""
    lines = [c for c in ax.collections if type(c).__name__ == "TriContourSet" and not c.filled]
    return np.vstack([path.vertices for line in lines for path in line.get_paths()])


def fractions(points):
    """Fractions at the corners of the triangle that lie at given points."""
    system = np.vstack([TRIANGLE.T, np.ones(3)])
    return np.linalg.solve(system, np.vstack([points.T, np.ones(len(points))])).T


def filled(ax):
    return [c for c in ax.collections if type(c).__name__ == "TriContourSet" and c.filled]


def names(ax):
    return [text.get_text() for text in ax.texts]


# -- the simplex on paper


def test_corners_and_middle():
    np.testing.assert_allclose(project(np.eye(3), TRIANGLE), TRIANGLE)
    np.testing.assert_allclose(np.linalg.norm(np.diff(TRIANGLE, axis=0), axis=1), 1)
    middle = project(np.array([[0.2, 0.2, 0.2]]), TRIANGLE)
    np.testing.assert_allclose(middle, [[0.5, np.sqrt(3) / 6]])
    pentagon = polygon(5)
    np.testing.assert_allclose(np.linalg.norm(pentagon, axis=1), 1)
    np.testing.assert_allclose(pentagon[0], [0, 1], atol=1e-12)
    assert pentagon[1, 0] > 0, "clockwise"
    np.testing.assert_allclose(project(np.ones((1, 5)), pentagon), 0, atol=1e-12)


def test_innermost_point_and_pieces():
    points = project(composition_grid(["Fe", "Ni", "Cr"], 0.1).points().to_numpy(), TRIANGLE)
    everywhere = np.ones(len(points), dtype=bool)
    place = innermost_point(points, everywhere, TRIANGLE)
    assert np.linalg.norm(place - TRIANGLE.mean(axis=0)) < 0.1
    fine = project(composition_grid(["Fe", "Ni", "Cr"], 0.01).points().to_numpy(), TRIANGLE)
    # A right triangle with legs of 0.4 and 0.4 √3: the centre of its incircle.
    radius = 0.4 * (1 + np.sqrt(3) - 2) / 2
    left = innermost_point(fine, fine[:, 0] < 0.4, TRIANGLE)
    np.testing.assert_allclose(left, [0.4 - radius, radius], atol=0.02)
    beside = innermost_point(points, everywhere, TRIANGLE, avoid=TRIANGLE.mean(axis=0))
    assert np.linalg.norm(beside - TRIANGLE.mean(axis=0)) > 0.1
    two = (points[:, 0] < 0.3) | (points[:, 0] > 0.7)
    parts = connected_regions(triangulate(points), two)
    assert len(parts) == 2
    np.testing.assert_array_equal(parts[0] | parts[1], two)


def test_no_triangle_is_flat():
    points = project(composition_grid(["Fe", "Ni", "Cr"], 0.02).points().to_numpy(), TRIANGLE)
    triangles = triangulate(points)
    kept = triangles.get_masked_triangles()
    a, b, c = (points[kept[:, k]] for k in range(3))
    area = 0.5 * np.abs(np.cross(np.c_[b - a, 0 * a[:, 0]], np.c_[c - a, 0 * a[:, 0]])[:, 2])
    # The area of the whole is that of its 50² small triangles.
    np.testing.assert_allclose(area, np.sqrt(3) / 4 / 50**2)
    assert len(kept) == 50**2


# -- ternary maps


def test_boundary_is_where_the_energies_are_equal():
    display = CompositionMapDisplay.from_estimator(PhaseModel(), ["Fe", "Ni", "Cr"])
    assert display.column == ENERGY
    line = fractions(boundary(display.ax_))
    np.testing.assert_allclose(line[:, 1], 0.3, atol=1e-6)
    assert line[:, 0].min() < 0.01
    assert line[:, 0].max() > 0.69
    assert [n for n in names(display.ax_) if n in ("bcc", "fcc")] == ["bcc", "fcc"]
    places = {t.get_text(): t.get_position() for t in display.ax_.texts}
    assert fractions(np.array([places["bcc"]]))[0, 1] < 0.3
    assert fractions(np.array([places["fcc"]]))[0, 1] > 0.3


def test_each_region_has_the_property_of_its_phase():
    display = CompositionMapDisplay.from_estimator(
        PhaseModel(), ["Fe", "Ni", "Cr"], MOMENT, levels=[-0.1, 0.5, 1.5, 2.5]
    )
    bcc, fcc = filled(display.ax_)
    # The moment of bcc is 2 everywhere: one band, the last but the one for what is above all.
    used = [k for k, path in enumerate(bcc.get_paths()) if len(path.vertices)]
    assert used == [3]
    assert len(bcc.get_paths()) == 5
    for region, inside, outside in ((bcc, 0.2, 0.4), (fcc, 0.4, 0.2)):
        path = region.get_clip_path().get_fully_transformed_path()
        for nickel, expected in ((inside, True), (outside, False)):
            point = project(np.array([[0.4, nickel, 0.6 - nickel]]), TRIANGLE)
            pixel = display.ax_.transData.transform(point)[0]
            assert path.contains_point(pixel) == expected
    np.testing.assert_array_equal(display.colorbar_.norm.boundaries, [-0.1, 0.5, 1.5, 2.5])
    assert display.colorbar_.ax.get_ylabel() == MOMENT


def test_levels_that_leave_values_out_say_so():
    table = composition_grid(["Fe", "Ni", "Cr"], 0.1).points()
    table["y"] = table["x_Fe"]
    for levels, extend in (
        ([0, 0.5, 1], "neither"),
        ([0.2, 0.5, 1], "min"),
        ([0, 0.5], "max"),
        ([0.2, 0.5], "both"),
    ):
        display = CompositionMapDisplay.from_predictions(table, levels=levels)
        assert display.colorbar_.extend == extend


def test_levels_cover_what_is_shown_and_no_more():
    table = composition_grid(["Fe", "Ni", "Cr"], 0.1).points()
    for scale in (1, 0.0123, 700.0):
        table["y"] = 3 * scale + scale * table["x_Fe"]
        levels = CompositionMapDisplay.from_predictions(table, "y").colorbar_.norm.boundaries
        assert levels[0] <= 3 * scale < levels[1]
        assert levels[-2] < 4 * scale <= levels[-1]
        assert 8 <= len(levels) <= 21
    table["y"] = 7.0
    display = CompositionMapDisplay.from_predictions(table, "y")
    assert display.colorbar_.norm.boundaries[0] < 7 < display.colorbar_.norm.boundaries[-1]


def test_levels_cover_the_pentagon():
    # Corners of the quinary, where the pentagon reaches and the triangles do not.
    table = screen(PhaseModel(ELEMENTS), composition_grid(ELEMENTS, 0.1))
    table["y"] = table["x_Fe"]
    display = CompositionMapDisplay.from_predictions(table, "y")
    assert display.colorbar_.norm.boundaries[-1] >= 1
    assert display.colorbar_.extend == "neither"


def test_nothing_is_left_white_beside_a_boundary():
    # The moment of fcc falls below what is shown just where bcc takes over.
    display = CompositionMapDisplay.from_estimator(PhaseModel(), ["Fe", "Ni", "Cr"], MOMENT)
    for region in filled(display.ax_):
        points = project(composition_grid(["Fe", "Ni", "Cr"], 0.01).points().to_numpy(), TRIANGLE)
        inside = points[(points[:, 1] > 0.05) & (np.abs(points[:, 0] - 0.5) < 0.4)]
        covered = np.zeros(len(inside), dtype=bool)
        for path in region.get_paths():
            if len(path.vertices):
                covered |= path.contains_points(inside, radius=1e-9)
                covered |= path.contains_points(inside, radius=-1e-9)
        corners = fractions(inside)
        assert covered[corners.min(axis=1) > 0.01].all()


def test_scales_and_labels():
    model = PhaseModel(["Fe", "Ni", "Cr", "Co", "Mn"])
    display = CompositionMapDisplay.from_estimator(
        model, ["Fe", "Ni", "Cr"], held={"Co": 0.2, "Mn": 0.2}
    )
    assert display.ax_.get_title() == "Co, Mn: 20 at.% each"
    written = names(display.ax_)
    assert {"Fe", "Ni", "Cr", "at.% Ni →", "← at.% Cr", "← at.% Fe"} <= set(written)
    # Up to 60 % there is room for 20 and 40, on three sides.
    assert [written.count(n) for n in ("20", "40", "60", "80")] == [3, 3, 0, 0]
    ticks = [t for t in display.ax_.texts if t.get_text() == "20"]
    where = [fractions(np.array([t.xy]))[0] for t in ticks]
    # On each side one element has a third of the triangle, which is 20 of 60 %.
    np.testing.assert_allclose(where, [[2 / 3, 1 / 3, 0], [0, 2 / 3, 1 / 3], [1 / 3, 0, 2 / 3]])
    line = fractions(boundary(display.ax_))
    np.testing.assert_allclose(line[:, 1] * 0.6, 0.3, atol=1e-6)


def test_a_map_without_phases():
    X = pd.DataFrame(np.eye(3), columns=["x_Fe", "x_Ni", "x_Cr"])
    model = LinearRegression().fit(X, [0, 1, 2])
    display = CompositionMapDisplay.from_estimator(model, ["Cr", "Fe", "Ni"], targets="y (eV)")
    assert display.colorbar_.ax.get_ylabel() == "y (eV)"
    (region,) = filled(display.ax_)
    assert "bcc" not in names(display.ax_)
    assert region.levels[0] <= 0 < 2 <= region.levels[-1]


def test_a_phase_that_is_nowhere_stable_is_not_drawn():
    model = PhaseModel()
    table = screen(model, composition_grid(["Fe", "Ni", "Cr"], 0.1, {"Ni": 0.5}))
    display = CompositionMapDisplay.from_predictions(table, MOMENT)
    assert len(filled(display.ax_)) == 1
    assert "bcc" not in names(display.ax_)
    assert display.colorbar_.vmax <= 1


def test_predictions_are_cut_as_asked():
    model = PhaseModel(["Fe", "Ni", "Cr", "Co"])
    table = screen(model, composition_grid(model.elements_, 0.1))
    display = CompositionMapDisplay.from_predictions(table, held={"Co": 0.3})
    assert display.elements == ["Fe", "Ni", "Cr"]
    line = fractions(boundary(display.ax_))
    np.testing.assert_allclose(line[:, 1] * 0.7, 0.3, atol=1e-6)
    with pytest.raises(ValueError, match=r"no compositions with Co: 35 at.%"):
        CompositionMapDisplay.from_predictions(table, held={"Co": 0.35})


def test_single_target_with_phases_is_the_energy():
    X = pd.DataFrame(np.eye(5), columns=["x_Fe", "x_Ni", "x_Cr", "lattice_bcc", "lattice_fcc"])
    model = LinearRegression().fit(X, [0, 1, 2, 3, 4])
    display = CompositionMapDisplay.from_estimator(model, ["Fe", "Ni", "Cr"])
    assert display.energy == display.column == "prediction"


def test_drawing_on_given_axes_and_again():
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2)
    table = screen(PhaseModel(), composition_grid(["Fe", "Ni", "Cr"], 0.1))
    display = CompositionMapDisplay.from_predictions(table, ax=right, cmap="magma")
    assert display.ax_ is right
    assert display.figure_ is figure
    assert filled(right)[0].get_cmap().name == "magma"
    assert display.plot() is display
    assert display.figure_ is not figure
    assert not left.collections


# -- overviews


def test_quinary_overview():
    display = CompositionMapDisplay.from_estimator(
        PhaseModel(ELEMENTS), ELEMENTS, MOMENT, step=0.05, overview_step=0.1
    )
    *triangles, pentagon = display.axes_
    titles = [ax.get_title() for ax in triangles]
    assert len(set(titles)) == 10
    assert titles[0] == "Cr, Mn: 20 at.% each"
    assert titles[-1] == "Co, Ni: 20 at.% each"
    for ax, title in zip(triangles, titles):
        held = title.partition(":")[0].split(", ")
        corners = [s for s in ELEMENTS if s not in held]
        assert {*corners} <= {*names(ax)}
        assert not {*held} & {*names(ax)}
        if "Ni" in held:
            assert not [c for c in ax.collections if not getattr(c, "filled", True)]
        else:
            line = fractions(boundary(ax))[:, corners.index("Ni")]
            np.testing.assert_allclose(line * 0.6, 0.3, atol=1e-6)
    assert {*ELEMENTS, "bcc", "fcc"} <= {*names(pentagon)}
    assert display.colorbar_.ax.get_xlabel() == MOMENT
    assert len(display.overview) == 2 * 1001


def test_pentagon_shows_means_over_stable_phases():
    model = PhaseModel(ELEMENTS)
    table = screen(model, composition_grid(ELEMENTS, 0.1))
    held = {"held": 0.2}
    display = CompositionMapDisplay.from_predictions(table, MOMENT, **held)
    pentagon = display.axes_[-1]
    (cells,) = [c for c in pentagon.collections if type(c).__name__ == "PolyCollection"]
    at_iron = np.argmin(np.linalg.norm(cells.get_offsets() - polygon(5)[2], axis=1))
    at_nickel = np.argmin(np.linalg.norm(cells.get_offsets() - polygon(5)[4], axis=1))
    # Pure iron is bcc with 2, pure nickel fcc with 1; nothing else is there.
    assert cells.get_array()[at_iron] == 2
    assert cells.get_array()[at_nickel] == 1


def test_overview_without_the_pentagon_and_elsewhere():
    display = CompositionMapDisplay.from_estimator(
        PhaseModel(ELEMENTS), ELEMENTS, step=0.1, overview_step=None, held=0.1
    )
    assert len(display.axes_) == 10
    assert display.ax_.get_title() == "Cr, Mn: 10 at.% each"
    line = fractions(boundary(display.ax_))
    np.testing.assert_allclose(line[:, 2] * 0.8, 0.3, atol=1e-6)


def test_quaternary_overview():
    elements = ["Fe", "Ni", "Cr", "Co"]
    display = CompositionMapDisplay.from_estimator(PhaseModel(elements), elements)
    titles = [ax.get_title() for ax in display.axes_]
    assert titles == [f"{symbol}: 25 at.%" for symbol in elements]


# -- refusals


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"elements": ["Fe", "Ni"]}, "three to five different elements"),
        ({"elements": ["Fe", "Ni", "Ni"]}, "three to five different elements"),
        ({"elements": ["Fe", "Ni", "Cr"], "held": {"Co": 1.0}}, "below 1 together"),
        ({"elements": ["Fe", "Ni", "Cr"], "held": {"Ni": 0.1}}, "of other elements"),
        ({"elements": ["Fe", "Ni", "Cr", "Co"], "held": 1.0}, "below 1"),
        ({"elements": ["Fe", "Ni", "Cr", "Co"], "held": {"Cr": 0.1}}, "must be one fraction"),
        ({"elements": ["Fe", "Ni", "Cr"], "column": "nothing"}, "no column 'nothing'"),
    ],
)
def test_refusals(settings, message):
    model = PhaseModel(["Fe", "Ni", "Cr", "Co"])
    with pytest.raises(ValueError, match=message):
        CompositionMapDisplay.from_estimator(model, **settings)


def test_incomplete_predictions_are_refused():
    import matplotlib.pyplot as plt

    grid = composition_grid(["Fe", "Ni", "Cr"], 0.1)
    table = grid.points().assign(y=1.0)
    with pytest.raises(ValueError, match=r"no columns \['x_Co'\]"):
        CompositionMapDisplay.from_predictions(table, elements=["Fe", "Ni", "Co"])
    with pytest.raises(ValueError, match="1 values that are not finite"):
        CompositionMapDisplay.from_predictions(table.assign(y=[np.nan] + [1.0] * 65))
    with pytest.raises(ValueError, match="there are 2 compositions"):
        CompositionMapDisplay.from_predictions(table[:2], elements=["Fe", "Ni", "Cr"])
    stable = screen(PhaseModel(), grid, stable_only=True)
    with pytest.raises(ValueError, match="a row for each phase"):
        CompositionMapDisplay.from_predictions(stable)
    twice = pd.concat([screen(PhaseModel(), grid)] * 2)
    with pytest.raises(ValueError, match="more than one row of a phase"):
        CompositionMapDisplay.from_predictions(twice)
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match="makes its own figure"):
        CompositionMapDisplay.from_estimator(
            PhaseModel(ELEMENTS), ELEMENTS, ax=ax, step=0.1, overview_step=None
        )


def test_a_moment_does_not_choose_the_phase():
    # One prediction used to decide, whatever it was.
    table = screen(PhaseModel(), composition_grid(["Fe", "Ni", "Cr"], 0.25))
    with pytest.raises(ValueError, match="is no formation energy"):
        CompositionMapDisplay.from_predictions(table.drop(columns=ENERGY), MOMENT)
    alone = table[table["phase"] == "fcc"].drop(columns=ENERGY)
    assert CompositionMapDisplay.from_predictions(alone, MOMENT).energy is None
