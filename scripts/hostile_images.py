"""Writes files that a stranger might upload to do harm, and a manifest that says what may come of each.

    python scripts/hostile_images.py OUT_DIR

`manifest.json` has an entry for each file: `what` it is; the `derivatives` to ask for, if not the default recipe; the
`allowed` outcomes, which are codes of a failed job and COMPLETED; and if it may complete, the `format` and `size` of the
derivative, which in no case contains `planted`, the text that stands in all metadata, comments and tails. The same files
each time, byte for byte.
"""

import json
import sys
from pathlib import Path

from specimens import CATALOGUE, PLANTED, bmp, gif, jpeg, other, png, tiff, webp

# Whoever imports this wants every format in the catalogue.
__all__ = ["CATALOGUE", "bmp", "gif", "jpeg", "other", "png", "tiff", "webp", "write"]


def write(folder):
    """Writes all files and the manifest, and answers the manifest's entries by file name."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = {}
    for specimen in CATALOGUE:
        (folder / specimen.name).write_bytes(specimen.build())
        entries[specimen.name] = {"what": specimen.what, "allowed": specimen.allowed}
        if specimen.derivatives:
            entries[specimen.name]["derivatives"] = specimen.derivatives
        if specimen.size:
            entries[specimen.name] |= {"format": specimen.format, "size": specimen.size}
    manifest = {"planted": PLANTED.decode(), "files": entries}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False))
    return entries


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    written = write(Path(sys.argv[1]))
    print(f"{len(written)} files in {sys.argv[1]}")
