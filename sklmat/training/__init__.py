"""Training of networks: the only module that knows skorch."""

from sklmat.training._callbacks import plain_history
from sklmat.training._gan_loop import train_gan
from sklmat.training._loop import run_net, train_net
from sklmat.training._net import EvenBatches, GraphNet, WeightedLoss, make_net
from sklmat.training._random_state import seeded
from sklmat.training._threads import suitable_threads

__all__ = [
    "EvenBatches",
    "GraphNet",
    "WeightedLoss",
    "make_net",
    "plain_history",
    "run_net",
    "seeded",
    "suitable_threads",
    "train_gan",
    "train_net",
]
