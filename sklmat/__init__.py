"""Crystal structures in, scikit-learn estimators out.

Every public name can be imported from here or from its room. Attributes are
loaded on first use, so that ``import sklmat`` costs neither torch nor xgboost.
"""

import importlib

__version__ = "0.1.0"

_ROOMS = {
    "exceptions": ["ExtrapolationWarning", "InvalidStructureError", "InvalidStructureWarning"],
    "structures": ["check_structures"],
    "elements": ["element_table", "element_vectors"],
    "graphs": ["CrystalGraphs", "StructureToGraph"],
    "features": [
        "CompositionFeaturizer",
        "DisorderFeaturizer",
        "StructureFeaturizer",
        "infer_lattice",
    ],
    "estimators": [
        "CGCNNClassifier",
        "CGCNNRegressor",
        "ECNetClassifier",
        "ECNetRegressor",
        "load_cgcnn_checkpoint",
    ],
    "embeddings": ["ECNetFeaturizer", "GraphEmbedding"],
    "augmentation": [
        "AugmentedClassifier",
        "AugmentedRegressor",
        "InfoGANAugmenter",
        "MixupAugmenter",
        "NoiseAugmenter",
    ],
    "eftgan": ["EFTGANRegressor"],
    "adversarial": [
        "AdversarialFeatureBuilder",
        "StructureAttack",
        "contrast",
        "find_adversarial_examples",
        "perturb_structures",
        "robustness_curve",
    ],
    "model_selection": [
        "ComponentSplit",
        "CompositionGroupKFold",
        "compare_estimators",
        "composition_groups",
        "corrected_resampled_ttest",
    ],
    "screening": ["composition_grid", "screen", "shockley_queisser"],
    "inspection": ["element_attribution", "shap_table", "site_attribution"],
    "plotting": [
        "AugmentationReportDisplay",
        "CompositionMapDisplay",
        "ContrastDisplay",
        "ElementMapDisplay",
        "ParityDisplay",
        "RobustnessDisplay",
    ],
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}
_MODULES = [
    *_ROOMS,
    "batches",
    "layers",
    "networks",
    "training",
    "datasets",
    "estimator_checks",
]

__all__ = sorted(_HOME)


def __getattr__(name):
    if name in _HOME:
        value = getattr(importlib.import_module(f"sklmat.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return importlib.import_module(f"sklmat.{name}")
    raise AttributeError(f"module 'sklmat' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_HOME, *_MODULES])
