"""Colour profiles, honest and not, for pictures of every format."""

import struct

from . import MIB, PLANTED

# The longest that is read.
LONGEST = 4 * MIB


def profile(space, tags, table=b"", connection=b"Lab "):
    """A profile of version 2.4: its tags by name, place and length, and the bytes that follow them."""
    listed = b"".join(struct.pack(">4sII", *tag) for tag in tags)
    head = struct.pack(">4s4s4s4s4s6H4s28x3I48x", b"test", b"\x02\x40\0\0", b"prtr", space, connection, 2000, 1, 1, 0, 0, 0,
                       b"acsp", 0xF6D6, 0x10000, 0xD32D)
    body = head + struct.pack(">I", len(tags)) + listed + table
    return struct.pack(">I", 4 + len(body)) + body


def grid(channels, steps):
    """A table of the older kind, 8 bits: any colours, and curves that change nothing."""
    straight = bytes(range(256))
    head = struct.pack(">4s4x4B9I", b"mft1", channels, 3, steps, 0, *(0x10000 * (n % 4 == 0) for n in range(9)))
    colors = bytes(n * 7 % 251 for n in range(251)) * (steps**channels * 3 // 251 + 1)
    return head + straight * channels + colors[: steps**channels * 3] + straight * 3


def tabled(space, channels, steps):
    table = grid(channels, steps)
    return profile(space, [(b"A2B0", 144, len(table))], table)


def repeated(space, channels, steps):
    """As many tags as there is room for, each of which is the same long table."""
    table = grid(channels, steps)
    count = (LONGEST - len(table) - 200) // 12
    return profile(space, [(b"A2B0", 132 + count * 12, len(table))] * count, table)


def wordy(space):
    """A description in as many languages as there is room for, each of which is the same megabyte."""
    count = 3 * MIB // 12
    text = struct.pack(">4s4xII", b"mluc", count, 12) + struct.pack(">4sII", b"enUS", MIB, 16 + count * 12) * count
    text += PLANTED * (MIB // len(PLANTED) + 1)
    table = grid(3, 2)
    tags = [(b"desc", 156 + len(table), len(text)), (b"A2B0", 156, len(table))]
    return profile(space, tags, table + text)
