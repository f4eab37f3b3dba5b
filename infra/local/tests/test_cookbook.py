"""docs/recipes.md: every recipe is one, and every picture is what it makes."""

import io
import shutil

import pytest
from conftest import ROOT, sample
from cookbook import PICTURES, RECIPES, SHOWN, made
from PIL import Image, ImageChops, ImageStat


def test_every_recipe_of_the_cookbook_is_carried_out(own_darkroom, tmp_path):
    # As the page has it: a logo beside the default recipe.
    shutil.copytree(ROOT / "assets" / "recipes", tmp_path / "recipes")
    Image.new("RGBA", (200, 80), (255, 0, 0, 128)).save(tmp_path / "recipes" / "logo.png")
    darkroom = own_darkroom(DEFAULT_RECIPE=str(tmp_path / "recipes" / "default.json"))
    for recipe in RECIPES:
        job = darkroom.completed(darkroom.upload(sample("coffee.jpg"), derivatives=recipe))
        assert [made["name"] for made in job["derivatives"]] == [wanted["name"] for wanted in recipe]


@pytest.mark.parametrize(("photo", "file", "name"), SHOWN, ids=[file for _, file, _ in SHOWN])
def test_every_picture_of_the_cookbook_is_what_its_recipe_makes(darkroom, photo, file, name):
    shown, now = (Image.open(io.BytesIO(content)).convert("RGB") for content in ((PICTURES / file).read_bytes(), made(darkroom, photo, name)))
    assert shown.size == now.size
    # Another processor may round otherwise.
    difference = ImageStat.Stat(ImageChops.difference(shown, now))
    assert max(difference.mean) < 1, difference.mean


def test_every_picture_is_shown():
    assert {file.name for file in PICTURES.iterdir()} == {file for _, file, _ in SHOWN}
