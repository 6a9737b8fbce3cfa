"""Effect sizes, tests and intervals of `contrast`, against hand-made numbers and other formulas."""

import math

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from scipy import stats

from sklmat.adversarial._contrast import contrast


def normal_tables(n=40, m=90, shifts=(0.0, 0.3, -0.8, 2.0), seed=0):
    rng = np.random.default_rng(seed)
    names = [f"d{k}" for k in range(len(shifts))]
    first = pd.DataFrame(rng.normal(size=(n, len(shifts))) + shifts, columns=names)
    return first, pd.DataFrame(rng.normal(size=(m, len(shifts))), columns=names)


# -- numbers


def test_numbers_by_hand():
    # Means 9 and 3, both variances 1, so d = 6; 4 degrees of freedom: J = 1 / (sqrt(2) Γ(3/2)),
    # and Γ(3/2) = sqrt(π) / 2. Of the 20 ways to choose three of six ranks two are this extreme.
    table = contrast([[8.0], [9.0], [10.0]], [[2.0], [3.0], [4.0]], ["tilt (°)"])
    row = table.loc["tilt (°)"]
    assert row["effect size"] == pytest.approx(6 * math.sqrt(2 / math.pi))
    assert row["p"] == pytest.approx(2 / 20)
    assert row["p corrected"] == pytest.approx(2 / 20)
    assert (row["mean adversarial"], row["mean normal"]) == (9, 3)
    assert (row["n adversarial"], row["n normal"], row["rank"]) == (3, 3, 1)
    assert table.index.name == "descriptor"


def test_pooled_deviation_weighs_by_degrees_of_freedom():
    table = contrast([[4.0], [6.0]], [[-4.0], [0.0], [2.0], [-2.0], [-1.0]])
    # Means 5 and -1; squares about them 2 and 9 + 1 + 9 + 1 + 0 = 20; 5 degrees of freedom.
    correction = math.gamma(2.5) / math.sqrt(2.5) / math.gamma(2)
    assert table.loc[0, "effect size"] == pytest.approx(correction * 6 / math.sqrt(22 / 5))


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_limits_are_those_true_effects_that_make_the_observed_one_just_too_rare(level):
    first, second = normal_tables()
    table = contrast(first, second, confidence_level=level)
    assert table.attrs["confidence_level"] == level
    for name, row in table.iterrows():
        t, _ = stats.ttest_ind(first[name], second[name])
        noncentrality = row[["low", "high"]].to_numpy(float) / math.sqrt(1 / 40 + 1 / 90)
        found = stats.nct.cdf(t, 128, noncentrality)
        assert_allclose(found, [(1 + level) / 2, (1 - level) / 2], atol=1e-5)


@pytest.mark.slow
def test_interval_covers_the_true_effect_as_often_as_it_says():
    rng = np.random.default_rng(1)
    n_draws, true = 2000, 1.0
    first, second = rng.normal(true, 1, (6, n_draws)), rng.normal(0, 1, (9, n_draws))
    table = contrast(first, second, confidence_level=0.9)
    covered = ((table["low"] < true) & (table["high"] > true)).mean()
    # Standard errors: sqrt(0.9 * 0.1 / 2000) = 0.007, and 0.6 / sqrt(2000) = 0.013.
    assert covered == pytest.approx(0.9, abs=0.02)
    assert table["effect size"].mean() == pytest.approx(true, abs=0.04)


def test_large_samples_agree_with_the_usual_formula():
    first, second = normal_tables(n=2000, m=3000)
    table = contrast(first, second)
    g = table["effect size"]
    error = np.sqrt(1 / 2000 + 1 / 3000 + g**2 / (2 * 5000))
    assert_allclose(table["low"], g - 1.96 * error, atol=0.002)
    assert_allclose(table["high"], g + 1.96 * error, atol=0.002)


def test_perfect_separation_has_finite_limits():
    # t is 2e6: where it is large, t / noncentrality is a chi variable over sqrt(df).
    first = np.array([[1.0], [1.000002], [0.999998]])
    table = contrast(first, first + 4)
    d = -4 / 2e-6
    expected = d * np.sqrt(stats.chi2.ppf([0.975, 0.025], 4) / 4)
    assert_allclose(table.loc[0, ["low", "high"]].to_numpy(float), expected, rtol=1e-3)


def test_sign_and_unit():
    first, second = normal_tables()
    there, back = contrast(first, second), contrast(second, first)
    assert_allclose(there["effect size"], -back["effect size"])
    assert_allclose(there["low"], -back["high"], rtol=1e-4, atol=1e-6)
    assert_allclose(there["p"], back["p"])
    scaled = contrast(100 * first + 7, 100 * second + 7)
    for column in ("effect size", "low", "high", "p"):
        assert_allclose(scaled[column], there[column], rtol=1e-6)


def test_rank_and_multiplicity():
    first, second = normal_tables()
    table = contrast(first, second)
    assert list(table.index) == ["d3", "d2", "d1", "d0"]
    assert_array_equal(table["rank"], [1, 2, 3, 4])
    p = [stats.mannwhitneyu(first[name], second[name]).pvalue for name in table.index]
    assert_allclose(table["p"], p)
    # Benjamini and Hochberg: from the largest p down, p times their number over its place.
    ascending = np.sort(p)
    steps = ascending * 4 / np.arange(1, 5)
    expected = np.minimum.accumulate(steps[::-1])[::-1]
    assert_allclose(np.sort(table["p corrected"]), expected)


# -- columns without a contrast


def test_constant_columns():
    first = pd.DataFrame({"same": [1.0] * 4, "apart": [1.0] * 4, "one": [1.0, 2, 3, 4]})
    second = pd.DataFrame({"same": [1.0] * 5, "apart": [3.0] * 5, "one": [1.0] * 5})
    table = contrast(first, second)
    assert list(table.index) == ["apart", "one", "same"]
    nothing = ["effect size", "low", "high", "p", "p corrected"]
    assert table.loc["same", nothing].isna().all()
    assert table.loc["apart", "effect size"] == -np.inf
    assert table.loc["apart", ["low", "high"]].isna().all()
    # All 9 ranks tied within the tables: the normal approximation with its tie correction.
    expected = stats.mannwhitneyu([1] * 4, [3] * 5).pvalue
    assert table.loc["apart", "p"] == pytest.approx(expected)
    # Only two could be tested.
    assert table.loc["one", "p corrected"] == pytest.approx(table.loc["one", "p"])
    assert table.loc["apart", "p corrected"] == pytest.approx(
        min(2 * expected, table.loc["one", "p"])
    )


def test_rounding_is_no_contrast():
    # Systematic, as from two ways to sum the same bond lengths.
    first = np.full((20, 2), 3.0)
    first[:, 0] += 1e-15
    second = np.full((20, 2), 3.0)
    first[0, 1] = 4.0
    first[1:, 1] += 1e-15
    table = contrast(first, second)
    assert np.isnan(table.loc[0, "effect size"])
    assert np.isnan(table.loc[0, "p"])
    exact = stats.mannwhitneyu([4.0] + [3.0] * 19, [3.0] * 20).pvalue
    assert table.loc[1, "p"] == pytest.approx(exact)


def test_missing_values_are_left_out_of_their_column_and_counted():
    first, second = normal_tables(n=6, m=8)
    holed = first.astype(object)
    holed.iloc[2, 0], holed.iloc[3, 0], holed.iloc[1:, 1], holed["d2"] = None, np.nan, pd.NA, None
    before = holed.copy()
    table = contrast(holed, second)
    assert_frame_equal(holed, before)
    assert table["n adversarial"].to_dict() == {"d0": 4, "d1": 1, "d2": 0, "d3": 6}
    assert (table["n normal"] == 8).all()
    alone = contrast(first.iloc[[0, 1, 4, 5]], second, ["d0"])
    assert table.loc["d0", "effect size"] == pytest.approx(alone.loc["d0", "effect size"])
    assert table.loc["d0", "high"] == pytest.approx(alone.loc["d0", "high"])
    # A single value has no spread; its mean is still shown.
    assert table.loc["d1", ["effect size", "low", "high", "p"]].isna().all()
    assert table.loc["d1", "mean adversarial"] == first.loc[0, "d1"]
    assert np.isnan(table.loc["d2", "mean adversarial"])
    assert set(table.index[2:]) == {"d1", "d2"}


def test_a_table_of_constants_only():
    table = contrast(np.ones((3, 2)), np.ones((3, 2)))
    assert table["p corrected"].isna().all()
    assert_array_equal(table["rank"], [1, 2])


# -- tables


def test_columns_are_matched_by_name_and_chosen():
    first, second = normal_tables()
    table = contrast(first, second[["d3", "d1", "d0", "d2"]])
    assert_frame_equal(table, contrast(first, second))
    chosen = contrast(first.assign(other="x"), second, ["d1", "d3"])
    assert list(chosen.index) == ["d3", "d1"]
    same = contrast(first.to_numpy(), second.to_numpy(), features=list(first))
    assert_frame_equal(same, contrast(first, second))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda a: a.iloc[:1], ValueError, "adversarial has 1 rows.*larger budget"),
        (lambda a: a.rename(columns={"d0": "x"}), ValueError, r"differ.*\['d0', 'x'\]"),
        (lambda a: a.drop(columns="d0"), ValueError, "differ in their columns"),
        (lambda a: a.to_numpy(), TypeError, "both be DataFrames, or both arrays"),
        (lambda a: a.assign(d1="cubic"), ValueError, "'d1' of adversarial holds no numbers"),
        (lambda a: a.assign(d1=a["d1"].astype(str)), ValueError, "holds no numbers"),
        (lambda a: a.assign(d1=-np.inf), ValueError, "'d1' of adversarial is infinite in row 0"),
    ],
)
def test_bad_tables(change, error, message):
    first, second = normal_tables()
    with pytest.raises(error, match=message):
        contrast(change(first), second)


def test_bad_names():
    first, second = normal_tables()
    with pytest.raises(ValueError, match="normal has 1 rows; a spread needs two"):
        contrast(first, second.iloc[:1])
    with pytest.raises(ValueError, match="adversarial has no column 'x'"):
        contrast(first, second, ["d0", "x"])
    with pytest.raises(ValueError, match="features must be a sequence of str or None, got 'd0'"):
        contrast(first, second, "d0")
    with pytest.raises(ValueError, match="'d0' occurs twice"):
        contrast(first, second, ["d0", "d0"])
    with pytest.raises(ValueError, match="2 names for arrays of 4 columns"):
        contrast(first.to_numpy(), second.to_numpy(), ["a", "b"])
    with pytest.raises(ValueError, match="4 columns and normal 3"):
        contrast(first.to_numpy(), second.to_numpy()[:, :3])
    with pytest.raises(ValueError, match="confidence_level must lie between 0 and 1"):
        contrast(first, second, confidence_level=95)
