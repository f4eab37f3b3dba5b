"""How near derivatives come to a reference: reads [[name, photo, derivative], …], writes [[name, photo, scores], …]."""

import json
import sys
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

SIDE = 1600
MARKED = 0.12  # The lower part of the picture that is left out, for the watermark is there.


@cache
def reference(photo):
    """All pixels, in linear light and floating point, by Lanczos with three lobes."""
    with Image.open(photo) as file:
        pixels = np.asarray(file.convert("RGB"), dtype=np.float32) / 255
    linear = np.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4).astype(np.float32)
    scale = min(1, SIDE / max(linear.shape[:2]))
    size = (round(linear.shape[1] * scale), round(linear.shape[0] * scale))
    channels = [Image.fromarray(linear[..., channel]).resize(size, Image.LANCZOS) for channel in range(3)]
    linear = np.stack([np.asarray(channel) for channel in channels], axis=-1).clip(0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def scores(photo, derivative):
    wanted = reference(photo)
    with Image.open(derivative) as file:
        found = np.asarray(file.convert("RGB"), dtype=np.float64) / 255
    assert found.shape == wanted.shape, (derivative, found.shape, wanted.shape)
    if not derivative.endswith(".png"):
        rows = round(wanted.shape[0] * (1 - MARKED))
        wanted, found = wanted[:rows], found[:rows]
    similarity = structural_similarity(
        wanted, found, channel_axis=2, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    noise = peak_signal_noise_ratio(wanted, found, data_range=1)
    return {"ssim": float(similarity), "psnr": float(noise), "bytes": Path(derivative).stat().st_size}


json.dump([[name, photo, scores(photo, derivative)] for name, photo, derivative in json.load(sys.stdin)], sys.stdout)
