"""Fashion-MNIST [1]_ from files in idx format, compressed or not.

.. [1] H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
   Algorithms", 2017.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cocogen.data.sets.base import Dataset
from cocogen.data.sets.download import Remote, fetch
from cocogen.data.sets.folders import DataFolders, cache_folder
from cocogen.data.sets.idx import read_idx
from cocogen.errors import DatasetError

__all__ = ["fashion_mnist"]

_FOLDER = "fashion-mnist"
_CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
_SOURCE = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion"
_FILES = (
    ("train-images-idx3-ubyte.gz", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26_421_880),
    ("train-labels-idx1-ubyte.gz", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29_515),
    ("t10k-images-idx3-ubyte.gz", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4_422_102),
    ("t10k-labels-idx1-ubyte.gz", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5_148),
)
_INSTEAD = f"put {', '.join(name for name, _, _ in _FILES)} of {_SOURCE} into {_FOLDER}/ in the folder of --data-dir"


def fashion_mnist(folders: DataFolders) -> Dataset:
    """Grey images of ten kinds of clothing, 28 × 28 pixels, the official test set last; any number of them.

    The published set, 70,000 images, is 55 MB as uint8 and 220 MB once standardized to float32.

    Raises
    ------
    DatasetError
        When there are no files and no network, a file is malformed, or images and labels do not fit together.
    """
    folder = folders.find(_FOLDER)
    if folder is None:
        folder = cache_folder() / _FOLDER
        for name, digest, size in _FILES:
            fetch(Remote(f"{_SOURCE}/{name}", digest, size), folder, instead=_INSTEAD)
    train_images, train_labels, test_images, test_labels = (_file(folder, name) for name, _, _ in _FILES)
    parts = [(train_images, train_labels), (test_images, test_labels)]
    features, labels = [], []
    for image_file, label_file in parts:
        images, own = read_idx(image_file, dimensions=3), read_idx(label_file, dimensions=1)
        if len(images) != len(own) or not len(own):
            raise DatasetError(
                f"{image_file} holds {len(images):,} images, but {label_file} {len(own):,} labels", hint=_INSTEAD
            )
        if not images.size:
            raise DatasetError(
                f"{image_file} holds images of {images.shape[1]} x {images.shape[2]} pixels, which are none",
                hint=_INSTEAD,
            )
        if int(own.max()) >= len(_CLASSES):
            raise DatasetError(f"{label_file} holds label {int(own.max())}, not one of 0 to 9", hint=_INSTEAD)
        features.append(images)
        labels.append(own)
    shapes = [images.shape[1:] for images in features]
    if shapes[0] != shapes[1]:
        raise DatasetError(f"training images in {folder} have size {shapes[0]}, test images {shapes[1]}", hint=_INSTEAD)
    return Dataset(
        name=_FOLDER,
        features=np.concatenate([images.reshape(len(images), -1) for images in features]),
        labels=np.concatenate(labels).astype(np.int64),
        classes=_CLASSES,
        shape=(1, *shapes[0]),
        test_from=len(labels[0]),
    )


def _file(folder: Path, name: str) -> Path:
    plain = name.removesuffix(".gz")
    for candidate in (folder / name, folder / plain):
        if candidate.is_file():
            return candidate
    raise DatasetError(f"{folder} holds neither {name} nor {plain}", hint=_INSTEAD)
