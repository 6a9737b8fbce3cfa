"""Typical uses, for mypy: what users get has the type that they expect. Nothing here is called."""

from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pandas as pd
import polars as pl
from pymatgen.core import Composition, Structure
from sklearn.pipeline import Pipeline

from sklmat import (
    CGCNNClassifier,
    CGCNNRegressor,
    ComparisonDisplay,
    CompositionFeaturizer,
    CompositionGroupKFold,
    CrystalGraphs,
    ECNetFeaturizer,
    ECNetRegressor,
    EFTGANRegressor,
    InfoGANAugmenter,
    ParityDisplay,
    PotentialFeaturizer,
    StructureAttack,
    StructureFeaturizer,
    StructureToGraph,
    check_structures,
    compare_estimators,
    composition_grid,
    datasets,
    element_vectors,
    find_adversarial_examples,
    learning_curves,
    perturb_structures,
    robustness_curve,
    screen,
)
from sklmat.augmentation import QualityReport
from sklmat.model_selection import Comparison, LearningCurves
from sklmat.random_state import draw_seed
from sklmat.typing import Structures


def structures_in_any_form(cells: list[Structure], graphs: CrystalGraphs) -> None:
    assert_type(check_structures(cells), np.ndarray)
    assert_type(check_structures(["Fe.cif", Path("Ni.cif"), cells[0].as_dict()]), np.ndarray)
    assert_type(check_structures(pd.Series(cells)), np.ndarray)
    assert_type(check_structures(graphs), CrystalGraphs)


def tables(cells: Structures) -> None:
    featurizer = StructureFeaturizer(groups=["bonds"], on_invalid="warn").fit(cells)
    assert_type(featurizer, StructureFeaturizer)
    assert_type(featurizer.transform(cells), pd.DataFrame)
    composition = CompositionFeaturizer().fit([Composition("FeNi"), Composition("Fe")])
    assert_type(composition.transform([Composition("FeNi")]), pd.DataFrame)
    assert_type(element_vectors({"Fe": [1.0], "Ni": [2.0]}), tuple[np.ndarray, list[str]])


def selection_and_screening(cells: Structures, y: np.ndarray, model: Any) -> None:
    cv = CompositionGroupKFold(3, random_state=np.random.RandomState(0))
    table = compare_estimators({"one": model}, cells, y, cv=cv)
    assert_type(table, Comparison)
    assert_type(ComparisonDisplay.from_comparison(table, unit="eV"), ComparisonDisplay)
    assert_type(learning_curves({"one": model}, cells, y, train_sizes=[5, 0.5]), LearningCurves)
    grid = composition_grid(["Fe", "Ni"], 0.1, {"Fe": 0.2})
    assert_type(grid[0], pd.DataFrame)
    assert_type(screen(model, grid), pd.DataFrame)
    assert_type(screen(model, grid, out="predictions.parquet"), Path)
    assert_type(ParityDisplay.from_predictions(y, {"one": y}), ParityDisplay)
    assert_type(draw_seed(0, size=2), list[int])
    assert_type(datasets.fetch_cgcnn_checkpoint("band-gap"), Path)


def energy_of(structure: Structure) -> dict[str, float]:
    return {"energy": structure.volume}


def networks(cells: list[Structure], graphs: CrystalGraphs, y: np.ndarray) -> None:
    regressor = CGCNNRegressor(max_epochs=3, atom_init={"Fe": [1.0]}, random_state=0).fit(cells, y)
    assert_type(regressor, CGCNNRegressor)
    assert_type(regressor.predict(graphs), np.ndarray)
    assert_type(regressor.predict(cells, return_std=True), tuple[np.ndarray, np.ndarray])
    assert_type(regressor.embed(cells), np.ndarray)
    assert_type(CGCNNClassifier.from_preset("xie2018").fit(cells, y), CGCNNClassifier)
    assert_type(ECNetRegressor.load("network.safetensors"), ECNetRegressor)
    assert_type(ECNetRegressor().fit(cells, y).element_contributions(cells), pd.DataFrame)
    assert_type(ECNetFeaturizer(regressor).fit_transform(cells, y), pd.DataFrame)
    potential = PotentialFeaturizer("chgnet", columns="energy", cache="outputs")
    assert_type(potential.fit_transform(cells), pd.DataFrame)
    PotentialFeaturizer(energy_of, columns=("energy",), pool="mean")
    steps = [("graphs", StructureToGraph(cutoff=6.0)), ("network", CGCNNRegressor())]
    Pipeline(steps).fit(cells, y)
    chain = EFTGANRegressor(random_state=0).fit(cells, y, phase=["fcc"] * len(cells))
    assert_type(chain.predict_composition(["FeNi"], phase="fcc"), np.ndarray)
    chain.predict(cells)
    chain.predict([Composition("FeNi")], phase="fcc")


def graphs_in_and_out(cells: list[Structure], graphs: CrystalGraphs) -> None:
    assert_type(StructureToGraph(cache=100).fit(cells).transform(cells), CrystalGraphs)
    assert_type(graphs[0], CrystalGraphs)
    assert_type(CrystalGraphs.load("graphs.safetensors", mmap=True), CrystalGraphs)
    assert_type(graphs.to_structures(), list[Structure])


def attacks(cells: list[Structure], graphs: CrystalGraphs, y: np.ndarray, model: Any) -> None:
    assert_type(find_adversarial_examples(model, cells, y, budget=0.1), pd.DataFrame)
    assert_type(robustness_curve(model, graphs, y, budgets=(0.0, 0.1)), pd.DataFrame)
    assert_type(StructureAttack(model).generate(cells), list[Structure])
    assert_type(perturb_structures(graphs, 0.02, random_state=0), CrystalGraphs)


def samplers(X: pd.DataFrame, y: np.ndarray, of_polars: pl.DataFrame) -> None:
    augmenter = InfoGANAugmenter(n_samples=1.0, code_features=["x_Fe", "x_Ni"]).fit(X, y)
    assert_type(augmenter, InfoGANAugmenter)
    assert_type(augmenter.quality_report(X), QualityReport)
    augmenter.fit_resample(of_polars, pl.Series(y))
