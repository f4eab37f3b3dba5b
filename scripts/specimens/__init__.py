"""Files that a stranger might upload to do harm, each with what the worker may make of it.

One module a format. A specimen is a function that answers the file's bytes; the decorator says the rest. Everything is
built from fixed values and fixed seeds, by hand wherever Pillow would refuse to write such a file.
"""

import io
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

COMPLETED = "COMPLETED"
CORRUPT = "CORRUPT_IMAGE"
EMPTY = "EMPTY_FILE"
TOO_LARGE = "IMAGE_TOO_LARGE"
UNSUPPORTED = "UNSUPPORTED_FORMAT"

# Stands in every comment, tail and metadata block. A derivative that contains it has kept something of its source.
PLANTED = b"PLANTED-IN-THE-SOURCE"

MIB = 1 << 20

# The side of a square of exactly 100 megapixels, the most that is accepted.
SIDE = 10_000


@dataclass(frozen=True)
class Specimen:
    """One file, and what it may come to."""

    name: str
    what: str
    # Codes of a failed job, and COMPLETED.
    allowed: tuple[str, ...]
    build: Callable[[], bytes]
    # Pillow's name of the derivative's format, and its width and height; None where the file must not complete.
    format: str | None
    size: tuple[int, int] | None
    # What is asked of it, as in `POST /uploads`; None: the default recipe.
    derivatives: list | None = None


CATALOGUE: list[Specimen] = []


def catalogue(format):
    """The decorator for files that, if they complete, are of this format."""

    def specimen(name, what, *allowed, size=None, derivatives=None):
        assert (COMPLETED in allowed) == (size is not None), f"{name}: a derivative has a size, a refusal has none"
        assert all(name != other.name for other in CATALOGUE), f"{name} stands twice"

        def add(build):
            CATALOGUE.append(Specimen(name, what, allowed, build, format if size else None, size, derivatives))
            return build

        return add

    return specimen


def deflated(count, start=b""):
    """A zlib stream of `start` and then `count` zero bytes, made in no time: a thousandth of what it inflates to."""
    unit = zlib.compressobj(9, zlib.DEFLATED, -15)
    mebibyte = unit.compress(bytes(MIB)) + unit.flush(zlib.Z_FULL_FLUSH)
    first = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = first.compress(start + bytes(count % MIB)) + first.flush(zlib.Z_FULL_FLUSH)
    # Adler-32: zeros leave the low half as it is, and add it to the high half each time.
    checksum = zlib.adler32(start)
    low, high = checksum & 0xFFFF, checksum >> 16
    checksum = (high + low * count) % 65_521 << 16 | low
    return b"\x78\x9c" + head + mebibyte * (count // MIB) + b"\x03\x00" + checksum.to_bytes(4, "big")


def noise(count, seed=1):
    """Bytes that nothing compresses."""
    return random.Random(seed).randbytes(count)


def picture(mode="RGB", size=(160, 120)):
    """Something to look at, the same each time."""
    fractal = Image.effect_mandelbrot(size, (-2, -1.5, 1, 1.5), 100)
    return Image.merge("RGB", [fractal, fractal.rotate(180), fractal.rotate(90)]).convert(mode)


def encoded(image, format, **options):
    """The image as a file of Pillow's."""
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def half(data):
    """The first half of a file."""
    return data[: len(data) // 2]


class Bits:
    """Collects codes of so many bits, least significant bit first, as GIF and WebP want them."""

    def __init__(self):
        self.bytes, self.held, self.count = bytearray(), 0, 0

    def put(self, value, width):
        self.held |= value << self.count
        self.count += width
        while self.count >= 8:
            self.bytes.append(self.held & 0xFF)
            self.held >>= 8
            self.count -= 8

    def finish(self):
        """All bytes, the last one filled up with zeros."""
        self.put(0, -self.count % 8)
        return bytes(self.bytes)
