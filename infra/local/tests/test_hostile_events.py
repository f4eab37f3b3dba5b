"""Events as S3 may send them and should not: what each one makes, and that it makes it once.

S3's own events are lost here, so that each test delivers exactly those that it is about.
"""

import time

import pytest
import requests
from conftest import PROCESSED, UPLOADS, Traces, encoded, eventually
from PIL import Image


def photo(shade):
    return encoded(Image.new("RGB", (9, 9), (shade, 80, 60)), "PNG")


@pytest.fixture(scope="module")
def deaf(quiet):
    quiet.lose_events()
    return quiet


def put(darkroom, key, body):
    return darkroom.client("s3").put_object(Bucket=UPLOADS, Key=key, Body=body)["ETag"].strip('"')


def record(key, e_tag="e", size=77, name="ObjectCreated:Put", bucket=UPLOADS, version="2.1", sequencer="0A"):
    """A record, its key encoded already; what is `None` is absent."""
    entity = {"key": key, "size": size, "eTag": e_tag, "sequencer": sequencer}
    event = {"eventVersion": version, "eventSource": "aws:s3", "eventName": name}
    whole = {**event, "s3": {"bucket": {"name": bucket}, "object": {k: v for k, v in entity.items() if v is not None}}}
    return {k: v for k, v in whole.items() if v is not None}


def test_the_same_record_a_hundred_times_is_one_job(deaf):
    key = "uploads/hundred.png"
    e_tag = put(deaf, key, photo(1))
    before = Traces.of(deaf)
    deaf.deliver({"Records": [record(key, e_tag)] * 100})
    job = deaf.completed_by_key(key)
    assert job["attempts"] == 1
    for _ in range(3):
        deaf.deliver({"Records": [record(key, e_tag)] * 100})
    eventually(lambda: deaf.count("darkroom-queue") == 0, 30)
    after = Traces.of(deaf)
    assert after.rows == before.rows + 1 and after.messages == 0
    made = {f"processed/uploads/{job['jobId']}/watermarked.png", f"results/{job['jobId']}.json"}
    assert after.objects - before.objects == made | {"uploads/folder/"} - before.objects
    assert deaf.completed_by_key(key) == job
    assert [notice["jobId"] for notice, _ in deaf.notices()].count(job["jobId"]) == 1


def test_a_thousand_records_in_one_event_are_all_read(own_darkroom):
    darkroom = own_darkroom()
    darkroom.lose_events()
    keys = [f"uploads/thousand/{number % 100}.png" for number in range(1000)]
    darkroom.deliver({"Records": [record(key) for key in keys]})
    rows = lambda: darkroom.client("dynamodb").scan(TableName="darkroom-jobs")["Items"]
    eventually(lambda: darkroom.count("darkroom-queue") == 0, 120)
    assert sorted(row["s3Key"]["S"] for row in rows()) == sorted(set(keys))
    # Nothing was uploaded, so each ends at its first receive.
    assert {(row["status"]["S"], row["errorCode"]["S"], row["attempts"]["N"]) for row in rows()} == {
        ("FAILED", "SOURCE_MISSING", "1")
    }
    eventually(lambda: len({notice["jobId"] for notice, _ in darkroom.notices()}) == 100, 90)


def event_bridge(key, e_tag, **detail):
    return {
        "version": "0", "id": "1", "detail-type": "Object Created", "source": "aws.s3", "account": "000000000000",
        "time": "2026-11-21T00:00:00Z", "region": "us-east-1", "resources": [f"arn:aws:s3:::{UPLOADS}"],
        "detail": {
            "version": "0", "bucket": {"name": UPLOADS}, "reason": "PutObject", **detail,
            "object": {"key": key, "size": 77, "etag": e_tag, "sequencer": "0A"},
        },
    }  # fmt: skip


# Events about an object that is there under the key beside them, and is to get its job.
TAKEN = {
    "EventBridge, whose keys are not encoded": ("uploads/a+b%2Bc.png", event_bridge),
    "a key encoded once": ("uploads/a b+c%2B.png", lambda _, tag: {"Records": [record("uploads/a+b%2Bc%252B.png", tag)]}),
    "a key with a broken escape": ("uploads/100%.png", lambda key, tag: {"Records": [record(key, tag)]}),
    "a key with an escape of no digits": ("uploads/%zz%.png", lambda key, tag: {"Records": [record(key, tag)]}),
    "no sequencer": ("uploads/unordered.png", lambda key, tag: {"Records": [record(key, tag, sequencer=None)]}),
    "no size": ("uploads/unmeasured.png", lambda key, tag: {"Records": [record(key, tag, size=None)]}),
    "a size that is too small": ("uploads/small.png", lambda key, tag: {"Records": [record(key, tag, size=1)]}),
    "a size that is too large": ("uploads/large.png", lambda key, tag: {"Records": [record(key, tag, size=10**6)]}),
    "version 2.0": ("uploads/v20.png", lambda key, tag: {"Records": [record(key, tag, version="2.0")]}),
    "version 2.99 with more in it": (
        "uploads/v299.png", lambda key, tag: {"Records": [{**record(key, tag, version="2.99"), "newField": [1]}]}),
    "no version, as tools that replay events write": (
        "uploads/replayed.png",
        lambda key, tag: {"Records": [record(key, tag, version=None, name="s3:ObjectCreated:Put")]}),
    "a multipart upload": (
        "uploads/parts.png", lambda key, tag: {"Records": [record(key, tag, name="ObjectCreated:CompleteMultipartUpload")]}),
    "one record among others that cannot be read": (
        "uploads/among.png",
        lambda key, tag: {"Records": [None, [], {}, {"s3": 7}, record("uploads/%ff"), record(key, tag)]}),
}  # fmt: skip


@pytest.mark.parametrize("title", TAKEN)
def test_an_event_that_can_be_read_makes_the_objects_job(deaf, title):
    key, event = TAKEN[title]
    body = photo(2 + list(TAKEN).index(title))
    e_tag = put(deaf, key, body)
    deaf.deliver(event(key, e_tag))
    job = deaf.completed_by_key(key)
    assert job["source"] == {**job["source"], "key": key, "bytes": len(body), "eTag": e_tag} and job["attempts"] == 1


# Events that make nothing.
IGNORED = {
    "S3's test": {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": UPLOADS},
    "no records": {"Records": []},
    "a foreign bucket": {"Records": [record("uploads/x.png", bucket="somebody-elses")]},
    "a derivative": {"Records": [record("processed/uploads/x/watermarked.png", bucket=PROCESSED)]},
    "a derivative's key": {"Records": [record("processed/uploads/x/watermarked.png")]},
    "an upload's key in the other bucket": {"Records": [record("uploads/x.png", bucket=PROCESSED)]},
    "another prefix": {"Records": [record("uploadsx/x.png"), record("Uploads/x.png"), record("/uploads/x.png")]},
    "a folder": {"Records": [record("uploads/x/", size=0), record("uploads/")]},
    "an empty key": {"Records": [record("")]},
    "removals": {"Records": [record("uploads/x.png", name=f"ObjectRemoved:{how}") for how in ("Delete", "DeleteMarkerCreated")]},
    "other news": {"Records": [record("uploads/x.png", name=n) for n in ("ObjectTagging:Put", "TestEvent", "objectcreated:put")]},
    "a key that is no UTF-8": {"Records": [record("uploads/%ff%fe.png")]},
    "version 3.0": {"Records": [record("uploads/x.png", version="3.0")]},
    "version 20.1": {"Records": [record("uploads/x.png", version="20.1")]},
    "an unreadable version": {"Records": [record("uploads/x.png", version="")]},
    "records of no shape": {"Records": [None, 7, "x", [], {}, {"s3": {}}, {"eventName": 7, "s3": None}]},
    "EventBridge about a removal": {**event_bridge("uploads/x.png", "e"), "detail-type": "Object Deleted"},
    "EventBridge about another bucket": event_bridge("uploads/x.png", "e", bucket={"name": "somebody-elses"}),
}  # fmt: skip


@pytest.mark.parametrize("title", IGNORED)
def test_an_event_about_nothing_of_ours_makes_nothing(deaf, title):
    deaf.deliver({"Records": []})  # so that the folder is there
    before = Traces.of(deaf)
    deaf.deliver(IGNORED[title])
    assert Traces.of(deaf) == before


@pytest.mark.parametrize("newer_first", [True, False])
def test_sequencers_of_unequal_length_are_compared_as_s3_has_it(deaf, newer_first):
    slot = deaf.slot(filename="twice.png")
    older, newer = (put(deaf, slot["key"], photo(shade)) for shade in (100, 101))
    # Padded on the right, the longer one is the older.
    events = [record(slot["key"], newer, sequencer="0B"), record(slot["key"], older, sequencer="0A99")]
    for event in events if newer_first else reversed(events):
        deaf.deliver({"Records": [event]})
    job = deaf.completed(slot["jobId"])
    assert job["source"]["eTag"] == newer
    row = deaf.client("dynamodb").get_item(TableName="darkroom-jobs", Key={"jobId": {"S": slot["jobId"]}})["Item"]
    assert row["sequencer"]["S"] == "0B" and row["eTag"]["S"] == newer


def test_an_event_of_another_slots_key_does_not_touch_that_job(deaf):
    slot = deaf.slot(filename="mine.png")
    deaf.deliver({"Records": [record(f"uploads/{slot['jobId']}/other.png")]})
    assert deaf.get(slot["statusUrl"]).json()["status"] == "PENDING"
    [other] = deaf.jobs_of(f"uploads/{slot['jobId']}/other.png")
    assert other["jobId"] != slot["jobId"]
    assert requests.put(slot["url"], data=photo(200), headers=slot["headers"]).status_code == 200
