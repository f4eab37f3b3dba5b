"""Requests and file names that nobody with good intent sends: what each is answered, and that it leaves no trace."""

import gzip
import http.client
import json
import uuid

import pytest
from conftest import Traces

JSON = {"content-type": "application/json"}
ROUTES = {
    "/uploads": "POST", "/uploads/batch": "POST", "/image": "POST", "/classify": "POST",
    "/jobs": "GET", f"/jobs/{uuid.UUID(int=7)}": "GET", "/results": "GET",
}  # fmt: skip


def send(darkroom, method, path, body=b"", headers=JSON):
    """Sends a request as it is: no client library tidies the path or the headers. Answers status, headers and body."""
    connection = http.client.HTTPConnection(darkroom.api.removeprefix("http://"), timeout=60)
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in {**headers, "content-length": str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, answer.headers, text


def check_refused(darkroom, status, code, *request, **options):
    """The request is refused in the API's one shape, and nothing has changed."""
    before = Traces.of(darkroom)
    got, headers, text = send(darkroom, *request, **options)
    assert got == status, (got, text)
    body = json.loads(text)
    assert set(body) == {"error", "code", "requestId"} and body["code"] == code, body
    assert body["error"] and body["requestId"] and "\n" not in body["error"]
    assert headers["access-control-allow-origin"] == "*" and headers["content-type"] == "application/json"
    assert Traces.of(darkroom) == before
    return body["error"]


BAD, TYPE, LARGE, PHOTO = "INVALID_REQUEST", "UNSUPPORTED_MEDIA_TYPE", "PAYLOAD_TOO_LARGE", "IMAGE_TOO_LARGE"
DEEP = "[" * 10_000 + "]" * 10_000

# Each body of `POST /uploads`, and what the answer's sentence names.
UPLOADS_REFUSED = {
    "no JSON": ('{"size":', 400, BAD, "EOF"),
    "not even text": (b"\xff\xfe{}", 400, BAD, "expected"),
    "invalid UTF-8 in a string": (b'{"filename":"\xc3\x28.jpg"}', 400, BAD, "filename"),
    "half a surrogate": ('{"filename":"\\ud800"}', 400, BAD, "filename"),
    "more after the end": ('{}{"size":1}', 400, BAD, "more after"),
    "a list": ('["cat.jpg"]', 400, BAD, "expected an object"),
    "a string": ('"cat.jpg"', 400, BAD, "expected an object"),
    "null": ("null", 400, BAD, "expected an object"),
    "10,000 deep": (DEEP, 400, BAD, "expected an object"),
    "10,000 deep in a field": ('{"derivatives":' + DEEP + "}", 400, BAD, "derivatives"),
    "10,000 deep in an unknown field": ('{"x":' + '{"a":' * 10_000 + "1" + "}" * 10_001, 400, BAD, "x"),
    "duplicate keys": ('{"size":1,"size":2}', 400, BAD, "size"),
    "duplicate keys, one escaped": ('{"size":1,"\\u0073ize":2}', 400, BAD, "size"),
    "duplicate keys in metadata": ('{"metadata":{"a":"1","a":"2"}}', 400, BAD, "metadata"),
    "duplicate keys in a recipe": ('{"derivatives":[{"name":"a","name":"b"}]}', 400, BAD, "derivatives[0]"),
    "unknown field": ('{"filname":"x"}', 400, BAD, "filname"),
    "a job's own field": ('{"status":"COMPLETED"}', 400, BAD, "status"),
    "another job's id": ('{"jobId":"' + str(uuid.UUID(int=7)) + '"}', 400, BAD, "jobId"),
    "another case": ('{"Size":1}', 400, BAD, "Size"),
    "a prototype": ('{"__proto__":{}}', 400, BAD, "__proto__"),
    "unknown field of a derivative": ('{"derivatives":[{"name":"a","qualty":1}]}', 400, BAD, "derivatives[0].qualty"),
    "unknown field of a resize": (
        '{"derivatives":[{"name":"a","resize":{"widht":1}}]}', 400, BAD, "widht"),
    "unknown field of a watermark": (
        '{"derivatives":[{"name":"a","watermark":{"opactiy":1}}]}', 400, BAD, "opactiy"),
    "a list for a derivative": ('{"derivatives":[["a"]]}', 400, BAD, "derivatives[0]"),
    "a list for a resize": ('{"derivatives":[{"name":"a","resize":[1,1,"cover",true]}]}', 400, BAD, "resize"),
    "a list for a watermark": ('{"derivatives":[{"name":"a","watermark":["x"]}]}', 400, BAD, "watermark"),
    "a list for metadata": ('{"metadata":[["a","b"]]}', 400, BAD, "metadata"),
    "an object for derivatives": ('{"derivatives":{"name":"a"}}', 400, BAD, "derivatives"),
    "nothing to derive": ('{"derivatives":[]}', 400, BAD, "derivatives"),
    "nine derivatives": (json.dumps({"derivatives": [{"name": f"n{n}"} for n in range(9)]}), 400, BAD, "derivatives"),
    "a derivative that is a path": ('{"derivatives":[{"name":"../a"}]}', 400, BAD, "derivatives"),
    "size 0": ('{"size":0}', 400, BAD, "size"),
    "size -0.0": ('{"size":-0.0}', 400, BAD, "size"),
    "size -1": ('{"size":-1}', 400, BAD, "size"),
    "size 1.5": ('{"size":1.5}', 400, BAD, "size"),
    "size 1e2": ('{"size":1e2}', 400, BAD, "size"),
    "size 1e309": ('{"size":1e309}', 400, BAD, "size"),
    "size 2^64": ('{"size":18446744073709551616}', 400, BAD, "size"),
    "size 2^64 - 1": ('{"size":18446744073709551615}', 413, PHOTO, "size"),
    "size NaN": ('{"size":NaN}', 400, BAD, "size"),
    "size as text": ('{"size":"1"}', 400, BAD, "size"),
    "one byte over the limit": (json.dumps({"size": 25 * 1024 * 1024 + 1}), 413, PHOTO, "size"),
    "a checksum of 31 bytes": (json.dumps({"checksumSha256": "A" * 40 + "AA=="}), 400, BAD, "checksumSha256"),
    "a checksum with a header in it": ('{"checksumSha256":"a\\r\\nX: 1"}', 400, BAD, "checksumSha256"),
    "SVG": ('{"contentType":"image/svg+xml"}', 415, TYPE, "contentType"),
    "a header in the type": ('{"contentType":"image/png\\r\\nX: 1"}', 415, TYPE, "contentType"),
    "a parameter of the type": ('{"contentType":"image/png; charset=x"}', 415, TYPE, "contentType"),
    "the type of a page": ('{"contentType":"text/html"}', 415, TYPE, "contentType"),
    "17 entries of metadata": (json.dumps({"metadata": {str(n): "" for n in range(17)}}), 400, BAD, "metadata"),
    "2,049 bytes of metadata": (json.dumps({"metadata": {"a": "x" * 2048}}), 400, BAD, "metadata"),
    "metadata without a name": ('{"metadata":{"":"x"}}', 400, BAD, "metadata"),
    "metadata that is a number": ('{"metadata":{"a":1}}', 400, BAD, "metadata"),
    "a file name of 16 KiB and a byte": (json.dumps({"filename": "x" * 16_385}), 400, BAD, "filename"),
    "a file name that is a list": ('{"filename":["x"]}', 400, BAD, "filename"),
}  # fmt: skip


@pytest.mark.parametrize("name", UPLOADS_REFUSED)
def test_an_upload_that_is_refused_says_why_and_leaves_nothing(quiet, name):
    body, status, code, part = UPLOADS_REFUSED[name]
    error = check_refused(quiet, status, code, "POST", "/uploads", body if isinstance(body, bytes) else body.encode())
    assert part in error, error
    if code == BAD and name not in ("not even text", "no JSON", "more after the end"):
        # In a batch the same file is named by its index.
        batch = b'{"files":[{},' + (body if isinstance(body, bytes) else body.encode()) + b"]}"
        assert "files[1]" in check_refused(quiet, 400, BAD, "POST", "/uploads/batch", batch)


# Other requests: method, path, body, headers, and status and code of the answer.
REFUSED = {
    "an empty batch": ("POST", "/uploads/batch", b"", JSON, 400, BAD),
    "a batch without files": ("POST", "/uploads/batch", b'{"files":[]}', JSON, 400, BAD),
    "101 files": ("POST", "/uploads/batch", json.dumps({"files": [{}] * 101}).encode(), JSON, 400, BAD),
    "files that are one": ("POST", "/uploads/batch", b'{"files":{}}', JSON, 400, BAD),
    "unknown field of a batch": ("POST", "/uploads/batch", b'{"files":[{}],"x":1}', JSON, 400, BAD),
    "files twice": ("POST", "/uploads/batch", b'{"files":[{}],"files":[{}]}', JSON, 400, BAD),
    "11 MB": ("POST", "/uploads", b" " * 11_000_000, JSON, 413, LARGE),
    "11 MB of a batch": ("POST", "/uploads/batch", b" " * 11_000_000, JSON, 413, LARGE),
    "an event of more than 6 MB": ("POST", "/uploads", b" " * 7_000_000, JSON, 413, LARGE),
    "6 MB in base64": ("POST", "/image", b'{"image":"' + b"A" * 6_100_000 + b'"}', JSON, 413, LARGE),
    "6 MB to classify": ("POST", "/classify", b'{"image":"' + b"A" * 6_100_000 + b'"}', JSON, 413, LARGE),
    "plain text": ("POST", "/uploads", b"{}", {"content-type": "text/plain"}, 415, TYPE),
    "a form": ("POST", "/uploads", b"size=1", {"content-type": "application/x-www-form-urlencoded"}, 415, TYPE),
    "a photo instead of JSON": ("POST", "/uploads", b"\xff\xd8\xff", {"content-type": "image/jpeg"}, 415, TYPE),
    "compressed": ("POST", "/uploads", gzip.compress(b"{}"), {**JSON, "content-encoding": "gzip"}, 400, BAD),
    "an empty idempotency key": ("POST", "/uploads", b"{}", {**JSON, "idempotency-key": ""}, 400, BAD),
    "an idempotency key of 256 characters": ("POST", "/uploads", b"{}", {**JSON, "idempotency-key": "k" * 256}, 400, BAD),
    "an idempotency key with a space": ("POST", "/uploads", b"{}", {**JSON, "idempotency-key": "a b"}, 400, BAD),
    "an idempotency key with a tab": ("POST", "/uploads", b"{}", {**JSON, "idempotency-key": "a\tb"}, 400, BAD),
    "an idempotency key that is no ASCII": ("POST", "/uploads", b"{}", {**JSON, "idempotency-key": "schlüssel"}, 400, BAD),
    "an idempotency key that is no UTF-8": ("POST", "/uploads", b"{}", {**JSON, "idempotency-key": b"\xff\xfe"}, 400, BAD),
    "an idempotency key of a bad batch": (
        "POST", "/uploads/batch", b'{"files":[{},{"size":0}]}', {**JSON, "idempotency-key": "k"}, 400, BAD),
    "an idempotency key of a bad upload": ("POST", "/uploads", b'{"size":0}', {**JSON, "idempotency-key": "k"}, 400, BAD),
    "an idempotency key for an image": ("POST", "/image", b'{"image":"aGVsbG8="}', {**JSON, "idempotency-key": "k"}, 400, BAD),
    "no base64": ("POST", "/image", b'{"image":"%%%"}', JSON, 400, BAD),
    "base64 in a list": ("POST", "/image", b'["aGVsbG8="]', JSON, 400, BAD),
    "two images": ("POST", "/image", b'{"image":"aGVsbG8=","image":"aGVsbG8="}', JSON, 400, BAD),
    "an image 10,000 deep": ("POST", "/image", b'{"image":' + DEEP.encode() + b"}", JSON, 400, BAD),
    "an image with a long name": (
        "POST", "/image", json.dumps({"image": "aGVsbG8=", "filename": "x" * 16_385}).encode(), JSON, 400, BAD),
    "no photo to classify": ("POST", "/classify", b'{"image":"aGVsbG8="}', JSON, 415, "UNSUPPORTED_FORMAT"),
    "nothing there": ("GET", "/nowhere", b"", {}, 404, "NOT_FOUND"),
    "a slash too many": ("POST", "/uploads/", b"", {}, 404, "NOT_FOUND"),
    "another case of a path": ("POST", "/Uploads", b"", {}, 404, "NOT_FOUND"),
    "a path that climbs": ("GET", "/jobs/../x", b"", {}, 404, "NOT_FOUND"),
    "a path that climbs out": ("GET", "/../../etc/passwd", b"", {}, 404, "NOT_FOUND"),
    "a path that climbs in disguise": ("GET", "/jobs/..%2fx", b"", {}, 404, "NOT_FOUND"),
    "a job id that climbs": ("GET", "/jobs/%2e%2e", b"", {}, 400, "INVALID_JOB_ID"),
    "a job id that ends early": ("GET", f"/jobs/{uuid.UUID(int=7)}%00", b"", {}, 400, "INVALID_JOB_ID"),
    "a job id that is no UTF-8": ("GET", "/jobs/%ff", b"", {}, 400, "INVALID_JOB_ID"),
    "a job id with a line break": ("GET", f"/jobs/{uuid.UUID(int=7)}%0d%0aX:1", b"", {}, 400, "INVALID_JOB_ID"),
    "a job id in braces": ("GET", f"/jobs/%7b{uuid.UUID(int=7)}%7d", b"", {}, 400, "INVALID_JOB_ID"),
    "a job id of 8 kB": ("GET", "/jobs/" + "x" * 8_000, b"", {}, 400, "INVALID_JOB_ID"),
    "a job id of 10 kB": ("GET", "/jobs/" + "x" * 10_240, b"", {}, 431, LARGE),
    "a header of 10 kB": ("GET", "/jobs", b"", {"x-long": "x" * 10_240}, 431, LARGE),
    "nobody's job": ("GET", f"/jobs/{uuid.UUID(int=7)}", b"", {}, 404, "JOB_NOT_FOUND"),
    "a result of a path": ("GET", "/results?job_id=../x", b"", {}, 400, "INVALID_JOB_ID"),
    "nobody's result": ("GET", f"/results?job_id={uuid.UUID(int=7)}", b"", {}, 404, "JOB_NOT_FOUND"),
    "a wait too long": ("GET", f"/jobs/{uuid.UUID(int=7)}?wait=21", b"", {}, 400, BAD),
    "a negative wait": ("GET", f"/jobs/{uuid.UUID(int=7)}?wait=-1", b"", {}, 400, BAD),
    "a wait of 1e9": ("GET", f"/jobs/{uuid.UUID(int=7)}?wait=1e9", b"", {}, 400, BAD),
    "a page of none": ("GET", "/jobs?limit=0", b"", {}, 400, BAD),
    "a page of 101": ("GET", "/jobs?limit=101", b"", {}, 400, BAD),
    "an unknown status": ("GET", "/jobs?status=completed", b"", {}, 400, BAD),
    "a cursor of one's own": ("GET", "/jobs?cursor=AAAA", b"", {}, 400, BAD),
    "an unknown parameter": ("GET", "/jobs?statsu=FAILED", b"", {}, 400, BAD),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_that_is_refused_leaves_nothing(quiet, name):
    method, path, body, headers, status, code = REFUSED[name]
    check_refused(quiet, status, code, method, path, body, headers=headers)


@pytest.mark.parametrize("path", ["/image", "/classify"])
@pytest.mark.parametrize("body", [b"", b"{}", b'{"image":""}', b'{"image":null}', b'{"image":"data:image/png;base64,"}'])
def test_a_body_without_an_image_is_answered_as_the_older_contract_has_it(quiet, path, body):
    before = Traces.of(quiet)
    status, _, text = send(quiet, "POST", path, body)
    assert (status, json.loads(text)) == (400, {"error": "Missing image data in request."})
    assert Traces.of(quiet) == before


@pytest.mark.parametrize("path", ROUTES)
def test_a_wrong_method_is_refused_on_every_route(quiet, path):
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"):
        if method != ROUTES[path]:
            check_refused(quiet, 405, "METHOD_NOT_ALLOWED", method, path, b"{}")
    status, headers, text = send(quiet, "HEAD", path)
    assert (status, text) == (405, b"") and headers["allow"] == f"{ROUTES[path]}, OPTIONS"
