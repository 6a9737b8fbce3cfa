"""Crystal structures in, scikit-learn estimators out.

Every public name can be imported from here or from the module that defines it. Attributes are
loaded on first use, so that ``import sklmat`` costs neither torch nor xgboost.
"""

from sklmat.lazy_imports import attach

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
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
    },
    modules=[
        "docstrings",
        "deprecation",
        "files",
        "random_state",
        "exceptions",
        "structures",
        "elements",
        "compositions",
        "graphs",
        "features",
        "batches",
        "layers",
        "networks",
        "training",
        "estimators",
        "embeddings",
        "augmentation",
        "eftgan",
        "inspection",
        "adversarial",
        "model_selection",
        "screening",
        "plotting",
        "datasets",
        "estimator_checks",
    ],
)
