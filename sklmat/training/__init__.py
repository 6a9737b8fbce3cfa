"""Training of networks: the only module that knows skorch."""

from sklmat.training._callbacks import plain_history
from sklmat.training._net import (
    EvenBatches,
    GraphNet,
    WeightedLoss,
    make_net,
    run_net,
    seeded,
    suitable_threads,
    train_net,
)

__all__ = [
    "EvenBatches",
    "GraphNet",
    "WeightedLoss",
    "make_net",
    "plain_history",
    "run_net",
    "seeded",
    "suitable_threads",
    "train_net",
]
