"""Hostile PNGs: most are a few kilobytes that inflate to gigabytes."""

import io
import struct
import zipfile
import zlib

from PIL import Image, PngImagePlugin

from . import COMPLETED, CORRUPT, MIB, PLANTED, SIDE, TOO_LARGE, Bits, catalogue, deflated, encoded, half, icc
from . import noise, picture
from .tiff import ORIENTATION, tiff

specimen = catalogue("PNG")

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}


def chunk(kind, body=b""):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def header(width, height, depth=8, color=RGB, interlaced=0):
    return SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced))


END = chunk(b"IEND")


def flat(width, height, depth=8, color=RGB, interlaced=0, before=b"", surplus=0):
    """A picture whose every byte is zero, filters included; `surplus` bytes more than it needs."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    size = 0
    for x, y, across, down in passes if interlaced else [(0, 0, 1, 1)]:
        columns, rows = -(-(width - x) // across), -(-(height - y) // down)
        size += rows * (1 + -(-columns * depth * CHANNELS[color] // 8)) if columns > 0 and rows > 0 else 0
    return header(width, height, depth, color, interlaced) + before + chunk(b"IDAT", deflated(size + surplus)) + END


def photo(before=b""):
    """The picture, with chunks put in behind its header."""
    data = encoded(picture(), "PNG")
    return data[:33] + before + data[33:]


@specimen("cut-short.png", "the first half", CORRUPT)
def cut_short():
    return half(encoded(picture(), "PNG"))


@specimen("header-crc.png", "a wrong checksum of the header", CORRUPT)
def header_crc():
    data = bytearray(photo())
    data[32] ^= 1
    return bytes(data)


@specimen("pixels-crc.png", "a wrong checksum of the pixels", CORRUPT)
def pixels_crc():
    data = bytearray(photo())
    data[-13] ^= 1
    return bytes(data)


@specimen("comment-crc.png", "a wrong checksum of a comment", COMPLETED, CORRUPT, size=(160, 120))
def comment_crc():
    return photo(chunk(b"tEXt", b"Comment\0" + PLANTED)[:-1] + b"\0")


@specimen("2^31-wide.png", "2³¹ pixels wide", CORRUPT, TOO_LARGE)
def too_wide():
    return header(1 << 31, 1) + chunk(b"IDAT", deflated(1000)) + END


@specimen("zero-size.png", "zero pixels high", CORRUPT)
def zero_size():
    return header(7, 0) + chunk(b"IDAT", deflated(1)) + END


@specimen("20000-square.png", "20,000² pixels of one bit", TOO_LARGE)
def large_and_shallow():
    return flat(20_000, 20_000, 1, GREY)


@specimen("inflates-to-512-mib.png", "64² pixels whose data inflates to 512 MiB", COMPLETED, CORRUPT, size=(64, 64))
def idat_bomb():
    return flat(64, 64, surplus=512 * MIB)


@specimen("profile-bomb.png", "a colour profile that inflates to 512 MiB", COMPLETED, size=(160, 120))
def profile_bomb():
    return photo(chunk(b"iCCP", PLANTED + b"\0\0" + deflated(512 * MIB)))


@specimen("profile-bomb-that-begins-well.png", "a colour profile of 4 MiB in 5 kB", COMPLETED, size=(160, 120))
def honest_profile_bomb():
    start = icc.tabled(b"RGB ", 3, 2)
    start = struct.pack(">I", icc.LONGEST) + start[4:]
    return photo(chunk(b"iCCP", PLANTED + b"\0\0" + deflated(icc.LONGEST - len(start), start)))


@specimen("ztxt-bomb.png", "a comment that inflates to 512 MiB", COMPLETED, size=(160, 120))
def text_bomb():
    return photo(chunk(b"zTXt", PLANTED + b"\0\0" + deflated(512 * MIB)))


@specimen("itxt-bomb.png", "an international comment that inflates to 512 MiB", COMPLETED, size=(160, 120))
def international_bomb():
    return photo(chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + deflated(512 * MIB, PLANTED)))


@specimen("20000-comments.png", "20,000 comments", COMPLETED, size=(160, 120))
def many_comments():
    return photo(chunk(b"tEXt", b"Comment\0" + PLANTED) * 20_000)


@specimen("animation-4e9.png", "an animation that claims 4 billion frames", COMPLETED, CORRUPT, size=(160, 120))
def countless_frames():
    return photo(chunk(b"acTL", struct.pack(">II", 0xFFFF_FFFF, 0)))


@specimen("animation-overlarge.png", "an animation whose first frame is larger than its canvas", COMPLETED, CORRUPT,
          size=(160, 120))
def overlarge_frame():
    control = struct.pack(">IIIIIHHBB", 0, SIDE, SIDE, 0, 0, 1, 1, 0, 0)
    return photo(chunk(b"acTL", struct.pack(">II", 1, 0)) + chunk(b"fcTL", control))


@specimen("16-bit.png", "16 bits a channel", COMPLETED, size=(160, 120))
def deep():
    return header(160, 120, 16) + chunk(b"IDAT", zlib.compress((b"\0" + noise(960)) * 120)) + END


@specimen("1-bit.png", "one bit a pixel", COMPLETED, size=(160, 120))
def shallow():
    return encoded(picture("1"), "PNG")


@specimen("palette-alpha.png", "a palette with transparent colours", COMPLETED, size=(160, 120))
def palette_alpha():
    return encoded(picture("P"), "PNG", transparency=bytes(range(256)))


@specimen("grey-alpha.png", "grey and transparency", COMPLETED, size=(160, 120))
def grey_alpha():
    return encoded(picture("LA"), "PNG")


@specimen("1x65535.png", "very high", COMPLETED, size=(1, 65_535))
def high():
    return flat(1, 65_535)


@specimen("65535x1.png", "very wide", COMPLETED, size=(65_535, 1))
def wide():
    return flat(65_535, 1)


@specimen("1x100000000.png", "100 megapixels, one pixel wide", COMPLETED, TOO_LARGE, size=(1, SIDE * SIDE))
def very_high():
    return flat(1, SIDE * SIDE)


@specimen("100000000x1.png", "100 megapixels in one row", COMPLETED, TOO_LARGE, size=(SIDE * SIDE, 1))
def very_wide():
    return flat(SIDE * SIDE, 1)


@specimen("metadata.png", "EXIF, XMP, a profile, a comment, the time, and a tail", COMPLETED, size=(160, 120))
def metadata():
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", PLANTED.decode())
    info.add_itxt("XML:com.adobe.xmp", PLANTED.decode(), zip=True)
    exif = tiff({ORIENTATION: (3, [9]), 0x010F: (2, PLANTED)})
    return encoded(picture(), "PNG", pnginfo=info, exif=exif, icc_profile=PLANTED) + PLANTED


@specimen("interlaced-16-100mp.png", "100 megapixels of 16-bit RGBA, interlaced: 800 MB in one piece", COMPLETED,
          TOO_LARGE, size=(SIDE, SIDE))
def interlaced_deep():
    return flat(SIDE, SIDE, 16, RGBA, interlaced=1)


@specimen("rgba-16-100mp.png", "100 megapixels of 16-bit RGBA", COMPLETED, TOO_LARGE, size=(SIDE, SIDE))
def rgba_deep():
    return flat(SIDE, SIDE, 16, RGBA)


@specimen("flat-100mp.png", "100 megapixels of one colour", COMPLETED, TOO_LARGE, size=(SIDE, SIDE))
def flat_of_full_size():
    return flat(SIDE, SIDE)


@specimen("rgba-100mp.png", "100 megapixels, all transparent", COMPLETED, TOO_LARGE, size=(SIDE, SIDE))
def transparent_of_full_size():
    return flat(SIDE, SIDE, color=RGBA)


@specimen("1-bit-100mp.png", "100 megapixels of one bit", COMPLETED, TOO_LARGE, size=(SIDE, SIDE))
def shallow_of_full_size():
    return flat(SIDE, SIDE, 1, GREY)


@specimen("palette-100mp.png", "100 megapixels of a palette with transparency", COMPLETED, TOO_LARGE, size=(SIDE, SIDE))
def palette_of_full_size():
    return flat(SIDE, SIDE, 8, PALETTE, before=chunk(b"PLTE", noise(768)) + chunk(b"tRNS", noise(256)))


@specimen("hollow-100mp.png", "claims 100 megapixels and holds none", CORRUPT, TOO_LARGE)
def hollow():
    return header(SIDE, SIDE) + chunk(b"IDAT", deflated(1000)) + END


@specimen("120000-idats.png", "pixels in 120,000 chunks of one byte", COMPLETED, size=(200, 200))
def many_chunks():
    data = zlib.compress((b"\0" + noise(600)) * 200, 0)
    return header(200, 200) + b"".join(chunk(b"IDAT", data[n : n + 1]) for n in range(len(data))) + END


@specimen("empty-idats.png", "100,000 empty chunks of pixels before the first full one", COMPLETED, CORRUPT,
          size=(160, 120))
def empty_chunks():
    return photo(chunk(b"IDAT") * 100_000)


@specimen("idat-after-end.png", "more pixels behind the end", COMPLETED, size=(160, 120))
def pixels_after_end():
    return photo() + chunk(b"IDAT", deflated(64 * MIB)) + PLANTED


@specimen("suggested-palettes.png", "4 MB of suggested palettes, and a histogram of no palette", COMPLETED, CORRUPT,
          size=(160, 120))
def suggested_palettes():
    palettes = (chunk(b"sPLT", PLANTED + b"%d\0\x08" % n + noise(60_000)) for n in range(64))
    return photo(b"".join(palettes) + chunk(b"hIST", noise(60_000)))


@specimen("bad-zlib.png", "a compression method that there is none", CORRUPT)
def bad_zlib():
    return header(64, 64) + chunk(b"IDAT", b"\x79\x9c" + deflated(64 * 193)[2:]) + END


@specimen("dictionary.png", "pixels compressed with a dictionary that nobody has", CORRUPT)
def dictionary():
    return header(64, 64) + chunk(b"IDAT", b"\x78\xbb\0\0\0\1" + deflated(64 * 193)[2:]) + END


@specimen("wrong-checksum.png", "pixels whose Adler checksum is wrong", COMPLETED, CORRUPT, size=(64, 64))
def wrong_checksum():
    return header(64, 64) + chunk(b"IDAT", deflated(64 * 193)[:-4] + b"\0\0\0\0") + END


@specimen("bad-filter.png", "a row filter that there is none", CORRUPT)
def bad_filter():
    return header(64, 64) + chunk(b"IDAT", zlib.compress((b"\x09" + bytes(192)) * 64)) + END


@specimen("bad-depth.png", "three bits a channel", CORRUPT)
def bad_depth():
    return header(64, 64, 3) + chunk(b"IDAT", deflated(9999)) + END


@specimen("no-palette.png", "palette pixels without a palette", CORRUPT)
def no_palette():
    return flat(64, 64, 8, PALETTE)


@specimen("odd-palette.png", "a palette that ends within a colour", CORRUPT)
def odd_palette():
    return flat(64, 64, color=PALETTE, before=chunk(b"PLTE", bytes(13)))


@specimen("long-palette.png", "a palette of 257 colours", CORRUPT)
def long_palette():
    return flat(64, 64, color=PALETTE, before=chunk(b"PLTE", bytes(257 * 3)))


@specimen("short-palette.png", "pixels beyond the palette's end", COMPLETED, CORRUPT, size=(64, 64))
def short_palette():
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + b"\xff" * 64) * 64))
    return header(64, 64, 8, PALETTE) + chunk(b"PLTE", b"\1\2\3") + pixels + END


@specimen("chunk-overflow.png", "a chunk of 2³² - 1 bytes", CORRUPT)
def chunk_overflow():
    return header(64, 64) + b"\xff\xff\xff\xffIDAT" + deflated(64 * 193)


@specimen("zip.png", "a PNG that is a ZIP archive as well", COMPLETED, size=(160, 120))
def zip_as_well():
    buffer = io.BytesIO(photo())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(zipfile.ZipInfo("evil.sh"), PLANTED)
    return buffer.getvalue()


@specimen("filtered-noise-100mp.png", "2 MB that become 300 MB of noise: each row is the same, and added to the last",
          COMPLETED, TOO_LARGE, size=(SIDE, SIDE))
def filtered_noise():
    row = b"\4" + noise(SIDE * 3)
    stream = zlib.compressobj(9)
    first = stream.compress(row) + stream.flush(zlib.Z_SYNC_FLUSH)
    again = stream.compress(row) + stream.flush(zlib.Z_SYNC_FLUSH)
    checksum = 1
    for _ in range(SIDE):
        checksum = zlib.adler32(row, checksum)
    data = first + again * (SIDE - 1) + b"\3\0" + checksum.to_bytes(4, "big")
    return header(SIDE, SIDE) + chunk(b"IDAT", data) + END


@specimen("tables.png", "8 MB of deflate's tables, and nothing compressed by them", CORRUPT)
def deflate_tables():
    bits = Bits()
    for _ in range(8):  # Eight blocks end where a byte does.
        bits.put(0b100, 3)  # One more will follow; tables of its own.
        bits.put(29, 5)
        bits.put(29, 5)
        bits.put(15, 4)
        # The code for code lengths, in deflate's order: 16 ('repeat'), 8 and 9 of two bits, 4 and 5 of three.
        for symbol in (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15):
            bits.put({16: 2, 8: 2, 9: 2, 4: 3, 5: 3}.get(symbol, 0), 3)
        # 226 letters of eight bits and 60 of nine, 2 distances of four bits and 28 of five.
        for code, width, count in ((0b00, 2, 226), (0b10, 2, 60), (0b011, 3, 2), (0b111, 3, 28)):
            bits.put(code, width)
            count -= 1
            while count >= 3:
                run = min(count, 6) if count not in (7, 8) else 4
                bits.put(0b01, 2)
                bits.put(run - 3, 2)
                count -= run
            for _ in range(count):
                bits.put(code, width)
        # 'End of block' is the 31st letter of nine bits: 226 · 2 + 30, written from its highest bit.
        bits.put(int(f"{226 * 2 + 30:09b}"[::-1], 2), 9)
    blocks = bits.finish()
    return header(64, 64) + chunk(b"IDAT", b"\x78\x9c" + blocks * (8 * MIB // len(blocks))) + END


@specimen("noise.png", "4 MB of noise, stored", COMPLETED, TOO_LARGE, size=(1200, 1200))
def noisy():
    return encoded(Image.frombytes("RGB", (1200, 1200), noise(1200 * 1200 * 3)), "PNG", compress_level=0)
