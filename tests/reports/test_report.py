"""A report names the planted faults, holds only held-out predictions, and is one page."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from crystals import random_alloys
from pymatgen.core import Lattice, Structure
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import sklmat
from sklmat import (
    CGCNNRegressor,
    CompositionFeaturizer,
    ConformalRegressor,
    report,
    saved_report,
)
from sklmat.reports import Report

NICKEL = FunctionTransformer(
    lambda X: np.array([[c.composition.get_atomic_fraction("Ni")] for c in X])
)
LINE = make_pipeline(NICKEL, Ridge(1e-6))
MEAN = {"mean": DummyRegressor()}
TINY = {"hidden_dim": 8, "n_conv": 1, "max_epochs": 3, "batch_size": 16, "random_state": 0}


def cells(pairs, a=2.9):
    return [Structure(Lattice.cubic(a), pair, [[0, 0, 0], [0.5] * 3]) for pair in pairs]


@pytest.fixture(scope="module")
def alloys():
    structures = random_alloys(24)
    y = np.array([c.composition.get_atomic_fraction("Ni") for c in structures])
    return structures, y


@pytest.fixture(scope="module")
def made(alloys):
    """A wrong label at row 5, and an element that no other row has at row 9."""
    structures, y = alloys[0].copy(), alloys[1].copy()
    y[5] += 4.0
    structures[9] = cells([("Ni", "U")])[0]
    y[9] = 0.5
    table = pd.Series(structures, index=[f"id-{k}" for k in range(24)])
    options = {"quantity": "fraction", "unit": "at.%", "n_largest": 2, "cv": 4}
    return table, y, report(LINE, table, y, compare_with=MEAN, **options)


def test_planted_wrong_label_is_the_largest_error(made):
    _, y, result = made
    first = result.facts["errors"]["largest"][0]
    assert first["row"] == 5
    assert first["name"] == "id-5 (row 5)"
    assert first["label"] == y[5]
    assert first["error"] == pytest.approx(-4, abs=0.5)
    text = " ".join(first["sentences"])
    assert "largest label of all rows" in text
    assert "standard deviations from the mean of the others" in text
    # The mean errs alike, which points to the label.
    assert re.search(r"mean has an error of .* in the same direction, .*may be the label", text)
    assert first["title"] in result.html
    assert "id-5" in str(result)


def test_element_of_one_row(alloys):
    structures, y = alloys[0].copy(), alloys[1].copy()
    structures[9] = cells([("Ni", "U")])[0]
    y[9] = 9.0
    result = report(LINE, structures, y, compare_with={}, cv=4, n_largest=1)
    first = result.facts["errors"]["largest"][0]
    assert first["row"] == 9
    assert "The model had seen no U, which occurs in no other row." in first["sentences"]
    assert any("fewest atoms" in each for each in first["sentences"])
    assert any("the model extrapolates" in each for each in first["sentences"])
    assert result.facts["data"]["elements"]["U"] == 1
    assert "compared with no other model" in result.html


def test_twins_that_disagree():
    pairs = [("Ni", "Al"), ("Ni", "Ni"), ("Al", "Al"), ("Ni", "Fe"), ("Fe", "Fe"), ("Al", "Fe")]
    structures = cells(pairs * 4)
    y = np.tile([0.5, 1.0, 0.0, 0.5, 0.0, 0.0], 4) + 1e-3 * np.arange(24)
    y[7] = 7.0
    result = report(LINE, structures, y, compare_with={}, n_largest=1)
    first = result.facts["errors"]["largest"][0]
    assert first["row"] == 7
    (twins,) = [each for each in first["sentences"] if "same composition and lattice" in each]
    assert "row 1" in twins
    # Rows of one crystal are found, and their labels contradict each other.
    assert result.facts["data"]["contradictions"][0]["values"][1] == 7.0
    assert result.facts["data"]["twins"]["disagreeing"][0]["row"] == 7
    # No composition is on both sides of a split.
    folds = result.comparison.predictions.set_index("row")["fold"].sort_index()
    formulas = [c.composition.reduced_formula for c in structures]
    assert folds.groupby(formulas).nunique().max() == 1


def test_facts_are_those_of_the_comparison(made):
    table, y, result = made
    facts = result.facts
    assert facts["data"]["n_rows"] == 24
    target = facts["data"]["target"]
    assert target["mean"] == pytest.approx(y.mean())
    assert (target["min"], target["max"]) == (y.min(), y.max())
    scores = facts["validation"]["scores"]
    predictions = result.comparison.predictions
    folds = predictions.groupby("fold")
    mae = folds.apply(lambda t: (t["Ridge"] - t["y_true"]).abs().mean()).mean()
    assert scores["Ridge"]["MAE"]["mean"] == pytest.approx(mae)
    assert scores["mean"]["MAE"]["difference"] == pytest.approx(
        scores["mean"]["MAE"]["mean"] - scores["Ridge"]["MAE"]["mean"]
    )
    assert facts["validation"]["n_folds"] == 4
    counts = facts["data"]["elements"]
    assert counts["U"] == 1
    assert counts["Ni"] == sum("Ni" in c.composition for c in table)
    assert facts["environment"]["versions"]["sklmat"] == sklmat.__version__
    assert facts["calibration"] == {"available": False}


class Memory(RegressorMixin, BaseEstimator):
    """Knows the label of each training row, and predicts 100 for any other."""

    def fit(self, X, y):
        self.labels_ = {id(x): label for x, label in zip(X, y)}
        return self

    def predict(self, X):
        return np.array([self.labels_.get(id(x), 100.0) for x in X])


def test_all_predictions_are_of_rows_that_were_not_fitted(alloys):
    structures, y = alloys
    result = report(Memory(), structures, y, compare_with={}, n_largest=1)
    assert (result.comparison.predictions["Memory"] == 100).all()
    assert result.facts["errors"]["largest"][0]["prediction"] == 100


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.ids, self.links, self.sources, self.open = [], [], [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs["href"]] if "href" in attrs else []
        self.sources += [attrs["src"]] if "src" in attrs else []
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_needs_no_other_file(made, tmp_path):
    result = made[2]
    page = Page()
    page.feed(result.html)
    assert page.open == []
    names = ["summary", "data", "validation", "calibration", "errors", "attribution", "environment"]
    assert page.ids == [*names, "citation"]
    assert page.links == [f"#{name}" for name in page.ids]
    assert page.sources
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert "http" not in re.sub(r"<pre>.*?</pre>", "", result.html, flags=re.DOTALL)
    result.save(tmp_path / "made.html")
    assert (tmp_path / "made.html").read_text(encoding="utf-8") == result.html
    result.save(tmp_path / "made.json")
    text = (tmp_path / "made.json").read_text()
    assert json.loads(text) == result.to_dict()
    assert "NaN" not in text
    with pytest.raises(ValueError, match=r"file \*\.html or \*\.json, not to .*made\.pdf"):
        result.save(tmp_path / "made.pdf")
    assert "iframe" in result._repr_html_()


def test_text_of_users_is_escaped(alloys):
    structures, y = alloys
    table = pd.Series(structures, index=["<script>"] * 24)
    result = report(LINE, table, y, compare_with={}, n_largest=1, title="<b>x & y")
    assert "<script>" not in result.html
    assert "<b>x" not in result.html
    assert "&lt;b&gt;x &amp; y" in result.html


def test_network_is_attributed_and_saved_with_the_short_form(alloys, tmp_path):
    structures, y = alloys
    model = CGCNNRegressor(**TINY, n_ensemble=2)
    result = report(model, structures, y, compare_with={}, cv=2, n_largest=1, unit="eV")
    assert not hasattr(model, "nets_")
    facts = result.facts
    assert facts["attribution"]["method"] == "elements"
    assert set(facts["attribution"]["mean_contribution"]) == set(facts["data"]["elements"])
    assert facts["attribution"]["largest_residual"] < 1e-3
    assert facts["calibration"]["available"]
    assert facts["calibration"]["level"] == 0.9
    assert 0 <= facts["calibration"]["coverage"] <= 1
    assert "xie2018cgcnn" in facts["citation"]["keys"]
    assert "10.1103/PhysRevLett.120.145301" in facts["citation"]["bibtex"]
    assert facts["environment"]["parameters"]["n_ensemble"] == "2"
    fitted = clone(model).fit(structures, y)
    fitted.save(tmp_path / "with", report=result)
    fitted.save(tmp_path / "without")
    assert saved_report(tmp_path / "with") == result.summary()
    assert saved_report(tmp_path / "with")["validation"]["scores"] == facts["validation"]["scores"]
    assert saved_report(tmp_path / "without") is None
    again = CGCNNRegressor.load(tmp_path / "with")
    np.testing.assert_array_equal(again.predict(structures[:3]), fitted.predict(structures[:3]))
    with pytest.raises(TypeError, match=r"what sklmat\.report returned, got 'text'"):
        fitted.save(tmp_path / "other", report="text")
    (tmp_path / "other").write_text("no model")
    with pytest.raises(ValueError, match="other does not hold a saved estimator"):
        saved_report(tmp_path / "other")


def test_tables_and_classes():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(40, 3)), columns=["a (Å)", "b (eV)", "c"])
    y = np.where(X["a (Å)"] + 0.3 * rng.normal(size=40) > 0, "metal", "insulator")
    model = make_pipeline(StandardScaler(), LogisticRegression())
    result = report(model, X, y, compare_with=None, n_largest=2, quantity="kind")
    assert isinstance(result, Report)
    assert result.facts["data"]["target"]["classes"] == pd.Series(y).value_counts().to_dict()
    assert set(result.facts["validation"]["scores"]) == {
        "LogisticRegression",
        "most frequent",
        "random forest",
    }
    shap = result.facts["attribution"]
    assert shap["method"] == "shap"
    assert max(shap["mean_absolute_shap"], key=shap["mean_absolute_shap"].get) == "a (Å)"
    wrong = result.comparison.predictions.query("LogisticRegression != y_true")
    for each in result.facts["errors"]["largest"]:
        assert each["row"] in set(wrong["row"])
        assert each["label"] != each["prediction"]
    accuracy = result.facts["calibration"]["accuracy"]
    assert accuracy == pytest.approx(1 - len(wrong) / 40)


def test_crystals_in_a_dataframe_and_compositions(alloys):
    structures, y = alloys
    table = pd.DataFrame({"T (K)": np.arange(24.0), "structure": structures})
    model = CGCNNRegressor(extra=["T (K)"], **TINY)
    options = {"cv": 2, "n_largest": 1}
    forest = {"forest": make_pipeline(FunctionTransformer(lambda X: X[["T (K)"]]), Ridge())}
    result = report(model, table, y, compare_with=forest, **options)
    assert result.facts["data"]["sizes"]["max"] == max(map(len, structures))
    formulas = [c.composition.reduced_formula for c in structures]
    trees = make_pipeline(CompositionFeaturizer(), RandomForestRegressor(5, random_state=0))
    result = report(trees, formulas, y, compare_with=MEAN, **options)
    assert result.facts["data"]["elements"] is None
    assert result.facts["errors"]["largest"][0]["name"].startswith("row ")


def test_wrong_input(alloys):
    structures, y = alloys
    graphs = sklmat.StructureToGraph().transform(structures[:4])
    for X, labels, options, error, message in [
        (graphs, y[:4], {}, TypeError, "pass the structures from which the graphs were built"),
        (structures, y[:3], {}, ValueError, "X has 24 rows and y has 3"),
        (structures, np.column_stack([y, y]), {}, ValueError, "one target at a time"),
        (structures, y, {"compare_with": {"Ridge": Ridge()}}, ValueError, "rename the entry"),
        (structures, y, {"n_largest": 0}, ValueError, "n_largest must be an int above 0"),
    ]:
        with pytest.raises(error, match=message):
            report(LINE, X, labels, **options)
    with pytest.raises(
        TypeError,
        match="with fit and predict, got StandardScaler",
    ):
        report(StandardScaler(), structures, y)
    with pytest.raises(TypeError, match=r"is a class; pass an instance, Ridge\(\.\.\.\)"):
        report(Ridge, structures, y)
    bad = y.copy()
    bad[3] = np.nan
    with pytest.raises(ValueError, match=r"NaN or infinity in 1 rows: \[3\]"):
        report(LINE, structures, bad)


def test_nearest_neighbours_are_no_graph_network(alloys):
    structures, y = alloys
    model = make_pipeline(NICKEL, KNeighborsRegressor(1))
    result = report(model, structures, y, compare_with={}, n_largest=1)
    assert result.facts["attribution"]["method"] == "shap"
    assert result.comparison.predictions["KNeighborsRegressor"].notna().all()


def test_coverage_of_conformal_intervals():
    structures = random_alloys(60)
    rng = np.random.default_rng(0)
    y = np.array([c.composition.get_atomic_fraction("Ni") for c in structures])
    y = y + 0.1 * rng.normal(size=60)
    model = ConformalRegressor(LINE, method="split", confidence_level=0.8, random_state=0)
    result = report(model, structures, y, compare_with={}, cv=3, n_largest=1)
    facts = result.facts["calibration"]
    assert facts["level"] == 0.8
    inside = 0
    for fold, fitted in enumerate(result.comparison.estimators["ConformalRegressor"]):
        rows = result.comparison.predictions.query(f"fold == {fold}")["row"].to_numpy()
        low, high = fitted.predict_interval([structures[row] for row in rows]).T
        inside += ((low <= y[rows]) & (y[rows] <= high)).sum()
    assert facts["coverage"] == pytest.approx(inside / 60)
    assert 0.6 < facts["coverage"] < 0.97


def test_label_of_a_larger_cell_that_is_not_per_atom(alloys):
    structures, y = alloys[0].copy(), alloys[1] - 3.0
    structures[4] = structures[3] * (2, 1, 1)
    y[4] = y[3] * len(structures[4])
    result = report(LINE, structures, y, compare_with=MEAN, cv=4, n_largest=1)
    first = result.facts["errors"]["largest"][0]
    assert first["row"] == 4
    text = " ".join(first["sentences"])
    assert "It is the same crystal as row 3, whose label is " in text
    assert f"Divided by its {len(structures[4])} atoms, the label is" in text
    findings = " ".join(result.facts["data"]["findings"])
    assert "in row 3, row 4" in findings
    assert any(
        "row 4: the label is probably wrong" in s for s in result.facts["summary"]["sentences"]
    )


def test_large_cells_with_small_predictions_are_no_values_of_cells(alloys):
    """Divided by many atoms, any label is near zero."""
    structures, y = [c * (2, 2, 1) for c in alloys[0]], 0.1 * (alloys[1] - alloys[1].mean())
    y[4] = 1.0
    result = report(LINE, structures, y, compare_with={}, cv=4, n_largest=1)
    first = result.facts["errors"]["largest"][0]
    assert first["row"] == 4
    assert "Divided by" not in " ".join(first["sentences"])
    assert result.facts["errors"]["suspects"] == []
