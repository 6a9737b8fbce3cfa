from sklmat.augmentation._augmented_estimators import AugmentedClassifier, AugmentedRegressor
from sklmat.augmentation._base_augmenter import BaseAugmenter as BaseAugmenter
from sklmat.augmentation._gaussian_process_means import process_mean as process_mean
from sklmat.augmentation._infogan_augmenter import InfoGANAugmenter
from sklmat.augmentation._known_labels import KnownLabelsRegressor as KnownLabelsRegressor
from sklmat.augmentation._labeler import GaussianProcessLabeler as GaussianProcessLabeler
from sklmat.augmentation._labeler import label_rows as label_rows
from sklmat.augmentation._labeler_json import labeler_from_json as labeler_from_json
from sklmat.augmentation._labeler_json import labeler_to_json as labeler_to_json
from sklmat.augmentation._labeler_json import process_from_json as process_from_json
from sklmat.augmentation._labeler_json import process_to_json as process_to_json
from sklmat.augmentation._mixup_augmenter import MixupAugmenter
from sklmat.augmentation._noise_augmenter import NoiseAugmenter
from sklmat.augmentation._perturbation_sampler import PerturbationSampler
from sklmat.augmentation._quality_report import QualityReport
from sklmat.augmentation._structure_resamplers import StructureOverSampler, StructureUnderSampler

__all__ = [
    "AugmentedClassifier",
    "AugmentedRegressor",
    "InfoGANAugmenter",
    "MixupAugmenter",
    "NoiseAugmenter",
    "PerturbationSampler",
    "QualityReport",
    "StructureOverSampler",
    "StructureUnderSampler",
]
