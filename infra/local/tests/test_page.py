"""The web page, in a real browser."""

import shutil

import pytest
from conftest import SAMPLES
from PIL import Image
from playwright.sync_api import expect, sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture
def page(darkroom):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page()
        problems = []
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(darkroom.api)
        yield page
        browser.close()
        assert problems == []


def test_a_dropped_photo_shows_its_labels_and_its_derivative(page, tmp_path):
    page.locator("input[type=file]").set_input_files(SAMPLES / "cat.jpg")
    card = page.locator("#jobs li")
    expect(card).to_have_class("completed", timeout=30_000)
    expect(card.locator("dt")).to_have_count(5)
    assert "cat" in card.locator("dt").first.inner_text()
    width = card.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)")
    assert width == 451
    with page.expect_download() as download:
        card.locator("a").click()
    assert download.value.suggested_filename == "cat.jpg"


def test_a_tiff_is_shown_as_a_jpeg(page, tmp_path):
    Image.open(SAMPLES / "cat.jpg").save(tmp_path / "cat.tif")
    page.locator("input[type=file]").set_input_files(tmp_path / "cat.tif")
    card = page.locator("#jobs li")
    expect(card).to_have_class("completed", timeout=30_000)
    assert card.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 451


def test_what_is_no_photo_is_told_in_words_and_shown_as_text(page, tmp_path):
    name = "<img src=x onerror=window.pwned=1>.jpg"
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "image/jpeg", "buffer": b"no photo"})
    card = page.locator("#jobs li")
    expect(card).to_have_class("failed", timeout=30_000)
    expect(card.locator("h2")).to_have_text(name)
    assert card.locator("img").count() == 0


def test_a_name_that_is_markup_is_shown_as_text_beside_its_picture(page, tmp_path):
    name = "<img src=x onerror=window.pwned=1>.jpg"
    photo = (SAMPLES / "cat.jpg").read_bytes()
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "image/jpeg", "buffer": photo})
    card = page.locator("#jobs li")
    expect(card).to_have_class("completed", timeout=30_000)
    expect(card.locator("h2")).to_have_text(name)
    # The picture is the derivative's, and the only one.
    assert card.locator("img").count() == 1 and page.evaluate("window.pwned") is None
    with page.expect_download() as download:
        card.locator("a").click()
    assert "/" not in download.value.suggested_filename and download.value.suggested_filename.endswith(".jpg")
