"""Paragraphs of the docstrings of samplers, `AugmentedRegressor` and `AugmentedClassifier`."""

from sklmat.docstrings import parameter_paragraphs

SAMPLER_PARAGRAPHS = parameter_paragraphs("""
    n_samples : int or float, default=1.0
        Number of rows to generate: an int is the number itself, a float a multiple of the number of
        real rows. ``1`` is one row, and ``1.0`` as many rows as there are real ones; 0 adds none.
    y_range : (low, high) or None, default=None
        Generated rows whose label is outside this range are discarded and drawn again; labels are
        never clipped. With several targets, `low` and `high` may hold one number for each. Only for
        numeric targets. Real rows are always kept.
    classes_ : ndarray or None
        The classes, if the target is a class; None for a numeric target.
    sample_origin_ : ndarray of int, shape (n + n_generated,)
        For each row that `fit_resample` returned: 0 for a real one, 1 for a generated one.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Names of the columns, if `X` was a DataFrame.
""")

AUGMENTED_PARAGRAPHS = {
    **parameter_paragraphs("""
    sample_weight : float or None, default=None
        With ``strategy="concat"``, weight of a generated row in the fit; the weight of a real row
        is 1. ``None`` passes no weights.
    random_state : int, RandomState or None, default=None
        Seed for every `random_state` inside `estimator` and `augmenter`. ``None`` does not change
        them.
    augmenter_ : sampler or None
        The fitted sampler; its `sample_origin_` shows which rows it added.
    n_features_in_ : int
        Number of columns.
    """),
    "feature_names_in_": SAMPLER_PARAGRAPHS["feature_names_in_"],
    "what_fit_does": """
    `fit` generates rows with `augmenter` and fits a clone of `estimator` on real and generated
    rows; `predict` generates none. Because rows are generated inside `fit`, cross-validation and
    searches augment only the training rows of each fold. This also works in scikit-learn's own
    Pipeline, which does not accept samplers as steps.
    """,
}
