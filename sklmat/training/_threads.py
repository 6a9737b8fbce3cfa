"""`suitable_threads`, `one_thread`: how many of torch's threads a training uses."""

import contextlib

import torch

#: Numbers per edge array of a batch that make another thread worth waiting for.
_NUMBERS_PER_THREAD = 2**22


@contextlib.contextmanager
def suitable_threads(module, n_edges):
    """Use as many of torch's threads as a batch has work for, and put the number back.

    On the few ten thousand edges of a usual batch threads mostly wait for each other; on a machine
    that has other work they made training a hundred times slower.

    Parameters
    ----------
    module : CGCNN or ECNet
    n_edges : float
        Edges of a batch.
    """
    before = torch.get_num_threads()
    width = 2 * module.config["hidden_dim"] * module.config.get("n_members", 1)
    useful = int(n_edges * width // _NUMBERS_PER_THREAD)
    torch.set_num_threads(min(before, max(1, useful)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def one_thread():
    """Use one of torch's threads: batches of tables are too small to share."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
