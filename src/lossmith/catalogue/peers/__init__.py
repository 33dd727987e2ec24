"""What others call losses, stated once: names are looked up here, and pages are made of it."""

from collections import defaultdict

from lossmith.catalogue.peers import embeddings, frameworks, tables, torch_nn, vision
from lossmith.catalogue.peers import words_of_models as models
from lossmith.catalogue.peers import words_of_values as values
from lossmith.catalogue.peers.peer import Peer, bare, letters, plain

__all__ = ["PEERS", "WORDS", "Peer", "bare", "letters", "peers_of", "plain"]

WORDS = "papers"  # beside libraries: what papers and talk call losses

PEERS: dict[str, tuple[Peer, ...]] = {
    "torch": torch_nn.TORCH,
    WORDS: (*values.VALUES, *values.CLASSES, *models.IMAGES, *models.EMBEDDINGS),
    "Keras": frameworks.KERAS,
    "TensorFlow Addons": frameworks.TENSORFLOW_ADDONS,
    "fastai": frameworks.FASTAI,
    "timm": frameworks.TIMM,
    "optax": frameworks.OPTAX,
    "scikit-learn": tables.SCIKIT_LEARN,
    "XGBoost": tables.XGBOOST,
    "LightGBM": tables.LIGHTGBM,
    "CatBoost": tables.CATBOOST,
    "pycox": tables.PYCOX,
    "MONAI": vision.MONAI,
    "segmentation-models-pytorch": vision.SMP,
    "kornia": vision.KORNIA,
    "torchvision": vision.TORCHVISION,
    "mmdetection": vision.MMDET,
    "pytorch-metric-learning": embeddings.PYTORCH_METRIC_LEARNING,
    "sentence-transformers": embeddings.SENTENCE_TRANSFORMERS,
    "lightly": embeddings.LIGHTLY,
    "auraloss": frameworks.AURALOSS,
    "trl": frameworks.TRL,
}

_BY_NAME: dict[str, list[tuple[str, Peer]]] = defaultdict(list)
for _library, _peers in PEERS.items():
    for _peer in _peers:
        for _name in {plain(name) for name in _peer.called}:
            _BY_NAME[_name].append((_library, _peer))


def peers_of(name: str) -> list[tuple[str, Peer]]:
    """Return what a name may mean, each after the library that calls it so.

    >>> [(library, peer.here) for library, peer in peers_of("reg:absoluteerror")]
    [('XGBoost', 'MAE()')]
    """
    return _BY_NAME.get(plain(name), [])
