"""The HTTP API at its edges: what is refused, and how; listings; caching; CORS; the embedded stack's own guards."""

import socket
import time
import uuid

import pytest
import requests
from conftest import UPLOADS, sample

NOT_JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    "body, status, code",
    [
        ({"filname": "x.jpg"}, 400, "INVALID_REQUEST"),
        ({"status": "COMPLETED"}, 400, "INVALID_REQUEST"),
        ({"size": 0}, 400, "INVALID_REQUEST"),
        ({"size": -1}, 400, "INVALID_REQUEST"),
        ({"size": 2**64}, 400, "INVALID_REQUEST"),
        ({"size": 26 * 1024 * 1024}, 413, "IMAGE_TOO_LARGE"),
        ({"contentType": "image/svg+xml"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"contentType": "image/png\r\nX: 1"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"checksumSha256": "c2hvcnQ="}, 400, "INVALID_REQUEST"),
        ({"metadata": {str(n): "" for n in range(17)}}, 400, "INVALID_REQUEST"),
        ({"derivatives": []}, 400, "INVALID_REQUEST"),
        ({"derivatives": [{"name": "a", "quality": 101}]}, 400, "INVALID_REQUEST"),
        ([], 400, "INVALID_REQUEST"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(darkroom, body, status, code):
    answer = darkroom.post("/uploads", body)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error", "code", "requestId"} and answer.json()["code"] == code
    assert answer.headers["access-control-allow-origin"] == "*"
    for name in body if isinstance(body, dict) else []:
        assert name in answer.json()["error"]


def test_bodies_that_are_no_json(darkroom):
    post = lambda data, **headers: requests.post(f"{darkroom.api}/uploads", data=data, headers=headers)
    assert post(b"").status_code == 200
    assert post(b"{}", **NOT_JSON).status_code == 200
    assert post(b"{", **NOT_JSON).status_code == 400
    assert post(b"[" * 10_000, **NOT_JSON).status_code == 400
    assert post(b"\xff\xfe", **NOT_JSON).status_code == 400
    assert post(b'{"size":1,"size":2}', **NOT_JSON).status_code == 400
    assert post(b"{}", **{"content-type": "text/plain"}).status_code == 415
    assert post(b" " * 11_000_000, **NOT_JSON).status_code == 413


def test_paths_and_methods(darkroom):
    cases = [("GET", "/nowhere", 404), ("GET", "/uploads", 405), ("DELETE", "/jobs/x", 405), ("POST", "/jobs", 405)]
    for method, path, status in cases:
        answer = requests.request(method, darkroom.api + path)
        assert answer.status_code == status and set(answer.json()) == {"error", "code", "requestId"}, (method, path)


def test_a_preflight_is_answered(darkroom):
    headers = {"origin": "https://app.example", "access-control-request-method": "POST"}
    answer = requests.options(f"{darkroom.api}/uploads", headers=headers)
    assert answer.status_code == 204 and "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-origin"] == "*"


def test_job_ids(darkroom):
    for bad in ("x", "....", "x" * 4_000, "6f1c2b548f0e4b6e9d5b3d1f7a90c3e2"):
        answer = darkroom.get(f"/jobs/{bad}")
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_JOB_ID"), bad
    answer = darkroom.get(f"/jobs/{uuid.uuid4()}")
    assert (answer.status_code, answer.json()["code"]) == (404, "JOB_NOT_FOUND")
    assert darkroom.get(f"/jobs/{uuid.uuid4()}?wait=21").status_code == 400


def test_a_completed_job_is_cacheable_and_its_url_stable(darkroom):
    job_id = darkroom.upload(sample("cat.jpg"))
    darkroom.completed(job_id)
    first = darkroom.get(f"/jobs/{job_id}")
    again = darkroom.get(f"/jobs/{job_id}")
    assert first.text == again.text and "retry-after" not in first.headers
    known = darkroom.get(f"/jobs/{job_id}", headers={"if-none-match": first.headers["etag"]})
    assert (known.status_code, known.text) == (304, "")
    assert None not in first.json().values()


def test_a_batch_is_all_or_nothing(darkroom):
    count = lambda: len(darkroom.get("/jobs", params={"status": "PENDING", "limit": 100}).json()["jobs"])
    before = count()
    refused = darkroom.post("/uploads/batch", {"files": [{}, {"size": 0}]})
    assert refused.status_code == 400 and "files[1]" in refused.json()["error"]
    assert darkroom.post("/uploads/batch", {"files": [{}] * 101}).status_code == 400
    assert darkroom.post("/uploads/batch", {"files": []}).status_code == 400
    assert count() == before
    slots = darkroom.post("/uploads/batch", {"files": [{"filename": "a.png"}, {}]}).json()["jobs"]
    assert [slot["headers"]["content-type"] for slot in slots] == ["image/png", "image/jpeg"]
    assert count() == before + 2


def test_listings_go_back_page_by_page(own_darkroom):
    darkroom = own_darkroom()
    ids = [darkroom.slot()["jobId"] for _ in range(7)]
    failed = darkroom.upload(b"no photo")
    darkroom.finished(failed)
    seen, cursor = [], None
    while True:
        page = darkroom.get("/jobs", params={"limit": 3, **({"cursor": cursor} if cursor else {})}).json()
        seen += [job["jobId"] for job in page["jobs"]]
        cursor = page.get("cursor")
        if not cursor:
            break
    assert seen == [failed, *reversed(ids)]
    listed = darkroom.get("/jobs", params={"status": "FAILED"}).json()["jobs"]
    assert [job["jobId"] for job in listed] == [failed]
    assert darkroom.get("/jobs", params={"status": "DONE"}).status_code == 400
    assert darkroom.get("/jobs", params={"limit": 0}).status_code == 400
    assert darkroom.get("/jobs", params={"cursor": "x"}).status_code == 400


def test_a_foreign_host_is_refused(darkroom):
    for address in (darkroom.api, darkroom.aws):
        assert requests.get(address, headers={"host": "rebind.example"}).status_code in (403, 421)


def test_a_request_for_several_hosts_or_for_no_path_is_refused(darkroom):
    host = darkroom.api.removeprefix("http://")
    for start, status in (
        (f"GET /jobs HTTP/1.1\r\nHost: {host}\r\nHost: {host}", 421),
        (f"GET /jobs HTTP/1.1\r\nHost: {host}\r\nHost: rebind.example", 421),
        ("GET /jobs HTTP/1.1\r\nX: x", 421),
        (f"GET * HTTP/1.1\r\nHost: {host}", 400),
        (f"OPTIONS * HTTP/1.1\r\nHost: {host}", 400),
    ):
        with socket.create_connection(host.split(":"), timeout=20) as connection:
            connection.sendall(f"{start}\r\nConnection: close\r\n\r\n".encode())
            answer = connection.makefile("rb").read().decode()
        assert answer.startswith(f"HTTP/1.1 {status} "), (start, answer)


def test_s3_refuses_who_is_not_known(darkroom):
    assert requests.get(f"{darkroom.aws}/{UPLOADS}/uploads/x").status_code == 403
    slot = darkroom.slot()
    other_digit = "0" if slot["url"][-1] != "0" else "1"
    for url in (slot["url"][:-1] + other_digit, slot["url"] + "0", slot["url"].replace("photo", "phota")):
        assert requests.put(url, data=b"x", headers=slot["headers"]).status_code == 403, url
    parameters = {"Bucket": UPLOADS, "Key": "uploads/x"}
    expired = darkroom.client("s3").generate_presigned_url("put_object", Params=parameters, ExpiresIn=1)
    time.sleep(2.5)
    assert requests.put(expired, data=b"x").status_code == 403


def test_each_finished_job_is_announced(darkroom):
    good, bad = darkroom.upload(sample("cat.jpg"), metadata={"a": "b"}), darkroom.upload(b"no photo")
    darkroom.completed(good), darkroom.finished(bad)
    notices = {}
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        notices = {notice["jobId"]: (notice, attributes) for notice, attributes in darkroom.notices()}
        if good in notices and bad in notices:
            break
        time.sleep(0.1)
    notice, attributes = notices[good]
    assert notice["status"] == "COMPLETED" and notice["metadata"] == {"a": "b"}
    assert "url" not in notice["derivatives"][0] and set(attributes) == {"status"}
    notice, attributes = notices[bad]
    assert notice["errorCode"] == "UNSUPPORTED_FORMAT"
    assert attributes["errorCode"] == {"type": "String", "value": "UNSUPPORTED_FORMAT"}
