"""Hostile GIFs. Of an animation, the first frame is the photo, unless every frame is asked for."""

import struct

from PIL import Image

from . import COMPLETED, CORRUPT, MIB, PLANTED, SIDE, TOO_LARGE, Bits, catalogue, encoded, half, noise, picture

specimen = catalogue("GIF")

END = b";"

# The derivative has every frame.
MOVING = [{"name": "moving", "resize": {"width": 48}, "watermark": False}]
UNCHANGED = [{"name": "moving", "watermark": False}]


def screen(width, height):
    """The header, with four colours for all frames."""
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x81, 0, 0) + bytes(range(12))


def blocks(data):
    parts = (data[at : at + 255] for at in range(0, len(data), 255))
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def frame(width, height, data, flags=0, at=(0, 0)):
    return b"," + struct.pack("<HHHHB", *at, width, height, flags) + b"\2" + blocks(data)


def control(disposal, delay=4):
    """Stands before a frame: 2 clears it away afterwards, 3 takes it back."""
    return b"!\xf9\4" + struct.pack("<BHB", disposal << 2, delay, 0) + b"\0"


def zeros(count):
    """LZW of `count` zeros: each code stands for one more of them than the code before, until the table is full."""
    bits = Bits()
    while count > 0:
        bits.put(4, 12 if bits.bytes else 3)
        bits.put(0, 3)
        count -= 1
        for code in range(6, 4096):
            run = code - 4
            if count < run:
                break
            bits.put(code, code.bit_length())
            count -= run
        else:
            continue
        if count == 1:
            bits.put(0, code.bit_length())
        elif count:
            bits.put(4 + count, code.bit_length())
        count = 0
        # The decoder has put one more code into its table by now.
        bits.put(5, (code + 1).bit_length())
    return bits.finish()


def comment(text):
    return b"!\xfe" + blocks(text)


def photo():
    return encoded(picture("P"), "GIF")


@specimen("cut-short.gif", "the first half", CORRUPT)
def cut_short():
    return half(photo())


@specimen("zero-size.gif", "a screen of zero pixels", CORRUPT)
def zero_size():
    return screen(0, 0) + frame(0, 0, zeros(1)) + END


@specimen("flat-screen.gif", "a frame on a screen without height", CORRUPT)
def flat_screen():
    return screen(304, 0) + frame(64, 64, zeros(4096)) + END


@specimen("65535-square.gif", "a screen of 65,535²", TOO_LARGE)
def huge_screen():
    return screen(65_535, 65_535) + frame(1, 1, zeros(1)) + END


@specimen("65535-square-frame.gif", "a frame of 65,535² on a small screen", TOO_LARGE)
def huge_frame():
    return screen(64, 64) + frame(65_535, 65_535, zeros(1)) + END


@specimen("jar.gif", "a Java archive behind the end", COMPLETED, size=(160, 120))
def jar():
    return photo() + b"PK\3\4META-INF/MANIFEST.MF" + PLANTED


@specimen("comments.gif", "2 MB of comments, and GPS in XMP", COMPLETED, size=(160, 120))
def comments():
    xmp = b"!\xff\x0bXMP DataXMP" + blocks(PLANTED)
    data = photo()
    start = 13 + 3 * (2 << (data[10] & 7))
    return data[:start] + xmp + comment(PLANTED * 10_000) * 10 + data[start:]


@specimen("65535x1.gif", "very wide", COMPLETED, size=(65_535, 1))
def wide():
    return encoded(Image.new("P", (65_535, 1)), "GIF")


@specimen("1x65535.gif", "very high", COMPLETED, size=(1, 65_535))
def high():
    return encoded(Image.new("P", (1, 65_535)), "GIF")


@specimen("flat-100mp.gif", "100 megapixels of one colour", COMPLETED, TOO_LARGE, size=(SIDE, SIDE))
def flat():
    return screen(SIDE, SIDE) + frame(SIDE, SIDE, zeros(SIDE * SIDE)) + END


@specimen("hollow-100mp.gif", "claims 100 megapixels and holds none", CORRUPT, TOO_LARGE)
def hollow():
    return screen(SIDE, SIDE) + frame(SIDE, SIDE, zeros(64)) + END


@specimen("tiny-frame-100mp.gif", "one pixel on a screen of 100 megapixels", COMPLETED, CORRUPT, TOO_LARGE,
          size=(SIDE, SIDE))
def tiny_frame():
    return screen(SIDE, SIDE) + frame(1, 1, zeros(1)) + END


@specimen("zero-frame.gif", "a frame of zero pixels", COMPLETED, CORRUPT, size=(64, 64))
def zero_frame():
    return screen(64, 64) + frame(0, 0, zeros(1)) + END


@specimen("no-frame.gif", "a screen and no frame", CORRUPT)
def no_frame():
    return screen(64, 64) + END


@specimen("frame-outside.gif", "a frame that lies outside of its screen", COMPLETED, CORRUPT, size=(64, 64))
def frame_outside():
    return screen(64, 64) + frame(8, 8, zeros(64), at=(60_000, 60_000)) + END


@specimen("50000-frames.gif", "50,000 frames", COMPLETED, size=(64, 64))
def many_frames():
    return screen(64, 64) + frame(64, 64, zeros(4096)) * 50_000 + END


@specimen("endless-comment.gif", "a comment of 2 MB that never ends", CORRUPT)
def endless_comment():
    return screen(64, 64) + b"!\xfe" + (b"\xff" + PLANTED.ljust(255)) * 8_000


@specimen("endless-extensions.gif", "1,000,000 empty extensions and no frame", CORRUPT)
def endless_extensions():
    return screen(64, 64) + b"!\xfe\0" * 1_000_000


@specimen("lzw-bomb.gif", "64² pixels whose codes stand for 500 million", COMPLETED, CORRUPT, size=(64, 64))
def lzw_bomb():
    return screen(64, 64) + frame(64, 64, zeros(500_000_000)) + END


@specimen("lzw-clears.gif", "3 MB of nothing but 'clear the table'", CORRUPT)
def lzw_clears():
    clears = Bits()
    for _ in range(8):
        clears.put(4, 3)
    return screen(64, 64) + frame(64, 64, clears.finish() * MIB) + END


@specimen("lzw-nonsense.gif", "codes that no table holds", CORRUPT)
def lzw_nonsense():
    return screen(64, 64) + frame(64, 64, b"\xff" * 4096) + END


@specimen("bad-code-size.gif", "codes of 255 bits", CORRUPT)
def bad_code_size():
    return screen(64, 64) + b"," + struct.pack("<HHHHB", 0, 0, 64, 64, 0) + b"\xff" + blocks(noise(999)) + END


@specimen("no-colors.gif", "no colour table at all", COMPLETED, CORRUPT, size=(64, 64))
def no_colors():
    return b"GIF89a" + struct.pack("<HHBBB", 64, 64, 0, 0, 0) + frame(64, 64, zeros(4096)) + END


@specimen("interlaced.gif", "interlaced rows", COMPLETED, size=(64, 64))
def interlaced():
    return screen(64, 64) + frame(64, 64, zeros(4096), flags=0x40) + END


@specimen("noise.gif", "three megapixels of noise", COMPLETED, TOO_LARGE, size=(1800, 1800))
def noisy():
    image = Image.frombytes("P", (1800, 1800), noise(1800 * 1800))
    image.putpalette(noise(768, seed=2))
    return encoded(image, "GIF")


@specimen("moving-50000.gif", "50,000 frames of one pixel, all asked for", TOO_LARGE, derivatives=MOVING)
def moving_many():
    return screen(64, 64) + frame(64, 64, zeros(4096)) + frame(1, 1, zeros(1)) * 49_999 + END


@specimen("moving-2000.gif", "2,000 frames of one pixel", COMPLETED, size=(48, 48), derivatives=MOVING)
def moving_most():
    return screen(64, 64) + frame(64, 64, zeros(4096)) + frame(1, 1, zeros(1)) * 1_999 + END


@specimen("moving-large-screen.gif", "500 frames of one pixel on a screen of 1,000²", TOO_LARGE, derivatives=MOVING)
def moving_large():
    return screen(1000, 1000) + frame(1, 1, zeros(1)) * 500 + END


@specimen("moving-100mp.gif", "two frames of one pixel on a screen of 100 megapixels", TOO_LARGE, derivatives=MOVING)
def moving_largest():
    return screen(SIDE, SIDE) + frame(1, 1, zeros(1)) * 2 + END


@specimen("moving-65535-square-frame.gif", "a second frame of 65,535²", TOO_LARGE, derivatives=MOVING)
def moving_huge_frame():
    return screen(64, 64) + frame(64, 64, zeros(4096)) + frame(65_535, 65_535, zeros(1)) + END


@specimen("moving-outside.gif", "frames that lie outside of their screen", COMPLETED, size=(48, 48), derivatives=MOVING)
def moving_outside():
    beside = [frame(8, 8, zeros(64), at=at) for at in ((60_000, 60_000), (60, 60), (64, 0), (0, 65_535))]
    return screen(64, 64) + frame(64, 64, zeros(4096)) + b"".join(control(2) + each for each in beside) + END


@specimen("moving-nothing.gif", "frames of zero pixels", COMPLETED, CORRUPT, size=(48, 48), derivatives=MOVING)
def moving_nothing():
    empty = frame(0, 0, zeros(1)) + frame(0, 9, zeros(1)) + frame(9, 0, zeros(1))
    return screen(64, 64) + frame(64, 64, zeros(4096)) + empty + END


@specimen("moving-back.gif", "400 frames of 500², each of them taken back", COMPLETED, TOO_LARGE, size=(48, 48),
          derivatives=MOVING)
def moving_back():
    return screen(500, 500) + (control(3) + frame(500, 500, zeros(250_000))) * 400 + END


@specimen("moving-noise.gif", "15 frames of a megapixel of noise, each in colours of its own", COMPLETED, TOO_LARGE,
          size=(1000, 1000), derivatives=UNCHANGED)
def moving_noise():
    images = []
    for number in range(15):
        images.append(Image.frombytes("P", (1000, 1000), noise(1_000_000, seed=number)))
        images[-1].putpalette(noise(768, seed=100 + number))
    return encoded(images[0], "GIF", save_all=True, append_images=images[1:])


@specimen("moving-damaged.gif", "a third frame with codes that no table holds", CORRUPT, derivatives=MOVING)
def moving_damaged():
    sound = frame(64, 64, zeros(4096))
    return screen(64, 64) + sound * 2 + frame(64, 64, b"\xff" * 4096) + sound + END


@specimen("moving-cut-short.gif", "the first half of ten frames", CORRUPT, derivatives=MOVING)
def moving_cut_short():
    return half(screen(64, 64) + frame(64, 64, zeros(4096)) * 10 + END)


@specimen("moving-lzw-bomb.gif", "a second frame whose codes stand for 500 million pixels", COMPLETED, CORRUPT,
          size=(48, 48), derivatives=MOVING)
def moving_bomb():
    return screen(64, 64) + frame(64, 64, zeros(4096)) + frame(64, 64, zeros(500_000_000)) + END


@specimen("moving-secrets.gif", "comments and XMP between the frames", COMPLETED, size=(48, 48), derivatives=MOVING)
def moving_secrets():
    between = comment(PLANTED) + b"!\xff\x0bXMP DataXMP" + blocks(PLANTED)
    return screen(64, 64) + (between + frame(64, 64, zeros(4096))) * 3 + between + END + PLANTED
