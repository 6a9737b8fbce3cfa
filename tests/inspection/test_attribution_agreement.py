"""How far integrated gradients, occlusion and Shapley values agree."""

import numpy as np
import pandas as pd
import pytest
from crystals import rocksalt_nacl
from numpy.testing import assert_allclose
from sklearn.linear_model import Ridge

from sklmat import ECNetRegressor
from sklmat.inspection import AttributionAgreement, attribution_agreement, site_attribution
from sklmat.inspection import _attribution_agreement as module

METHODS = ["integrated_gradients", "occlusion", "shapley"]


@pytest.fixture
def given_values(monkeypatch):
    """Replace the attributions of the methods by given numbers of sites in two crystals."""

    def agreement(row, **values):
        def tables(estimator, X, *, method, **options):
            table = pd.DataFrame({"row": row, "site": 0, "element": "Ni"})
            return table.assign(attribution=np.asarray(values[method], dtype=float))

        monkeypatch.setattr(module, "site_attribution", tables)
        monkeypatch.setattr(module, "has_contributions", lambda estimator: False)
        return attribution_agreement(None, None, methods=list(values)).table.iloc[0]

    return agreement


def test_numbers_by_hand(given_values):
    line = given_values(
        [0, 0, 0, 1, 1, 1], occlusion=[1, 2, 3, 4, 5, 6], shapley=[1, 3, 2, 4, 5, 9]
    )
    assert line["method"] == "occlusion"
    assert line["other method"] == "shapley"
    # Ranks differ by 1 in two places: 1 - 6 * 2 / (6 * 35), and 1 - 6 * 2 / (3 * 8) within.
    assert line["Spearman"] == pytest.approx(1 - 12 / 210)
    assert line["Spearman within crystals"] == pytest.approx((0.5 + 1) / 2)
    assert line["mean absolute difference"] == pytest.approx((1 + 1 + 3) / 6)
    # Means 3.5 and 4; sum of products 24, of squares 17.5 and 40.
    assert line["Pearson"] == pytest.approx(24 / np.sqrt(17.5 * 40))
    assert line["same largest site"] == 0.5


def test_equivalent_sites_count_as_one(given_values):
    noise = 1e-6 * np.array([1, -1, 2, -2])
    a, b = np.array([[-3, -3, 1, 1], [-5, -5, 2, 2]])
    line = given_values([0] * 4, occlusion=a + noise, shapley=b - noise)
    assert line["same largest site"] == 1
    assert line["Spearman within crystals"] == pytest.approx(1)
    line = given_values([0, 0, 1, 1], occlusion=[1, 1, 2, 3], shapley=[1, 2, 3, 2])
    # The first crystal has no correlation, but a largest site.
    assert line["Spearman within crystals"] == pytest.approx(-1)
    assert line["same largest site"] == 0.5


def test_constant_values_have_no_correlation(given_values):
    line = given_values([0, 0, 1, 1], occlusion=[1, 1, 1, 1], shapley=[1, 2, 3, 4])
    assert line[["Pearson", "Spearman", "Spearman within crystals"]].isna().all()
    zeros = given_values([0, 0], occlusion=[0, 0], shapley=[0, 0])
    assert zeros["same largest site"] == 1
    assert zeros["mean absolute difference"] == 0


def test_values_are_those_of_the_methods(model, alloys):
    X = alloys[0][:4]
    agreement = attribution_agreement(model, X, background=alloys[0], n_steps=8, random_state=0)
    assert isinstance(agreement, AttributionAgreement)
    assert list(agreement.sites) == ["row", "site", "element", *METHODS]
    for method in METHODS:
        table = site_attribution(model, X, method=method, background=alloys[0], n_steps=8)
        assert_allclose(agreement.sites[method], table["attribution"])
    table = agreement.table
    both = [("integrated_gradients", "occlusion"), ("integrated_gradients", "shapley")]
    assert [*zip(table["method"], table["other method"])] == [*both, ("occlusion", "shapley")]
    for _, line in table.iterrows():
        a, b = agreement.sites[line["method"]], agreement.sites[line["other method"]]
        assert line["Pearson"] == pytest.approx(a.corr(b))
        assert line["Spearman"] == pytest.approx(a.corr(b, method="spearman"), abs=1e-6)
        assert line["mean absolute difference"] == pytest.approx((a - b).abs().mean())
    assert "same largest site" in str(agreement)


def test_many_different_values_are_not_taken_for_equal(given_values):
    """Neighbours of a long list differ by less than what rounding may do to equal sites."""
    values = np.linspace(1, 2, 300_001)
    line = given_values(np.zeros(len(values)), occlusion=values, shapley=values**2)
    assert line["Spearman"] == pytest.approx(1)


def test_symmetric_cell(model, alloys):
    """All sites of an element are equivalent, so that two values remain."""
    cell = rocksalt_nacl()
    cell.replace_species({"Na": "Ni", "Cl": "Pd"})
    cell.scale_lattice(90.0)
    table = attribution_agreement(model, [cell], background=alloys[0], random_state=0).table
    first = table[table["other method"] == "occlusion"].iloc[0]
    assert first["Spearman within crystals"] == pytest.approx(1)
    assert first["same largest site"] == 1


def test_errors(model, alloys):
    X, y = alloys
    with pytest.raises(ValueError, match=r"methods must be of .*, shapley, got 'contributions'"):
        attribution_agreement(model, X, methods=["occlusion", "contributions"])
    for methods in (["occlusion"], ["occlusion", "occlusion"]):
        with pytest.raises(ValueError, match="at least two different methods"):
            attribution_agreement(model, X, methods=methods)
    with pytest.raises(ValueError, match="methods must be a sequence of str"):
        attribution_agreement(model, X, methods="shapley")
    with pytest.raises(ValueError, match="n_steps must be an int above 0"):
        attribution_agreement(model, X, n_steps=0)
    ecnet = ECNetRegressor(hidden_dim=4, n_filters=4, max_epochs=1, n_ensemble=1).fit(X, y)
    with pytest.raises(ValueError, match="ECNetRegressor has the method 'contributions' only"):
        attribution_agreement(ecnet, X)
    with pytest.raises(TypeError, match=r"graph estimators .* got Ridge"):
        attribution_agreement(Ridge().fit(y[:, None], y), X)
    with pytest.raises(ValueError, match="a number from 0 to 0, got 1"):
        attribution_agreement(model, X, target=1)
