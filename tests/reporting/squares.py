"""Small images for a generator."""

import numpy as np

from medfit.data.datasets.images import Images
from medfit.data.readers.image_files import Image

SIZE = 28


class Squares(Images):
    """60 images whose upper or lower half is bright."""

    def __init__(self):
        label = np.arange(60) % 2
        x = np.zeros((60, 1, SIZE, SIZE), dtype=np.float32)
        x[label == 0, :, : SIZE // 2], x[label == 1, :, SIZE // 2 :] = 1, 1
        x = 0.9 * x + np.random.default_rng(0).uniform(0, 0.1, x.shape).astype(np.float32)
        super().__init__(
            names=[f"square {i}" for i in range(60)],
            readers=[lambda i=i: Image(x[i]) for i in range(60)],
            channels=["grey"],
            y=label[:, None].astype(np.float32),
            name="squares",
            task="binary",
            target_names=["low"],
        )
