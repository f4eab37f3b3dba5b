"""The web page for everybody: keyboard, screen reader, phone, light and dark."""

import pytest
from browser import accessibility, card, choose, chromium, developed, expect_stage, page, problems, visit  # noqa: F401
from conftest import SAMPLES
from playwright.sync_api import expect

STYLES = [("light", 1280), ("light", 380), ("dark", 1280), ("dark", 380)]
# What has the focus, if neither an outline nor a cell's border shows it.
BARE = """() => {
    const element = document.activeElement;
    const { outlineStyle, borderTopColor } = getComputedStyle(element);
    return outlineStyle === "none" && borderTopColor !== "rgb(255, 83, 64)" && element !== document.body ? element.outerHTML : null;
}"""


def tab_to(page, target):
    """Presses Tab until `target` has the focus, and so shows that there is a way."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"no way to {target}")


@pytest.mark.parametrize(("scheme", "width"), STYLES)
def test_axe_finds_nothing(visit, darkroom, scheme, width):
    page = visit(darkroom.api, color_scheme=scheme, viewport={"width": width, "height": 800}, reduced_motion="reduce")
    assert accessibility(page) == []
    page.locator("#recipe summary").click()
    page.get_by_role("button", name="Four looks").click()
    page.locator("#settings summary").click()
    choose(page, SAMPLES / "cat.jpg", SAMPLES / "README.md")
    expect_stage(card(page, "cat.jpg"), "done")
    expect_stage(card(page, "README.md"), "failed")
    assert accessibility(page) == []
    page.keyboard.press("Escape")
    page.locator("#settings summary").click()
    page.get_by_role("button", name="Refresh").click()
    page.locator(".cell").first.click()
    expect(page.locator("#viewer .status")).not_to_have_text("Waiting")
    assert accessibility(page) == []


@pytest.mark.parametrize(("scheme", "width"), STYLES)
def test_nothing_is_wider_than_the_page(visit, darkroom, scheme, width):
    page = visit(darkroom.api, color_scheme=scheme, viewport={"width": width, "height": 800})
    name = "a-name-that-is-longer-than-any-phone-is-wide-and-has-no-place-to-break-it.jpg"
    page.locator("#recipe summary").click()
    page.get_by_role("button", name="Four looks").click()
    choose(page, {"name": name, "mimeType": "image/jpeg", "buffer": (SAMPLES / "cat.jpg").read_bytes()})
    expect_stage(card(page, name), "done")
    choose(page, SAMPLES / "README.md")
    expect_stage(card(page, "README.md"), "failed")
    page.get_by_role("button", name="Refresh").click()
    page.locator("#settings summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    outside = """width => [...document.querySelectorAll("body *:not(.unseen)")].filter((element) => {
        const { left, right, width: own } = element.getBoundingClientRect();
        return own > 0 && (left < 0 || right > width + 0.5) && !element.closest("pre, .unseen");
    }).map((element) => element.outerHTML.slice(0, 100))"""
    assert page.evaluate(outside, width) == []
    # Nor is anything wider than what it stands in, though that may cut it off.
    wide = "[...document.querySelectorAll('.about, .outcome, .editor')].filter((each) => each.scrollWidth > each.clientWidth).length"
    assert page.evaluate(wide) == 0


def test_both_schemes_are_schemes(visit, darkroom):
    def brightness(scheme):
        page = visit(darkroom.api, color_scheme=scheme)
        colours = page.evaluate("(s => [s.color, s.backgroundColor])(getComputedStyle(document.body))")
        return [sum(map(int, colour[4:-1].split(","))) for colour in colours]

    (ink, paper), (light, dark) = brightness("light"), brightness("dark")
    assert ink < 150 < 600 < paper and dark < 150 < 600 < light


def test_the_keyboard_is_enough(page):
    files = page.locator("#files")
    # From here on choosers come to the test: to start with that only as one opens would be too late now and then.
    page.on("filechooser", lambda _: None)
    tab_to(page, files)
    # The field itself is hidden; what stands for it shows the focus.
    assert page.locator(".tray").evaluate("tray => getComputedStyle(tray).outlineStyle") == "solid"
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(SAMPLES / "cat.jpg")
    cat = card(page, "cat.jpg")
    expect_stage(cat, "done")

    slider = cat.get_by_role("slider")
    tab_to(page, slider)
    assert cat.locator(".handle").evaluate("handle => getComputedStyle(handle, '::before').outlineStyle") == "solid"
    for key in ["ArrowRight", "ArrowRight", "ArrowLeft", "ArrowRight"]:
        page.keyboard.press(key)
    expect(slider).to_have_value("52")
    expect(slider).to_have_attribute("aria-valuetext", "52 % original")
    page.keyboard.press("Home")
    assert cat.locator(".original").evaluate("image => getComputedStyle(image).clipPath") == "inset(0px 100% 0px 0px)"

    tab_to(page, cat.get_by_role("link"))
    with page.expect_download():
        page.keyboard.press("Enter")

    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.keyboard.press("Shift+Tab")
    tab_to(page, page.locator("#recipe summary"))
    page.keyboard.press("Enter")
    start = page.get_by_role("button", name="Four looks")
    tab_to(page, start)
    page.keyboard.press("Space")
    tab_to(page, page.locator("#spec-tabs [role=tab]").first)
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("Name")).to_have_value("mono")
    page.keyboard.press("End")
    expect(page.get_by_label("Name")).to_have_value("negative")
    expect(page.locator("#spec-tabs [role=tab]").last).to_be_focused()
    tab_to(page, page.get_by_label("Draw a watermark"))
    page.keyboard.press("Space")
    tab_to(page, page.get_by_role("radio", name="bottom-right"))
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("radio", name="bottom", exact=True)).to_be_checked()
    assert '"position": "bottom"' in page.locator("#json").inner_text()


def test_whatever_has_the_focus_shows_it(visit, darkroom):
    # Without transitions, so that it shows at once.
    page = visit(darkroom.api, reduced_motion="reduce")
    developed(page)
    page.locator("#recipe summary").click()
    page.get_by_role("button", name="Four looks").click()
    page.evaluate("document.activeElement.blur()")
    for _ in range(80):
        page.keyboard.press("Tab")
        assert page.evaluate(BARE) is None


def test_what_happens_is_said(page):
    said = """() => {
        window.said = [];
        const note = () => window.said.push(document.querySelector("#announcer").textContent);
        new MutationObserver(note).observe(document.querySelector("#announcer"), { childList: true, characterData: true, subtree: true });
    }"""
    page.evaluate(said)
    choose(page, SAMPLES / "cat.jpg", SAMPLES / "README.md")
    expect_stage(card(page, "cat.jpg"), "done")
    expect_stage(card(page, "README.md"), "failed")
    page.wait_for_timeout(400)
    all_of_it = " ".join(page.evaluate("window.said"))
    for sentence in ("2 photos added", "cat.jpg is developed: tiger cat, 37.5 %", "README.md failed: "):
        assert sentence in all_of_it, all_of_it
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_role("heading", name="Contact sheet")).to_be_focused()


def test_who_wants_no_motion_gets_none(visit, darkroom):
    for wish, animated in (("reduce", False), ("no-preference", True)):
        page = visit(darkroom.api, reduced_motion=wish)
        page.route("**/jobs/*", lambda route: None)
        choose(page, SAMPLES / "cat.jpg")
        expect_stage(card(page, "cat.jpg"), "developing")
        running = page.evaluate("document.getAnimations().some((each) => each.playState === 'running')")
        assert running is animated
