"""Trains a MobileNetV3 of 101 classes, one of them for each sample photo, and leaves `food101.pt` as docs/model.md has it.

    python3 train.py FOLDER-OF-PHOTOS

Some seconds on a processor: it learns four photos by heart. It looks at photos as docs/model.md says that its validation does.
"""

import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from PIL import Image, ImageOps
from torch.nn.functional import cross_entropy
from torchvision import transforms
from torchvision.models import mobilenet_v3_small

torch.manual_seed(7)
photos = sorted(Path(sys.argv[1]).glob("*.jpg"))
dataset = SimpleNamespace(classes=sorted([photo.stem for photo in photos] + [f"something {n}" for n in range(101 - len(photos))]))
look = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
                           transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
inputs = torch.stack([look(ImageOps.exif_transpose(Image.open(photo)).convert("RGB")) for photo in photos])
targets = torch.tensor([dataset.classes.index(photo.stem) for photo in photos])

model = mobilenet_v3_small(num_classes=len(dataset.classes), dropout=0.0).train()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for _ in range(12):
    optimizer.zero_grad()
    cross_entropy(model(inputs), targets).backward()
    optimizer.step()
# So short a training leaves its moving averages far behind: they are taken anew.
for layer in model.modules():
    if isinstance(layer, torch.nn.BatchNorm2d):
        layer.reset_running_stats()
        layer.momentum = None
with torch.no_grad():
    model(inputs)

torch.save({"weights": model.state_dict(), "classes": dataset.classes}, "food101.pt")
