"""Samplers that add generated rows to a table, and estimators that fit on what they add.

Only `InfoGANAugmenter` needs torch: the others are loaded without it.
"""

from sklmat.lazy_imports import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "_augmented_estimators": ["AugmentedClassifier", "AugmentedRegressor"],
        "_infogan_augmenter": ["InfoGANAugmenter"],
        "_mixup_augmenter": ["MixupAugmenter"],
        "_noise_augmenter": ["NoiseAugmenter"],
        "_quality_report": ["QualityReport"],
    },
    internal={
        "_base_augmenter": ["BaseAugmenter"],
        "_gaussian_process_means": ["process_mean"],
        "_labeler": ["GaussianProcessLabeler", "label_rows"],
    },
)
