"""The pictures in docs/recipes.md, made by its own recipes.

    target/venv/bin/python infra/local/tests/cookbook.py      # writes docs/recipes/
"""

import json
import re
import tempfile
from pathlib import Path

import requests
from conftest import ROOT, Darkroom, sample

PAGE = ROOT / "docs" / "recipes.md"
PICTURES = PAGE.with_suffix("")
COOKBOOK = PAGE.read_text().split("## All options")[0]
RECIPES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", COOKBOOK, re.DOTALL)]
# A photo, and the derivative of it that is shown.
SHOWN = re.findall(r"!\[(\w+\.jpg), [^\]]+\]\(recipes/(([-\w]+)\.\w+)\)", COOKBOOK)


def made(darkroom, photo, name):
    """The derivative of that name, by the recipe that has it."""
    [recipe] = [recipe for recipe in RECIPES if any(derivative["name"] == name for derivative in recipe)]
    job = darkroom.completed(darkroom.upload(sample(photo), filename=photo, derivatives=recipe))
    [url] = [derivative["url"] for derivative in job["derivatives"] if derivative["name"] == name]
    return requests.get(url).content


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        darkroom = Darkroom(Path(folder) / "data")
        for photo, file, name in SHOWN:
            (PICTURES / file).write_bytes(made(darkroom, photo, name))
        darkroom.kill()
