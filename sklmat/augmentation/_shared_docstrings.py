"""Paragraphs of the docstrings of samplers, `AugmentedRegressor` and `AugmentedClassifier`."""

from sklmat.docstrings import parameter_paragraphs

SAMPLER_PARAGRAPHS = parameter_paragraphs("""
    n_samples : int or float, default=1.0
        How many rows to generate: an int is their number, a float is a multiple of the number of
        real rows. ``1`` adds one row, ``1.0`` as many as there are real rows, and 0 adds none.
    y_range : (low, high) or None, default=None
        Range of the labels of generated rows, for numeric targets only. Generated rows with a label
        outside this range are discarded and drawn again; labels are never clipped. With several
        targets, `low` and `high` may hold one number for each target. Real rows are always kept.
    classes_ : ndarray or None
        The classes, if the target is a class; None for a numeric target.
    sample_origin_ : ndarray of int, shape (n + n_generated,)
        For each row that `fit_resample` returned: 0 for a real one, 1 for a generated one.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Names of the columns, if `X` was a DataFrame.
""")

STRUCTURE_PARAGRAPHS = parameter_paragraphs("""
    sample_indices_ : ndarray of int
        For each row that `fit_resample` returned, the row of `X` that it is or that it copies.
""")

AUGMENTED_PARAGRAPHS = {
    **parameter_paragraphs("""
    sample_weight : float or None, default=None
        Weight of each generated row in the fit with ``strategy="concat"``, relative to the mean
        weight of the real rows (1, unless `fit` is given weights). ``None`` means 1, and
        passes no weights to the estimator unless `fit` is given some.
    random_state : int, RandomState or None, default=None
        Seed from which every `random_state` inside `estimator` and `augmenter` is set. ``None``
        leaves these as they are.
    augmenter_ : sampler or None
        The fitted sampler; its `sample_origin_` marks the rows that it has added.
    n_features_in_ : int
        Number of columns, from `estimator_`.
    """),
    "feature_names_in_": SAMPLER_PARAGRAPHS["feature_names_in_"],
    "what_fit_does": """
    `fit` passes the rows through `augmenter` and fits a clone of `estimator` on real and generated
    rows; `predict` generates no rows. As the sampling happens inside `fit`, cross-validation and
    searches augment the training rows of each fold only. This also works inside scikit-learn's own
    Pipeline, which accepts no samplers as steps.
    """,
}
