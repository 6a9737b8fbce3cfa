"""Paragraphs of the docstrings of samplers, `AugmentedRegressor` and `AugmentedClassifier`."""

from sklmat.docstrings import parameter_paragraphs

SAMPLER_PARAGRAPHS = parameter_paragraphs("""
    n_samples : int or float, default=1.0
        How many rows to generate: an int is their number, a float a multiple of the real rows.
        ``1`` is one row and ``1.0`` as many as there are real ones; 0 adds nothing.
    y_range : (low, high) or None, default=None
        Generated rows with a label outside are thrown away and drawn again; they are never clipped.
        With several targets, `low` and `high` may hold one number for each. Only for numeric
        targets; real rows are kept whatever their label.
    classes_ : ndarray or None
        The classes, where the target is one; None for a numeric target.
    sample_origin_ : ndarray of int, shape (n + n_generated,)
        For each row that `fit_resample` returned: 0 for a real one, 1 for a generated one.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Their names, where `X` was a DataFrame.
""")

AUGMENTED_PARAGRAPHS = {
    **parameter_paragraphs("""
    sample_weight : float or None, default=None
        Weight of a generated row, where a real row has 1, with ``strategy="concat"``. ``None``
        passes no weights.
    random_state : int, RandomState or None, default=None
        One seed for every `random_state` inside `estimator` and `augmenter`. ``None`` leaves them
        their own.
    augmenter_ : sampler or None
        The fitted sampler; its `sample_origin_` tells how many rows it has added.
    n_features_in_ : int
        Number of columns, as `estimator_` has it.
    """),
    "feature_names_in_": SAMPLER_PARAGRAPHS["feature_names_in_"],
    "what_fit_does": """
    `fit` passes the rows through `augmenter` and fits a clone of `estimator` on real and generated
    rows; predicting generates nothing. As the sampling happens inside `fit`, cross-validation and
    searches augment the training rows of each fold only, also in scikit-learn's own Pipeline, which
    takes no samplers.
    """,
}
