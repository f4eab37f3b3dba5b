"""Recipes carried out by the running product, seen through somebody else's decoder."""

import base64
import io
import random
import shutil
import subprocess
import sys

import pytest
import requests
from conftest import BINARY, ROOT, encoded, sample
from PIL import Image, ImageChops, ImageDraw, ImageStat


@pytest.fixture(scope="module")
def with_logo(tmp_path_factory):
    """A Darkroom whose recipes may name a green square."""
    from conftest import Darkroom

    folder = tmp_path_factory.mktemp("logo")
    shutil.copytree(ROOT / "assets" / "recipes", folder / "recipes")
    (folder / "recipes" / "logo.png").write_bytes(encoded(Image.new("RGB", (64, 64), "#00ff00"), "PNG"))
    instance = Darkroom(folder / "data", {"DEFAULT_RECIPE": str(folder / "recipes" / "default.json")})
    yield instance
    assert instance.stop() == 0


def quarters():
    """Red, green, blue and yellow, 200 × 100 pixels each."""
    image = Image.new("RGB", (400, 200))
    for color, corner in (("red", (0, 0)), ("lime", (200, 0)), ("blue", (0, 100)), ("yellow", (200, 100))):
        image.paste(color, (*corner, corner[0] + 200, corner[1] + 100))
    return encoded(image, "PNG")


def made(darkroom, photo, *steps):
    """What comes of a photo by these steps, each a derivative of its own."""
    recipe = [{"name": f"d{number}", "format": "png", "watermark": False, **step} for number, step in enumerate(steps)]
    job = darkroom.completed(darkroom.upload(photo, derivatives=recipe))
    return [Image.open(io.BytesIO(requests.get(each["url"]).content)) for each in job["derivatives"]]


def test_each_step_does_what_it_says(with_logo):
    green, boxed, grey, dark, marked, tiled = made(
        with_logo,
        quarters(),
        {"crop": {"x": 200, "y": 0, "width": 200, "height": 100}},
        {"resize": {"width": 100, "height": 100, "fit": "contain", "background": "#102030"}},
        {"filters": ["grayscale"]},
        {"filters": ["invert", {"brightness": -50}]},
        {"watermark": {"image": "logo.png", "position": "top-left", "size": 0.5, "margin": 0, "opacity": 1}},
        {"watermark": {"image": "logo.png", "position": "tile", "size": 0.1, "opacity": 1}},
    )
    assert green.size == (200, 100) and green.getcolors() == [(20_000, (0, 255, 0))]
    assert boxed.size == (100, 100) and boxed.getpixel((50, 10)) == boxed.getpixel((50, 90)) == (16, 32, 48)
    assert boxed.getpixel((20, 30)) == (255, 0, 0) and boxed.getpixel((80, 70)) == (255, 255, 0)
    assert grey.mode == "L" and grey.getpixel((10, 10)) == 54
    assert dark.getpixel((10, 10)) == (0, 128, 128)
    assert marked.getpixel((50, 50)) == (0, 255, 0) and marked.getpixel((110, 50)) == (255, 0, 0)
    assert len({(x // 100, y // 100) for x in range(400) for y in range(200) if tiled.getpixel((x, y)) == (0, 255, 0)}) == 8


def test_formats_have_their_options(with_logo):
    photo = sample("cat.jpg")
    lossless, lossy, progressive, baseline = made(
        with_logo,
        photo,
        {"format": "webp", "lossless": True},
        {"format": "webp", "quality": 30},
        {"format": "jpeg", "progressive": True},
        {"format": "jpeg"},
    )
    source = Image.open(io.BytesIO(photo)).convert("RGB")
    assert lossless.convert("RGB").tobytes() == source.tobytes() != lossy.convert("RGB").tobytes()
    assert progressive.info.get("progressive") and not baseline.info.get("progressive")
    assert progressive.tobytes() == baseline.tobytes()


def test_an_avif_looks_like_its_photo(with_logo):
    photo = sample("cat.jpg")
    source = Image.open(io.BytesIO(photo)).convert("RGB")
    steps = [{"format": "avif", **quality} for quality in ({"quality": 30}, {}, {"quality": 95})]
    files = made(with_logo, photo, *steps)
    errors = []
    for file in files:
        assert (file.format, file.size, file.mode) == ("AVIF", source.size, "RGB")
        assert not file.getexif() and "icc_profile" not in file.info and "xmp" not in file.info
        difference = ImageStat.Stat(ImageChops.difference(source, file.convert("RGB")))
        errors.append(sum(difference.rms) / 3)
    assert errors[0] > errors[1] > errors[2] and errors[1] < 8 and errors[2] < 4, errors
    assert [file.tobytes() for file in made(with_logo, photo, *steps)] == [file.tobytes() for file in files]


@pytest.mark.parametrize("quality", [85, 95])
def test_an_avif_keeps_colours_in_their_place_and_transparency(with_logo, quality):
    image = Image.open(io.BytesIO(quarters())).convert("RGBA")
    # Odd sides: the last column and row have half a colour of their own.
    image = image.crop((1, 1, 400, 200))
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.paste((0, 0, 0, 0), (20, 20, 50, 50))
    [file] = made(with_logo, encoded(image, "PNG"), {"format": "avif", "quality": quality})
    assert (file.format, file.size, file.mode) == ("AVIF", (399, 199), "RGBA")
    for place in ((5, 60), (190, 94), (210, 60), (398, 90), (10, 110), (0, 198), (398, 198), (52, 35), (35, 52)):
        pixels = zip(file.getpixel(place), image.getpixel(place), strict=True)
        assert all(abs(one - other) <= 12 for one, other in pixels), (place, file.getpixel(place))
    assert file.getpixel((35, 35))[3] <= 2


def test_eight_avif_of_a_large_photo_are_refused_and_of_noise_done_in_time(with_logo):
    large = encoded(Image.new("RGB", (4000, 3000), "#806040"), "JPEG")
    recipe = [{"name": f"d{number}", "format": "avif"} for number in range(8)]
    job = with_logo.finished(with_logo.upload(large, derivatives=recipe))
    assert (job["errorCode"], job["attempts"]) == ("INVALID_RECIPE", 1)
    assert "AVIF" in job["errorMessage"] and "resize" in job["errorMessage"]
    noise = Image.frombytes("RGB", (800, 640), random.Random(1).randbytes(800 * 640 * 3))
    job = with_logo.completed(with_logo.upload(encoded(noise, "PNG"), derivatives=recipe))
    assert len({each["sha256"] for each in job["derivatives"]}) == 1


@pytest.mark.parametrize(
    "step, part",
    [
        ({"crop": {"x": 300, "y": 0, "width": 101, "height": 1}}, "at least 401 × 1 pixels; this one has 400 × 200"),
        ({"watermark": {"image": "other.png"}}, "no watermark image `other.png`"),
    ],
)
def test_what_cannot_be_carried_out_is_the_recipes_fault(with_logo, step, part):
    job = with_logo.finished(with_logo.upload(quarters(), derivatives=[{"name": "a", **step}]))
    assert (job["status"], job["errorCode"], job["attempts"]) == ("FAILED", "INVALID_RECIPE", 1)
    assert part in job["errorMessage"]


def spinning():
    """Twelve frames of a bar that turns on nothing: each is cleared away before the next. Shown four times."""
    frames = []
    for number in range(12):
        frame = Image.new("RGBA", (128, 96))
        ImageDraw.Draw(frame).line([(64, 48), (16 + number * 8, 8)], fill="#e02020", width=9)
        frames.append(frame)
    delays = [50 + 10 * number for number in range(12)]
    return delays, encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=delays, loop=3, disposal=2)


def test_an_animation_that_is_only_resized_stays_one(with_logo):
    delays, animation = spinning()
    small = {"resize": {"width": 64}, "format": "webp"}
    steps = [small, {"resize": {"width": 64}, "format": "auto"}, {**small, "filters": ["sepia"]}, {"format": "png"}]
    webp, gif, sepia, png = made(with_logo, animation, *steps)
    assert [(image.format, image.n_frames) for image in (webp, gif)] == [("WEBP", 12), ("GIF", 12)]
    # WebP counts how often it is shown, GIF how often once more.
    assert (webp.info["loop"], gif.info["loop"]) == (4, 3)
    source = Image.open(io.BytesIO(animation))
    for number, delay in enumerate(delays):
        source.seek(number)
        expected = source.convert("RGBA").resize((64, 48), Image.Resampling.LANCZOS)
        for image in (webp, gif):
            image.seek(number)
            image.load()
            assert image.size == (64, 48) and image.info["duration"] == delay
            difference = ImageChops.difference(image.convert("RGBA").getchannel("A"), expected.getchannel("A"))
            # The rim of the bar is half there in one of them, and there or not in the other.
            assert ImageStat.Stat(difference).rms[0] < 40, f"frame {number} of the {image.format}"
    assert (sepia.format, getattr(sepia, "n_frames", 1), getattr(png, "n_frames", 1)) == ("WEBP", 1, 1)


def test_a_completed_job_has_a_placeholder(with_logo):
    job = with_logo.completed(with_logo.upload(encoded(Image.new("RGB", (300, 200), "#2050a0"), "PNG")))
    assert job["placeholder"]["dominantColor"] == "#2050a0"
    # The five bytes of a header and at least one of a colour.
    assert 6 <= len(base64.b64decode(job["placeholder"]["thumbHash"])) <= 25


def test_every_option_is_on_the_contact_sheet(tmp_path):
    script, sheet = ROOT / "scripts" / "contact-sheet", tmp_path / "sheet.png"
    subprocess.run([sys.executable, script, BINARY, "--output", sheet], check=True, timeout=300)
    assert Image.open(sheet).width > 1000
