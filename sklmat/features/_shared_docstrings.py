"""Paragraphs of the docstrings of featurizers."""

from sklmat.docstrings import parameter_paragraphs

FEATURIZER_PARAGRAPHS = parameter_paragraphs("""
    n_jobs : int, default=None
        Number of processes; None means one, except within a ``joblib.parallel_config``. The result
        does not depend on this number.
    on_invalid : {"raise", "warn"}, default="raise"
        "raise" raises an error for the first invalid row. "warn" returns a row of NaN for each
        invalid row and gives one warning with all their indices and reasons.
    handle_unknown : {"error", "warn", "ignore"}, default="error"
        What `transform` does with rows that have an element which no row of `fit` has, if the table
        has columns that belong to elements. With "error", these rows are invalid. With "warn", they
        are described: the columns of other elements keep their values, the unseen element has no
        column, and one `ExtrapolationWarning` names elements and rows. "ignore" does the same
        without the warning. A table without such columns takes rows with any elements.
    verbose : bool, default=False
        Whether to show a progress bar.
    feature_names_ : list of str
        Names of the columns.
""")
