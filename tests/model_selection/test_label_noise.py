"""`label_noise`: what twins say about labels, against numbers found by hand and by simulation."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from crystals import FCC
from pymatgen.core import Lattice, Structure
from scipy.stats import chi2

from sklmat import StructureToGraph, label_noise


def alloy(species, a=3.6, lattice="fcc"):
    """A conventional fcc or a doubled bcc cell of four atoms."""
    bcc = [[0, 0, 0], [0.25, 0.5, 0.5], [0.5, 0, 0], [0.75, 0.5, 0.5]]
    box = Lattice.cubic(a) if lattice == "fcc" else Lattice.orthorhombic(1.6 * a, 0.8 * a, 0.8 * a)
    return Structure(box, species, FCC if lattice == "fcc" else bcc)


def test_pairs_by_hand():
    """Differences 0.2 and 0.4: their rms is √0.1; the variance (0.02 + 0.08) / 2 = 0.05."""
    y = [1.0, 1.2, 3.0, 3.4, 5.0]
    noise = label_noise(y, y, groups=[0, 0, 1, 1, 2])
    found = noise.table.loc["y"]
    assert (found["known"], found["missing"], found["twin rows"]) == (5, 0, 4)
    assert (found["groups"], found["pairs"], found["disagreeing rows"]) == (2, 2, 0)
    assert found["rms difference"] == pytest.approx(np.sqrt(0.1))
    assert found["noise"] == pytest.approx(np.sqrt(0.05))
    # Errors ±0.1, ±0.1, ±0.2, ±0.2, 0.
    assert found["least RMSE"] == pytest.approx(np.sqrt(0.1 / 5))
    assert found["expected RMSE"] == pytest.approx(np.sqrt(2 * 0.1 / 5))
    assert found["disagreement"] == pytest.approx(3 * 0.3)
    # Two degrees of freedom: the quantiles of chi-square are -2 ln(1 - p).
    assert found["low"] == pytest.approx(np.sqrt(0.1 / (-2 * np.log(0.025))))
    assert found["high"] == pytest.approx(np.sqrt(0.1 / (-2 * np.log(0.975))))
    assert noise.groups.tolist() == [0, 0, 1, 1, -1]


def test_group_of_three_by_hand():
    """Labels 1, 1, 4: squares 1 + 1 + 4 over two degrees of freedom; pairs 0, 3, 3."""
    noise = label_noise(range(4), [1.0, 1.0, 4.0, 9.0], groups=["a", "a", "a", None])
    found = noise.table.loc["y"]
    assert (found["twin rows"], found["groups"], found["pairs"]) == (3, 1, 3)
    assert found["rms difference"] == pytest.approx(np.sqrt(6))
    assert found["noise"] == pytest.approx(np.sqrt(3))
    assert found["least RMSE"] == pytest.approx(np.sqrt(6 / 4))
    assert found["expected RMSE"] == pytest.approx(np.sqrt(3 * 3 / 4))
    assert noise.groups.tolist() == [0, 0, 0, -1]
    listed = label_noise(
        range(4), [1.0, 1.0, 4.0, 9.0], groups=["a", "a", "a", None], disagreement=2
    ).disagreeing
    assert listed["row"].tolist() == [2]
    assert listed["twins"].tolist() == [(0, 1)]
    assert listed["difference"].tolist() == [3.0]


def test_formulas_by_simulation():
    """Normal noise of 0.1 on groups of two and three, of which 20 of 22 rows have twins."""
    groups = np.repeat(np.arange(10), [2, 3, 2, 3, 2, 3, 2, 3, 1, 1])
    truth = np.arange(10.0)[groups]
    noise = np.random.default_rng(0).normal(scale=0.1, size=(4000, 22)) * (groups < 8)
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    means = np.add.reduceat(noise, starts, axis=1) / np.bincount(groups)
    # The model that knows the labels without noise, and the one that knows the mean of a group.
    of_truth = (noise**2).mean(axis=1)
    of_mean = ((noise - means[:, groups]) ** 2).mean(axis=1)
    table = pd.concat(
        [label_noise(truth, truth + draw, groups=groups).table for draw in noise[:250]]
    )
    np.testing.assert_allclose(table["least RMSE"] ** 2, of_mean[:250])
    assert table["noise"].pow(2).mean() == pytest.approx(0.01, rel=0.05)
    assert table["expected RMSE"].pow(2).mean() == pytest.approx(of_truth.mean(), rel=0.05)
    assert of_truth.mean() == pytest.approx(20 / 22 * 0.01, rel=0.02)
    assert of_mean.mean() == pytest.approx(12 / 22 * 0.01, rel=0.02)
    assert table["low"].le(0.1).mul(table["high"].ge(0.1)).mean() == pytest.approx(0.95, abs=0.03)


def test_level_of_the_interval():
    y = [0.0, 1.0, 0.0, 2.0]
    found = label_noise(y, y, groups=[0, 0, 1, 1], confidence_level=0.5).table.loc["y"]
    assert found["low"] == pytest.approx(np.sqrt(2.5 / chi2.ppf(0.75, 2)))
    assert found["high"] == pytest.approx(np.sqrt(2.5 / chi2.ppf(0.25, 2)))


def test_default_disagreement_flags_few_pairs_of_normal_noise():
    y = np.random.default_rng(1).normal(size=4000)
    noise = label_noise(y, y, groups=np.arange(4000) // 2)
    assert len(noise.disagreeing) / 4000 == pytest.approx(0.043, abs=0.01)
    assert noise.disagreeing["difference"].abs().is_monotonic_decreasing


def test_twins_have_one_composition_and_lattice():
    crystals = [
        alloy(["Ni", "Ni", "Cu", "Cu"]),
        alloy(["Ni", "Cu", "Ni", "Cu"], 3.7),  # Another arrangement and volume.
        alloy(["Ni", "Ni", "Cu", "Cu"], lattice="bcc"),
        alloy(["Ni", "Cu", "Cu", "Cu"]),
        alloy(["Ni", "Ni", "Cu", "Cu"]) * [2, 1, 1],
    ]
    y = np.arange(5.0)
    noise = label_noise(crystals, y, disagreement=1)
    lattices = noise.disagreeing.set_index("row")["lattice"]
    assert noise.groups[[0, 1, 4]].tolist() == [0, 0, 0]
    assert noise.groups[[2, 3]].tolist() == [-1, -1]
    assert lattices[0] == "fcc"
    assert noise.disagreeing.set_index("row")["formula"][4] == "CuNi"
    assert noise.disagreeing_rows.tolist() == sorted(noise.disagreeing["row"])
    same = label_noise(crystals, y, twins="structure").groups
    assert same[0] == same[4] >= 0
    assert same[[1, 2, 3]].tolist() == [-1, -1, -1]
    graphs = StructureToGraph(cutoff=6.0).fit_transform(crystals)
    assert np.array_equal(label_noise(graphs, y).groups, noise.groups)


def test_crystals_without_a_named_lattice_are_twins_if_they_are_the_same():
    sheet = Structure(
        Lattice.hexagonal(2.46, 15), ["C", "C"], [[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0]]
    )
    wider = sheet.copy()
    wider.scale_lattice(1.2 * sheet.volume)
    noise = label_noise([sheet, sheet * [2, 1, 1], wider], [1.0, 2.0, 3.0], disagreement=0.5)
    assert noise.groups.tolist() == [0, 0, -1]
    assert noise.disagreeing["lattice"].tolist() == ["other", "other"]


def test_several_targets_and_missing_labels():
    y = pd.DataFrame({"E": [1, 1.2, 3, np.nan, 5], "M": [0, 1, np.nan, np.nan, np.nan]})
    noise = label_noise(range(5), y, groups=[0, 0, 1, 1, 2], disagreement=[0.3, 0.5])
    assert noise.table["missing"].tolist() == [1, 3]
    assert noise.table["twin rows"].tolist() == [2, 2]
    assert noise.table.loc["E", "least RMSE"] == pytest.approx(np.sqrt(0.02 / 4))
    assert noise.disagreeing["target"].tolist() == ["M", "M"]
    assert noise.disagreeing_rows.tolist() == [0, 1]
    assert "E: 2 of 4 rows have twins (1 groups, 1 pairs); 1 labels are missing" in str(noise)


def test_without_twins_nothing_is_known():
    noise = label_noise(range(3), [1.0, 2.0, 3.0], groups=[0, 1, 2])
    assert np.isnan(noise.table.loc["y", "noise"])
    assert len(noise.disagreeing) == 0
    assert noise.summary() == (
        "y: 0 of 3 rows have twins, so that nothing is known of the noise of the labels"
    )


def test_equal_labels_do_not_disagree():
    y = [0.1 + 0.2, 0.3, 0.3, 7.0, 7.0]
    noise = label_noise(y, y, groups=[0, 0, 0, 1, 1])
    assert noise.table.loc["y", "disagreement"] == pytest.approx(0)
    assert len(noise.disagreeing) == 0


def test_both_rows_of_a_pair_disagree_in_spite_of_rounding():
    """In floating-point numbers, 0.3 - 0.1 is less than 0.2."""
    y = [0.1, 0.3, 0.5, 0.3, 0.017, 0.048]
    noise = label_noise(y, y, groups=[0, 0, 1, 1, 2, 2], disagreement=0.2)
    assert sorted(noise.disagreeing["row"]) == [0, 1, 2, 3]
    noise = label_noise(y, y, groups=[0, 0, 1, 1, 2, 2], disagreement=0.031)
    assert noise.disagreeing_rows.tolist() == [0, 1, 2, 3, 4, 5]


def test_rows_without_twin_stay_alone_when_groups_are_used_again():
    groups = label_noise(range(5), range(5), groups=["a", "a", "b", "c", None]).groups
    again = label_noise(range(5), [1.0, 2.0, 7.0, 8.0, 9.0], groups=groups)
    assert again.groups.tolist() == groups.tolist() == [0, 0, -1, -1, -1]
    assert again.table.loc["y", "noise"] == pytest.approx(np.sqrt(0.5))


def test_text_where_most_pairs_are_equal():
    y = [1.0, 1.0, 2.0, 2.0, 3.0, 4.0]
    noise = label_noise(y, y, groups=[0, 0, 1, 1, 2, 2])
    assert str(noise).endswith("  2 rows differ from their twins at all")


def test_memory_of_one_large_group():
    """Twelve million pairs of 5,000 twins: 100 MB each for differences and a sorted copy."""
    y = np.random.default_rng(0).normal(size=5000)
    tracemalloc.start()
    found = label_noise(y, y, groups=np.zeros(5000)).table.loc["y"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found["pairs"] == 5000 * 4999 / 2
    assert found["rms difference"] == pytest.approx(np.sqrt(2) * y.std(ddof=1))
    assert peak < 320e6


def test_result_travels():
    noise = label_noise(range(4), [1.0, 2.0, 5.0, 7.0], groups=[0, 0, 1, 1])
    again = pickle.loads(pickle.dumps(noise))
    assert str(again) == str(noise) == repr(noise)


def test_text_fits_into_80_columns():
    y = pd.Series(np.random.default_rng(0).normal(scale=1e-3, size=5000), name="energy (eV/atom)")
    noise = label_noise(y, y, groups=np.arange(5000) // 2)
    assert max(map(len, str(noise).splitlines())) <= 80


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"groups": [0, 0]}, ValueError, "groups has 2 entries and y has 3"),
        ({"groups": [0, [0], 1]}, TypeError, r"one entry for each row.*entry 1 is \[0\]"),
        ({"groups": [0, 0, 1], "disagreement": 0}, ValueError, "positive"),
        ({"groups": [0, 0, 1], "disagreement": [1, 2]}, ValueError, "1 of them"),
        ({"groups": [0, 0, 1], "confidence_level": 1}, ValueError, "between 0 and 1"),
        ({"groups": [0, 0, 1], "confidence_level": -0.5}, ValueError, "between 0 and 1"),
        ({"twins": "formula"}, ValueError, "'lattice' or 'structure'"),
        ({}, TypeError, "X is a table; pass groups="),
    ],
)
def test_settings_that_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        label_noise(np.ones((3, 1)), [1.0, 2.0, 3.0], **options)


def test_labels_that_are_refused():
    with pytest.raises(ValueError, match="infinite in row 1"):
        label_noise(range(2), [1, np.inf], groups=[0, 0])
    with pytest.raises(ValueError, match="which is no number"):
        label_noise(range(2), ["a", "b"], groups=[0, 0])
    with pytest.raises(TypeError, match="X holds formulas; pass groups="):
        label_noise(["NiCu", "NiCu"], [1, 2])
    with pytest.raises(ValueError, match="X has 3 rows and y has 2"):
        label_noise(range(3), [1, 2], groups=[0, 0])
    with pytest.raises(ValueError, match="two targets have the name 'E'"):
        label_noise(range(2), pd.DataFrame(np.ones((2, 2)), columns=["E", "E"]), groups=[0, 0])
    with pytest.raises(ValueError, match=r"shape .* got \(2, 0\)"):
        label_noise(range(2), np.ones((2, 0)), groups=[0, 0])
    with pytest.raises(ValueError, match="2 crystals and y has 3"):
        label_noise([alloy(["Ni"] * 4)] * 2, [1, 2, 3])
