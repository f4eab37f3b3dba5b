"""The API's description, as it is served and shown.

Whether it has all that the code has is tested beside the code (shared/tests/openapi.rs, request-upload, job-status).
"""

import json
import re
import shutil

import pytest
from conftest import ROOT
from playwright.sync_api import expect, sync_playwright
from test_page import FLAGS

DESCRIPTION = ROOT / "assets" / "web" / "openapi.json"


def test_the_description_is_served_to_pages_of_any_origin(darkroom):
    answer = darkroom.get("/openapi.json")
    assert answer.status_code == 200 and answer.content == DESCRIPTION.read_bytes()
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_docs_show_every_operation_and_load_nothing_from_elsewhere(darkroom, scheme):
    paths = json.loads(DESCRIPTION.read_text())["paths"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(color_scheme=scheme)
        problems, asked = [], []
        page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        policy = page.goto(f"{darkroom.api}/docs").headers["content-security-policy"]
        operations = page.locator(".opblock")
        expect(operations).to_have_count(sum(map(len, paths.values())), timeout=30_000)
        operations.first.locator(".opblock-summary-control").click()
        page.get_by_role("button", name="Try it out").click()
        page.get_by_role("button", name="Execute").click()
        expect(page.locator(".live-responses-table tbody .response-col_status")).to_have_text("200")
        dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        browser.close()
    assert problems == []
    assert all(url.startswith((darkroom.api, "data:")) for url in asked), asked
    assert "script-src 'self';" in policy and "default-src 'none'" in policy
    lightness = sum(map(int, re.findall(r"\d+", dark)[:3]))
    assert (lightness < 150 and dark != "rgba(0, 0, 0, 0)") == (scheme == "dark"), dark
