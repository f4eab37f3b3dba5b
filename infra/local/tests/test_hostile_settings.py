"""Settings that cannot be used: each is named at start, all of them together, and nothing starts.

The font of the watermark is part of the binary, so there is none that could be unreadable.
"""

import json
import os
import re
import shutil
import subprocess

import pytest
from conftest import BINARY, ROOT, encoded
from PIL import Image

MODEL = ROOT / "models" / "efficientnet-lite0"
GOOD = {
    "UPLOAD_BUCKET": "uploads", "PROCESSED_BUCKET": "processed", "DYNAMODB_TABLE": "jobs",
    "SQS_QUEUE_URL": "http://127.0.0.1:9/1/q", "MODEL_DIR": str(MODEL),
    "DEFAULT_RECIPE": str(ROOT / "assets" / "recipes" / "default.json"),
}  # fmt: skip
NEEDS = {
    "request-upload": {"UPLOAD_BUCKET", "DYNAMODB_TABLE"},
    "dispatcher": {"UPLOAD_BUCKET", "PROCESSED_BUCKET", "DYNAMODB_TABLE", "SQS_QUEUE_URL"},
    "worker": {"UPLOAD_BUCKET", "PROCESSED_BUCKET", "DYNAMODB_TABLE", "SQS_QUEUE_URL"},
    "job-status": {"PROCESSED_BUCKET", "DYNAMODB_TABLE"},
}
# Values that are refused, and who reads the setting.
WORKER, UPLOAD, STATUS, DISPATCHER = "worker", "request-upload", "job-status", "dispatcher"
BAD_VALUES = [
    ("MAX_UPLOAD_BYTES", ["0", "-1", "ten", "1.5", "134217729", "99999999999999999999"], [WORKER, UPLOAD]),
    ("MAX_PIXELS", ["0", "-1", "many", "1000000001"], [WORKER]),
    ("UPLOAD_URL_TTL_SECONDS", ["0", "604801", "1h"], [UPLOAD]),
    ("DOWNLOAD_URL_TTL_SECONDS", ["0", "604801", " 60"], [STATUS]),
    ("JOB_TTL_DAYS", ["0", "3651", "-1", "30d"], [WORKER, UPLOAD, STATUS, DISPATCHER]),
    ("WATERMARK_TEXT", ["   ", "x" * 121, "写真", "two\nlines"], [WORKER]),
    ("DEFAULT_RECIPE", ["no/such.json", str(ROOT / "README.md"), str(MODEL)], [WORKER]),
    ("MODEL_DIR", ["no/such/folder", str(ROOT / "assets")], [WORKER]),
    ("API_KEY_SHA256", ["secret", "0" * 63, "0" * 65, "0" * 64 + ",", "0" * 63 + "g"], [WORKER, UPLOAD, STATUS]),
    ("JWT_SCOPE", ["photos/use photos/all", "a\tb", "ä"], [WORKER, UPLOAD, STATUS]),
    # Without JWT_SCOPE every value is one too many.
    ("JWT_OPERATOR_SCOPE", ["a b", "photos/all"], [WORKER, UPLOAD, STATUS]),
]  # fmt: skip


def start(binary, environment, *arguments):
    """Starts a binary that ought not to; answers what it said. The surroundings' own settings are left out."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [BINARY.with_name(binary), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**kept, **environment})
    assert done.returncode == 1, (done.returncode, done.stderr)
    return done.stdout + done.stderr


def darkroom(tmp_path, environment):
    addresses = ("--api-addr", "127.0.0.1:0", "--aws-addr", "127.0.0.1:0")
    said = start("darkroom", environment, "--data-dir", tmp_path / "data", *addresses)
    assert "ready in" not in said and "panicked" not in said
    return said


def named(said):
    """The settings that are complained of."""
    known = set(GOOD) | {name for name, *_ in BAD_VALUES}
    # A line each, or what Rust makes of a list.
    return {name for name in known if re.search(rf'(^  |\["|, "){name} ', said, re.M)}


@pytest.mark.parametrize("function", NEEDS)
def test_a_function_without_settings_names_all_that_it_needs(function):
    files = {name: GOOD[name] for name in ("MODEL_DIR", "DEFAULT_RECIPE")}
    assert named(start(function, files)) == NEEDS[function]
    # An empty one counts as unset: that is how a template's parameter without a value arrives.
    assert named(start(function, {**files, **dict.fromkeys(NEEDS[function], "")})) == NEEDS[function]


@pytest.mark.parametrize("function", ["dispatcher", "worker"])
def test_the_same_bucket_twice_is_refused(function):
    said = start(function, {**GOOD, "PROCESSED_BUCKET": GOOD["UPLOAD_BUCKET"]})
    assert named(said) == {"PROCESSED_BUCKET"} and "same bucket" in said


@pytest.mark.parametrize("name, values, functions", BAD_VALUES, ids=[name for name, *_ in BAD_VALUES])
def test_a_bad_value_is_named_by_each_function_that_reads_it_and_by_the_laptop(tmp_path, name, values, functions):
    for value in values:
        for function in functions:
            assert named(start(function, {**GOOD, name: value})) == {name}, (function, value)
    assert named(darkroom(tmp_path, {name: values[0]})) == {name}


def test_all_problems_are_told_at_once_and_each_once(tmp_path):
    bad = {name: values[0] for name, values, _ in BAD_VALUES}
    for function in NEEDS:
        reads = {name for name, _, functions in BAD_VALUES if function in functions}
        assert named(start(function, bad)) == reads | NEEDS[function]
    said = darkroom(tmp_path, bad)
    assert {name: len(re.findall(rf"^  {name} ", said, re.M)) for name in bad} == dict.fromkeys(bad, 1), said


def model(folder, **changes):
    """A copy of the model with some of its files replaced, or their bytes changed."""
    shutil.copytree(MODEL, folder)
    for file, content in changes.items():
        path = folder / file.replace("_", ".")
        path.write_bytes(content(path.read_bytes()))
    return folder


def describe(**changes):
    return lambda text: json.dumps({**json.loads(text), **changes}).encode()


MODELS = {
    "a model cut short": (dict(model_onnx=lambda onnx: onnx[:100_000]), "model.onnx"),
    "a model with one bit changed": (dict(model_onnx=lambda onnx: onnx[:-9] + bytes([onnx[-9] ^ 1]) + onnx[-8:]), "SHA-256"),
    "no model at all": (dict(model_onnx=lambda _: b"", model_json=describe(sha256=None)), "model.onnx"),
    "a label too few": (dict(labels_txt=lambda text: text.split(b"\n", 1)[1]), "999 labels, but the model has 1000"),
    "a label too many": (dict(labels_txt=lambda text: b"more\n" + text), "1001 labels, but the model has 1000"),
    "labels that are no text": (dict(labels_txt=lambda text: b"\xff" + text), "labels.txt is not UTF-8"),
    "a description of something else": (dict(model_json=lambda _: b"{}"), "model.json does not describe a model"),
    "a description with a typo": (dict(model_json=describe(resise=256)), "resise"),
    "a file outside the folder": (dict(model_json=describe(file="../model.onnx")), "outside its own folder"),
}


@pytest.mark.parametrize("title", MODELS)
def test_a_model_that_cannot_be_used_is_named_by_its_file(tmp_path, title):
    changes, part = MODELS[title]
    folder = model(tmp_path / "model", **changes)
    said = start("worker", {**GOOD, "MODEL_DIR": str(folder)})
    assert named(said) == {"MODEL_DIR"} and str(folder) in said and part in said, said


@pytest.mark.parametrize("content, part", [("[]", "at least one"), ('[["full"]]', "expected an object"), ("[{", "EOF")])
def test_a_recipe_file_that_cannot_be_used_is_named(tmp_path, content, part):
    shutil.copy(GOOD["DEFAULT_RECIPE"], tmp_path / "default.json")
    (tmp_path / "other.json").write_text(content)
    said = start("worker", {**GOOD, "DEFAULT_RECIPE": str(tmp_path / "default.json")})
    assert named(said) == {"DEFAULT_RECIPE"} and "other.json" in said and part in said, said


def png(width, height, **options):
    return encoded(Image.new("RGBA", (width, height), "red"), "PNG", **options)


IMAGES = {
    "no image": ("logo.png", b"logo", "logo.png is no PNG"),
    "an image of another kind": ("logo.png", encoded(Image.new("RGB", (9, 9)), "JPEG"), "logo.png is no PNG"),
    "an image that is too wide": ("logo.png", png(1025, 1), "logo.png is no PNG of at most 1024 pixels a side"),
    "an image whose file is too long": ("logo.png", png(9, 9) + bytes(1 << 20), "and 1024 KiB"),
    "a name that no recipe can say": ("my logo.png", png(9, 9), "my logo.png cannot be named"),
    "another image than a recipe names": ("icon.png", png(9, 9), "other.json names the watermark image `logo.png`"),
}


@pytest.mark.parametrize("title", IMAGES)
def test_a_watermark_image_that_cannot_be_used_is_named(tmp_path, title):
    name, content, part = IMAGES[title]
    shutil.copy(GOOD["DEFAULT_RECIPE"], tmp_path / "default.json")
    (tmp_path / "other.json").write_text('[{"name":"a","watermark":{"image":"logo.png"}}]')
    (tmp_path / name).write_bytes(content)
    said = start("worker", {**GOOD, "DEFAULT_RECIPE": str(tmp_path / "default.json")})
    assert named(said) == {"DEFAULT_RECIPE"} and part in said, said
