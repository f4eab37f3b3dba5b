"""The web page: from the drop to the download, and the contact sheet."""

import io

import requests
from browser import card, chromium, choose, developed, drop, expect_stage, natural_size, page, problems, visit  # noqa: F401
from conftest import SAMPLES
from PIL import Image, ImageChops
from playwright.sync_api import expect

MARKUP = "<img src=x onerror=window.pwned=1>.jpg"
# Writes down which stages each card goes through, and how far its bar gets.
WATCH = """() => {
    window.seen = {};
    const note = ({ target }) => {
        const card = target.closest(".photo");
        const name = card.querySelector(".name").textContent;
        const seen = (window.seen[name] ??= { stages: [], shares: [] });
        if (target === card && seen.stages.at(-1) !== card.dataset.stage) seen.stages.push(card.dataset.stage);
        if (target.matches("progress[value]")) seen.shares.push(target.value);
    };
    new MutationObserver((changes) => changes.forEach(note)).observe(document.querySelector("#photos"),
        { subtree: true, attributes: true, attributeFilter: ["data-stage", "value"] });
}"""


def test_three_dropped_photos_are_uploaded_classified_and_shown(page):
    page.evaluate(WATCH)
    names = ["cat.jpg", "coffee.jpg", "rocket.jpg"]
    drop(page, *(SAMPLES / name for name in names))
    for name in names:
        expect_stage(card(page, name), "done")
        seen = page.evaluate("name => window.seen[name]", name)
        assert seen["stages"][-3:] == ["uploading", "developing", "done"], seen
        assert seen["shares"][-1] == 1 and seen["shares"] == sorted(seen["shares"]), seen
    expect(page.locator("#count")).to_have_text("3 developed")
    # Those that came together stand in their order.
    assert page.locator("#photos .name").all_inner_texts() == names
    for name, label in zip(names, ["cat", "espresso", "missile"]):
        labels = card(page, name).locator(".labels li")
        expect(labels).to_have_count(5)
        assert label in labels.first.inner_text() and "%" in labels.first.inner_text()
        share = labels.first.locator(".share").inner_text().removesuffix(" %")
        width = labels.first.locator(".bar").evaluate("bar => parseFloat(getComputedStyle(bar, '::before').width) / bar.offsetWidth")
        assert abs(width - float(share) / 100) < 0.01
    expect(page.locator("#announcer")).to_contain_text("is developed")


def test_the_picture_is_the_photo_with_a_watermark_in_its_corner(page):
    shown = developed(page, "coffee.jpg").locator(".frame img:not(.original)")
    picture = Image.open(io.BytesIO(requests.get(shown.get_attribute("src")).content)).convert("RGB")
    original = Image.open(SAMPLES / "coffee.jpg").convert("RGB")
    assert picture.size == original.size and list(original.size) == natural_size(shown)
    difference = ImageChops.difference(picture, original).convert("L")
    width, height = original.size

    def changed(area):
        histogram = difference.crop(area).histogram()
        return sum(histogram[40:]) / sum(histogram)

    assert changed((width * 3 // 4, height * 9 // 10, width, height)) > 0.05
    assert changed((0, 0, width, height * 9 // 10)) < 0.001
    assert changed((0, 0, width * 7 // 10, height)) < 0.001


def test_a_download_has_the_name_of_the_photo(page):
    link = developed(page).get_by_role("link", name="Download watermarked")
    with page.expect_download() as download:
        link.click()
    assert download.value.suggested_filename == "cat.jpg"
    assert Image.open(download.value.path()).size == (451, 300)


def test_the_progress_is_that_of_the_put(page, tmp_path):
    page.evaluate(WATCH)
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    conditions = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 1_000_000}
    network.send("Network.emulateNetworkConditions", conditions)
    Image.effect_noise((1600, 1600), 80).save(tmp_path / "noise.jpg", quality=95)
    choose(page, tmp_path / "noise.jpg")
    expect_stage(card(page, "noise.jpg"), "done")
    shares = page.evaluate("window.seen['noise.jpg'].shares")
    assert len([share for share in shares if 0 < share < 1]) >= 3, shares


def test_the_original_lies_under_a_slider(page):
    frame = developed(page).locator(".frame")
    slider = frame.get_by_role("slider", name="Original beside watermarked")
    expect(slider).to_have_value("50")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 40, steps=5)
    page.mouse.up()
    assert abs(int(slider.input_value()) - 80) <= 1
    # What is left of the divide is the original; the divide is where the hand is.
    assert frame.locator(".original").evaluate("image => getComputedStyle(image).clipPath") == "inset(0px 20% 0px 0px)"
    divide = frame.locator(".handle").bounding_box()
    assert abs(divide["x"] + 1 - (box["x"] + box["width"] * 0.8)) < box["width"] * 0.01


def test_a_finger_moves_the_slider(visit, darkroom):
    page = visit(darkroom.api, has_touch=True, is_mobile=True, viewport={"width": 380, "height": 800})
    slider = developed(page).get_by_role("slider")
    box = slider.bounding_box()
    slider.tap(position={"x": box["width"] * 0.25, "y": box["height"] / 2})
    assert abs(int(slider.input_value()) - 25) <= 2


def test_a_tiff_is_shown_as_a_jpeg_without_its_original(page, tmp_path):
    Image.open(SAMPLES / "cat.jpg").save(tmp_path / "cat.tif")
    choose(page, tmp_path / "cat.tif")
    tiff = card(page, "cat.tif")
    expect_stage(tiff, "done")
    assert natural_size(tiff.locator("img")) == [451, 300]
    expect(tiff.get_by_role("slider")).to_have_count(0)


def test_a_bitmap_is_shown_as_it_is(page, tmp_path):
    Image.open(SAMPLES / "cat.jpg").save(tmp_path / "cat.bmp")
    choose(page, tmp_path / "cat.bmp")
    expect_stage(card(page, "cat.bmp"), "done")
    assert natural_size(card(page, "cat.bmp").locator(".frame img:not(.original)")) == [451, 300]


def test_what_is_no_photo_is_told_in_words_and_shown_as_text(page, tmp_path):
    choose(page, {"name": MARKUP, "mimeType": "image/jpeg", "buffer": b"no photo"})
    failed = page.locator("#photos .photo")
    expect_stage(failed, "failed")
    expect(failed.locator(".name")).to_have_text(MARKUP)
    expect(failed.locator(".status")).to_contain_text("JPEG, PNG, WebP, GIF, BMP and TIFF are read")
    expect(failed.locator(".code")).to_have_text("UNSUPPORTED_FORMAT")
    expect(page.locator("#announcer")).to_contain_text("failed")
    # Another try would come to the same.
    expect(failed.locator(".retry")).to_be_hidden()
    assert failed.locator("img").count() == 0 and page.evaluate("window.pwned") is None


def test_a_name_that_is_markup_is_shown_as_text_beside_its_picture(page):
    choose(page, {"name": MARKUP, "mimeType": "image/jpeg", "buffer": (SAMPLES / "cat.jpg").read_bytes()})
    shown = page.locator("#photos .photo")
    expect_stage(shown, "done")
    expect(shown.locator(".name")).to_have_text(MARKUP)
    # The pictures are the derivative and the original, and no other.
    assert shown.locator("img").count() == 2 and page.evaluate("window.pwned") is None
    with page.expect_download() as download:
        shown.get_by_role("link").click()
    assert "/" not in download.value.suggested_filename and download.value.suggested_filename.endswith(".jpg")
    page.reload()
    expect(page.locator(".title").first).to_have_text(MARKUP)
    page.locator(".cell").first.click()
    expect(page.locator("#viewer .name")).to_have_text(MARKUP)
    assert page.evaluate("window.pwned") is None


def test_after_a_reload_the_photo_is_on_the_contact_sheet_alone(page):
    developed(page, "astronaut.jpg")
    page.reload()
    cell = page.locator(".cell").first
    expect(cell).to_contain_text("astronaut.jpg")
    assert natural_size(cell.locator("img")) == [512, 512]
    cell.click()
    viewer = page.get_by_role("dialog", name="astronaut.jpg")
    expect(viewer.locator(".labels li")).to_have_count(5)
    assert natural_size(viewer.locator("img")) == [512, 512]
    # Nobody gives the original back.
    expect(viewer.get_by_role("slider")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    expect(cell).to_be_focused()


def test_older_jobs_come_page_by_page(visit, quiet):
    names = [f"photo-{number}.jpg" for number in range(30)]
    for name in names:
        quiet.slot(filename=name)
    page = visit(quiet.api)
    expect(page.locator(".title")).to_have_text(names[:5:-1])
    page.get_by_role("button", name="Older").click()
    expect(page.locator(".title")).to_have_text(names[::-1])
    expect(page.locator(".cell").nth(24)).to_be_focused()
    expect(page.get_by_role("button", name="Older")).to_be_hidden()


def test_until_the_picture_is_there_its_place_is_held(page):
    developed(page)
    page.reload()
    page.route("**/darkroom-processed/**", lambda route: None)
    page.locator(".cell").first.click()
    blurred = page.locator("#viewer .blurred")
    # The photo's own colours, from 25 bytes: the cat's nose is redder than what is behind it.
    pixels = blurred.evaluate("c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]")
    width, height = blurred.evaluate("c => [c.width, c.height]")
    small = Image.open(SAMPLES / "cat.jpg").convert("RGB").resize((width, height), Image.Resampling.BOX)
    held = Image.frombytes("RGBA", (width, height), bytes(pixels)).convert("RGB")
    difference = ImageChops.difference(small, held).convert("L").histogram()
    assert sum(level * count for level, count in enumerate(difference)) / (width * height) < 25
    assert blurred.evaluate("c => getComputedStyle(c).backgroundColor") != "rgba(0, 0, 0, 0)"


def test_no_more_than_six_photos_are_sent_at_once(page):
    held, released = [], []
    page.route("**/darkroom-uploads/**", lambda route: route.continue_() if released else held.append(route))
    photo = (SAMPLES / "cat.jpg").read_bytes()
    choose(page, *({"name": f"{number}.jpg", "mimeType": "image/jpeg", "buffer": photo} for number in range(11)))
    expect(page.locator("#count")).to_have_text("6 uploading5 waiting")
    page.wait_for_timeout(500)
    assert len(held) == 6
    released.append(True)
    for route in held:
        route.continue_()
    expect(page.locator(".photo[data-stage=done]")).to_have_count(11, timeout=60_000)
