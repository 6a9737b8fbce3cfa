"""Transformers from structures to tables of vectors that a graph network has learned."""

from sklmat.embeddings._ecnet_featurizer import ECNetFeaturizer
from sklmat.embeddings._graph_embedding import GraphEmbedding
from sklmat.embeddings._potential_featurizer import PotentialFeaturizer
from sklmat.embeddings._potentials import PotentialModel

__all__ = ["ECNetFeaturizer", "GraphEmbedding", "PotentialFeaturizer", "PotentialModel"]
