"""The web page in a real browser: what its tests share."""

import base64
import shutil
from pathlib import Path

import pytest
from conftest import SAMPLES
from playwright.sync_api import expect, sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
# A host that is not this machine by its name, so that what came from there by http is not trusted like what did from localhost.
FLAGS.append("--host-resolver-rules=MAP photos.test 127.0.0.1")
# Longest that a photo may take, in milliseconds.
PATIENCE = 30_000
AXE = Path(__file__).parent / "browser" / "node_modules" / "axe-core" / "axe.min.js"
# A drop as a browser makes it, with files that lie in the page's memory. Listeners cannot tell it from a hand's.
DROP = """files => {
    const dropped = new DataTransfer();
    for (const [name, type, content] of files) {
        dropped.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name, { type }));
    }
    for (const name of ["dragenter", "dragover", "drop"]) {
        const event = new DragEvent(name, { bubbles: true, cancelable: true, dataTransfer: dropped });
        document.querySelector(".tray").dispatchEvent(event);
    }
}"""


# For a module and no longer: each has this fixture as its own, and two cannot drive browsers side by side.
@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def problems():
    """What the console complains about. A test that brings it about takes it out again; anything left is a failure."""
    found = []
    yield found
    assert found == []


@pytest.fixture
def visit(chromium, problems):
    """Opens the page of a Darkroom, with a context's options."""
    contexts = []

    def open_page(address, **options):
        contexts.append(chromium.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(address)
        # Its listing is the last thing that the page does by itself.
        expect(page.locator("#sheet-note:not(:empty), #sheet li").first).to_be_attached()
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def page(visit, darkroom):
    return visit(darkroom.api)


def choose(page, *files):
    page.locator("#files").set_input_files(files)


def drop(page, *paths):
    types = {".jpg": "image/jpeg", ".tif": "image/tiff"}
    page.evaluate(DROP, [[path.name, types[path.suffix], base64.b64encode(path.read_bytes()).decode()] for path in paths])


def card(page, name):
    return page.locator(".photo").filter(has=page.get_by_role("heading", name=name, exact=True))


def expect_stage(card, stage):
    # Its state is all that the test cares about; `to_have_attribute` would not say what the card says.
    expect(card).to_have_attribute("data-stage", stage, timeout=PATIENCE)


def developed(page, name="cat.jpg"):
    """The card of a photo of that name, which is chosen and then waited for."""
    choose(page, SAMPLES / name)
    expect_stage(card(page, name), "done")
    return card(page, name)


def natural_size(image):
    return image.evaluate("image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])")


def accessibility(page):
    """What axe finds wrong, in words."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [f"{each['id']}: {node['html']}: {node['failureSummary']}" for each in found["violations"] for node in each["nodes"]]
