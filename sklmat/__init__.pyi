from sklmat import adversarial as adversarial
from sklmat import augmentation as augmentation
from sklmat import batches as batches
from sklmat import cli as cli
from sklmat import compositions as compositions
from sklmat import data_checks as data_checks
from sklmat import datasets as datasets
from sklmat import deprecation as deprecation
from sklmat import docstrings as docstrings
from sklmat import eftgan as eftgan
from sklmat import elements as elements
from sklmat import embeddings as embeddings
from sklmat import estimator_checks as estimator_checks
from sklmat import estimators as estimators
from sklmat import exceptions as exceptions
from sklmat import features as features
from sklmat import files as files
from sklmat import gaussian_processes as gaussian_processes
from sklmat import graphs as graphs
from sklmat import inspection as inspection
from sklmat import layers as layers
from sklmat import model_selection as model_selection
from sklmat import networks as networks
from sklmat import perturbations as perturbations
from sklmat import plotting as plotting
from sklmat import random_state as random_state
from sklmat import readers as readers
from sklmat import screening as screening
from sklmat import structures as structures
from sklmat import training as training
from sklmat import typing as typing
from sklmat.adversarial import (
    AdversarialFeatureBuilder,
    StructureAttack,
    contrast,
    find_adversarial_examples,
    robustness_curve,
)
from sklmat.augmentation import (
    AugmentedClassifier,
    AugmentedRegressor,
    InfoGANAugmenter,
    MixupAugmenter,
    NoiseAugmenter,
    PerturbationSampler,
    StructureOverSampler,
    StructureUnderSampler,
)
from sklmat.data_checks import check_dataset
from sklmat.eftgan import EFTGANRegressor
from sklmat.elements import element_table, element_vectors
from sklmat.embeddings import ECNetFeaturizer, GraphEmbedding, PotentialFeaturizer
from sklmat.estimators import (
    CGCNNClassifier,
    CGCNNRegressor,
    ECNetClassifier,
    ECNetRegressor,
    load_cgcnn_checkpoint,
)
from sklmat.exceptions import (
    ExtrapolationWarning,
    InvalidRowsError,
    InvalidStructureError,
    InvalidStructureWarning,
    InvalidValueError,
    PretrainingOverlapWarning,
)
from sklmat.features import (
    CompositionFeaturizer,
    DisorderFeaturizer,
    StructureFeaturizer,
    infer_lattice,
)
from sklmat.gaussian_processes import (
    OrderingClassifier,
    OrderingRegressor,
    RobustGaussianProcessRegressor,
    enumerate_orderings,
)
from sklmat.graphs import CrystalGraphs, GraphCache, StructureToGraph
from sklmat.inspection import (
    attribution_agreement,
    attribution_change,
    element_attribution,
    pair_attribution,
    shap_table,
    site_attribution,
)
from sklmat.model_selection import (
    ApplicabilityDomain,
    CalibratedStdRegressor,
    ChemicalSystemGroupKFold,
    ComponentSplit,
    CompositionGroupKFold,
    ConformalClassifier,
    ConformalRegressor,
    DeltaRegressor,
    EarlyStoppingClassifier,
    EarlyStoppingRegressor,
    LeaveOneElementOut,
    MatbenchSplit,
    PrototypeGroupKFold,
    baselines,
    compare_estimators,
    composition_groups,
    corrected_resampled_ttest,
    label_noise,
    learning_curves,
    search_space,
)
from sklmat.perturbations import perturb_structures
from sklmat.plotting import (
    AttributionAgreementDisplay,
    AugmentationReportDisplay,
    ComparisonDisplay,
    CompositionMapDisplay,
    ContrastDisplay,
    CoverageDisplay,
    CrystalDisplay,
    ElementMapDisplay,
    ErrorTrendDisplay,
    LearningCurveDisplay,
    ParityDisplay,
    PeriodicTableDisplay,
    RobustnessDisplay,
    ShapDisplay,
    TrainingCurveDisplay,
)
from sklmat.readers import load_structures, save_structures
from sklmat.reports import Report, report, saved_report
from sklmat.screening import composition_grid, predict_dataset, screen, shockley_queisser
from sklmat.structures import check_structures

__version__: str
__all__ = [
    "AdversarialFeatureBuilder",
    "ApplicabilityDomain",
    "AttributionAgreementDisplay",
    "AugmentationReportDisplay",
    "AugmentedClassifier",
    "AugmentedRegressor",
    "CGCNNClassifier",
    "CGCNNRegressor",
    "CalibratedStdRegressor",
    "ChemicalSystemGroupKFold",
    "ComparisonDisplay",
    "ComponentSplit",
    "CompositionFeaturizer",
    "CompositionGroupKFold",
    "CompositionMapDisplay",
    "ConformalClassifier",
    "ConformalRegressor",
    "ContrastDisplay",
    "CoverageDisplay",
    "CrystalDisplay",
    "CrystalGraphs",
    "DeltaRegressor",
    "DisorderFeaturizer",
    "ECNetClassifier",
    "ECNetFeaturizer",
    "ECNetRegressor",
    "EFTGANRegressor",
    "EarlyStoppingClassifier",
    "EarlyStoppingRegressor",
    "ElementMapDisplay",
    "ErrorTrendDisplay",
    "ExtrapolationWarning",
    "GraphCache",
    "GraphEmbedding",
    "InfoGANAugmenter",
    "InvalidRowsError",
    "InvalidStructureError",
    "InvalidStructureWarning",
    "InvalidValueError",
    "LearningCurveDisplay",
    "LeaveOneElementOut",
    "MatbenchSplit",
    "MixupAugmenter",
    "NoiseAugmenter",
    "OrderingClassifier",
    "OrderingRegressor",
    "ParityDisplay",
    "PeriodicTableDisplay",
    "PerturbationSampler",
    "PotentialFeaturizer",
    "PretrainingOverlapWarning",
    "PrototypeGroupKFold",
    "Report",
    "RobustGaussianProcessRegressor",
    "RobustnessDisplay",
    "ShapDisplay",
    "StructureAttack",
    "StructureFeaturizer",
    "StructureOverSampler",
    "StructureToGraph",
    "StructureUnderSampler",
    "TrainingCurveDisplay",
    "attribution_agreement",
    "attribution_change",
    "baselines",
    "check_dataset",
    "check_structures",
    "compare_estimators",
    "composition_grid",
    "composition_groups",
    "contrast",
    "corrected_resampled_ttest",
    "element_attribution",
    "element_table",
    "element_vectors",
    "enumerate_orderings",
    "find_adversarial_examples",
    "infer_lattice",
    "label_noise",
    "learning_curves",
    "load_cgcnn_checkpoint",
    "load_structures",
    "pair_attribution",
    "perturb_structures",
    "predict_dataset",
    "report",
    "robustness_curve",
    "save_structures",
    "saved_report",
    "screen",
    "search_space",
    "shap_table",
    "shockley_queisser",
    "site_attribution",
]
