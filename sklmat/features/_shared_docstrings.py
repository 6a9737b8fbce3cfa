"""Paragraphs of the docstrings of featurizers."""

from sklmat.docstrings import parameter_paragraphs

FEATURIZER_PARAGRAPHS = parameter_paragraphs("""
    n_jobs : int, default=None
        Number of processes; None means one, except within a ``joblib.parallel_config``. The result
        does not depend on this number.
    on_invalid : {"raise", "warn"}, default="raise"
        "raise" raises an error for the first invalid row. "warn" returns a row of NaN for each
        invalid row and gives one warning with all their indices and reasons. In `transform`, rows
        with an element that no row of `fit` has are invalid too.
    verbose : bool, default=False
        Whether to show a progress bar.
    feature_names_ : list of str
        Names of the columns.
""")
