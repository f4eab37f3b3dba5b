"""Hostile TIFFs: a format in which every number may point anywhere."""

import struct

from PIL import Image

from . import COMPLETED, CORRUPT, MIB, PLANTED, SIDE, TOO_LARGE, UNSUPPORTED, catalogue, deflated, encoded, half, noise
from . import picture

specimen = catalogue("TIFF")

WIDTH, HEIGHT, BITS, COMPRESSION, COLORS, OFFSETS = 256, 257, 258, 259, 262, 273
ORIENTATION, CHANNELS, ROWS, LENGTHS, PLANES, SAMPLE_FORMAT = 274, 277, 278, 279, 284, 339
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_LENGTHS = 322, 323, 324, 325
CODES = {1: "B", 2: "B", 3: "H", 4: "I", 12: "d", 16: "Q"}
PLAIN, GROUP4, LZW, JPEG, DEFLATE, PACK_BITS = 1, 4, 5, 7, 8, 32_773
START = 8  # Where the data of a file made here begins.


def tiff(tags, data=b"", next_directory=0, big=False):
    """A little-endian file: header, data, what tags do not hold themselves, directory.

    A tag is `(type, values)`; with a third element, that many values are claimed and the bytes are taken as they are.
    """
    start, count_code, room = (16, "Q", 8) if big else (START, "I", 4)
    body, entries = bytearray(data), b""
    for tag, (kind, values, *claimed) in sorted(tags.items()):
        raw = values if isinstance(values, bytes) else struct.pack(f"<{len(values)}{CODES[kind]}", *values)
        if len(raw) > room:
            body += bytes(len(body) % 2)
            at = len(body)
            body += raw
            raw = struct.pack("<" + count_code, start + at)
        entries += struct.pack("<HH" + count_code, tag, kind, *claimed or [len(values)]) + raw.ljust(room, b"\0")
    body += bytes(len(body) % 2)
    directory = start + len(body)
    if big:
        head = b"II+\0\x08\0\0\0" + struct.pack("<Q", directory)
        return head + body + struct.pack("<Q", len(tags)) + entries + bytes(8)
    head = b"II*\0" + struct.pack("<I", directory)
    return head + body + struct.pack("<H", len(tags)) + entries + struct.pack("<I", next_directory)


def tags(width, height, bits=8, channels=3, compression=PLAIN, strips=None, rows=None, **more):
    """What a picture has to say of itself; one strip at the start of the data unless told otherwise."""
    offsets, lengths = strips or ([START], [width * height * channels * bits // 8])
    return {
        WIDTH: (4, [width]),
        HEIGHT: (4, [height]),
        BITS: (3, [bits] * channels),
        COMPRESSION: (3, [compression]),
        COLORS: (3, [2 if channels >= 3 else 1]),
        OFFSETS: (4, offsets),
        CHANNELS: (3, [channels]),
        ROWS: (4, [rows or height]),
        LENGTHS: (4, lengths),
        **more.get("also", {}),
    }


def compressed(width, height, data, compression=DEFLATE, **more):
    """A picture of one strip."""
    return tiff(tags(width, height, compression=compression, strips=([START], [len(data)]), **more), data)


def small(**changes):
    """64 × 64 pixels of noise, one strip, and tags changed."""
    return tiff({**tags(64, 64), **{int(tag[1:]): value for tag, value in changes.items()}}, noise(64 * 64 * 3))


@specimen("cut-short.tiff", "the first half", CORRUPT)
def cut_short():
    return half(encoded(picture(), "TIFF"))


@specimen("zero-size.tiff", "zero pixels wide", CORRUPT)
def zero_size():
    return small(t256=(4, [0]))


@specimen("inflates-to-512-mib.tiff", "64² pixels whose strip inflates to 512 MiB", COMPLETED, CORRUPT, size=(64, 64))
def deflate_bomb():
    return compressed(64, 64, deflated(512 * MIB))


@specimen("ifd-cycle.tiff", "a directory that names itself as the next", COMPLETED, CORRUPT, size=(64, 64))
def cycle():
    first = small()
    return first[:-4] + first[4:8]


@specimen("sub-ifd-cycle.tiff", "a directory that names itself as its part", COMPLETED, CORRUPT, UNSUPPORTED,
          size=(64, 64))
def cycle_of_parts():
    at = struct.unpack("<I", small(t330=(4, [0]), t34665=(4, [0]))[4:8])
    return small(t330=(4, at), t34665=(4, at))


@specimen("65535x1.tiff", "very wide", COMPLETED, size=(65_535, 1))
def wide():
    return encoded(Image.new("RGB", (65_535, 1), "#806040"), "TIFF")


@specimen("1x65535.tiff", "very high", COMPLETED, size=(1, 65_535))
def high():
    return encoded(Image.new("RGB", (1, 65_535), "#806040"), "TIFF")


@specimen("orientation-9.tiff", "orientation 9, which there is none", COMPLETED, size=(64, 64))
def orientation():
    return small(t274=(3, [9]), t271=(2, PLANTED))


@specimen("metadata.tiff", "description, XMP, EXIF, GPS and a tail", COMPLETED, size=(64, 64))
def metadata():
    return small(t270=(2, PLANTED), t700=(1, PLANTED), t315=(2, PLANTED), t34675=(7, PLANTED)) + PLANTED


def flat(compression, channels=3, bits=8, **more):
    """100 megapixels of zeros."""
    return compressed(SIDE, SIDE, deflated(SIDE * SIDE * channels * bits // 8), compression, channels=channels,
                      bits=bits, **more)


@specimen("flat-100mp.tiff", "100 megapixels of one colour, deflated", COMPLETED, TOO_LARGE, size=(SIDE, SIDE))
def flat_deflated():
    return flat(DEFLATE)


@specimen("flat-100mp-lzw.tiff", "100 megapixels of one colour, LZW", COMPLETED, TOO_LARGE, size=(SIDE, SIDE))
def flat_lzw():
    return encoded(Image.new("L", (SIDE, SIDE)), "TIFF", compression="tiff_lzw")


@specimen("flat-100mp-packbits.tiff", "100 megapixels of grey, PackBits", COMPLETED, TOO_LARGE, size=(SIDE, SIDE))
def flat_pack_bits():
    return compressed(SIDE, SIDE, b"\x81\0" * (SIDE * SIDE // 128), PACK_BITS, channels=1)


@specimen("rgba-f32-100mp.tiff", "100 megapixels of four 32-bit floats: 1.6 GB", COMPLETED, TOO_LARGE, UNSUPPORTED,
          size=(SIDE, SIDE))
def flat_floats():
    return flat(DEFLATE, 4, 32, also={SAMPLE_FORMAT: (3, [3] * 4), 338: (3, [2])})


@specimen("rgb-16-100mp.tiff", "100 megapixels of 16 bits a channel", COMPLETED, TOO_LARGE, size=(SIDE, SIDE))
def flat_deep():
    return flat(DEFLATE, 3, 16)


@specimen("planes-100mp.tiff", "100 megapixels, all colour planes the same 100 kB", COMPLETED, CORRUPT, TOO_LARGE,
          UNSUPPORTED, size=(SIDE, SIDE))
def flat_planes():
    plane = deflated(SIDE * SIDE)
    layout = {PLANES: (3, [2]), OFFSETS: (4, [START] * 3), LENGTHS: (4, [len(plane)] * 3)}
    return compressed(SIDE, SIDE, plane, also=layout)


@specimen("fax-100mp.tiff", "100 megapixels of white in 1,250 bytes of fax", COMPLETED, TOO_LARGE, CORRUPT, UNSUPPORTED,
          size=(SIDE, SIDE))
def fax():
    return compressed(SIDE, SIDE, b"\xff" * (SIDE // 8) + b"\0\x10\x01", GROUP4, channels=1, bits=1)


@specimen("shared-strip-100mp.tiff", "100 megapixels whose 10,000 strips are all the same 30 kB", COMPLETED, CORRUPT,
          TOO_LARGE, size=(SIDE, SIDE))
def overlapping_strips():
    row = SIDE * 3
    return tiff(tags(SIDE, SIDE, rows=1, strips=([START] * SIDE, [row] * SIDE)), noise(row))


@specimen("hollow-100mp.tiff", "claims 100 megapixels and holds none", CORRUPT, TOO_LARGE)
def hollow():
    return tiff(tags(SIDE, SIDE), bytes(64))


@specimen("2^32-strips.tiff", "claims 4,294,967,295 strips", CORRUPT, TOO_LARGE)
def countless_strips():
    here = struct.pack("<I", START)
    return small(t273=(4, here, 0xFFFF_FFFF), t279=(4, here, 0xFFFF_FFFF), t278=(4, [1]))


@specimen("500000-strips.tiff", "500,000 empty strips for 64 rows", COMPLETED, CORRUPT, size=(64, 64))
def too_many_strips():
    many = 500_000
    return small(t273=(4, [START] * many), t279=(4, [0] * many), t278=(4, [1]))


def tiled(side, tile, offsets, lengths):
    """A square picture in square tiles."""
    plain = {tag: value for tag, value in tags(side, side).items() if tag not in (OFFSETS, LENGTHS, ROWS)}
    grid = {TILE_WIDTH: (4, [tile]), TILE_HEIGHT: (4, [tile]), TILE_OFFSETS: (4, offsets), TILE_LENGTHS: (4, lengths)}
    return tiff({**plain, **grid}, noise(100))


@specimen("tiny-tiles.tiff", "360,000 tiles of one pixel each", COMPLETED, CORRUPT, TOO_LARGE, UNSUPPORTED,
          size=(600, 600))
def tiny_tiles():
    many = 600 * 600
    return tiled(600, 1, [START] * many, [3] * many)


@specimen("vast-tile.tiff", "64² pixels in one tile of 2³¹ by 2³¹", CORRUPT, TOO_LARGE, UNSUPPORTED)
def vast_tile():
    return tiled(64, 0x8000_0000, [START], [100])


@specimen("offset-overflow.tiff", "pixels that lie 4 GB further on", CORRUPT)
def offset_overflow():
    return small(t273=(4, [0xFFFF_FFF0]))


@specimen("directory-nowhere.tiff", "a directory that lies 4 GB further on", CORRUPT)
def directory_nowhere():
    return b"II*\0\xff\xff\xff\xff" + noise(64)


@specimen("65535-tags.tiff", "65,535 tags, all the same", COMPLETED, CORRUPT, size=(64, 64))
def many_tags():
    data = small()
    at = struct.unpack("<I", data[4:8])[0]
    own = struct.unpack("<H", data[at : at + 2])[0]
    extra = struct.pack("<HHI4s", 0xFDE8, 1, 4, PLANTED[:4])
    return data[:at] + struct.pack("<H", 0xFFFF) + data[at + 2 : -4] + extra * (0xFFFF - own) + bytes(4)


@specimen("big.tiff", "BigTIFF", COMPLETED, size=(64, 64))
def big_tiff():
    return tiff(tags(64, 64, strips=([16], [64 * 64 * 3])), noise(64 * 64 * 3), big=True)


@specimen("big-overflow.tiff", "BigTIFF whose strip lies 2⁶⁴ bytes further on", CORRUPT, TOO_LARGE)
def big_overflow():
    far = {**tags(64, 64), OFFSETS: (16, [2**64 - 8]), LENGTHS: (16, [2**64 - 1])}
    return tiff(far, big=True)


@specimen("65535-channels.tiff", "65,535 samples a pixel", CORRUPT, TOO_LARGE, UNSUPPORTED)
def many_channels():
    return small(t277=(3, [0xFFFF]))


@specimen("jpeg-inside.tiff", "JPEG in a TIFF", UNSUPPORTED)
def jpeg_inside():
    return compressed(160, 120, encoded(picture(), "JPEG"), JPEG)


@specimen("unknown-compression.tiff", "a compression that nobody knows", UNSUPPORTED)
def unknown_compression():
    return small(t259=(3, [4711]))


def deep(bits, kind):
    samples = 64 * 64 * 3 * bits // 8
    return tiff(tags(64, 64, bits, also={SAMPLE_FORMAT: (3, [kind] * 3)}), bytes(samples))


for _bits, _kind, _name in ((32, 3, "f32"), (64, 3, "f64"), (64, 1, "u64"), (32, 1, "u32"), (8, 2, "i8")):
    specimen(f"{_name}.tiff", f"samples of type {_name}", COMPLETED, UNSUPPORTED, size=(64, 64))(
        lambda bits=_bits, kind=_kind: deep(bits, kind))


@specimen("not-a-number.tiff", "floats that are no numbers", COMPLETED, UNSUPPORTED, size=(64, 64))
def not_a_number():
    return tiff(tags(64, 64, 32, also={SAMPLE_FORMAT: (3, [3] * 3)}), b"\0\0\xc0\x7f" * (64 * 64 * 3))


@specimen("short-palette.tiff", "a palette of fewer colours than its pixels use", CORRUPT)
def short_palette():
    return tiff({**tags(64, 64, channels=1, also={320: (3, [0] * 48)}), COLORS: (3, [3])}, noise(64 * 64))


@specimen("noise.tiff", "6 MB of noise, which LZW makes larger", COMPLETED, TOO_LARGE, size=(1400, 1400))
def noisy():
    return tiff(tags(1400, 1400), noise(1400 * 1400 * 3))
