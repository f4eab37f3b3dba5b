"""The three ways in: an upload slot, a copy into the bucket, base64 in a request."""

import hashlib
import json
import re
import time

import requests
from conftest import PROCESSED, UPLOADS, as_base64, download, encoded, picture, sample
from PIL import Image, ImageChops


def labels(job):
    return [prediction["label"] for prediction in job["classification"]["predictions"]]


def test_a_photo_put_to_a_slot_is_classified_and_watermarked(darkroom):
    slot = darkroom.slot(filename="Ünser Kätzchen.jpg", metadata={"album": "7"})
    assert slot["method"] == "PUT" and slot["url"] == slot["uploadUrl"] and slot["fields"] == {}
    assert slot["expiresIn"] == 300 and slot["headers"] == {"content-type": "image/jpeg"}
    assert slot["key"] == f"uploads/{slot['jobId']}/Ünser Kätzchen.jpg"
    assert slot["statusUrl"] == f"/jobs/{slot['jobId']}"
    pending = darkroom.get(slot["statusUrl"])
    assert pending.json()["status"] == "PENDING" and pending.headers["retry-after"] == "1"

    assert requests.put(slot["url"], data=sample("cat.jpg"), headers=slot["headers"]).status_code == 200
    job = darkroom.completed(slot["jobId"])
    assert any("cat" in label for label in labels(job)[:1]), labels(job)
    assert len(labels(job)) == 5 and job["classification"]["model"] == "efficientnet-lite0"
    assert all(0 <= p["probability"] <= 1 for p in job["classification"]["predictions"])
    assert job["metadata"] == {"album": "7"} and job["filename"] == "Ünser Kätzchen.jpg" and job["attempts"] == 1
    source = job["source"]
    assert source["format"] == "jpeg" and source["bytes"] == len(sample("cat.jpg"))
    assert source["eTag"] == hashlib.md5(sample("cat.jpg")).hexdigest()

    [derivative] = job["derivatives"]
    assert derivative["name"] == "watermarked" and derivative["url"] == job["downloadUrl"]
    assert derivative["key"] == f"processed/uploads/{job['jobId']}/watermarked.jpg"
    answer = download(job)
    assert hashlib.sha256(answer.content).hexdigest() == derivative["sha256"]
    assert answer.headers["content-type"] == "image/jpeg"
    assert "filename*=UTF-8''%C3%9Cnser%20K%C3%A4tzchen.jpg" in answer.headers["content-disposition"]

    stored = darkroom.client("s3").head_object(Bucket=PROCESSED, Key=derivative["key"])
    assert stored["CacheControl"] == "private, max-age=31536000, immutable"
    assert stored["Metadata"]["job-id"] == job["jobId"]

    # The mark is at the bottom right, and nowhere else.
    original = Image.open(f"{__file__.rsplit('/infra/', 1)[0]}/assets/samples/cat.jpg").convert("RGB")
    marked = picture(job).convert("RGB")
    assert marked.size == original.size
    difference = ImageChops.difference(original, marked).convert("L").point(lambda v: 255 if v > 60 else 0)
    left, top, right, bottom = difference.getbbox()
    assert left > original.width / 2 and top > original.height * 0.8
    assert right < original.width and bottom < original.height


def test_the_same_photo_gives_the_same_bytes(darkroom):
    photo = sample("rocket.jpg")
    hashes = [darkroom.completed(darkroom.upload(photo))["derivatives"][0]["sha256"] for _ in range(3)]
    assert hashes[0] == hashes[1] == hashes[2]


def test_the_coffee_is_a_coffee(darkroom):
    job = darkroom.completed(darkroom.upload(sample("coffee.jpg"), filename="coffee.jpg"))
    assert labels(job)[0] in ("espresso", "cup")


def test_signed_headers_are_what_the_slot_says(darkroom):
    photo = sample("cat.jpg")
    checksum = as_base64(hashlib.sha256(photo).digest())
    slot = darkroom.slot(size=len(photo), checksumSha256=checksum, contentType="image/jpeg")
    signed = re.search(r"X-Amz-SignedHeaders=([^&]+)", slot["url"])[1].replace("%3B", ";").split(";")
    assert sorted(signed) == ["content-length", "content-type", "host", "x-amz-checksum-sha256"]
    assert sorted(slot["headers"]) == ["content-length", "content-type", "x-amz-checksum-sha256"]

    put = lambda data, **headers: requests.put(slot["url"], data=data, headers={**slot["headers"], **headers})
    assert put(photo[:-1], **{"content-length": str(len(photo) - 1)}).status_code == 403
    assert put(photo, **{"content-type": "image/png"}).status_code == 403
    assert put(bytes(len(photo))).status_code == 400
    assert put(photo, **{"x-amz-meta-recipe": "web"}).status_code == 403
    assert requests.put(slot["url"], data=photo).status_code == 403
    assert put(photo).status_code == 200
    darkroom.completed(slot["jobId"])


def test_aws_s3_cp_makes_one_job_whatever_the_key(darkroom, tmp_path):
    for key in ("uploads/copied.jpg", "uploads/2026/trip/Ünï cöde+plus 100%.jpg", "uploads/a%2Bb c.jpg"):
        (tmp_path / "photo.jpg").write_bytes(sample("coffee.jpg"))
        darkroom.cli("s3", "cp", str(tmp_path / "photo.jpg"), f"s3://{UPLOADS}/{key}")
        job = darkroom.completed_by_key(key)
        assert job["source"]["key"] == key and job["filename"] == key.rsplit("/", 1)[1]
        # The same bytes once more are old news.
        darkroom.cli("s3", "cp", str(tmp_path / "photo.jpg"), f"s3://{UPLOADS}/{key}")
        assert len(darkroom.jobs_of(key)) == 1


def test_what_comes_under_raw_takes_the_queue_where_there_is_no_state_machine(darkroom):
    darkroom.client("s3").put_object(Bucket=UPLOADS, Key="raw/cat.jpg", Body=sample("cat.jpg"), Metadata={"recipe": "gallery"})
    job = darkroom.completed_by_key("raw/cat.jpg")
    assert [derivative["name"] for derivative in job["derivatives"]] == ["full", "web", "mono", "thumb"]


def test_a_folder_and_a_foreign_prefix_make_no_job(darkroom):
    s3 = darkroom.client("s3")
    for key in ("uploads/folder/", "raw/folder/", "elsewhere/cat.jpg"):
        s3.put_object(Bucket=UPLOADS, Key=key, Body=b"" if key.endswith("/") else sample("cat.jpg"))
    s3.put_object(Bucket=UPLOADS, Key="uploads/after.jpg", Body=sample("cat.jpg"))
    darkroom.completed_by_key("uploads/after.jpg")
    assert darkroom.jobs_of("uploads/folder/") == [] and darkroom.jobs_of("elsewhere/cat.jpg") == []


def test_a_20_mb_multipart_upload_is_one_job(darkroom, tmp_path):
    noise = Image.effect_noise((2700, 2700), 90)
    photo = encoded(Image.merge("RGB", [noise, noise.rotate(90), noise.rotate(180)]), "PNG")
    assert len(photo) > 20_000_000
    (tmp_path / "big.png").write_bytes(photo)
    darkroom.cli("s3", "cp", str(tmp_path / "big.png"), f"s3://{UPLOADS}/uploads/big.png")
    job = darkroom.completed_by_key("uploads/big.png", 120)
    assert job["source"]["eTag"].endswith("-3") and job["source"]["bytes"] == len(photo)
    assert picture(job).size == (2700, 2700)


def test_a_named_recipe_is_taken_from_the_objects_metadata(darkroom):
    s3 = darkroom.client("s3")
    put = lambda key, recipe: s3.put_object(
        Bucket=UPLOADS, Key=key, Body=sample("astronaut.jpg"), Metadata={"recipe": recipe}
    )
    put("uploads/named.jpg", "web")
    job = darkroom.completed_by_key("uploads/named.jpg")
    assert [(d["name"], d["width"], d["height"]) for d in job["derivatives"]] == [("web", 512, 512), ("thumb", 320, 320)]
    put("uploads/misnamed.jpg", "wbe")
    [job] = [darkroom.finished(job["jobId"]) for job in wait_for_jobs(darkroom, "uploads/misnamed.jpg")]
    assert (job["status"], job["errorCode"]) == ("FAILED", "INVALID_RECIPE")


def wait_for_jobs(darkroom, key):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if jobs := darkroom.jobs_of(key):
            return jobs
        time.sleep(0.1)
    raise AssertionError(f"no job for {key}")


def test_the_older_clients_contract_to_the_letter(darkroom):
    submitted = darkroom.post("/image", {"image": "data:image/jpeg;base64," + as_base64(sample("cat.jpg"))})
    assert submitted.status_code == 200 and set(submitted.json()) == {"message", "job_id"}
    assert submitted.json()["message"] == "Job submitted"
    job_id = submitted.json()["job_id"]
    results = darkroom.get("/results", params={"job_id": job_id})
    while results.status_code == 202:
        assert results.json() == {"message": "Processing", "job_id": job_id, "status": results.json()["status"]}
        assert results.json()["status"] == "PENDING"
        results = darkroom.get("/results", params={"job_id": job_id})
    body = results.json()
    assert results.status_code == 200 and set(body) == {"job_id", "status", "predictions"}
    assert (body["job_id"], body["status"]) == (job_id, "completed")
    top = body["predictions"]["top_5_predictions"]
    assert len(top) == 5 and set(top[0]) == {"class", "probability"} and 1 < top[0]["probability"] <= 100
    assert body["predictions"]["predicted_class"] == top[0]["class"] and "cat" in top[0]["class"]
    stored = darkroom.client("s3").get_object(Bucket=PROCESSED, Key=f"results/{job_id}.json")
    assert json.load(stored["Body"]) == body

    at_once = darkroom.post("/classify", {"image": as_base64(sample("cat.jpg"))})
    assert at_once.status_code == 200 and at_once.json() == body["predictions"]


def test_what_the_older_contract_says_of_failures(darkroom):
    for path in ("/image", "/classify"):
        missing = darkroom.post(path, {})
        assert (missing.status_code, missing.json()) == (400, {"error": "Missing image data in request."})
        assert darkroom.post(path, {"image": "%%%"}).status_code == 400
        large = darkroom.post(path, {"image": "A" * 6_100_000})
        assert large.status_code == 413 and "POST /uploads" in large.json()["error"]
    missing = darkroom.get("/results")
    assert (missing.status_code, missing.json()) == (400, {"error": "Missing job_id parameter"})
    assert darkroom.post("/classify", {"image": as_base64(b"no photo")}).json()["code"] == "UNSUPPORTED_FORMAT"

    job_id = darkroom.post("/image", {"image": as_base64(b"no photo")}).json()["job_id"]
    message = darkroom.finished(job_id)["errorMessage"]
    failed = darkroom.get("/results", params={"job_id": job_id})
    assert (failed.status_code, failed.json()) == (200, {"job_id": job_id, "status": "failed", "error": message})
