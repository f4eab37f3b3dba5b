"""The web page when something goes wrong: lost connections, keys, foreign hosts."""

import functools
import hashlib
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from browser import card, choose, chromium, developed, expect_stage, page, problems, visit  # noqa: F401
from conftest import ROOT, SAMPLES
from playwright.sync_api import expect

UPLOADS = "**/darkroom-uploads/**"


def cut(problems, count):
    """Takes what a browser says of `count` requests without an answer."""
    assert len(problems) == count and all("ERR_" in problem for problem in problems), problems
    problems.clear()


def test_a_photo_that_was_lost_on_its_way_is_sent_again(page, problems):
    page.route(UPLOADS, lambda route: route.abort())
    choose(page, SAMPLES / "cat.jpg")
    cat = card(page, "cat.jpg")
    expect_stage(cat, "failed")
    expect(cat.locator(".status")).to_have_text("The connection was lost before the whole photo was through.")
    # It is still here to be seen.
    expect(cat.locator(".latent")).to_be_visible()
    page.unroute(UPLOADS)
    cat.get_by_role("button", name="Try again: cat.jpg").click()
    expect_stage(cat, "done")
    expect(page.locator("#count")).to_have_text("1 developed")
    cut(problems, 1)


def test_many_photos_are_tried_again_with_one_button(page, problems):
    page.route("**/uploads", lambda route: route.abort())
    choose(page, SAMPLES / "cat.jpg", SAMPLES / "coffee.jpg")
    for name in ("cat.jpg", "coffee.jpg"):
        expect_stage(card(page, name), "failed")
        expect(card(page, name).locator(".status")).to_contain_text("cannot be reached")
    page.unroute("**/uploads")
    page.get_by_role("button", name="Try all again").click()
    expect(page.locator("#count")).to_have_text("2 developed", timeout=30_000)
    expect(page.get_by_role("button", name="Try all again")).to_be_hidden()
    # Neither had given up at once.
    cut(problems, 8)


def test_what_is_uploaded_is_not_uploaded_again_when_the_wait_is_lost(page, problems):
    slots = []
    page.on("request", lambda request: slots.append(request) if request.url.endswith("/uploads") else None)
    failures = []

    def lose(route):
        failures.append(route)
        route.abort()

    page.route("**/jobs/*", lose)
    choose(page, SAMPLES / "cat.jpg")
    expect_stage(card(page, "cat.jpg"), "failed")
    # It did not give up at once.
    assert len(failures) == 4
    page.unroute("**/jobs/*")
    card(page, "cat.jpg").get_by_role("button", name="Try again").click()
    expect_stage(card(page, "cat.jpg"), "done")
    assert len(slots) == 1
    cut(problems, 4)


def test_an_api_that_is_away_for_a_moment_is_asked_again(page, problems):
    answers = iter([503, 503])

    def answer(route):
        status = next(answers, None)
        if status is None:
            route.continue_()
        else:
            route.fulfill(status=status, json={"error": "not available for the moment", "code": "UNAVAILABLE"})

    page.route("**/jobs/*", answer)
    developed(page)
    assert len(problems) == 2 and all("503" in problem for problem in problems)
    problems.clear()


def test_a_slot_whose_answer_was_lost_is_asked_for_again_and_makes_no_second_job(visit, own_darkroom, problems):
    darkroom = own_darkroom()
    page = visit(darkroom.api)
    troubles = iter(["lost", 429, 503])

    def answer(route):
        match next(troubles, None):
            case None:
                route.continue_()
            case "lost":
                # The API has heard it, and only the answer does not arrive.
                route.fetch()
                route.abort()
            case status:
                route.fulfill(status=status, json={"error": "not for the moment", "code": "UNAVAILABLE"})

    page.route("**/uploads", answer)
    developed(page)
    assert len(requests.get(f"{darkroom.api}/jobs").json()["jobs"]) == 1
    for trouble in ("ERR_FAILED", "429", "503"):
        assert trouble in problems.pop(0)


def test_a_photo_that_is_taken_off_the_page_is_not_sent_any_further(page):
    page.route(UPLOADS, lambda route: None)
    choose(page, SAMPLES / "cat.jpg", SAMPLES / "coffee.jpg")
    expect(page.locator("#count")).to_have_text("2 uploading")
    with page.expect_event("requestfailed"):
        card(page, "cat.jpg").get_by_role("button", name="Remove cat.jpg from this page").click()
    expect(page.locator("#count")).to_have_text("1 uploading")
    expect(card(page, "coffee.jpg").get_by_role("button", name="Remove")).to_be_focused()


def test_a_key_is_asked_for_kept_in_the_tab_and_sent(visit, own_darkroom, problems):
    key = "a key of the test's"
    darkroom = own_darkroom(API_KEY_SHA256=hashlib.sha256(key.encode()).hexdigest())
    page = visit(darkroom.api)
    refusal = requests.get(f"{darkroom.api}/jobs").json()["error"]
    expect(page.locator("#sheet-note")).to_have_text(refusal)
    expect(page.locator("#key-note")).to_contain_text(refusal)
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Keep").click()
    expect(page.locator("#sheet-note")).to_contain_text("Nothing yet")
    developed(page)
    page.locator("#recipe summary").click()
    # The command has the key's name only.
    assert '-H "x-api-key: $KEY"' in page.locator("#curl").inner_text() and key not in page.locator("#curl").inner_text()
    page.reload()
    expect(page.locator(".cell")).to_have_count(1)
    assert page.evaluate("localStorage.length") == 0
    assert len(problems) == 1 and "401" in problems.pop()


def test_the_policy_lets_nothing_in_and_nothing_out(page, darkroom, problems):
    policy = requests.get(darkroom.api).headers["content-security-policy"]
    assert "unsafe" not in policy and "*" not in policy and "https:" not in policy
    with pytest.raises(Exception, match="TrustedHTML"):
        page.evaluate("document.body.innerHTML = '<b>bold</b>'")
    lost = page.evaluate("fetch('https://example.com/').then(() => false, () => true)")
    assert lost is True
    assert problems and all("Content Security Policy" in problem or "TrustedHTML" in problem for problem in problems), problems
    problems.clear()


@pytest.fixture
def elsewhere():
    """The page's files from a server that knows nothing of Darkroom."""
    handler = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=ROOT / "assets" / "web"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_the_files_work_from_anywhere_against_any_api(visit, elsewhere, darkroom, problems):
    page = visit(f"{elsewhere}/?api={darkroom.api}")
    expect(page.locator("#foreign")).to_have_text(darkroom.api.removeprefix("http://"))
    developed(page)
    # Its own part of the policy holds there as well.
    with pytest.raises(Exception, match="TrustedHTML"):
        page.evaluate("document.body.innerHTML = '<b>bold</b>'")
    assert len(problems) == 1 and "TrustedHTML" in problems.pop()


def test_a_host_without_tls_will_do(visit, elsewhere, darkroom):
    page = visit(f"{elsewhere.replace('127.0.0.1', 'photos.test')}/?api={darkroom.api}")
    assert page.evaluate("isSecureContext") is False
    page.locator("#recipe summary").click()
    page.get_by_role("button", name="For the web").click()
    # A clipboard it is not given.
    expect(page.locator("#copy-json")).to_be_hidden()
    cat = developed(page)
    cat.get_by_role("tab", name="thumb").click()
    expect(cat.locator(".facts")).to_contain_text("300 × 300 WEBP")


def test_an_address_that_is_none_is_passed_over(visit, darkroom):
    for api in ("http://", "javascript:alert(1)", "photos.test"):
        page = visit(f"{darkroom.api}/?api={api}")
        expect(page.locator("#address")).to_have_text(darkroom.api)
