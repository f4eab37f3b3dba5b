"""Makes the photos of `scripts/bench`: photos.py SAMPLES FOLDER.

A sample enlarged to a camera's size has no grain, which is most of what a real file of that size encodes; so some is added.
The same packages make the same files.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

GRAIN = 4  # Standard deviation in steps of 8 bits: a phone's at a medium sensitivity, with files of 0.28 bytes a pixel.


def photo(sample, size, seed):
    picture = sample.resize((size[0], size[0] * sample.height // sample.width), Image.LANCZOS)
    if picture.height < size[1]:
        picture = sample.resize((size[1] * sample.width // sample.height, size[1]), Image.LANCZOS)
    left, top = (picture.width - size[0]) // 2, (picture.height - size[1]) // 2
    picture = picture.crop((left, top, left + size[0], top + size[1]))
    random = np.random.default_rng(seed)
    light = random.normal(0, GRAIN, (size[1], size[0], 1)) + random.normal(0, GRAIN / 2, (size[1], size[0], 3))
    return Image.fromarray((np.asarray(picture) + light).round().clip(0, 255).astype(np.uint8))


def main():
    samples, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    sample = Image.open(samples / "coffee.jpg").convert("RGB")
    camera = photo(sample, (4000, 3000), 1)
    camera.save(folder / "12mp.jpg", quality=92)
    camera.save(folder / "12mp-progressive.jpg", quality=92, progressive=True)
    camera.save(folder / "12mp.png", compress_level=6)
    camera.save(folder / "12mp.webp", quality=90)
    photo(sample, (1600, 1200), 2).save(folder / "2mp.jpg", quality=92)


main()
