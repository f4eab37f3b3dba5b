"""What schemathesis has to know of the API besides its description: how to make values of the formats that are Darkroom's
own, and what no schema can say. It loads this file by SCHEMATHESIS_HOOKS.
"""

import base64
import io
import uuid
from pathlib import Path

import schemathesis
from hypothesis import strategies
from PIL import Image

SAMPLES = Path(__file__).resolve().parents[3] / "assets" / "samples"


def small_photo(format):
    with Image.open(SAMPLES / "cat.jpg") as photo, io.BytesIO() as file:
        photo.resize((24, 16)).save(file, format)
        return base64.b64encode(file.getvalue()).decode()


def cursor(time):
    return f"{time.isoformat(timespec='microseconds')}Z_{uuid.UUID(int=7)}"


photos = [small_photo(format) for format in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")]
schemathesis.openapi.format("base64-photo", strategies.sampled_from([*photos, f"data:image/jpeg;base64,{photos[0]}"]))
letters = strategies.text(strategies.sampled_from("aZ09 ©äёΩ—“!"), min_size=1, max_size=120)
schemathesis.openapi.format("watermark-text", letters.filter(str.strip))
paths = strategies.text(strategies.sampled_from("aZ0/-._~?&=%20"), max_size=60)
schemathesis.openapi.format("callback-url", paths.map(lambda path: f"https://localhost/{path}"))
schemathesis.openapi.format("cursor", strategies.datetimes().map(cursor))


@schemathesis.hook
def filter_case(context, case):
    """No schema says that names have to differ, nor how long metadata may be in all."""
    uploads = case.body.get("files", [case.body]) if isinstance(case.body, dict) else []
    return all(map(is_sayable, uploads if isinstance(uploads, list) else []))


def is_sayable(upload):
    if not isinstance(upload, dict):
        return True
    recipe, metadata = upload.get("derivatives"), upload.get("metadata")
    specs = [spec for spec in recipe if isinstance(spec, dict)] if isinstance(recipe, list) else []
    names = [str(spec.get("name")) for spec in specs]
    texts = [text for entry in metadata.items() for text in entry] if isinstance(metadata, dict) else []
    return len(set(names)) == len(names) and sum(len(str(text).encode(errors="replace")) for text in texts) <= 2048


@schemathesis.hook
def map_case(context, case):
    """A whole number is written without a point, and 2.0 is refused. To a schema they are the same."""
    if isinstance(case.body, dict | list):
        case.body = without_points(case.body)
    return case


def without_points(value):
    if isinstance(value, dict):
        return {name: without_points(each) for name, each in value.items()}
    if isinstance(value, list):
        return [without_points(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@schemathesis.hook
def before_call(context, case, kwargs):
    """A wait is held: nobody has time to wait 20 seconds for each of hundreds of jobs."""
    wait = str((case.query or {}).get("wait"))
    if wait.isdigit() and int(wait) <= 20:
        case.query["wait"] = int(wait) % 2
