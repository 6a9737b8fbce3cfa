"""The networks CGCNN, ECNet and InfoGAN as torch modules."""

from sklmat.networks._cgcnn import CGCNN
from sklmat.networks._ecnet import ECNet
from sklmat.networks._infogan import InfoGAN
from sklmat.networks._size import refuse_large_network

__all__ = ["CGCNN", "ECNet", "InfoGAN", "refuse_large_network"]
