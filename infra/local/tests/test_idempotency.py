"""`Idempotency-Key`: a request that is sent again gets the jobs that it got, and nobody else does."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from conftest import sample

TABLE = "darkroom-jobs"


def asked(darkroom, key, path="/uploads", **body):
    return darkroom.post(path, body, headers={"idempotency-key": key})


def offered(darkroom, key, **body):
    answer = asked(darkroom, key, **body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def check_reused(answer):
    assert (answer.status_code, answer.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED"), answer.text


def rows(darkroom):
    return darkroom.client("dynamodb").scan(TableName=TABLE)["Items"]


def reservation(darkroom, job_id):
    [row] = [row for row in rows(darkroom) if row.get("forJob") == {"S": job_id}]
    return row


def rewrite(darkroom, row, **attributes):
    darkroom.client("dynamodb").put_item(TableName=TABLE, Item=row | attributes)


def test_twenty_requests_at_once_with_one_key_are_one_job(quiet):
    before, key = len(rows(quiet)), str(uuid.uuid4())
    with ThreadPoolExecutor(20) as pool:
        slots = list(pool.map(lambda _: offered(quiet, key, filename="cat.jpg", size=1000), range(20)))
    assert len({(slot["jobId"], slot["key"]) for slot in slots}) == 1
    # The job's row, and the one that is kept for the key.
    assert len(rows(quiet)) == before + 2
    assert offered(quiet, str(uuid.uuid4()), filename="cat.jpg", size=1000)["jobId"] != slots[0]["jobId"]


def test_each_answer_has_a_url_that_takes_the_photo_and_a_job_that_is_over_stays_as_it_is(darkroom):
    key, cat = str(uuid.uuid4()), sample("cat.jpg")
    wishes = {"filename": "cat.jpg", "size": len(cat), "derivatives": [{"name": "small", "resize": {"width": 64}}]}
    offered(darkroom, key, **wishes)
    slot = offered(darkroom, key, **wishes)
    assert requests.put(slot["url"], data=cat, headers=slot["headers"]).status_code == 200
    done = darkroom.completed(slot["jobId"])
    # Completed or not, the key stands for its job; what is put into its slot now is not looked at.
    again = offered(darkroom, key, **wishes)
    assert (again["jobId"], again["key"]) == (slot["jobId"], slot["key"])
    assert requests.put(again["url"], data=cat, headers=again["headers"]).status_code == 200
    time.sleep(1)
    assert darkroom.get(f"/jobs/{slot['jobId']}").json() == done


def test_a_key_stands_for_one_request(quiet):
    key = str(uuid.uuid4())
    slot = offered(quiet, key, filename="a.jpg", metadata={"a": "1", "b": "2"})
    before = rows(quiet)
    for body in ({}, {"filename": "b.jpg"}, {"filename": "a.jpg"}, {"filename": "a.jpg", "metadata": {"a": "1"}}):
        check_reused(asked(quiet, key, **body))
    check_reused(asked(quiet, key, "/uploads/batch", files=[{"filename": "a.jpg", "metadata": {"a": "1", "b": "2"}}]))
    assert rows(quiet) == before
    assert offered(quiet, key, metadata={"b": "2", "a": "1"}, filename="a.jpg")["jobId"] == slot["jobId"]


def test_a_batch_is_one_request(quiet):
    key = str(uuid.uuid4())
    files = [{"filename": f"{n}.png"} for n in range(20)]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: asked(quiet, key, "/uploads/batch", files=files), range(3)))
    assert [answer.status_code for answer in answers] == [200, 200, 200], [answer.text for answer in answers]
    jobs = [[(job["jobId"], job["key"]) for job in answer.json()["jobs"]] for answer in answers]
    assert jobs[0] == jobs[1] == jobs[2] and len(set(jobs[0])) == 20
    before = rows(quiet)
    check_reused(asked(quiet, key, "/uploads/batch", files=files[:19]))
    check_reused(asked(quiet, key, "/uploads/batch", files=files[::-1]))
    check_reused(asked(quiet, key, **files[0]))
    assert rows(quiet) == before


def test_after_a_day_a_key_is_as_new(quiet):
    key = str(uuid.uuid4())
    first = offered(quiet, key)
    row = reservation(quiet, first["jobId"])
    assert abs(int(row["expiresAt"]["N"]) - time.time() - 24 * 60 * 60) < 60
    rewrite(quiet, row, expiresAt={"N": str(int(time.time()) + 30)})
    check_reused(asked(quiet, key, size=7))
    # DynamoDB may take days to delete it.
    rewrite(quiet, row, expiresAt={"N": str(int(time.time()) - 1)})
    second = offered(quiet, key, size=7)
    assert second["jobId"] != first["jobId"]
    check_reused(asked(quiet, key))


def test_a_crash_between_the_two_writes_is_made_good_by_the_next_try(quiet):
    key = str(uuid.uuid4())
    job_id = offered(quiet, key)["jobId"]
    quiet.client("dynamodb").delete_item(TableName=TABLE, Key={"jobId": {"S": job_id}})
    assert quiet.get(f"/jobs/{job_id}").status_code == 404
    assert offered(quiet, key)["jobId"] == job_id
    assert quiet.get(f"/jobs/{job_id}").json()["status"] == "PENDING"


@pytest.mark.parametrize("key", ["!", "~" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "a#b,c:d/../e%00"])
def test_any_visible_characters_make_a_key(quiet, key):
    slot = offered(quiet, key)
    assert offered(quiet, key)["jobId"] == slot["jobId"]
    # Kept as a hash: a key may be somebody's secret.
    assert key == "!" or key not in str(rows(quiet))
