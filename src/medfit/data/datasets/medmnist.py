"""MedMNIST: small images of many kinds, with their official split."""

import functools
import zipfile
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from medfit.config import folders
from medfit.data.datasets.download import fetch
from medfit.data.datasets.images import Images
from medfit.data.image import Image
from medfit.errors import UserError, suggest
from medfit.terminal.console import say

URL = "https://zenodo.org/records/10519652/files/{file}?download=1"
SPLITS = ("train", "val", "test")
SIZES = (28, 64, 128, 224)


class _Set(NamedTuple):
    """What MedMNIST says of a set."""

    task: str
    labels: list[str]
    checksums: str  # md5, in the order of SIZES
    licence: str = "CC BY 4.0"

    @property
    def md5(self) -> dict[int, str]:
        """The files' checksums by their size in pixels."""
        return dict(zip(SIZES, self.checksums.split(), strict=False))


ORGANS = [
    "bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right", "liver", "lung-left",
    "lung-right", "pancreas", "spleen",
]  # fmt: skip
SETS = {  # kind of target, labels, checksums
    "pathmnist": _Set(
        "multiclass", ["adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle",
         "normal colon mucosa", "cancer-associated stroma", "colorectal adenocarcinoma epithelium"],
        "a8b06965200029087d5bd730944a56c1 55aa9c1e0525abe5a6b9d8343a507616 "
        "ac42d08fb904d92c244187169d1fd1d9 2c51a510bcdc9cf8ddb2af93af1eadec",
    ),
    "chestmnist": _Set(
        "multilabel", ["atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule", "pneumonia",
         "pneumothorax", "consolidation", "edema", "emphysema", "fibrosis", "pleural", "hernia"],
        "02c8a6516a18b556561a56cbdd36c4a8 9de6cd0b934ebb5b7426cfba5efbae16 "
        "db107e5590b27930b62dbaf558aebee3 45bd33e6f06c3e8cdb481c74a89152aa",
    ),
    "dermamnist": _Set(
        "multiclass", ["actinic keratoses and intraepithelial carcinoma", "basal cell carcinoma",
         "benign keratosis-like lesions", "dermatofibroma", "melanoma", "melanocytic nevi", "vascular lesions"],
        "0744692d530f8e62ec473284d019b0c7 b70a2f5635c6199aeaa28c31d7202e1f "
        "2defd784463fa5243564e855ed717de1 8974907d8e169bef5f5b96bc506ae45d", "CC BY-NC 4.0",
    ),
    "octmnist": _Set(
        "multiclass", ["choroidal neovascularization", "diabetic macular edema", "drusen", "normal"],
        "c68d92d5b585d8d81f7112f81e2d0842 e229e9440236b774d9f0dfef9d07bdaf "
        "0a97e76651ace45c5d943ee3f65b63ae abc493b6d529d5de7569faaef2773ba3",
    ),
    "pneumoniamnist": _Set(
        "binary", ["normal", "pneumonia"],
        "28209eda62fecd6e6a2d98b1501bb15f 8f4eceb4ccffa70c672198ea285246c6 "
        "05b46931834c231683c68f40c47b2971 d6a3c71de1b945ea11211b03746c1fe1",
    ),
    "retinamnist": _Set(
        "multiclass", ["grade 0", "grade 1", "grade 2", "grade 3", "grade 4"],
        "bd4c0672f1bba3e3a89f0e4e876791e4 afda852cc34dcda56f86ad2b2457dbcc "
        "e48e916a24454daf90583d4e6efb1a18 eae7e3b6f3fcbda4ae613ebdcbe35348",
    ),
    "breastmnist": _Set(
        "binary", ["malignant", "normal or benign"],
        "750601b1f35ba3300ea97c75c52ff8f6 742edef2a1fd1524b2efff4bd7ba9364 "
        "363e4b3f8d712e9b5de15470a2aaadf1 b56378a6eefa9fed602bb16d192d4c8b",
    ),
    "bloodmnist": _Set(
        "multiclass", ["basophil", "eosinophil", "erythroblast", "immature granulocyte", "lymphocyte", "monocyte",
         "neutrophil", "platelet"],
        "7053d0359d879ad8a5505303e11de1dc 2b94928a2ae4916078ca51e05b6b800b "
        "adace1e0ed228fccda1f39692059dd4c b718ff6835fcbdb22ba9eacccd7b2601",
    ),
    "tissuemnist": _Set(
        "multiclass", ["collecting duct, connecting tubule", "distal convoluted tubule", "glomerular endothelial cells",
         "interstitial endothelial cells", "leukocytes", "podocytes", "proximal tubule segments",
         "thick ascending limb"],
        "ebe78ee8b05294063de985d821c1c34b 123ece2eba09d0aa5d698fda57103344 "
        "61b955355d7425a89687b06cca3ce0c2 b077128c4a949f0a4eb01517f9037b9c",
    ),
    "organamnist": _Set(
        "multiclass", ORGANS,
        "68e3f8846a6bd62f0c9bf841c0d9eacc 2dcccc29b88e6da5a01161ef20cda288 "
        "eeae80d0a227a8d099027e1b3cfd3b60 50747347e05c87dd3aaf92c49f9f3170",
    ),
    "organcmnist": _Set(
        "multiclass", ORGANS,
        "b9ceb9546e10131b32923c5bbeaea2b1 3ce34a8724ea6f548e6db4744d03b6a9 "
        "773c1f009daa3fe5d9a2a201b2a7ed94 050f5e875dc056f6768abf94ec9995d1",
    ),
    "organsmnist": _Set(
        "multiclass", ORGANS,
        "9ab87b696fb54e2a387ebe992d6ed5f1 53a6d115339d874c25e309a994ff46d3 "
        "ded0c5fa01a95dc4978b956f613e9b8e b354719e553fbbb2513d5533f52a4cb1",
    ),
    "organmnist3d": _Set(
        "multiclass", ["liver", "kidney-right", "kidney-left", "femur-right", "femur-left", "bladder", "heart",
         "lung-right", "lung-left", "spleen", "pancreas"],
        "a0c5a1ff56af4f155c46d46fbb45a2fe 58a2205adf14a9d0a189cb06dc78bf10",
    ),
    "nodulemnist3d": _Set(
        "binary", ["benign", "malignant"],
        "8755a7e9e05a4d9ce80a24c3e7a256f3 c47c5b7d457bf6332200d2ea6d64ecd8",
    ),
    "adrenalmnist3d": _Set(
        "binary", ["normal", "hyperplasia"],
        "bbd3c5a5576322bc4cdfea780653b1ce 17721accfe9fb005146a47d33bc54b2f",
    ),
    "fracturemnist3d": _Set(
        "multiclass", ["buckle rib fracture", "nondisplaced rib fracture", "displaced rib fracture"],
        "6aa7b0143a6b42da40027a9dda61302f f01d7e6316aedf4210da0da5b7437b42",
    ),
    "vesselmnist3d": _Set(
        "binary", ["vessel", "aneurysm"],
        "b41fd4f7e7e2feedddb201585ecafa1b 6bb274a8846e1097066dcd64e2c4520f",
    ),
    "synapsemnist3d": _Set(
        "binary", ["inhibitory synapse", "excitatory synapse"],
        "1235b78a3cd6280881dd7850a78eadb6 43bd14ebf3af9d3dd072446fedc14d5e",
    ),
}  # fmt: skip


class MedMNIST(Images):
    """One of the 18 sets of MedMNIST v2: flat grey or colour images, or volumes, uint8.

    The split is the official one. MedMNIST names no patients, so each image counts as one, though some sets hold
    several of a person. ``retinamnist``'s grades of severity are taken as classes; the positive class of
    ``breastmnist`` is "normal or benign", as MedMNIST has it. All images lie in memory: the large sets in 224 pixels
    need more than 10 GB.

    Source: MedMNIST v2 (Yang et al., Scientific Data 2023; CC BY 4.0, ``dermamnist`` CC BY-NC 4.0).

    Args:
        name: Of the set, as ``pneumoniamnist``.
        size: Of an image in pixels: 28, 64, 128 or 224 (volumes: 28 or 64).
        root: The set's file, or the folder that holds it; None for the project's folder ``data``.
        download: Whether to download the file (some MB to some GB) where it is not there.

    Raises:
        UserError: no such set or size, no file, or a file that is not the set's.
    """

    def __init__(
        self,
        name: str,
        size: Literal[28, 64, 128, 224] = 28,
        root: str | None = None,
        download: bool = False,
    ) -> None:
        about = _look_up(name, size)
        images, labels = _read(_find(name, size, root, download), name, size)
        counts = [len(images[split]) for split in SPLITS]
        y = np.concatenate([labels[split] for split in SPLITS])
        num_channels = next(iter(images["train"])).shape[0]
        super().__init__(
            name=name,
            names=[f"{name} {split} {i}" for split in SPLITS for i in range(len(images[split]))],
            readers=[functools.partial(_at, images[split], i) for split in SPLITS for i in range(len(images[split]))],
            channels=["grey"] if num_channels == 1 else ["red", "green", "blue"],
            y=y[:, 0].astype(np.int64) if about.task == "multiclass" else y.astype(np.float32),
            task=about.task,
            target_names=about.labels[1:] if about.task == "binary" else about.labels,
            given_split=np.repeat(SPLITS, counts),
            source=f"MedMNIST v2 {name} (Yang et al. 2023; {about.licence})",
        )
        say(f"{name}: {' / '.join(map(str, counts))} images for training / validation / test; {about.task}")


def _look_up(name: str, size: int) -> _Set:
    if name not in SETS:
        known = suggest(name, SETS) or f" (known: {', '.join(SETS)})"
        raise UserError(f"dataset.name: MedMNIST has no '{name}'{known}")
    if size not in SETS[name].md5:
        raise UserError(f"dataset.size: {name} comes in {', '.join(map(str, SETS[name].md5))} pixels, not {size}")
    return SETS[name]


def _find(name: str, size: int, root: str | None, download: bool) -> Path:
    """Returns the set's file."""
    file_name = f"{name}.npz" if size == 28 else f"{name}_{size}.npz"
    folder = Path(root).expanduser() if root else folders.ROOT / "data"
    if folder.is_file():
        return folder
    file = folder / file_name
    if file.is_file():
        return file
    if download and not root:
        return fetch(URL.format(file=file_name), folder, SETS[name].md5[size])
    raise UserError(
        f"dataset.root: there is no {file_name} in '{folder.name}'; dataset.root=... says where it is, "
        "and dataset.download=true (without dataset.root) downloads it"
    )


def _read(file: Path, name: str, size: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Returns each split's images (images, channels, *size) and labels (images, labels)."""
    try:
        with file.open("rb") as opened, np.load(opened) as parts:
            found = {key: parts[key] for split in SPLITS for key in (f"{split}_images", f"{split}_labels")}
    except KeyError as error:
        raise UserError(f"{file.name}: is not MedMNIST's: it has no {error.args[0].split()[0]}") from error
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(f"{file.name}: is not a whole .npz file; download it again") from error
    images = {split: found[f"{split}_images"] for split in SPLITS}
    labels = {split: found[f"{split}_labels"] for split in SPLITS}
    for split in SPLITS:
        _check(file.name, name, size, images[split], labels[split])
    return {split: _with_channels(part, name) for split, part in images.items()}, labels


def _check(file_name: str, name: str, size: int, images: np.ndarray, labels: np.ndarray) -> None:
    known = SETS[name]
    shapes = [(size,) * 3] if name.endswith("3d") else [(size, size), (size, size, 3)]
    if images.dtype != np.uint8 or images.shape[1:] not in shapes:
        raise UserError(
            f"{file_name}: holds {images.dtype} images of the shape {images.shape[1:]}, not what {name} has at "
            f"dataset.size={size}"
        )
    width, top = (len(known.labels), 1) if known.task == "multilabel" else (1, len(known.labels) - 1)
    fits = labels.shape == (len(images), width) and labels.dtype.kind in "iu"
    if not fits or (labels.size and (labels.min() < 0 or labels.max() > top)):
        raise UserError(f"{file_name}: its labels are not those of {name} (dataset.name)")


def _with_channels(images: np.ndarray, name: str) -> np.ndarray:
    """Returns images in the shape (images, channels, *size)."""
    return np.moveaxis(images, -1, 1) if images.ndim == 4 and not name.endswith("3d") else images[:, None]


def _at(images: np.ndarray, index: int) -> Image:
    return Image(images[index])
