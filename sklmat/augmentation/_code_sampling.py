"""Codes to generate rows for: drawn, or given by the user and checked."""

import numpy as np

from sklmat.compositions import check_fractions, refuse_rows


def sample_codes(codec, X, n, how, rng):
    """Draw codes.

    Parameters
    ----------
    codec : TableCodec
    X : ndarray of shape (n_real, F)
        Real rows to draw from.
    n : int
    how : {"permute", "interpolate", "uniform"}
        See `InfoGANAugmenter`; without fractions nothing can be permuted, and codes are
        interpolated.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (n, F)
        Rows with codes, and zeros in the other columns.
    """
    rows = np.zeros((n, codec.n_columns))
    one = rng.integers(len(X), size=n)
    for group in codec.groups:
        rows[:, group] = X[one][:, group]
    elements = np.setdiff1d(codec.fractions, codec.unseen)
    if how == "permute" and len(elements):
        rows[:, codec.continuous] = X[one][:, codec.continuous]
        rows[:, elements] = rng.permuted(X[one][:, elements], axis=1)
        return rows
    if how != "uniform":
        other = _partners(codec, X, one, rng)
        share = rng.uniform(size=(n, 1))
        pair = X[one][:, codec.continuous], X[other][:, codec.continuous]
        rows[:, codec.continuous] = share * pair[0] + (1 - share) * pair[1]
        return rows
    free = [k for k in codec.continuous if k not in codec.fractions]
    low, high = X[:, free].min(axis=0), X[:, free].max(axis=0)
    rows[:, free] = rng.uniform(low, high, size=(n, len(free)))
    if len(elements):
        rows[:, elements] = rng.dirichlet(np.ones(len(elements)), size=n)
    return rows


def _partners(codec, X, one, rng):
    """For each row another one (or itself) with the same categories."""
    if not codec.groups:
        return rng.integers(len(X), size=len(one))
    kinds = np.unique(X[:, np.concatenate(codec.groups)], axis=0, return_inverse=True)[1].ravel()
    members = [np.flatnonzero(kinds == kind) for kind in range(kinds.max() + 1)]
    sizes = np.array([len(rows) for rows in members])[kinds[one]]
    picks = (rng.uniform(size=len(one)) * sizes).astype(int)
    return np.array([members[kind][pick] for kind, pick in zip(kinds[one], picks)], dtype=int)


def check_codes(codes, codec, names):
    """Turn codes of the user's into rows, or say what is wrong with them.

    Parameters
    ----------
    codes : DataFrame or array of shape (n, n_codes)
    codec : TableCodec
    names : ndarray of str or None
        Names of all columns.

    Returns
    -------
    ndarray of shape (n, F)
        Rows with codes, and zeros in the other columns.

    Raises
    ------
    ValueError
        When the codes cannot be used; names the first such row.
    """
    if names is not None and hasattr(codes, "columns"):
        wanted = [names[k] for k in codec.columns]
        missing = [name for name in wanted if name not in codes.columns]
        if missing:
            raise ValueError(f"codes lack the columns {missing}; the code is {wanted}")
        codes = codes[wanted]
    codes = np.asarray(codes, dtype=np.float64)
    if codes.ndim != 2 or codes.shape[1] != len(codec.columns):
        raise ValueError(
            f"codes must be a table with {len(codec.columns)} columns, got shape {codes.shape}"
        )
    rows = np.zeros((len(codes), codec.n_columns))
    rows[:, codec.columns] = codes
    refuse_rows(~np.isfinite(codes).all(axis=1), "holds NaN or infinity", codes, "codes: ")
    if len(codec.fractions):
        check_fractions(rows[:, codec.fractions], "codes: ")
    for group in codec.groups:
        values = rows[:, group]
        wrong = ((values != 0) & (values != 1)).any(axis=1) | (values.sum(axis=1) != 1)
        refuse_rows(
            wrong, "must have a single 1 among the columns of a category", values, "codes: "
        )
    for column in codec.unseen:
        name = f"column {column}" if names is None else names[column]
        reason = f"has {name}, which no training row has"
        refuse_rows(rows[:, column] != 0, reason, codes, "codes: ")
    return rows
