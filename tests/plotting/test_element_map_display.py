"""Maps of elemental vectors show the vectors of a network."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from pymatgen.core import Lattice, Structure
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.manifold import trustworthiness

from sklmat.plotting import ElementMapDisplay


def three_elements(n=6):
    """Vectors of three elements in three corners of five dimensions, in shuffled order."""
    rng = np.random.default_rng(0)
    numbers = rng.permutation(np.repeat([29, 28, 46], n))
    corner = {28: [0, 0, 0, 0, 0], 29: [9, 0, 0, 0, 0], 46: [0, 6, 0, 0, 0]}
    return np.array([corner[z] for z in numbers]) + rng.normal(0, 0.3, (3 * n, 5)), numbers


class Vectors:
    """What an ECNet does for the map: crystal i holds the elements `crystals[i]`."""

    def __init__(self, *crystals):
        self.crystals = crystals

    def elemental_vectors(self, X):
        numbers = np.concatenate([self.crystals[x] for x in X])
        crystal = np.repeat(np.arange(len(X)), [len(self.crystals[x]) for x in X])
        vectors = np.column_stack([numbers, 10.0 * np.asarray(X)[crystal], 0 * numbers])
        fraction = 1 / np.array([len(self.crystals[x]) for x in X])[crystal]
        return vectors, crystal, numbers, fraction


def test_map_is_the_projection_on_the_principal_components():
    vectors, numbers = three_elements()
    display = ElementMapDisplay.from_vectors(vectors, numbers)
    # By hand: eigenvectors of the covariance, largest first.
    centred = vectors - vectors.mean(axis=0)
    variance, directions = np.linalg.eigh(centred.T @ centred)
    for k in (0, 1):
        along = np.abs(centred @ directions[:, -1 - k])
        np.testing.assert_allclose(np.abs(display.points[:, k]), along, atol=1e-9)
        part = variance[-1 - k] / variance.sum()
        assert display.explained_variance_ratio[k] == pytest.approx(part)
    assert f"component 1\n({100 * variance[-1] / variance.sum():.3g} %" in display.ax_.get_xlabel()
    # The sign, which the eigenvectors leave open, is scikit-learn's.
    np.testing.assert_allclose(display.points, PCA(2).fit_transform(vectors), atol=1e-9)
    again = ElementMapDisplay.from_vectors(vectors.copy(), numbers)
    np.testing.assert_array_equal(again.points, display.points)


def test_each_element_has_its_points_marker_colour_and_symbol():
    vectors, numbers = three_elements()
    display = ElementMapDisplay.from_vectors(vectors, numbers)
    collections = display.ax_.collections
    assert list(display.labels_) == ["Ni", "Cu", "Pd"]
    assert [text.get_text() for text in display.ax_.texts] == ["Ni", "Cu", "Pd"]
    for number, points, label in zip([28, 29, 46], collections, display.labels_.values()):
        own = display.points[numbers == number]
        np.testing.assert_array_equal(points.get_offsets(), own)
        np.testing.assert_allclose(label.get_position(), np.median(own, axis=0))
    assert len({to_hex(c.get_facecolor()[0]) for c in collections}) == 3
    assert len({c.get_paths()[0].vertices.tobytes() for c in collections}) == 3


def test_more_elements_than_colours_stay_apart():
    numbers = np.arange(21, 31)
    vectors = np.random.default_rng(0).normal(size=(10, 3))
    collections = ElementMapDisplay.from_vectors(vectors, numbers).ax_.collections
    looks = {
        (to_hex(c.get_facecolor()[0]), c.get_paths()[0].vertices.tobytes()) for c in collections
    }
    assert len(looks) == 10


def test_area_grows_with_the_fraction():
    vectors, numbers = three_elements(2)
    fraction = np.linspace(0, 1, 6)
    display = ElementMapDisplay.from_vectors(vectors, numbers, fraction=fraction)
    area = np.empty(6)
    for number, points in zip([28, 29, 46], display.ax_.collections):
        area[numbers == number] = points.get_sizes()
    np.testing.assert_allclose(np.diff(area), 90 / 5)
    (key,) = [a for a in display.ax_.artists if hasattr(a, "get_texts")]
    assert [t.get_text() for t in key.get_texts()] == [
        "10 %",
        "50 %",
        "90 % of the atoms",
    ]
    drawn = [line.get_markersize() for line in key.get_lines()]
    np.testing.assert_allclose(np.square(drawn), [6 + 9, 6 + 45, 6 + 81])
    alike = display.plot(s=20)
    assert {s for points in alike.ax_.collections for s in points.get_sizes()} == {20}
    assert not alike.ax_.artists, "a key of sizes where there are none"


def test_a_target_of_the_crystals_colours_the_points_of_each():
    model = Vectors([28, 29], [28, 46], [29, 46], *[[28, 29, 46]] * 6)
    X = [8, 0, 1, 2, 3, 4, 5, 6, 7]
    energy = pd.Series(np.linspace(-1, 1, 9), name="energy (eV/atom)", index=range(90, 99))
    display = ElementMapDisplay.from_estimator(model, X, color_by=energy)
    nickel, copper, palladium = display.ax_.collections
    # Crystal 8 comes first and has -1; crystal 2, without nickel, comes fourth.
    np.testing.assert_allclose(nickel.get_array(), np.delete(energy, 3))
    np.testing.assert_allclose(copper.get_array(), np.delete(energy, 2))
    np.testing.assert_allclose(palladium.get_array(), np.delete(energy, 1))
    assert {(c.norm.vmin, c.norm.vmax) for c in display.ax_.collections} == {(-1, 1)}
    (bar,) = display.ax_.child_axes
    assert bar.get_ylabel() == "energy (eV/atom)"
    assert len({c.get_paths()[0].vertices.tobytes() for c in display.ax_.collections}) == 3


def test_groups_of_crystals_have_a_legend():
    phase = pd.Series(["fcc", "bcc", "fcc"], name="phase")
    model = Vectors([28, 29], [28, 29], [28, 29])
    panel = ElementMapDisplay.from_estimator(model, [0, 1, 2], color_by=phase).ax_
    legend = panel.get_legend()
    assert legend.get_title().get_text() == "phase"
    assert [text.get_text() for text in legend.get_texts()] == ["bcc", "fcc"]
    bcc, fcc = (to_hex(line.get_color()) for line in legend.get_lines())
    for points in panel.collections:
        assert [to_hex(c, keep_alpha=False) for c in points.get_facecolor()] == [fcc, bcc, fcc]


def test_some_elements_only():
    vectors, numbers = three_elements()
    color = np.arange(len(numbers)) % 2
    display = ElementMapDisplay.from_vectors(
        vectors, numbers, elements=["Pd"], fraction=np.full(len(numbers), 0.5), color_by=color
    )
    palladium = numbers == 46
    expected = PCA(2).fit_transform(vectors[palladium])
    np.testing.assert_allclose(display.ax_.collections[0].get_offsets(), expected, atol=1e-9)
    np.testing.assert_array_equal(display.color_by, color[palladium])
    assert list(display.labels_) == ["Pd"]


def test_tsne_keeps_neighbours_and_its_seed():
    vectors, numbers = three_elements(20)
    settings = {"method": "tsne", "random_state": 0}
    display = ElementMapDisplay.from_vectors(vectors, numbers, **settings)
    assert trustworthiness(vectors, display.points) > 0.9
    assert display.explained_variance_ratio is None
    assert display.ax_.get_xlabel() == "t-SNE 1"
    assert len(display.ax_.get_xticks()) == 0, "its distances have no unit"
    again = ElementMapDisplay.from_vectors(vectors, numbers, **settings)
    np.testing.assert_array_equal(again.points, display.points)


def test_map_of_a_fitted_network():
    from sklmat import ECNetRegressor

    cells = [
        Structure(Lattice.cubic(a), [x, "Al"], [[0, 0, 0], [0.5, 0.5, 0.5]])
        for a in (2.8, 2.9, 3.0)
        for x in ("Ni", "Co")
    ]
    model = ECNetRegressor(max_epochs=1, n_ensemble=2, random_state=0).fit(cells, np.arange(6.0))
    display = ElementMapDisplay.from_estimator(model, cells)
    vectors, _, numbers, _ = model.elemental_vectors(cells)
    np.testing.assert_allclose(display.points, PCA(2).fit_transform(vectors), atol=1e-4)
    assert list(display.labels_) == ["Al", "Co", "Ni"]
    assert [len(c.get_offsets()) for c in display.ax_.collections] == [6, 3, 3]
    np.testing.assert_array_equal(display.atomic_numbers, numbers)
    np.testing.assert_allclose(display.fraction, 0.5)
    frozen = ElementMapDisplay.from_estimator(FrozenEstimator(model), cells)
    np.testing.assert_array_equal(frozen.points, display.points)


def test_map_on_given_axes():
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2)
    display = ElementMapDisplay.from_vectors(*three_elements(), ax=axes[1])
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert display.plot(color="k", alpha=1) is display
    assert display.figure_ is not figure
    assert {to_hex(c.get_facecolor()[0]) for c in display.ax_.collections} == {"#000000"}


def test_map_refuses_other_estimators():
    with pytest.raises(TypeError, match="a LinearRegression has no elemental_vectors"):
        ElementMapDisplay.from_estimator(LinearRegression(), [0, 1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"color_by": [1, 2]}, "color_by has 2 entries for 3 crystals"),
        ({"color_by": [1, 2, np.nan]}, "color_by has 1 missing entries"),
        ({"elements": ["Fe", "Ni"]}, "no crystal has Fe; there are Ni, Cu"),
        ({"elements": "Ni"}, "elements must be a sequence of str or None, got 'Ni'"),
        ({"method": "umap"}, "'pca' or 'tsne', got 'umap'"),
    ],
)
def test_map_refusals(settings, message):
    model = Vectors([28, 29], [28, 29], [28, 29])
    with pytest.raises(ValueError, match=message):
        ElementMapDisplay.from_estimator(model, [0, 1, 2], **settings)


@pytest.mark.parametrize(
    ("vectors", "settings", "message"),
    [
        ([[0, 1], [1, 0]], {}, "three vectors or more, not 2"),
        ([[0, 1], [1, 0], [1, np.nan]], {}, "1 vectors are not finite; the first is row 2"),
        ([1, 2, 3], {}, r"two or more columns, not \(3,\)"),
        (np.full((3, 2), 0.7), {}, "all alike"),
        ([[0, 1], [1, 0], [1, 1]], {"fraction": [1]}, "fraction has 1 entries for 3 vectors"),
        (np.eye(4), {}, "atomic_numbers has 3 entries for 4 vectors"),
    ],
)
def test_map_refuses_vectors(vectors, settings, message):
    numbers = [28] * min(3, len(vectors))
    with pytest.raises(ValueError, match=message):
        ElementMapDisplay.from_vectors(vectors, numbers, **settings)


def test_limits_of_the_colour_scale():
    vectors, numbers = three_elements(4)
    values = np.arange(12.0)
    display = ElementMapDisplay.from_vectors(vectors, numbers, color_by=values, limits=(-5, 20))
    assert display.ax_.collections[0].get_clim() == (-5, 20)
