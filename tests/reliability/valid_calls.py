"""A cheap valid call of every public function, class and method, found by discovery.

A call is a callable and its keyword arguments; bad values are put in place of the latter.
"""

import inspect
import tempfile
from functools import cache
from itertools import count
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from crystals import bcc_fe
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from small_instances import numbers_of_atoms
from test_failed_fits import data_of, estimators
from test_public_api import PUBLIC, look_up

import sklmat
from sklmat import estimator_checks, screening
from sklmat.estimator_checks import make_toy_crystals, make_toy_table

X, Y = make_toy_crystals()
CLASSES = np.resize(["a", "b"], len(X))
TABLE, LABELS = make_toy_table(8)
SMALL = {"cutoff": 4.0, "hidden_dim": 4, "n_conv": 1, "max_epochs": 1, "random_state": 0}
COMPOUNDS = ["NaCl", "KCl", "MgO", "CaO", "FeNi", "Fe3Ni", "Cu", "Ni"]
TREE = make_pipeline(sklmat.CompositionFeaturizer(), DummyRegressor())
GRID = {"x_Fe": [1.0, 1.0, 0.5, 0.5], "x_Ni": [0.0, 0.0, 0.5, 0.5]}
ENERGIES = pd.DataFrame(
    {**GRID, "phase": ["bcc", "fcc"] * 2, "formation energy (eV/atom)": [0.0, 0.125, 0.0, -0.06]}
)
#: Names without a call, and why.
NO_CALL = {
    "sklmat.ExtrapolationWarning": "warning",
    "sklmat.InvalidStructureWarning": "warning",
    "sklmat.PretrainingOverlapWarning": "warning",
    "sklmat.InvalidRowsError": "error",
    "sklmat.InvalidStructureError": "error",
    "sklmat.InvalidValueError": "error",
    "sklmat.datasets.fetch_cgcnn_atom_init": "download",
    "sklmat.datasets.fetch_cgcnn_checkpoint": "download",
    "sklmat.datasets.fetch_cgcnn_sample": "download",
    "sklmat.datasets.fetch_halide_perovskites": "download",
    "sklmat.datasets.fetch_hea": "download",
    "sklmat.datasets.fetch_matbench": "download",
    "sklmat.load_cgcnn_checkpoint": "downloaded file; see test_fuzzing.py",
    "sklmat.estimator_checks.all_structure_estimators": "no parameters",
    "sklmat.estimator_checks.check_sampler": "runs all checks",
    "sklmat.estimator_checks.check_structure_estimator": "runs all checks",
    "sklmat.CrystalGraphs": "made by StructureToGraph; files are validated",
    "sklmat.graphs.ElementGraphs": "made by from_graphs",
    "sklmat.inspection.AttributionAgreement": "made by attribution_agreement only",
    "sklmat.gaussian_processes.Orderings": "made by enumerate_orderings",
    "sklmat.Report": "made by report only",
    "sklmat.model_selection.Comparison": "made by compare_estimators only",
    "sklmat.model_selection.LabelNoise": "made by label_noise only",
    "sklmat.model_selection.LearningCurves": "made by learning_curves only",
}
#: Methods of scikit-learn, or that only pass on what another method takes.
NO_METHOD = {
    "get_metadata_routing",
    "get_params",
    "set_params",
    "set_output",
    "get_n_splits",
    "targets_class",
    "from_parts",
    "from_edges",
    "batch_transform",
    "count",
    "index",
    "clear",
}


@cache
def folder():
    return Path(tempfile.mkdtemp())


@cache
def network():
    return sklmat.CGCNNRegressor(**SMALL).fit(X, Y)


@cache
def element_network():
    small = {**SMALL, "n_filters": 4, "tower_dims": (4,), "n_ensemble": 2}
    return sklmat.ECNetRegressor(**small).fit(X, Y)


@cache
def tree():
    return clone(TREE).fit(X, Y)


@cache
def ridge():
    return Ridge().fit(TABLE, LABELS)


@cache
def of_fractions():
    table = ENERGIES[["x_Fe", "x_Ni"]].assign(lattice_bcc=[1, 0, 1, 0], lattice_fcc=[0, 1, 0, 1])
    return Ridge().fit(table, ENERGIES["formation energy (eV/atom)"])


@cache
def comparison():
    return sklmat.compare_estimators({"a": TREE, "b": TREE}, X, Y, cv=2)


@cache
def agreement():
    methods = ("integrated_gradients", "occlusion")
    return sklmat.attribution_agreement(network(), X[:2], methods=methods)


@cache
def made_report():
    return sklmat.report(TREE, X, Y, cv=2, compare_with={}, n_largest=1)


@cache
def curves():
    return sklmat.learning_curves({"a": TREE, "b": TREE}, X, Y, cv=2, train_sizes=[0.5, 1.0])


@cache
def intervals():
    return fitted("ConformalRegressor")


@cache
def crystal_graphs():
    return sklmat.StructureToGraph(cutoff=4.0).fit_transform(X)


@cache
def source():
    return sklmat.save_structures(folder() / "source.parquet", X, target=Y)


@cache
def instances():
    """One estimator of each class, not fitted."""
    found = {}
    for estimator in estimators():
        found.setdefault(type(estimator).__name__, estimator)
    return found


@cache
def fitted(name):
    estimator = clone(instances()[name])
    rows, target = data_of(estimator)
    estimator.fit(rows, target)
    return estimator


@cache
def savable(name):
    """A fitted estimator without parts of scikit-learn, which are not saved as plain data."""
    plain = {"InfoGANAugmenter": {"labeler": None}, "EFTGANRegressor": {"augmenter__labeler": None}}
    if name not in plain:
        return fitted(name)
    estimator = clone(instances()[name]).set_params(**plain[name])
    return estimator.fit(*data_of(estimator))


@cache
def saved(name):
    path = folder() / f"{name}.model"
    savable(name).save(path)
    return path


_numbers = count()


def new_path(suffix=""):
    return folder() / f"new{next(_numbers)}{suffix}"


def drawn(draw):
    """A call that draws, whose figure is closed."""

    def call(*args, **kwargs):
        try:
            return draw(*args, **kwargs)
        finally:
            plt.close("all")

    call.__wrapped__ = draw
    return call


def functions():
    """Public functions, and classes that are no estimators, with valid arguments."""
    two = {"a": TREE, "b": TREE}
    quick = {"n_steps": 1, "budget": 0.05}
    alloys = ["Ni", "Fe", "Fe3Ni", "FeNi", "FeNi3", "FeNi2"]
    energies = [0.0, 0.0, 0.01, -0.02, -0.03, -0.02]
    displays = {
        "AttributionAgreementDisplay": lambda: {"agreement": agreement()},
        "AttributionAgreementDisplay.from_agreement": lambda: {"agreement": agreement()},
        "AttributionAgreementDisplay.from_estimator": lambda: {
            "estimator": network(),
            "X": X[:2],
            "methods": ("integrated_gradients", "occlusion"),
        },
        "AugmentationReportDisplay": lambda: {"report": quality_report()},
        "AugmentationReportDisplay.from_report": lambda: {"report": quality_report()},
        "AugmentationReportDisplay.from_estimator": lambda: {
            "augmenter": fitted("InfoGANAugmenter"),
            "X": TABLE,
        },
        "ComparisonDisplay": lambda: {
            "comparison": comparison(),
            "metrics": list(comparison().metrics),
        },
        "ComparisonDisplay.from_comparison": lambda: {"comparison": comparison()},
        "CompositionMapDisplay": lambda: {
            "table": ternary(),
            "column": "e",
            "elements": ["Fe", "Ni", "Cr"],
        },
        "CompositionMapDisplay.from_predictions": lambda: {"table": ternary(), "column": "e"},
        "CompositionMapDisplay.from_estimator": lambda: {
            "estimator": of_ternary(),
            "elements": ["Fe", "Ni", "Cr"],
            "step": 0.25,
            "overview_step": None,
        },
        "ContrastDisplay": lambda: {"table": sklmat.contrast(TABLE, TABLE + 1)},
        "ContrastDisplay.from_contrast": lambda: {"table": sklmat.contrast(TABLE, TABLE + 1)},
        "ContrastDisplay.from_data": lambda: {"adversarial": TABLE, "normal": TABLE + 1},
        "CoverageDisplay": lambda: {
            "table": sklmat.CoverageDisplay.from_intervals(
                Y, {0.9: np.column_stack([Y - 1, Y + 1])}
            ).table
        },
        "CoverageDisplay.from_intervals": lambda: {
            "y_true": Y,
            "intervals": {0.9: np.column_stack([Y - 1, Y + 1])},
        },
        "CoverageDisplay.from_predictions": lambda: {
            "y_true": Y,
            "y_pred": Y + 1,
            "y_std": Y * 0 + 1,
        },
        "CrystalDisplay": lambda: {"structure": X[0]},
        "CrystalDisplay.from_structure": lambda: {"structure": X[0]},
        "CrystalDisplay.from_attribution": lambda: {
            "table": sklmat.site_attribution(element_network(), X),
            "X": X,
        },
        "ElementMapDisplay": lambda: {
            "points": np.eye(3)[:, :2],
            "atomic_numbers": np.array([26, 27, 28]),
        },
        "ElementMapDisplay.from_vectors": lambda: {
            "vectors": np.eye(3),
            "atomic_numbers": [26, 27, 28],
        },
        "ElementMapDisplay.from_estimator": lambda: {"estimator": element_network(), "X": X},
        "ErrorTrendDisplay": lambda: {
            "errors": {"a": np.abs(Y)},
            "properties": {"atoms": pd.Series(np.arange(len(Y)))},
        },
        "ErrorTrendDisplay.from_predictions": lambda: {"X": X, "y_true": Y, "y_pred": Y + 1},
        "ErrorTrendDisplay.from_comparison": lambda: {"comparison": comparison(), "X": X},
        "LearningCurveDisplay": lambda: {"curves": curves(), "metric": curves().metrics[0]},
        "LearningCurveDisplay.from_learning_curves": lambda: {"curves": curves()},
        "ParityDisplay": lambda: {"y_true": Y, "y_pred": {"a": Y}},
        "ParityDisplay.from_predictions": lambda: {"y_true": Y, "y_pred": Y},
        "ParityDisplay.from_estimator": lambda: {"estimator": tree(), "X": X, "y": Y},
        "ParityDisplay.from_comparison": lambda: {"comparison": comparison()},
        "PeriodicTableDisplay": lambda: {"values": pd.Series({"Fe": 1.0})},
        "PeriodicTableDisplay.from_values": lambda: {"values": {"Fe": 1.0}},
        "PeriodicTableDisplay.from_structures": lambda: {"X": X},
        "PeriodicTableDisplay.from_errors": lambda: {"X": X, "y_true": Y, "y_pred": Y + 1},
        "PeriodicTableDisplay.from_contributions": lambda: {
            "table": sklmat.element_attribution(element_network(), X)
        },
        "ShapDisplay": lambda: {"shap_values": TABLE, "features": TABLE},
        "ShapDisplay.from_explanation": lambda: {"explanation": sklmat.shap_table(ridge(), TABLE)},
        "ShapDisplay.from_estimator": lambda: {"estimator": ridge(), "X": TABLE},
        "TrainingCurveDisplay": lambda: {"history": pd.DataFrame(network().history_)},
        "TrainingCurveDisplay.from_history": lambda: {"history": network().history_},
        "TrainingCurveDisplay.from_estimator": lambda: {"estimator": network()},
        "RobustnessDisplay": lambda: {"table": curve()},
        "RobustnessDisplay.from_curve": lambda: {"table": curve()},
        "RobustnessDisplay.from_estimator": lambda: {
            "estimator": network(),
            "X": X,
            "y": Y,
            "methods": ["random"],
            "budgets": [0.0, 0.05],
        },
    }
    found = {
        f"sklmat.{name}": drawn_call(f"sklmat.{name}", arguments)
        for name, arguments in displays.items()
        if "." in name
    }
    for name, arguments in displays.items():
        if "." not in name:
            found[f"sklmat.{name}.plot"] = plot_call(getattr(sklmat, name), arguments)
    splitters = ["ChemicalSystemGroupKFold", "CompositionGroupKFold", "PrototypeGroupKFold"]
    for name, few in [
        *[(name, {"n_splits": 2}) for name in splitters],
        ("ComponentSplit", {"max_train": 1}),
        ("LeaveOneElementOut", {}),
        ("MatbenchSplit", {}),
    ]:
        found[f"sklmat.{name}"] = split_call(getattr(sklmat, name), few)
        found[f"sklmat.{name}.split"] = split_rows_call(getattr(sklmat, name), few)
    simple = {
        "attribution_agreement": lambda: {"estimator": network(), "X": X[:2], "n_steps": 2},
        "attribution_change": lambda: {
            "estimator": network(),
            "X": X[:2],
            "X_perturbed": X[:2],
            "n_permutations": 1,
        },
        "baselines": lambda: {"task": "regression", "X": X},
        "check_dataset": lambda: {"source": X},
        "check_structures": lambda: {"X": X},
        "compare_estimators": lambda: {"estimators": two, "X": X, "y": Y, "cv": 2},
        "composition_grid": lambda: {"elements": ["Fe", "Ni"], "step": 0.25},
        "composition_groups": lambda: {"X": X},
        "contrast": lambda: {"adversarial": TABLE, "normal": TABLE + 1},
        "corrected_resampled_ttest": lambda: {"differences": [1.0, 2.0], "n_train": 8, "n_test": 2},
        "element_attribution": lambda: {"estimator": element_network(), "X": X[:2], "n_steps": 2},
        "element_table": lambda: {},
        "element_vectors": lambda: {},
        "enumerate_orderings": lambda: {"parent": bcc_fe(), "species": {"Fe": ["Fe", "Ni"]}},
        "find_adversarial_examples": lambda: {"estimator": network(), "X": X, "y": Y, **quick},
        "infer_lattice": lambda: {"X": X[:2]},
        "label_noise": lambda: {"X": X, "y": Y},
        "learning_curves": lambda: {
            "estimators": two,
            "X": X,
            "y": Y,
            "cv": 2,
            "n_repeats": 1,
            "train_sizes": [0.5],
        },
        "load_structures": lambda: {"source": source()},
        "pair_attribution": lambda: {"estimator": network(), "X": X[:2], "n_permutations": 1},
        "perturb_structures": lambda: {"X": X, "scale": 0.05},
        "predict_dataset": lambda: {"estimator": tree(), "source": source()},
        "report": lambda: {
            "estimator": TREE,
            "X": X,
            "y": Y,
            "cv": 2,
            "compare_with": {},
            "n_largest": 1,
        },
        "robustness_curve": lambda: {
            "estimator": network(),
            "X": X[:3],
            "y": Y[:3],
            "budgets": [0.0, 0.05],
            "methods": ["random"],
            "n_draws": 1,
        },
        "saved_report": lambda: {"path": saved("CGCNNRegressor")},
        "save_structures": lambda: {"structures_or_bunch": X, "target": Y},
        "screen": lambda: {"estimator": of_fractions(), "grid": ENERGIES[["x_Fe", "x_Ni"]]},
        "search_space": lambda: {"estimator": network()},
        "shap_table": lambda: {"estimator": ridge(), "X": TABLE, "background": TABLE},
        "shockley_queisser": lambda: {"gap": 1.34},
        "site_attribution": lambda: {"estimator": network(), "X": X[:2], "n_steps": 2},
        "StructureAttack.generate": lambda: {"X": X, "y": Y},
        "StructureAttack": lambda: {"n_steps": 1},
        "GraphCache": lambda: {"max_bytes": 1e6},
        "CrystalGraphs.chunks": lambda: {},
        "CrystalGraphs.concatenate": lambda: {"parts": [crystal_graphs(), crystal_graphs()]},
        "CrystalGraphs.formula": lambda: {"c": 1},
        "CrystalGraphs.in_memory": lambda: {},
        "CrystalGraphs.load": lambda: {},
        "CrystalGraphs.restrict": lambda: {"cutoff": 3.0},
        "CrystalGraphs.save": lambda: {},
        "Report.save": lambda: {},
        "Report.summary": lambda: {},
        "Report.to_dict": lambda: {},
        "CrystalGraphs.select_edges": lambda: {"keep": crystal_graphs().edge_distance < 3},
        "CrystalGraphs.to_arrays": lambda: {},
        "CrystalGraphs.to_pyg": lambda: {"c": 1},
        "CrystalGraphs.to_structures": lambda: {},
        "CrystalGraphs.with_extra": lambda: {"table": TABLE[:8]},
        "graphs.ElementGraphs.from_graphs": lambda: {"graphs": crystal_graphs()},
        "graphs.grid_points": lambda: {"cutoff": 4.0, "step": 0.25, "order": 1},
        "model_selection.Comparison.summary": lambda: {},
        "model_selection.LabelNoise.summary": lambda: {},
        "model_selection.LearningCurves.differences": lambda: {"reference": "a"},
        "model_selection.chemical_systems": lambda: {"X": X},
        "model_selection.coverage_scorer": lambda: {"estimator": intervals(), "X": X, "y": Y},
        "model_selection.masked_scorer": lambda: {"scoring": "r2"},
        "model_selection.prototype_labels": lambda: {"X": X},
        "model_selection.width_scorer": lambda: {"estimator": intervals(), "X": X, "y": Y},
        "screening.CompositionGrid": lambda: {
            "elements": ["Fe", "Ni"],
            "divisions": 4,
            "lower": [0, 0],
            "upper": [4, 4],
        },
        "screening.CompositionGrid.counts": lambda: {"places": [0, 1]},
        "screening.CompositionGrid.places": lambda: {"chunk": 0},
        "screening.CompositionGrid.points": lambda: {},
        "screening.configurational_entropy": lambda: {"x": [0.5, 0.5]},
        "screening.energy_above_hull": lambda: {"table": ENERGIES},
        "screening.free_energy": lambda: {"energy": 0.1, "x": [0.5, 0.5], "temperature": 300.0},
        "screening.lattice_parameter": lambda: {"volume_per_atom": 11.8, "lattice": "bcc"},
        "screening.stable_phase": lambda: {"table": ENERGIES},
        "datasets.check_compositions": lambda: {"X": alloys, "expected": alloys},
        "datasets.check_energies": lambda: {
            "X": alloys,
            "total_energy": energies,
            "formation_energy": energies,
        },
        "datasets.check_magnetizations": lambda: {
            "X": alloys,
            "magnetization": energies,
            "moment_per_atom": energies,
        },
        "datasets.check_moments": lambda: {
            "moment_per_atom": energies,
            "moment_per_cell": energies,
            "n_atoms": [1, 1, 4, 2, 4, 3],
        },
        "datasets.check_volumes": lambda: {"X": X, "volume_per_atom": Y + 10},
        "datasets.get_data_home": lambda: {"data_home": folder()},
        "datasets.load_mixed_halide_perovskites": lambda: {},
        "datasets.make_alloys": lambda: {
            "n_samples": 2,
            "n_atoms": 4,
            "fmax": 1.0,
            "cache": False,
        },
        "datasets.make_mixed_halide_perovskites": lambda: {
            "supercells": [(1, 1, 1)],
            "n_samples": 2,
            "fmax": 1.0,
        },
        "datasets.make_prototypes": lambda: {"n_samples": 4, "max_atoms": 4, "cache": False},
        "estimator_checks.make_toy_crystals": lambda: {},
        "estimator_checks.make_toy_table": lambda: {},
        "estimator_checks.parametrize_with_structure_checks": lambda: {"estimators": [TREE]},
        "estimator_checks.sampler_checks": lambda: {"sampler": sklmat.NoiseAugmenter()},
        "estimator_checks.structure_estimator_checks": lambda: {
            "estimator": sklmat.StructureToGraph()
        },
    }
    special = {
        "StructureAttack.generate": lambda: sklmat.StructureAttack(network(), n_steps=1).generate,
        "StructureAttack": lambda: wrapping(attack, sklmat.StructureAttack),
        "predict_dataset": lambda: with_out(sklmat.predict_dataset, "out", ".parquet"),
        "save_structures": lambda: with_out(sklmat.save_structures, "path", ".parquet"),
        "Report.save": lambda: with_out(made_report().save, "path", ".html"),
        "Report.summary": lambda: made_report().summary,
        "Report.to_dict": lambda: made_report().to_dict,
        "CrystalGraphs.save": lambda: with_out(crystal_graphs().save, "path"),
        "CrystalGraphs.load": lambda: load_graphs,
        "CrystalGraphs.chunks": lambda: listed(crystal_graphs().chunks),
        "screening.CompositionGrid": lambda: wrapping(
            lambda **given: screening.CompositionGrid(**given)[0], screening.CompositionGrid
        ),
        "estimator_checks.sampler_checks": lambda: listed(estimator_checks.sampler_checks),
        "estimator_checks.structure_estimator_checks": lambda: listed(
            estimator_checks.structure_estimator_checks
        ),
        "model_selection.Comparison.summary": lambda: comparison().summary,
        "model_selection.LabelNoise.summary": lambda: sklmat.label_noise(X, Y).summary,
        "model_selection.LearningCurves.differences": lambda: curves().differences,
    }
    for name in ("counts", "places", "points"):
        special[f"screening.CompositionGrid.{name}"] = method_of(grid, name)
    for name in ("formula", "in_memory", "restrict", "select_edges"):
        special[f"CrystalGraphs.{name}"] = method_of(crystal_graphs, name)
    for name in ("to_arrays", "to_pyg", "to_structures", "with_extra"):
        special[f"CrystalGraphs.{name}"] = method_of(crystal_graphs, name)
    for name, arguments in simple.items():
        found[f"sklmat.{name}"] = simple_call(f"sklmat.{name}", special.get(name), arguments)
    return found


def method_of(make, name):
    return lambda: getattr(make(), name)


def simple_call(path, special, arguments):
    return lambda: (special() if special else look_up_method(path), arguments())


def drawn_call(path, arguments):
    def make():
        thing = look_up_method(path)
        return drawn(thing), arguments()

    return make


def plot_call(Display, arguments):
    return lambda: (drawn(Display(**arguments()).plot), {})


def rows_to_split(Splitter):
    return X if Splitter is sklmat.PrototypeGroupKFold else COMPOUNDS


def split_call(Splitter, few):
    rows = rows_to_split(Splitter)
    return lambda: (wrapping(lambda **given: list(Splitter(**given).split(rows, Y)), Splitter), few)


def split_rows_call(Splitter, few):
    return lambda: (listed(Splitter(**few).split), {"X": rows_to_split(Splitter), "y": Y})


def attack(**given):
    return sklmat.StructureAttack(**{"estimator": network(), **given}).generate(X)


@cache
def grid():
    return screening.CompositionGrid(["Fe", "Ni"], 4, [0, 0], [4, 4])


@cache
def quality_report():
    return fitted("InfoGANAugmenter").quality_report(TABLE)


@cache
def curve():
    return sklmat.robustness_curve(network(), X, Y, budgets=[0.0, 0.05], methods=["random"])


def ternary():
    table = sklmat.composition_grid(["Fe", "Ni", "Cr"], 0.25)[0]
    return table.assign(e=table["x_Fe"] ** 2)


def of_ternary():
    table = ternary()
    return Ridge().fit(table.drop(columns="e"), table["e"])


def wrapping(call, thing):
    call.__wrapped__ = thing
    return call


def listed(generate):
    return wrapping(lambda **given: list(generate(**given)), generate)


def with_out(write, name, suffix=""):
    return wrapping(lambda **given: write(**{name: new_path(suffix), **given}), write)


def load_graphs(**given):
    path = folder() / "graphs"
    if not path.exists():
        crystal_graphs().save(path)
    return sklmat.CrystalGraphs.load(**{"path": path, **given})


load_graphs.__wrapped__ = sklmat.CrystalGraphs.load


def look_up_method(path):
    try:
        return look_up(path)
    except ModuleNotFoundError:
        owner, _, name = path.rpartition(".")
        return getattr(look_up(owner), name)


#: What is passed for X where it is no row of the training set.
COMPOSITIONS = {"lattice_probability", "predict_composition"}


def of_estimator(name):
    """Name -> what makes a call: the constructor with fit, and the methods of an estimator."""
    cls = type(instances()[name])
    found = {f"sklmat.{name}": lambda: fit_call(name)}
    for method in public_methods(cls):
        if method not in NO_METHOD and not method.endswith("_request"):
            found[f"sklmat.{name}.{method}"] = method_call(name, method)
    return found


def fit_call(name):
    estimator = instances()[name]
    cls = type(estimator)
    rows, target = data_of(estimator)

    def fit(**given):
        new = cls(**{**estimator.get_params(deep=False), **given})
        resample = getattr(new, "fit_resample", None)
        return resample(rows, target) if resample else new.fit(rows, target)

    return wrapping(fit, cls), {}


def method_call(name, method):
    def make():
        estimator = instances()[name]
        rows, target = data_of(estimator)
        parameters = inspect.signature(getattr(estimator, method)).parameters
        if method in COMPOSITIONS:
            rows = [crystal.composition for crystal in rows]
        given = {"X": rows, "y": target, "codes": 2}
        if method == "from_preset":
            given["name"] = "xie2018" if name.startswith("CGCNN") else "wang2022"
        if method == "load":
            given["path"] = saved(name)
        if (name, method) == ("DeltaRegressor", "load"):
            given["baseline"] = numbers_of_atoms
        if method in COMPOSITIONS:
            given["phase"] = fitted(name).phases_[0]
        given = {key: value for key, value in given.items() if key in parameters}
        if method in ("fit", "partial_fit", "fit_transform", "fit_resample"):
            return on_new(estimator, method), given
        if method in ("from_preset", "load"):
            return getattr(type(estimator), method), given
        if method == "save":
            return with_out(savable(name).save, "path"), given
        if method == "to_file":
            return with_out(fitted(name).to_file, "path"), given
        return getattr(fitted(name), method), given

    return make


def on_new(estimator, method):
    def call(**given):
        return getattr(clone(estimator), method)(**given)

    return wrapping(call, getattr(estimator, method))


def public_methods(cls):
    found = []
    for name in dir(cls):
        method = getattr(cls, name, None)
        if name.startswith("_") or not callable(method) or inspect.isclass(method):
            continue
        if (getattr(method, "__module__", "") or "").startswith("sklmat") or name == "score":
            found.append(name)
    return found


def discovered():
    """Name of every public function, class and method that takes arguments."""
    found = []
    for path in PUBLIC:
        thing = look_up(path)
        if inspect.ismodule(thing):
            continue
        # The constructor of a display only stores what its `from_*` methods have computed.
        if not path.endswith("Display"):
            found.append(path)
        if inspect.isclass(thing) and not issubclass(thing, Warning | Exception):
            found += [
                f"{path}.{name}"
                for name in public_methods(thing)
                if name not in NO_METHOD and not name.endswith("_request")
            ]
    return [path for path in found if path not in NO_CALL]


@cache
def valid_calls():
    found = functions()
    for name in instances():
        found |= of_estimator(name)
    return found
