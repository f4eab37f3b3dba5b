"""Hostile JPEGs. libjpeg reads them, so most are legal files that cost far more than they weigh."""

import struct
from pathlib import Path

from PIL import Image

from . import COMPLETED, CORRUPT, MIB, PLANTED, SIDE, TOO_LARGE, UNSUPPORTED, catalogue, encoded, half, icc, noise
from . import picture
from .tiff import ORIENTATION, tiff

specimen = catalogue("JPEG")

SAMPLES = Path(__file__).resolve().parents[2] / "assets" / "samples"
SOI, EOI = b"\xff\xd8", b"\xff\xd9"
BASELINE, PROGRESSIVE = 0xC0, 0xC2
FULL = ((1, 1),) * 3
GREY = ((1, 1),)


def segment(marker, body):
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def quantization(value=1):
    return segment(0xDB, bytes([0]) + bytes([value]) * 64)


def huffman(slot, symbol):
    """A table whose single code is one zero bit."""
    return segment(0xC4, bytes([slot, 1] + [0] * 15 + [symbol]))


def frame(width, height, kind=BASELINE, sampling=FULL, precision=8):
    parts = b"".join(bytes([n + 1, h << 4 | v, 0]) for n, (h, v) in enumerate(sampling))
    return segment(kind, struct.pack(">BHHB", precision, height, width, len(sampling)) + parts)


def scan(components, first=0, last=63, approximation=0):
    parts = b"".join(bytes([n, 0]) for n in components)
    return segment(0xDA, bytes([len(components)]) + parts + bytes([first, last, approximation]))


def blocks(width, height, sampling):
    across, down = max(h for h, _ in sampling), max(v for _, v in sampling)
    units = -(-width // (8 * across)) * -(-height // (8 * down))
    return units * sum(h * v for h, v in sampling)


def flat(width, height, sampling=FULL, extra=b""):
    """A baseline picture of one colour: two zero bits a block, 'no change' and 'end of block'."""
    tables = quantization() + huffman(0x00, 0) + huffman(0x10, 0)
    pixels = bytes(blocks(width, height, sampling) // 4 + 1)
    head = SOI + extra + tables + frame(width, height, sampling=sampling)
    return head + scan(range(1, len(sampling) + 1)) + pixels + EOI


def progressive(width, height, scans, sampling=FULL):
    """One pass with data, then passes that cost a byte for each million pixels: 'nothing in 16,384 blocks'."""
    parts = range(1, len(sampling) + 1)
    bits = blocks(width, height, sampling)
    out = SOI + quantization() + huffman(0x00, 0) + huffman(0x10, 0xE0) + frame(width, height, PROGRESSIVE, sampling)
    out += scan(parts, 0, 0) + bytes(bits // 8 + 1)
    for n in range(scans - 1):
        band = 1 + n // len(sampling) % 63
        out += scan([1 + n % len(sampling)], band, band) + bytes(width * height // 64 // 16_384 * 2 + 2)
    return out + EOI


def photo(**options):
    return encoded(picture(), "JPEG", **options)


def after_start(data, extra):
    return data[:2] + extra + data[2:]


def exif(block):
    return segment(0xE1, b"Exif\0\0" + block)


@specimen("cut-short.jpg", "the first half of a photo", CORRUPT)
def cut_short():
    return half((SAMPLES / "coffee.jpg").read_bytes())


# A decoder fills what is missing and says so in a warning, as it does of much that is harmless; no browser refuses it.
@specimen("cut-and-closed.jpg", "the first half of a photo, an end marker appended", CORRUPT, COMPLETED,
          size=(600, 400))
def cut_and_closed():
    return half((SAMPLES / "coffee.jpg").read_bytes()) + EOI


@specimen("cut-header.jpg", "twenty bytes of a photo", CORRUPT)
def cut_header():
    return photo()[:20]


@specimen("zero-size.jpg", "zero pixels wide", CORRUPT)
def zero_size():
    return flat(64, 64).replace(frame(64, 64), frame(0, 64))


@specimen("99-scans.jpg", "8192², 99 passes over the picture", TOO_LARGE)
def many_scans():
    return progressive(8192, 8192, 99)


@specimen("50000-scans.jpg", "64², 50,000 passes", TOO_LARGE)
def very_many_scans():
    return progressive(64, 64, 50_000, GREY)


@specimen("12-scans-100mp.jpg", "100 megapixels, as many passes as an honest encoder makes", COMPLETED, TOO_LARGE,
          size=(SIDE, SIDE))
def honest_scans():
    return progressive(SIDE, SIDE, 12)


@specimen("400-scans-3mp.jpg", "three megapixels, 400 passes", COMPLETED, TOO_LARGE, size=(1728, 1728))
def scans_below_the_limits():
    return progressive(1728, 1728, 400)


@specimen("progressive-100mp.jpg", "100 megapixels, progressive, whose coefficients need 600 MB", COMPLETED, TOO_LARGE,
          size=(SIDE, SIDE))
def progressive_of_full_size():
    return progressive(SIDE, SIDE, 4)


@specimen("flat-100mp.jpg", "100 megapixels of one colour, baseline", COMPLETED, TOO_LARGE, size=(SIDE, SIDE))
def flat_of_full_size():
    return flat(SIDE, SIDE, ((2, 2), (1, 1), (1, 1)))


@specimen("grey-100mp.jpg", "100 megapixels of grey, baseline", COMPLETED, TOO_LARGE, size=(SIDE, SIDE))
def grey_of_full_size():
    return flat(SIDE, SIDE, GREY)


@specimen("65500-square.jpg", "claims 65,500² in a few bytes", TOO_LARGE)
def huge_claim():
    return SOI + quantization() + frame(65_500, 65_500) + scan([1, 2, 3]) + EOI


@specimen("hollow-100mp.jpg", "claims 100 megapixels and holds none", CORRUPT, TOO_LARGE)
def hollow():
    return SOI + quantization() + huffman(0, 0) + huffman(16, 0) + frame(SIDE, SIDE) + scan([1, 2, 3]) + EOI


@specimen("65500x1.jpg", "as wide as JPEG gets", COMPLETED, size=(65_500, 1))
def widest():
    return flat(65_500, 1)


@specimen("65535x1.jpg", "wider than libjpeg takes", TOO_LARGE)
def too_wide():
    return flat(65_535, 1)


@specimen("dnl.jpg", "height zero, to be told after the first scan", CORRUPT, UNSUPPORTED)
def number_of_lines_later():
    data = flat(64, 64).replace(frame(64, 64), frame(64, 0))
    return data[:-2] + segment(0xDC, struct.pack(">H", 64)) + EOI


@specimen("fill-bytes.jpg", "5 MB of fill bytes after the start marker", CORRUPT)
def fill_bytes():
    return SOI + b"\xff" * (5 * MIB)


@specimen("php-tail.jpg", "a PHP program behind the end marker", COMPLETED, size=(160, 120))
def php_tail():
    return photo() + b"<?php system($_GET[0]); /* " + PLANTED + b" */ ?>"


@specimen("gps.jpg", "the place where it was taken, in EXIF", COMPLETED, size=(160, 120))
def place():
    block = Image.Exif()
    block[0x010F] = PLANTED.decode()
    block.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.0), 3: "E", 4: (2.0, 17.0, 40.0)})
    return photo(exif=block)


def oriented(value):
    return after_start(photo(), exif(tiff({ORIENTATION: (3, [value]), 0x010F: (2, PLANTED)})))


for _value in (0, 9, 65_535):
    specimen(f"orientation-{_value}.jpg", f"EXIF orientation {_value}, which there is none", COMPLETED,
             size=(160, 120))(lambda value=_value: oriented(value))


@specimen("rotated-100mp.jpg", "100 megapixels to be turned by EXIF", COMPLETED, TOO_LARGE, size=(SIDE, SIDE))
def rotated_of_full_size():
    return flat(SIDE, SIDE, ((2, 2), (1, 1), (1, 1)), exif(tiff({ORIENTATION: (3, [6])})))


@specimen("cmyk.jpg", "four inks", COMPLETED, size=(160, 120))
def cmyk():
    return encoded(picture("CMYK"), "JPEG")


@specimen("ycck.jpg", "four inks, three of them as luminance and colour", COMPLETED, size=(160, 120))
def ycck():
    adobe = segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, 2))
    return flat(160, 120, ((1, 1),) * 4, adobe)


@specimen("cmyk-100mp.jpg", "100 megapixels of four inks", COMPLETED, TOO_LARGE, size=(SIDE, SIDE))
def cmyk_of_full_size():
    return flat(SIDE, SIDE, ((1, 1),) * 4)


def profile(name):
    """An ICC profile with nothing but a header and a description."""
    text = b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name + b"\0"
    tags = struct.pack(">I4sII", 1, b"desc", 144, len(text))
    head = struct.pack(">I4sI4s4s4s12x4s84x", 144 + len(text), b"test", 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    return head + tags + text


@specimen("wide-gamut.jpg", "an Adobe RGB profile", COMPLETED, size=(160, 120))
def wide_gamut():
    return photo(icc_profile=profile(b"Adobe RGB (1998) " + PLANTED))


@specimen("repeated-table.jpg", "a profile with 50,000 tables, all of them the same 3.5 MB", COMPLETED, size=(160, 120))
def repeated_table():
    return encoded(picture("CMYK"), "JPEG", icc_profile=icc.repeated(b"CMYK", 4, 33))


@specimen("wordy-profile.jpg", "a profile described 260,000 times, by the same megabyte", COMPLETED, size=(160, 120))
def wordy_profile():
    return photo(icc_profile=icc.wordy(b"RGB "))


@specimen("profile-cut-short.jpg", "a profile whose second segment is missing", COMPLETED, size=(160, 120))
def profile_cut_short():
    data = photo(icc_profile=icc.tabled(b"RGB ", 3, 33))
    at = data.index(b"ICC_PROFILE\0\2")
    return data[:at] + b"Z" + data[at + 1 :]


@specimen("profile-of-inks.jpg", "a profile of four inks for colours that are light", COMPLETED, size=(160, 120))
def profile_of_inks():
    return photo(icc_profile=icc.tabled(b"CMYK", 4, 9))


@specimen("cmyk-100mp-profile.jpg", "100 megapixels of four inks, and a profile for them", COMPLETED, TOO_LARGE,
          size=(SIDE, SIDE))
def cmyk_of_full_size_with_profile():
    table = icc.tabled(b"CMYK", 4, 9)
    return flat(SIDE, SIDE, ((1, 1),) * 4, segment(0xE2, b"ICC_PROFILE\0\1\1" + table))


@specimen("rgb.jpg", "Adobe's marker says that the colours are plain RGB", COMPLETED, size=(160, 120))
def plain_rgb():
    return flat(160, 120, extra=segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, 0)))


@specimen("photo.png.exe", "a JPEG with a wrong extension", COMPLETED, size=(160, 120))
def wrong_extension():
    return photo()


@specimen("many-tables.jpg", "2 MB of quantization and Huffman tables before the picture", COMPLETED, CORRUPT,
          size=(160, 120))
def many_tables():
    return after_start(photo(), (quantization() + huffman(0, 0) + huffman(0x10, 0)) * 20_000)


@specimen("60000-restarts.jpg", "a restart marker after each of 62,500 blocks", COMPLETED, size=(2000, 2000))
def many_restarts():
    head, _, _ = flat(2000, 2000, GREY, segment(0xDD, b"\0\1")).partition(scan([1]))
    return head + scan([1]) + b"".join(bytes([0x3F, 0xFF, 0xD0 + n % 8]) for n in range(62_499)) + b"\x3f" + EOI


@specimen("restarts-100mp.jpg", "100 megapixels, a restart marker after each of 1,562,500 blocks", COMPLETED, TOO_LARGE,
          size=(SIDE, SIDE))
def restarts_of_full_size():
    head, _, _ = flat(SIDE, SIDE, GREY, segment(0xDD, b"\0\1")).partition(scan([1]))
    eight = b"".join(bytes([0x3F, 0xFF, 0xD0 + n]) for n in range(8))
    return head + scan([1]) + (eight * (1250 * 1250 // 8 + 1))[: 3 * (1250 * 1250 - 1)] + b"\x3f" + EOI


@specimen("arithmetic.jpg", "arithmetic coding", UNSUPPORTED)
def arithmetic():
    return SOI + quantization() + frame(64, 64, 0xC9) + scan([1, 2, 3]) + noise(99) + EOI


@specimen("12-bit.jpg", "12 bits a channel", UNSUPPORTED)
def twelve_bits():
    return SOI + quantization() + frame(64, 64, 0xC1, precision=12) + scan([1, 2, 3]) + bytes(99) + EOI


@specimen("lossless.jpg", "lossless JPEG", UNSUPPORTED)
def lossless():
    return SOI + huffman(0, 0) + frame(64, 64, 0xC3) + scan([1, 2, 3], 1, 0) + bytes(999) + EOI


@specimen("hierarchical.jpg", "a differential frame", UNSUPPORTED)
def hierarchical():
    return SOI + quantization() + frame(64, 64, 0xC5) + scan([1, 2, 3]) + bytes(99) + EOI


@specimen("two-frames.jpg", "a second, larger frame header", CORRUPT)
def two_frames():
    return after_start(photo(), frame(16, 16))


@specimen("255-components.jpg", "255 colour channels", CORRUPT, UNSUPPORTED)
def many_components():
    return SOI + quantization() + frame(64, 64, sampling=((1, 1),) * 255) + scan([1]) + bytes(99) + EOI


@specimen("two-components.jpg", "two colour channels, which mean nothing", CORRUPT, UNSUPPORTED)
def two_components():
    return flat(64, 64, ((1, 1),) * 2)


@specimen("odd-sampling.jpg", "sampling factors that do not divide one another", COMPLETED, CORRUPT, UNSUPPORTED,
          size=(160, 120))
def odd_sampling():
    return flat(160, 120, ((3, 1), (2, 1), (1, 1)))


@specimen("16-blocks.jpg", "more blocks in a unit than the format allows", CORRUPT, UNSUPPORTED)
def oversampled():
    return flat(160, 120, ((4, 4), (4, 4), (1, 1)))


@specimen("no-tables.jpg", "a scan without the tables that it names", CORRUPT, COMPLETED, size=(64, 64))
def no_tables():
    return SOI + frame(64, 64) + scan([1, 2, 3]) + bytes(999) + EOI


@specimen("10000-segments.jpg", "10,000 application segments and comments", COMPLETED, size=(160, 120))
def many_segments():
    return after_start(photo(), b"".join(segment(0xE1 + n % 15, PLANTED) for n in range(10_000)))


@specimen("full-segments.jpg", "4 MB of application segments", COMPLETED, size=(160, 120))
def full_segments():
    return after_start(photo(), segment(0xE2, PLANTED * 3100) * 64)


@specimen("exif-cycle.jpg", "an EXIF directory that names itself as the next and as its own part", COMPLETED,
          size=(160, 120))
def exif_cycle():
    return after_start(photo(), exif(tiff({0x010F: (2, PLANTED), 0x8769: (4, [8])}, next_directory=8)))


@specimen("exif-overflow.jpg", "EXIF values that lie 4 GB further on", COMPLETED, size=(160, 120))
def exif_overflow():
    lies = {0x010F: (2, b"\xff\xff\xff\xf0", 0xFFFF_FFFF), ORIENTATION: (3, b"\xff\xff\xff\xff", 0xFFFF_FFFF)}
    return after_start(photo(), exif(tiff(lies)))


@specimen("exif-nowhere.jpg", "an EXIF header that points behind its end", COMPLETED, size=(160, 120))
def exif_nowhere():
    return after_start(photo(), exif(b"II*\0\xff\xff\xff\xff" + PLANTED))


@specimen("thumbnail.jpg", "EXIF with a thumbnail, a JPEG in the JPEG", COMPLETED, size=(160, 120))
def thumbnail():
    small = encoded(picture(size=(16, 12)), "JPEG", comment=PLANTED)
    return after_start(photo(), exif(tiff({0x0103: (3, [6]), 0x0201: (4, [8]), 0x0202: (4, [len(small)])}, small)))


@specimen("mpo.jpg", "two pictures in one file, as stereo cameras write them", COMPLETED, size=(160, 120))
def mpo():
    second = picture("L").convert("RGB")
    return encoded(picture(), "MPO", save_all=True, append_images=[second], comment=PLANTED)


@specimen("noise.jpg", "noise at the highest quality: the most bits a pixel", COMPLETED, TOO_LARGE, size=(1200, 1200))
def noisy():
    return encoded(Image.frombytes("RGB", (1200, 1200), noise(1200 * 1200 * 3)), "JPEG", quality=100, subsampling=0)


@specimen("noise-100mp.jpg", "100 megapixels of noise, each strip of 16 rows the same", COMPLETED, TOO_LARGE,
          size=(SIDE, SIDE))
def noisy_of_full_size():
    image = Image.frombytes("RGB", (SIDE, 16), noise(SIDE * 16 * 3))
    strip = encoded(image, "JPEG", quality=10)
    start = strip.index(b"\xff\xda")
    pixels = start + 2 + int.from_bytes(strip[start + 2 : start + 4], "big")
    # As many units to an interval as stand side by side; the markers in between count from 0 to 7.
    rows = (strip[pixels:-2] + bytes([0xFF, 0xD0 + n % 8]) for n in range(SIDE // 16))
    head = strip[:start].replace(struct.pack(">HH", 16, SIDE), struct.pack(">HH", SIDE, SIDE))
    return head + segment(0xDD, struct.pack(">H", SIDE // 16)) + strip[start:pixels] + b"".join(rows)[:-2] + EOI


@specimen("noise-progressive.jpg", "noise, progressive", COMPLETED, TOO_LARGE, size=(1600, 1600))
def noisy_progressive():
    image = Image.frombytes("RGB", (1600, 1600), noise(1600 * 1600 * 3))
    return encoded(image, "JPEG", quality=85, progressive=True)
