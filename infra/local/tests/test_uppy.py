"""Uppy, as others' pages use it, in a real browser, on another origin than the API."""

import functools
import http.server
import re
import shutil
import threading
from pathlib import Path

import pytest
from browser import chromium  # noqa: F401
from conftest import SAMPLES, UPLOADS, sample

UPPY = Path(__file__).parent / "browser" / "node_modules"
DOCS = Path(__file__).resolve().parents[3] / "docs" / "uppy.md"


def snippet(version):
    """The lines that docs/uppy.md gives for this version, so that what is documented is what is tried."""
    _, section = DOCS.read_text().split(f"## Uppy {version}")
    return section.split("```js\n")[1].split("```")[0]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """The address of a page of another origin that has Uppy."""
    folder = tmp_path_factory.mktemp("page")
    for version, package in ((6, "uppy"), (5, "uppy-5")):
        shutil.copy(UPPY / package / "dist" / "uppy.min.js", folder / f"uppy-{version}.js")
        page = f"<!doctype html><title>Uppy {version}</title><input type=file multiple><script src=uppy-{version}.js></script>"
        (folder / f"{version}.html").write_text(page)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("version", [6, 5])
def test_uppy_uploads_from_another_origin(darkroom, chromium, elsewhere, version):
    page = chromium.new_page()
    problems = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    # A browser asks for it by itself.
    page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
    page.goto(f"{elsewhere}/{version}.html")
    page.locator("input").set_input_files([SAMPLES / "cat.jpg", SAMPLES / "coffee.jpg"])
    result = page.evaluate(
        """async ([lines, api]) => {
            const uppy = new Function("api", `const { Uppy, AwsS3 } = window.Uppy
                ${lines}
                return uppy`)(api)
            const slots = []
            const ask = window.fetch
            window.fetch = async (...request) => {
                const answer = await ask(...request)
                slots.push(await answer.clone().json())
                return answer
            }
            for (const file of document.querySelector("input").files) uppy.addFile({ name: file.name, type: file.type, data: file })
            const { successful, failed } = await uppy.upload()
            return { slots, failed: failed.map((file) => String(file.error)), done: successful.map((file) => file.uploadURL) }
        }""",
        [snippet(version), darkroom.api],
    )
    page.close()
    assert (result["failed"], problems) == ([], [])
    assert len(result["slots"]) == len(result["done"]) == 2
    names = set()
    for slot in result["slots"]:
        job = darkroom.completed(slot["jobId"])
        stored = darkroom.client("s3").get_object(Bucket=UPLOADS, Key=slot["key"])["Body"].read()
        assert stored == sample(job["filename"])
        names.add(job["filename"])
        # What Uppy says of the upload is the object that there is.
        assert any(url.endswith(slot["key"]) for url in result["done"]), result["done"]
    assert names == {"cat.jpg", "coffee.jpg"}


SENT = {"content-type": "application/json", "idempotency-key": "3f2b", "x-api-key": "a key", "authorization": "Bearer a.b.c"}


@pytest.mark.parametrize(("header", "value"), SENT.items(), ids=SENT)
def test_a_page_of_another_origin_may_ask_for_a_slot_with(darkroom, chromium, elsewhere, header, value):
    status, readable = in_page(
        chromium,
        f"{elsewhere}/6.html",
        """async ([url, headers]) => {
            const answer = await fetch(url, { method: "POST", headers, body: "{}" })
            return [answer.status, answer.headers.has("x-request-id")]
        }""",
        [f"{darkroom.api}/uploads", {"content-type": "application/json", header: value}],
    )
    assert (status, readable) == (200, True)


def test_a_page_of_another_origin_reads_the_etag_of_its_put(darkroom, chromium, elsewhere):
    slot = darkroom.slot(filename="cat.jpg")
    status, tag = in_page(
        chromium,
        f"{elsewhere}/6.html",
        """async ([{ url, method, headers }]) => {
            const answer = await fetch(url, { method, headers, body: "no photo" })
            return [answer.status, answer.headers.get("etag")]
        }""",
        [slot],
    )
    assert status == 200 and re.fullmatch(r'"[0-9a-f]{32}"', tag), tag


def test_a_page_of_another_origin_reads_why_it_is_refused(darkroom, chromium, elsewhere):
    status, code = in_page(
        chromium,
        f"{elsewhere}/6.html",
        """async ([url]) => {
            const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: '{"x":1}' })
            return [answer.status, (await answer.json()).code]
        }""",
        [f"{darkroom.api}/uploads"],
    )
    assert (status, code) == (400, "INVALID_REQUEST")


def in_page(chromium, address, script, argument):
    page = chromium.new_page()
    page.goto(address)
    answer = page.evaluate(script, argument)
    page.close()
    return answer
