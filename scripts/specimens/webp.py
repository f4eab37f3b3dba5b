"""Hostile WebPs. Lossless ones can hold any number of pixels of one colour in no bits at all."""

import struct

from PIL import Image

from . import COMPLETED, CORRUPT, MIB, PLANTED, SIDE, TOO_LARGE, Bits, catalogue, encoded, half, icc, noise
from . import picture
from .tiff import ORIENTATION, tiff

specimen = catalogue("WEBP")

ANIMATION, XMP, EXIF, ALPHA, PROFILE = 2, 4, 8, 16, 32


def chunk(kind, body):
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def file(*chunks, length=None):
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if length is None else length) + body


def long(number):
    return struct.pack("<I", number)[:3]


def canvas(width, height, flags=0):
    return chunk(b"VP8X", bytes([flags, 0, 0, 0]) + long(width - 1) + long(height - 1))


def pixels(bits):
    """A lossless picture of one colour: five codes with a single symbol each, which needs no bits to be written."""
    bits.put(0, 3)  # No transform, no colour cache, no meta codes.
    one_symbol_codes(bits)
    return bits.finish()


def one_symbol_codes(bits):
    for _ in range(5):
        bits.put(0b0001, 4)  # A simple code, of one symbol, which is 0.


def lossless_header(width, height):
    bits = Bits()
    bits.put(0x2F, 8)
    bits.put(width - 1, 14)
    bits.put(height - 1, 14)
    bits.put(0, 4)  # No alpha, version 0.
    return bits


def lossless(width, height):
    return chunk(b"VP8L", pixels(lossless_header(width, height)))


def lossy(size=(160, 120)):
    """The chunk with a lossy picture."""
    return encoded(picture(size=size), "WEBP", method=0)[12:]


def alpha():
    """A compressed alpha channel of one value."""
    bits = Bits()
    bits.put(1, 8)
    return chunk(b"ALPH", pixels(bits))


def animation(width, height, frame):
    control = chunk(b"ANIM", bytes(6))
    return file(canvas(width, height, ANIMATION), control, frame)


def frame(width, height, body):
    return chunk(b"ANMF", bytes(6) + long(width - 1) + long(height - 1) + bytes(4) + body)


@specimen("cut-short.webp", "the first half", CORRUPT)
def cut_short():
    return half(encoded(picture(), "WEBP"))


@specimen("cut-short-lossless.webp", "the first half, lossless", CORRUPT)
def cut_short_lossless():
    return half(encoded(picture(), "WEBP", lossless=True))


@specimen("zero-size.webp", "zero pixels wide", CORRUPT)
def zero_size():
    return file(chunk(b"VP8 ", bytes([0x10, 0, 0, 0x9D, 1, 0x2A, 0, 0, 1, 0]) + bytes(99)))


@specimen("riff-long.webp", "a length of 4 GB in the file's header", COMPLETED, CORRUPT, size=(160, 120))
def riff_too_long():
    return file(lossy(), length=0xFFFF_FFFF)


@specimen("riff-short.webp", "a length of zero in the file's header", COMPLETED, CORRUPT, size=(160, 120))
def riff_too_short():
    return file(lossy(), length=0)


@specimen("16m-canvas.webp", "a canvas of 16,777,216²", TOO_LARGE)
def huge_canvas():
    return file(canvas(1 << 24, 1 << 24), lossy())


@specimen("16383-square.webp", "lossless, 16,383²", TOO_LARGE)
def largest_lossless():
    return file(lossless(16_383, 16_383))


@specimen("flat-100mp-lossless.webp", "100 megapixels of one colour in 34 bytes", COMPLETED, TOO_LARGE,
          size=(SIDE, SIDE))
def flat_lossless():
    return file(lossless(SIDE, SIDE))


@specimen("flat-100mp.webp", "100 megapixels of one colour, lossy", COMPLETED, TOO_LARGE, size=(SIDE, SIDE))
def flat_lossy():
    return encoded(Image.new("RGB", (SIDE, SIDE), "#806040"), "WEBP", method=0)


@specimen("hollow-100mp.webp", "claims 100 megapixels and holds none", CORRUPT, TOO_LARGE)
def hollow():
    return file(chunk(b"VP8 ", bytes([0x10, 2, 0, 0x9D, 1, 0x2A]) + struct.pack("<HH", SIDE, SIDE) + bytes(99)))


@specimen("animation-huge-canvas.webp", "an animation of 16,777,216² with a frame of one pixel", TOO_LARGE)
def animation_of_huge_canvas():
    return animation(1 << 24, 1 << 24, frame(1, 1, lossless(1, 1)))


@specimen("animation-100mp.webp", "one pixel on a canvas of 100 megapixels", COMPLETED, CORRUPT, TOO_LARGE,
          size=(SIDE, SIDE))
def animation_of_full_size():
    return animation(SIDE, SIDE, frame(1, 1, lossless(1, 1)))


@specimen("animation-overlarge.webp", "a frame larger than its canvas", CORRUPT, TOO_LARGE)
def overlarge_frame():
    return animation(64, 64, frame(5000, 5000, lossless(5000, 5000)))


@specimen("10000-frames.webp", "10,000 frames", COMPLETED, size=(64, 64))
def many_frames():
    return animation(64, 64, frame(64, 64, lossless(64, 64)) * 10_000)


@specimen("no-picture.webp", "a canvas and no picture", CORRUPT)
def no_picture():
    return file(canvas(64, 64))


@specimen("alpha-bomb.webp", "a lossy picture of 64² with an alpha channel for 100 megapixels", CORRUPT, TOO_LARGE)
def alpha_of_another_size():
    return file(canvas(SIDE, SIDE, ALPHA), alpha(), lossy((64, 64)))


@specimen("100000-alphas.webp", "100,000 alpha channels", COMPLETED, CORRUPT, size=(160, 120))
def many_alphas():
    return file(canvas(160, 120, ALPHA), alpha() * 100_000, lossy())


@specimen("chunk-overflow.webp", "a chunk of 4 GB before the picture", CORRUPT)
def chunk_overflow():
    return file(canvas(160, 120), b"JUNK\xff\xff\xff\xff", lossy())


@specimen("500000-chunks.webp", "500,000 empty chunks before the picture", COMPLETED, CORRUPT, size=(160, 120))
def many_chunks():
    return file(canvas(160, 120), chunk(b"JUNK", b"") * 500_000, lossy())


@specimen("metadata.webp", "a profile, EXIF, XMP and a tail", COMPLETED, size=(160, 120))
def metadata():
    exif = tiff({ORIENTATION: (3, [9]), 0x010F: (2, PLANTED)})
    return encoded(picture(), "WEBP", icc_profile=PLANTED, exif=exif, xmp=PLANTED) + PLANTED


@specimen("exif-cycle.webp", "an EXIF directory that names itself as the next", COMPLETED, size=(160, 120))
def exif_cycle():
    exif = tiff({0x010F: (2, PLANTED), 0x8769: (4, [8])}, next_directory=8)
    return file(canvas(160, 120, EXIF), lossy(), chunk(b"EXIF", exif))


@specimen("table.webp", "a colour profile of 3.3 MB", COMPLETED, size=(160, 120))
def full_table():
    return file(canvas(160, 120, PROFILE), chunk(b"ICCP", icc.tabled(b"RGB ", 3, 103)), lossy())


@specimen("full-profile.webp", "a colour profile of 2 MB", COMPLETED, size=(160, 120))
def full_profile():
    return file(canvas(160, 120, PROFILE), chunk(b"ICCP", PLANTED * (2 * MIB // len(PLANTED))), lossy())


@specimen("lossless-nonsense.webp", "lossless noise", CORRUPT)
def nonsense():
    return file(chunk(b"VP8L", lossless(64, 64)[8:13] + noise(4096)))


@specimen("transforms-100mp.webp", "100 megapixels of one colour, with every transform that needs no data", COMPLETED,
          TOO_LARGE, size=(SIDE, SIDE))
def transforms():
    bits = lossless_header(SIDE, SIDE)
    for kind in (0, 1, 2):
        bits.put(1 | kind << 1, 3)
        if kind < 2:
            # Prediction and colour transform: one set of parameters for each 512², all the same.
            bits.put(7, 3)
            bits.put(0, 1)
            one_symbol_codes(bits)
    return file(chunk(b"VP8L", pixels(bits)))


@specimen("65536-codes.webp", "16² pixels and 65,536 groups of codes for them", COMPLETED, CORRUPT, TOO_LARGE,
          size=(16, 16))
def many_codes():
    bits = lossless_header(16, 16)
    bits.put(0b100, 3)  # No transform, no colour cache, but meta codes,
    bits.put(0, 3)  # one for each 4² pixels.
    bits.put(0, 1)
    for _ in range(2):
        # Green and red are 0 or 255.
        bits.put(0b0011, 4)
        bits.put(255, 8)
    for _ in range(3):
        bits.put(0b0001, 4)
    bits.put(0b11, 2)  # The first pixel names the last group, the others the first.
    bits.put(0, 30)
    for _ in range(65_536):
        one_symbol_codes(bits)
    return file(chunk(b"VP8L", bits.finish()))


@specimen("1x16383.webp", "very high", COMPLETED, size=(1, 16_383))
def high():
    return file(lossless(1, 16_383))


@specimen("noise.webp", "two megapixels of noise, lossless", COMPLETED, TOO_LARGE, size=(1400, 1400))
def noisy():
    image = Image.frombytes("RGB", (1400, 1400), noise(1400 * 1400 * 3))
    return encoded(image, "WEBP", lossless=True, method=0, quality=0)


@specimen("noise-40mp.webp", "40 megapixels of noise, lossy", COMPLETED, TOO_LARGE, size=(8000, 5000))
def noisy_and_lossy():
    image = Image.frombytes("L", (2000, 1250), noise(2000 * 1250)).resize((8000, 5000), Image.Resampling.NEAREST)
    return encoded(image.convert("RGB"), "WEBP", method=0, quality=5)
