"""The networks, as plain torch modules."""

from sklmat.networks._crystals import CGCNN, ECNet
from sklmat.networks._infogan import InfoGAN

__all__ = ["CGCNN", "ECNet", "InfoGAN"]
