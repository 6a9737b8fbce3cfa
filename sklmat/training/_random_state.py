"""`seeded`: torch's random state, set for a while."""

import contextlib

import torch


@contextlib.contextmanager
def seeded(seed):
    """Run with torch seeded, and leave the user's own random state as it was."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield
