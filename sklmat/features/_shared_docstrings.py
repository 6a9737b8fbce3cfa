"""Paragraphs of the docstrings of featurizers."""

from sklmat.docstrings import parameter_paragraphs

FEATURIZER_PARAGRAPHS = parameter_paragraphs("""
    n_jobs : int, default=None
        Processes; None is one unless a ``joblib.parallel_config`` says otherwise. The result does
        not depend on it.
    on_invalid : {"raise", "warn"}, default="raise"
        "raise" refuses the first row that cannot be used; "warn" gives a row of NaN for it and one
        warning with all indices and reasons. Rows of `transform` that hold what `fit` has not seen,
        such as an element, count as rows that cannot be used.
    verbose : bool, default=False
        Whether to show a progress bar.
    feature_names_ : list of str
        Names of the columns.
""")
