"""docs/api.md, run: the same upload in four languages, and what else can be asked for, with answers of the shape that is shown."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import BINARY, ROOT, SAMPLES, sample
from PIL import Image

PAGE = (ROOT / "docs" / "api.md").read_text()
# Each block of shell, and the answer that is shown below it, if one is.
SHELL = re.findall(r"```sh\n(.*?)```\n(?:\n```json\n(.*?)```)?", PAGE, re.DOTALL)


def block(language):
    [found] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


def run(folder, darkroom, *command):
    environment = {**os.environ, "API": darkroom.api}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


def is_a_watermarked_cat(folder):
    with Image.open(folder / "watermarked.jpg") as picture, Image.open(SAMPLES / "cat.jpg") as original:
        assert picture.size == original.size
        # The corner with the watermark differs, the rest hardly.
        mark, rest = ((picture.width // 2, picture.height * 4 // 5), (0, 0))
        difference = [
            max(abs(a - b) for x in range(left, left + 180, 3) for y in range(top, top + 50, 3)
                for a, b in zip(picture.getpixel((x, y)), original.getpixel((x, y)), strict=True))
            for left, top in (mark, rest)
        ]
    assert difference[0] > 100 > 40 > difference[1], difference


def shape(value):
    """What a client may rely on: names, and kinds of values. The first of a list stands for all."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shape(value[0])]
    return "number" if isinstance(value, (int, float)) else type(value).__name__


@pytest.fixture(scope="module")
def printed(darkroom, tmp_path_factory):
    """What each block of shell printed. They belong together, as somebody would paste them into one shell."""
    folder = tmp_path_factory.mktemp("shell")
    # A listing that goes on has something to go on to.
    darkroom.completed(darkroom.upload(sample("coffee.jpg")))
    (folder / "assets").symlink_to(ROOT / "assets")
    script = "\necho ===\n".join(text for text, _ in SHELL).replace("http://127.0.0.1:8080", darkroom.api)
    output = run(folder, darkroom, "bash", "-euo", "pipefail", "-c", script).split("===\n")
    is_a_watermarked_cat(folder)
    return output


def test_each_line_of_shell_does_what_the_page_says(printed):
    first, slot, headers, batch, twice, job, unchanged, listed, classified, refused = printed
    assert first == "tiger cat\n"
    assert re.fullmatch(r"uploads/[-0-9a-f]{36}/cat\.jpg\nuploads/[-0-9a-f]{36}/coffee\.jpg\n", batch)
    assert len(twice.split()) == 2 and len(set(twice.split())) == 1
    assert unchanged == "304\n"
    assert re.fullmatch(r"[-0-9a-f]{36}\n0\n", listed)
    assert json.loads(job)["status"] == "COMPLETED"
    shown = json.loads(SHELL[2][1])
    assert json.loads(headers) == shown
    assert json.loads(refused)["error"].startswith(json.loads(SHELL[-1][1])["error"].rstrip("…"))


@pytest.mark.parametrize("number", [number for number, (_, answer) in enumerate(SHELL) if answer])
def test_answers_are_of_the_shape_that_is_shown(printed, number):
    assert shape(json.loads(printed[number])) == shape(json.loads(SHELL[number][1]))


def test_a_photo_from_beginning_to_end_in_python(darkroom, tmp_path):
    (tmp_path / "develop.py").write_text(block("python"))
    assert run(tmp_path, darkroom, sys.executable, "develop.py", SAMPLES / "cat.jpg") == "tiger cat\n"
    is_a_watermarked_cat(tmp_path)


def test_a_photo_from_beginning_to_end_in_typescript(darkroom, tmp_path):
    (tmp_path / "develop.ts").write_text(block("typescript"))
    compiler = ROOT / "infra" / "local" / "tests" / "browser" / "node_modules" / ".bin" / "tsc"
    run(tmp_path, darkroom, compiler, "--strict", "--target", "es2022", "--module", "esnext", "--lib", "es2022,dom", "develop.ts")
    (tmp_path / "main.mjs").write_text(
        """
        import { readFile, rename, writeFile } from "node:fs/promises";
        await rename("develop.js", "develop.mjs");
        const { develop } = await import("./develop.mjs");
        const photo = new Blob([await readFile(process.argv[2])]);
        const job = await develop(process.env.API, photo, "cat.jpg");
        console.log(job.classification.predictedClass);
        await writeFile("watermarked.jpg", Buffer.from(await (await fetch(job.downloadUrl)).arrayBuffer()));
        """
    )
    assert run(tmp_path, darkroom, shutil.which("node"), "main.mjs", SAMPLES / "cat.jpg") == "tiger cat\n"
    is_a_watermarked_cat(tmp_path)


def test_a_photo_from_beginning_to_end_in_rust(darkroom, tmp_path):
    program = (ROOT / "infra" / "local" / "examples" / "develop.rs").read_text()
    assert program.endswith(block("rust"))
    assert run(tmp_path, darkroom, BINARY.parent / "examples" / "develop", SAMPLES / "cat.jpg") == "tiger cat\n"
    is_a_watermarked_cat(tmp_path)
