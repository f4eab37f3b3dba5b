"""Sources of every kind, made and judged by Pillow: right size, upright, and nothing left of their metadata."""

import io
import random

import pytest
from conftest import download, encoded, picture, sample
from PIL import Image, ImageDraw, ImageOps, PngImagePlugin


def scene(mode="RGB", size=(160, 120)):
    """Red top left, green top right, blue bottom left, white bottom right: no two orientations look alike."""
    image = Image.new("RGB", size)
    draw = ImageDraw.Draw(image)
    half = (size[0] // 2, size[1] // 2)
    for corner, colour in (((0, 0), "#d02020"), ((1, 0), "#20a020"), ((0, 1), "#2020d0"), ((1, 1), "#f0f0f0")):
        x, y = corner[0] * half[0], corner[1] * half[1]
        draw.rectangle([x, y, x + half[0], y + half[1]], fill=colour)
    return image.convert(mode)


def corners(image):
    """The colour in the middle of three quarters; the fourth has the watermark."""
    image = image.convert("RGB")
    return [image.getpixel((int(image.width * x), int(image.height * y))) for x, y in ((0.2, 0.2), (0.8, 0.2), (0.2, 0.7))]


def assert_same_scene(image, expected, tolerance=12):
    assert image.size == expected.size
    for got, wanted in zip(corners(image), corners(expected)):
        assert all(abs(a - b) <= tolerance for a, b in zip(got, wanted)), (got, wanted)


def with_alpha():
    image = scene("RGBA")
    image.putalpha(Image.new("L", image.size, 255))
    image.paste((0, 0, 0, 0), (70, 50, 90, 70))
    return image


GREY16 = Image.new("I;16", (160, 120), 40_000)

SOURCES = {
    "jpeg": (encoded(scene(), "JPEG", quality=95, subsampling=0), "JPEG"),
    "jpeg progressive": (encoded(scene(), "JPEG", quality=95, subsampling=0, progressive=True), "JPEG"),
    "jpeg 4:2:0": (encoded(scene(), "JPEG", quality=95), "JPEG"),
    "jpeg grey": (encoded(scene("L"), "JPEG", quality=95), "JPEG"),
    "jpeg cmyk": (encoded(scene("CMYK"), "JPEG", quality=95), "JPEG"),
    "png": (encoded(scene(), "PNG"), "PNG"),
    "png palette": (encoded(scene("P"), "PNG"), "PNG"),
    "png palette and alpha": (encoded(with_alpha().quantize(), "PNG"), "PNG"),
    "png alpha": (encoded(with_alpha(), "PNG"), "PNG"),
    "png grey and alpha": (encoded(scene("LA"), "PNG"), "PNG"),
    "png 16 bit": (encoded(GREY16, "PNG"), "PNG"),
    "png 1 bit": (encoded(scene("1"), "PNG"), "PNG"),
    "gif": (encoded(scene(), "GIF"), "GIF"),
    "gif animated": (encoded(scene(), "GIF", save_all=True, append_images=[scene().rotate(180)]), "GIF"),
    "bmp": (encoded(scene(), "BMP"), "BMP"),
    "tiff": (encoded(scene(), "TIFF"), "TIFF"),
    "tiff lzw": (encoded(scene(), "TIFF", compression="tiff_lzw"), "TIFF"),
    "tiff cmyk": (encoded(scene("CMYK"), "TIFF"), "TIFF"),
    "webp": (encoded(scene(), "WEBP", quality=95), "WEBP"),
    "webp lossless": (encoded(with_alpha(), "WEBP", lossless=True), "WEBP"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_keeps_its_format_size_and_colours(darkroom, name):
    photo, format = SOURCES[name]
    job = darkroom.completed(darkroom.upload(photo, filename="of.any.name"))
    result = picture(job)
    original = Image.open(io.BytesIO(photo))
    assert result.format == format
    assert job["source"]["format"] == format.lower()
    if name == "png 16 bit":
        assert result.size == original.size
        assert all(abs(value - 40_000 // 257) <= 1 for value in corners(result)[0])
    elif name == "png 1 bit":
        assert result.size == original.size
    else:
        assert_same_scene(result, original)


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_photos_come_out_upright_and_bare(darkroom, format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "SECRET camera"
    exif.get_ifd(0x8825)[1] = "N"
    extra = {"comment": b"SECRET comment"} if format == "JPEG" else {}
    if format == "PNG":
        extra["pnginfo"] = PngImagePlugin.PngInfo()
        extra["pnginfo"].add_text("Author", "SECRET author")
    options = {"quality": 95, "subsampling": 0} if format == "JPEG" else {}
    photo = encoded(scene(), format, exif=exif.tobytes() if format != "TIFF" else exif, **extra, **options)
    if format != "TIFF":
        photo += b"SECRET tail"
    job = darkroom.completed(darkroom.upload(photo))
    result = picture(job)
    assert_same_scene(result, ImageOps.exif_transpose(Image.open(io.BytesIO(photo))))
    assert (job["source"]["width"], job["source"]["height"]) == result.size
    assert b"SECRET" not in download(job).content
    if format != "TIFF":
        assert not result.getexif() and "icc_profile" not in result.info


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (1, 1), (300, 200), (3, 4000)])
def test_odd_shapes_keep_their_size(darkroom, size):
    job = darkroom.completed(darkroom.upload(encoded(Image.new("RGB", size, "#806040"), "PNG")))
    assert picture(job).size == size


def cut(share):
    return sample("coffee.jpg")[: int(len(sample("coffee.jpg")) * share)]


REFUSED = {
    "empty": (b"", "EMPTY_FILE"),
    "one byte": (b"x", "UNSUPPORTED_FORMAT"),
    "text": (b"this is no photo at all", "UNSUPPORTED_FORMAT"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "UNSUPPORTED_FORMAT"),
    "pdf": (b"%PDF-1.7\n", "UNSUPPORTED_FORMAT"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "UNSUPPORTED_FORMAT"),
    "random": (random.Random(1).randbytes(4096), "UNSUPPORTED_FORMAT"),
    "jpeg cut in half": (cut(0.5), "CORRUPT_IMAGE"),
    "jpeg cut at the end": (cut(0.99), "CORRUPT_IMAGE"),
    "jpeg header only": (cut(0.001), "CORRUPT_IMAGE"),
    "png cut": (encoded(Image.effect_noise((200, 200), 90), "PNG")[:-2000], "CORRUPT_IMAGE"),
    "30 gigapixels": (None, "IMAGE_TOO_LARGE"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_photo_fails_on_its_first_receive(darkroom, name):
    photo, code = REFUSED[name]
    if photo is None:
        png = bytearray(encoded(Image.new("1", (8, 8)), "PNG"))
        png[16:24] = (175_000).to_bytes(4, "big") * 2
        photo = bytes(png)
    job = darkroom.finished(darkroom.upload(photo, filename="photo.jpg"))
    assert (job["status"], job.get("errorCode"), job["attempts"]) == ("FAILED", code, 1), job
    assert "downloadUrl" not in job and job["errorMessage"][0].isupper() and job["errorMessage"].endswith(".")
