"""The web page's recipe editor: what it says is what is sent, and what is sent is what comes out."""

import io
import json
import subprocess

import pytest
import requests
from browser import card, choose, chromium, developed, expect_stage, natural_size, page, problems, visit  # noqa: F401
from conftest import SAMPLES
from PIL import Image, ImageStat
from playwright.sync_api import expect


@pytest.fixture
def editor(page):
    page.locator("#recipe summary").click()
    return page.locator("#recipe")


@pytest.fixture
def sent(page):
    """The bodies of all requests for a slot."""
    bodies = []
    page.on("request", lambda request: bodies.append(request.post_data_json) if request.url.endswith("/uploads") else None)
    return bodies


def shown(editor):
    return json.loads(editor.locator("#json").inner_text())


def picture(card):
    return Image.open(io.BytesIO(requests.get(card.locator(".frame img:not(.original)").get_attribute("src")).content))


def test_without_a_recipe_none_is_sent(page, editor, sent):
    developed(page)
    assert sent == [{"filename": "cat.jpg", "contentType": "image/jpeg", "size": (SAMPLES / "cat.jpg").stat().st_size}]
    assert shown(editor) == sent[0]


def test_a_derivative_comes_out_as_it_was_asked_for(page, editor, sent):
    editor.get_by_role("button", name="Add a derivative").click()
    # What the API does by itself is written out once there is a second one.
    assert [spec["name"] for spec in shown(editor)["derivatives"]] == ["watermarked", "picture-2"]
    editor.get_by_label("Name").fill("small")
    editor.get_by_label("Width").fill("120")
    editor.get_by_label("Height").fill("120")
    editor.get_by_label("Fit").select_option("cover")
    editor.get_by_label("Tone").select_option("grayscale")
    editor.get_by_label("Contrast").fill("20")
    editor.get_by_label("Format").select_option("png")
    editor.get_by_label("Draw a watermark").uncheck()
    small = {
        "name": "small",
        "resize": {"width": 120, "height": 120, "fit": "cover"},
        "filters": ["grayscale", {"contrast": 20}],
        "watermark": False,
        "format": "png",
    }
    assert shown(editor)["derivatives"] == [{"name": "watermarked"}, small]
    done = developed(page)
    assert sent == [shown(editor)] and sent[0]["derivatives"][1] == small
    assert picture(done).size == (451, 300)
    done.get_by_role("tab", name="small").click()
    out = picture(done)
    assert (out.format, out.size) == ("PNG", (120, 120))
    red, green, blue = ImageStat.Stat(out.convert("RGB")).mean
    assert red == green == blue
    # A square does not lie on a photo of another shape, so they stand side by side.
    expect(done.locator(".pair .frame")).to_have_count(2)
    expect(done.get_by_role("slider")).to_have_count(0)
    with page.expect_download() as download:
        done.get_by_role("link", name="Download small").click()
    assert download.value.suggested_filename == "cat.png"


def test_the_watermark_has_its_text_and_its_place(page, editor, sent):
    editor.get_by_role("button", name="Print").click()
    editor.get_by_label("Text", exact=True).fill("© nobody's")
    editor.get_by_role("radio", name="top-left").check()
    editor.get_by_label("Tone").select_option("")
    editor.get_by_label("Contrast").fill("0")
    done = developed(page)
    spec = {"name": "print", "watermark": {"text": "© nobody's", "position": "top-left"}}
    assert sent[0]["derivatives"] == [spec]
    out, original = picture(done).convert("L"), Image.open(SAMPLES / "cat.jpg").convert("L")

    def difference(area):
        return ImageStat.Stat(out.crop(area)).mean[0] - ImageStat.Stat(original.crop(area)).mean[0]

    assert difference((0, 0, 110, 30)) > 3 and abs(difference((340, 270, 451, 300))) < 1


def test_the_command_does_the_same(page, editor, sent, darkroom):
    editor.get_by_role("button", name="Four looks").click()
    editor.get_by_role("tab", name="mono").click()
    editor.get_by_label("Draw a watermark").check()
    editor.get_by_label("Text", exact=True).fill("it's mine")
    command = editor.locator("#curl").inner_text()
    answer = subprocess.run(["bash", "-c", command], capture_output=True, check=True, text=True).stdout
    assert json.loads(answer)["url"].startswith(darkroom.aws)
    with page.expect_request("**/uploads") as request:
        choose(page, {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": (SAMPLES / "cat.jpg").read_bytes()})
    assert request.value.post_data_json["derivatives"] == shown(editor)["derivatives"]
    assert request.value.post_data_json["derivatives"][1]["watermark"] == {"text": "it's mine"}
    expect_stage(card(page, "photo.jpg"), "done")


def test_an_address_in_a_link_is_no_command(visit, darkroom, tmp_path, problems):
    page = visit(f"{darkroom.api}/?api={darkroom.api}/';touch%20{tmp_path}/made;'")
    page.locator("#recipe summary").click()
    command = page.locator("#curl").inner_text()
    assert "touch" in command
    subprocess.run(["bash", "-c", command], capture_output=True)
    assert list(tmp_path.iterdir()) == []
    # There is nothing at that address to list.
    assert len(problems) == 1 and "404" in problems.pop()


def test_photos_that_wait_keep_the_recipe_that_they_were_dropped_with(page, editor, sent):
    held, released = [], []
    page.route("**/darkroom-uploads/**", lambda route: route.continue_() if released else held.append(route))
    editor.get_by_role("button", name="Print").click()
    photo = (SAMPLES / "cat.jpg").read_bytes()
    choose(page, *({"name": f"{number}.jpg", "mimeType": "image/jpeg", "buffer": photo} for number in range(7)))
    expect(page.locator("#count")).to_have_text("6 uploading1 waiting")
    editor.get_by_label("Width").fill("1")
    released.append(True)
    for route in held:
        route.continue_()
    expect(page.locator(".photo[data-stage=done]")).to_have_count(7, timeout=60_000)
    assert len(sent) == 7 and all("resize" not in body["derivatives"][0] for body in sent)
    # One that is dropped now has the new one.
    developed(page)
    assert sent[-1]["derivatives"][0]["resize"] == {"width": 1}


def test_a_refusal_takes_nobody_away_from_the_field_that_they_write_in(page, editor, problems):
    editor.get_by_role("button", name="Print").click()
    editor.get_by_label("Width").fill("9000")
    refusals = []
    page.route("**/uploads", lambda route: refusals.append(route))
    choose(page, SAMPLES / "cat.jpg", SAMPLES / "coffee.jpg")
    expect(page.locator("#count")).to_have_text("2 uploading")
    refusals[0].continue_()
    expect(page.get_by_role("alert")).to_contain_text("derivatives[0].resize.width")
    editor.get_by_label("Width").press_sequentially("1")
    refusals[1].continue_()
    expect(page.locator(".photo[data-stage=failed]")).to_have_count(2)
    expect(editor.get_by_label("Width")).to_be_focused()
    assert len(problems) == 2 and all("400" in problem for problem in problems)
    problems.clear()


def test_what_is_shown_can_be_copied(visit, darkroom):
    page = visit(darkroom.api, permissions=["clipboard-read", "clipboard-write"])
    page.locator("#recipe summary").click()
    for part in ("json", "curl"):
        page.locator(f"#copy-{part}").click()
        expect(page.locator(f"#copy-{part}")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == page.locator(f"#{part}").inner_text()


def test_a_recipe_that_is_refused_is_told_in_the_apis_words_at_its_field_and_mended(page, editor, problems, darkroom):
    editor.get_by_role("button", name="Four looks").click()
    editor.get_by_role("tab", name="sepia").click()
    editor.get_by_label("Width").fill("9000")
    derivatives = shown(editor)["derivatives"]
    refusal = darkroom.post("/uploads", {"derivatives": derivatives}).json()["error"]
    assert refusal.startswith("derivatives[2].resize.width")
    editor.get_by_role("tab", name="colour").click()
    editor.locator("summary").click()
    choose(page, SAMPLES / "cat.jpg")
    cat = card(page, "cat.jpg")
    expect_stage(cat, "failed")
    expect(cat.locator(".status")).to_have_text(refusal)
    expect(page.get_by_role("alert")).to_have_text(refusal)
    width = editor.get_by_label("Width")
    expect(width).to_have_attribute("aria-invalid", "true")
    expect(editor.get_by_role("tab", name="sepia")).to_have_attribute("aria-selected", "true")
    width.fill("100")
    expect(page.get_by_role("alert")).to_have_text("")
    cat.get_by_role("button", name="Try again").click()
    expect_stage(cat, "done")
    cat.get_by_role("tab", name="sepia").click()
    assert natural_size(cat.locator(".frame img:not(.original)"))[0] == 100
    assert len(problems) == 1 and "400" in problems.pop()


def test_a_derivative_can_be_removed(page, editor):
    editor.get_by_role("button", name="For the web").click()
    assert [spec["name"] for spec in shown(editor)["derivatives"]] == ["web", "thumb"]
    editor.get_by_role("button", name="Remove this derivative").click()
    assert [spec["name"] for spec in shown(editor)["derivatives"]] == ["thumb"]
    editor.get_by_role("button", name="Remove this derivative").click()
    assert "derivatives" not in shown(editor)
    expect(editor.get_by_role("button", name="Default")).to_have_attribute("aria-pressed", "true")
