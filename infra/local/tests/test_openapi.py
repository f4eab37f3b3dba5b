"""The API's description, as it is served: whether the running product keeps to it, and what others make of it.

Whether it has all that the code has is tested beside the code (shared/tests/openapi.rs, request-upload, job-status).
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from browser import FLAGS
from conftest import ROOT, Darkroom, sample
from playwright.sync_api import expect, sync_playwright
from receiver import as_secret

HERE = Path(__file__).parent
DESCRIPTION = ROOT / "assets" / "web" / "openapi.json"


def tool(folder, name, *arguments, **environment):
    """Runs a program of the tests' own Python in a folder; answers its exit code and what it printed."""
    path = Path(sys.executable).parent
    variables = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}", **environment}
    done = subprocess.run([path / name, *map(str, arguments)], env=variables, cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


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
    assert "script-src 'self'; style-src 'self';" in policy and "default-src 'none'" in policy
    lightness = sum(map(int, re.findall(r"\d+", dark)[:3]))
    assert (lightness < 150 and dark != "rgba(0, 0, 0, 0)") == (scheme == "dark"), dark


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """A Darkroom for thousands of odd requests, with every file of theirs; it says nothing but what is wrong."""
    # A host that is on the list, and that nobody connects to: its address is not a public one.
    callbacks = {"CALLBACK_HOSTS": "localhost", "CALLBACK_SECRET": as_secret(b"the key that callbacks are signed with")}
    instance = Darkroom(tmp_path_factory.mktemp("tried") / "data", {"RUST_LOG": "warn", **callbacks})
    yield instance
    log = instance.read_log()
    assert instance.stop() == 0
    assert "panicked" not in log and "request failed" not in log, log[-3000:]


def test_the_product_answers_as_described(tried, tmp_path, capsys):
    """schemathesis makes requests from the description, right ones and wrong ones, and holds the answers to it; along the
    links it uploads and asks on. Deterministic: a fresh checkout tries the same."""
    code, output = tool(
        tmp_path, "schemathesis", "--config-file", HERE / "schemathesis.toml", "run", f"{tried.api}/openapi.json", "--checks", "all",
        "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "15", "--generation-deterministic", "--no-color",
        # A busy machine is no finding.
        "--request-timeout", "60", "--suppress-health-check", "too_slow",
        SCHEMATHESIS_HOOKS="openapi_formats", PYTHONPATH=str(HERE),
    )  # fmt: skip
    assert code == 0, output[-8000:]
    cases = int(re.search(r"([\d,]+) generated", output)[1].replace(",", ""))
    links = re.search(r"API Links: +(\d+) covered", output)
    with capsys.disabled():
        print(f" [{cases} cases, {links[1]} links]", end="")
    assert cases > 1_000 and int(links[1]) >= 6, output
    assert "7 selected / 7 total" in output, output


def test_a_client_made_from_the_description_takes_a_photo_through(darkroom, tmp_path, monkeypatch):
    (tmp_path / "config.yml").write_text("package_name_override: described\npost_hooks: []\n")
    code, output = tool(
        tmp_path, "openapi-python-client", "generate", "--url", f"{darkroom.api}/openapi.json", "--meta", "none", "--fail-on-warning",
        "--config", tmp_path / "config.yml", "--output-path", tmp_path / "described",
    )  # fmt: skip
    assert code == 0, output
    monkeypatch.syspath_prepend(tmp_path)
    from described import Client, models
    from described.api.jobs import get_job
    from described.api.uploads import request_upload

    client = Client(base_url=darkroom.api)
    square = models.DerivativeRequest(name="square", resize=models.Resize(width=64, height=64, fit=models.Fit.COVER))
    wish = models.UploadRequest(filename="cat.jpg", size=len(sample("cat.jpg")), derivatives=[square])
    slot = request_upload.sync(client=client, body=wish)
    put = requests.request(slot.method, slot.url, headers=slot.headers.to_dict(), data=sample("cat.jpg"))
    assert put.status_code == 200, put.text
    for _ in range(6):
        job = get_job.sync(slot.job_id, client=client, wait=10)
        if job.status in (models.Status.COMPLETED, models.Status.FAILED):
            break
    assert job.status == models.Status.COMPLETED, job
    assert "cat" in job.classification.predicted_class
    assert len(job.classification.predictions) == 5 and 0 < job.classification.predictions[0].probability <= 1
    assert [(made.name, made.width, made.height) for made in job.derivatives] == [("square", 64, 64)]
    refused = request_upload.sync_detailed(client=client, body=models.UploadRequest(metadata=models.UploadRequestMetadata.from_dict({"": "x"})))
    assert refused.status_code == 400 and refused.parsed.code == models.ErrorCode.INVALID_REQUEST
