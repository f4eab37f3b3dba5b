"""Hostile BMPs: a header of signed numbers that nobody checks, and run lengths."""

import struct

from . import COMPLETED, CORRUPT, PLANTED, SIDE, TOO_LARGE, UNSUPPORTED, catalogue, encoded, half, noise, picture

specimen = catalogue("BMP")

PLAIN, RLE8, RLE4, FIELDS, JPEG = 0, 1, 2, 3, 4


def bmp(width, height, bits, data, compression=PLAIN, colors=b"", offset=None, used=0):
    start = 54 + len(colors)
    head = b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start if offset is None else offset)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 0, 0, used, 0)
    return head + info + colors + data


PALETTE = bytes(range(256)) * 4


def small(bits=24, **changes):
    return bmp(changes.pop("width", 64), changes.pop("height", 64), bits, noise(64 * 64 * 4), **changes)


@specimen("cut-short.bmp", "the first half", CORRUPT)
def cut_short():
    return half(encoded(picture(), "BMP"))


@specimen("zero-size.bmp", "zero pixels wide", CORRUPT)
def zero_size():
    return small(width=0)


@specimen("40-bit.bmp", "40 bits a pixel", CORRUPT, UNSUPPORTED)
def forty_bits():
    return small(40)


@specimen("negative-width.bmp", "a width of -64", CORRUPT)
def negative_width():
    return small(width=-64)


@specimen("least-height.bmp", "a height of -2³¹", CORRUPT, TOO_LARGE)
def least_height():
    return small(height=-(1 << 31))


@specimen("tail.bmp", "a program behind the pixels", COMPLETED, size=(64, 64))
def tail():
    return bmp(64, 64, 24, noise(64 * 64 * 3)) + PLANTED


@specimen("upside-down.bmp", "a height of -64: the top row comes first", COMPLETED, size=(64, 64))
def upside_down():
    return small(height=-64)


@specimen("1-bit-100mp.bmp", "100 megapixels of one bit", COMPLETED, TOO_LARGE, size=(SIDE, SIDE))
def shallow_of_full_size():
    return bmp(SIDE, SIDE, 1, bytes((SIDE + 31) // 32 * 4 * SIDE), colors=bytes(8))


@specimen("rle-100mp.bmp", "100 megapixels of one colour, run lengths", COMPLETED, TOO_LARGE, size=(SIDE, SIDE))
def flat_of_full_size():
    row = b"\xff\0" * (SIDE // 255) + bytes([SIDE % 255, 0]) + b"\0\0"
    return bmp(SIDE, SIDE, 8, row * SIDE + b"\0\1", RLE8, PALETTE)


@specimen("rle-bomb.bmp", "100 megapixels in 2 bytes: 'the picture ends here'", COMPLETED, CORRUPT, TOO_LARGE,
          size=(SIDE, SIDE))
def rle_bomb():
    return bmp(SIDE, SIDE, 8, b"\0\1", RLE8, PALETTE)


@specimen("rle-jumps.bmp", "2 MB of jumps to the right", COMPLETED, CORRUPT, TOO_LARGE, size=(64, 64))
def rle_jumps():
    return bmp(64, 64, 8, b"\0\2\xff\0" * 500_000 + b"\0\1", RLE8, PALETTE)


@specimen("rle-overrun.bmp", "runs far beyond the last row", COMPLETED, CORRUPT, size=(64, 64))
def rle_overrun():
    return bmp(64, 64, 4, b"\xff\x11" * 500_000 + b"\0\1", RLE4, bytes(64))


@specimen("hollow-100mp.bmp", "claims 100 megapixels and holds none", CORRUPT, TOO_LARGE)
def hollow():
    return bmp(SIDE, SIDE, 24, bytes(64))


@specimen("pixels-nowhere.bmp", "pixels that lie 4 GB further on", CORRUPT)
def pixels_nowhere():
    return small(offset=0xFFFF_FFFF)


@specimen("vast-palette.bmp", "a palette of 2³² - 1 colours", COMPLETED, CORRUPT, TOO_LARGE, UNSUPPORTED, size=(64, 64))
def vast_palette():
    return small(8, colors=PALETTE, used=0xFFFF_FFFF)


@specimen("no-masks.bmp", "colours in fields of no bits", COMPLETED, CORRUPT, UNSUPPORTED, size=(64, 64))
def no_masks():
    return small(32, compression=FIELDS, colors=bytes(12))


@specimen("overlapping-masks.bmp", "colours in fields that overlap", COMPLETED, CORRUPT, UNSUPPORTED, size=(64, 64))
def overlapping_masks():
    return small(32, compression=FIELDS, colors=b"\xff" * 12)


@specimen("jpeg-inside.bmp", "JPEG in a BMP", CORRUPT, UNSUPPORTED)
def jpeg_inside():
    return bmp(160, 120, 0, encoded(picture(), "JPEG"), JPEG)


@specimen("1x65535.bmp", "very high", COMPLETED, size=(1, 65_535))
def high():
    return bmp(1, 65_535, 24, bytes(4 * 65_535))


@specimen("profile.bmp", "a version-5 header with a colour profile", COMPLETED, size=(64, 64))
def profile():
    data = small()
    at = 124 + len(data) - 54
    v5 = bytes(16) + b"DEBM" + bytes(48) + struct.pack("<IIII", 4, at, len(PLANTED), 0)
    head = b"BM" + struct.pack("<IHHI", at + 14 + len(PLANTED), 0, 0, 138)
    return head + struct.pack("<I", 124) + data[18:54] + v5 + data[54:] + PLANTED


@specimen("noise.bmp", "8 MB of noise", COMPLETED, TOO_LARGE, size=(1600, 1600))
def noisy():
    return bmp(1600, 1600, 24, noise(1600 * 1600 * 3))
