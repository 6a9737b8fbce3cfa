"""Data files that are downloaded once, with their checksums, and the folder of these files."""

from sklmat.downloads._cgcnn_files import cgcnn_atom_init as cgcnn_atom_init
from sklmat.downloads._cgcnn_files import cgcnn_checkpoint as cgcnn_checkpoint
from sklmat.downloads._download import fetch_files as fetch_files
from sklmat.downloads._download import file_url as file_url
from sklmat.downloads._download import get_data_home as get_data_home
from sklmat.downloads._download import registry as registry
