"""No permission of a role is idle: each is taken away once, and something that the function does has to fail.

What a function does is a scenario below. A permission whose lack no scenario notices stands in `ASSUMED`, with the reason why it cannot be
shown here, and one that stands there must not be noticed. These are the policies `work`; what the policies `logs`, `traces` and `key` allow
is used by AWS's services in the function's name, which the emulator does without asking, so that promises hold them.
"""

import json
import time
import uuid
from typing import NamedTuple

import pytest
from conftest import LONG_AGO, make_due, rewrite, without
from expanded import FUNCTIONS, Template, expand, listed

ASSUMED = {
    "DispatcherRole.ListProcessed s3:ListBucket": "Without it, S3 says 403 where 404 is meant, should a result go between a refused put and the look "
    "at what is there. The emulator says 404.",
    "DispatcherRole.FindJobs dynamodb:Query /index/byKey": "The sweep asks it of objects older than a quarter of an hour, and the emulator's "
    "objects are as old as the test.",
    "DispatcherRole.SeeUploads s3:GetObject /raw/*": "Only the sweep looks at what is under raw/: as above.",
    "DispatcherRole.KeepFailures sqs:SendMessage": "Lambda sends what failed in the role's name, with its permission. The emulator does not ask for it.",
    "DispatcherRole.CallApplications sqs:ReceiveMessage": "The mapping polls in the role's name, with its permission. The emulator does not ask for it.",
    "DispatcherRole.CallApplications sqs:DeleteMessage": "As sqs:ReceiveMessage.",
    "DispatcherRole.CallApplications sqs:GetQueueAttributes": "As sqs:ReceiveMessage.",
    "WorkerRole.ListUploads s3:ListBucket": "Without it, S3 says 403 of an object that is not there, and the job would be tried again until nothing is left of "
    "its receives. The emulator says 404.",
    "WorkerRole.ListProcessed s3:ListBucket": "As the dispatcher's.",
    "WorkerRole.TakeWork sqs:ReceiveMessage": "The mapping polls in the role's name, with its permission. The emulator does not ask for it.",
    "WorkerRole.TakeWork sqs:DeleteMessage": "As sqs:ReceiveMessage.",
    "WorkerRole.TakeWork sqs:GetQueueAttributes": "As sqs:ReceiveMessage.",
}


class Permission(NamedTuple):
    role: str
    sid: str
    action: str
    number: int
    place: str

    def __str__(self):
        return f"{self.role}.{self.sid} {self.action}" + self.place


def permissions():
    template = Template(expand())
    for role in (name.replace("Function", "Role") for name in FUNCTIONS.values()):
        [work] = [policy for policy in template.properties(role)["Policies"] if policy["PolicyName"] == "work"]
        for statement in work["PolicyDocument"]["Statement"]:
            resources = listed(statement["Resource"])
            for action in listed(statement["Action"]):
                for number, resource in enumerate(resources):
                    place = " " + resource.split("}")[-1] if len(resources) > 1 else ""
                    yield Permission(role, statement["Sid"], action, number, place)


PERMISSIONS = list(permissions())


# What the scenarios are made of ------------------------------------------------------------------------------------------


def row(deployed, job_id):
    key = {"jobId": {"S": job_id}}
    item = deployed.aws.client("dynamodb").get_item(TableName=deployed.outputs["JobTableName"], Key=key, ConsistentRead=True)["Item"]
    return {name: next(iter(value.values())) for name, value in item.items()}


def uploaded(deployed):
    """A slot with a photo in it, of which nobody was told; and the photo's version."""
    slot = deployed.call("POST", "/uploads", json={})
    put = deployed.aws.client("s3").put_object(Bucket=deployed.uploads, Key=slot["key"], Body=deployed.cat)
    return slot, put["VersionId"]


def occupy(deployed, *keys):
    """Something is there already, so that a put is refused and the function looks at what it is."""
    for key in keys:
        deployed.aws.client("s3").put_object(Bucket=deployed.processed, Key=key, Body=b"older")


def item(deployed, slot, **more):
    return {"jobId": slot["jobId"], "s3Key": slot["key"], "bucket": deployed.uploads} | more


def work(deployed, body, receipt="none", receives=1):
    """Has the worker take a message; answers whether it gave it back."""
    record = {"messageId": "1", "receiptHandle": receipt, "body": json.dumps(body), "eventSource": "aws:sqs",
              "attributes": {"ApproximateReceiveCount": str(receives)}, "messageAttributes": {}}  # fmt: skip
    return bool(deployed.invoke("WorkerFunction", {"Records": [record]})["batchItemFailures"])


def taken(deployed, queue):
    """Takes all messages out of a queue that can be seen; answers their bodies."""
    sqs, url, bodies = deployed.aws.client("sqs"), deployed.resource(queue), []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            bodies.append(message["Body"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return bodies


def send(deployed, queue, body):
    deployed.aws.client("sqs").send_message(QueueUrl=deployed.resource(queue), MessageBody=json.dumps(body))


def unfinished(deployed, queue):
    """How many messages somebody has taken out of a queue and not deleted."""
    name = "ApproximateNumberOfMessagesNotVisible"
    answer = deployed.aws.client("sqs").get_queue_attributes(QueueUrl=deployed.resource(queue), AttributeNames=[name])
    return int(answer["Attributes"][name])


def listen(deployed, enabled, mapping="WorkMapping"):
    """Whether messages wake a function, by default the worker."""
    deployed.aws.client("lambda").update_event_source_mapping(UUID=deployed.resource(mapping), Enabled=enabled)


def until(condition):
    for _ in range(100):
        if condition():
            return
        time.sleep(0.2)
    raise AssertionError("it did not come about")


def reconcile(deployed):
    return deployed.invoke("DispatcherFunction", {"action": "reconcile"})


# request-upload


def offers_a_slot_that_takes_a_photo(deployed):
    deployed.upload(deployed.cat)


def offers_a_slot_again_to_who_asks_with_the_same_key(deployed):
    headers = {"idempotency-key": str(uuid.uuid4())}
    ids = {deployed.call("POST", "/uploads", json={}, headers=headers)["jobId"] for _ in range(2)}
    assert len(ids) == 1


# dispatcher


def queues_what_was_uploaded(deployed):
    slot, version = uploaded(deployed)
    entity = {"bucket": {"name": deployed.uploads}, "object": {"key": slot["key"], "size": 7, "eTag": "e", "versionId": version, "sequencer": "01"}}
    record = {"eventVersion": "2.1", "eventName": "ObjectCreated:Put", "s3": entity}
    assert deployed.invoke("DispatcherFunction", {"Records": [record]}) == {"queued": 1}


def queues_an_upload_whose_event_was_lost(deployed):
    slot, _ = uploaded(deployed)
    make_due(deployed, slot["jobId"])
    reconcile(deployed)
    assert "workId" in row(deployed, slot["jobId"])


def ends_a_slot_that_was_not_used(deployed):
    slot = deployed.call("POST", "/uploads", json={})
    occupy(deployed, f"results/{slot['jobId']}.json")
    rewrite(deployed, slot["jobId"], uploadExpiresAt=LONG_AGO, dueAt=LONG_AGO)
    reconcile(deployed)
    job = row(deployed, slot["jobId"])
    assert job["errorCode"] == "UPLOAD_EXPIRED" and "announcedAt" in job


def has_an_application_told_of_a_slot_that_was_not_used(deployed):
    slot = deployed.call("POST", "/uploads", json={"callbackUrl": deployed.receiver.url()})
    rewrite(deployed, slot["jobId"], uploadExpiresAt=LONG_AGO, dueAt=LONG_AGO)
    reconcile(deployed)
    assert any(slot["jobId"] in body for body in taken(deployed, "CallbackQueue"))


def calls_an_application_again_later(deployed):
    taken(deployed, "CallbackQueue")
    job_id = str(uuid.uuid4())
    send(deployed, "CallbackQueue", {"jobId": job_id, "id": f"{job_id}.FAILED", "url": "http://localhost:1/", "body": "{}"})
    sqs, url = deployed.aws.client("sqs"), deployed.resource("CallbackQueue")
    [message] = sqs.receive_message(QueueUrl=url, VisibilityTimeout=3)["Messages"]
    attributes = {"ApproximateReceiveCount": "1", "SentTimestamp": str(int(time.time() * 1000))}
    record = {"messageId": "1", "receiptHandle": message["ReceiptHandle"], "body": message["Body"], "eventSource": "aws:sqs", "attributes": attributes}
    assert deployed.invoke("DispatcherFunction", {"Records": [record]})["batchItemFailures"] == [{"itemIdentifier": "1"}]
    time.sleep(4)
    # Ten seconds, and not those three.
    assert not any(job_id in body for body in taken(deployed, "CallbackQueue"))
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def sweeps(deployed):
    assert deployed.invoke("DispatcherFunction", {"action": "sweep"}) == {"found": 0}


def lays_down_what_a_job_that_timed_out_is_redriven_by(deployed):
    slot, _ = uploaded(deployed)
    rewrite(deployed, slot["jobId"], status="PROCESSING", leaseOwner="x", leaseUntil=LONG_AGO, attempts=5, dueAt=LONG_AGO)
    reconcile(deployed)
    assert any(slot["jobId"] in body for body in taken(deployed, "DeadLetterQueue"))


def removes_the_dead_letter_of_a_job_that_was_completed(deployed):
    send(deployed, "DeadLetterQueue", item(deployed, deployed.done))
    reconcile(deployed)
    assert not any(deployed.done["jobId"] in body for body in taken(deployed, "DeadLetterQueue"))


def looks_through_dead_letters_and_leaves_them(deployed):
    letter = f"no work item {uuid.uuid4()}"
    send(deployed, "DeadLetterQueue", letter)
    # It asks for the queue's address once in its life, so it is started anew.
    function = deployed.resource("DispatcherFunction")
    deployed.aws.client("lambda").update_function_configuration(FunctionName=function, MemorySize=256)
    reconcile(deployed)
    assert any(letter in body for body in taken(deployed, "DeadLetterQueue"))


def keeps_an_event_that_it_cannot_handle(deployed):
    event = {"action": str(uuid.uuid4())}
    function = deployed.resource("DispatcherFunction")
    deployed.aws.client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(event))
    until(lambda: any(event["action"] in body for body in taken(deployed, "DispatcherFailureQueue")))


# worker


def completes_a_job(deployed):
    slot, version = uploaded(deployed)
    occupy(deployed, f"processed/uploads/{slot['jobId']}/watermarked.jpg", f"results/{slot['jobId']}.json")
    assert not work(deployed, item(deployed, slot, versionId=version))
    job = row(deployed, slot["jobId"])
    assert job["status"] == "COMPLETED" and "announcedAt" in job
    return slot


def completes_a_job_of_which_it_is_told_no_version(deployed):
    slot, _ = uploaded(deployed)
    assert not work(deployed, item(deployed, slot))
    assert row(deployed, slot["jobId"])["status"] == "COMPLETED"


def has_an_application_told_of_a_job_that_is_over(deployed):
    slot = deployed.call("POST", "/uploads", json={"callbackUrl": deployed.receiver.url()})
    assert not work(deployed, item(deployed, slot))
    assert any(slot["jobId"] in body for body in taken(deployed, "CallbackQueue"))


def fails_a_job_whose_photo_is_gone(deployed):
    slot = deployed.call("POST", "/uploads", json={})
    assert not work(deployed, item(deployed, slot))
    assert row(deployed, slot["jobId"])["errorCode"] == "SOURCE_MISSING"


def raw(deployed):
    """An object under raw/ that starts no execution."""
    key = f"raw/{uuid.uuid4()}.jpg"
    put = deployed.aws.client("s3").put_object(Bucket=deployed.uploads, Key=key, Body=deployed.cat)
    return {"key": key, "etag": put["ETag"].strip('"'), "version-id": put["VersionId"]}


def validate(deployed, found):
    detail = {"bucket": {"name": deployed.uploads}, "object": found}
    event = {"stage": "ValidateImage", "execution": str(uuid.uuid4()), "detail": detail}
    return deployed.invoke("WorkerFunction", event)["verdict"]


def takes_what_is_under_raw(deployed):
    assert validate(deployed, raw(deployed)) == "accepted"


def takes_what_is_under_raw_where_there_are_no_versions(deployed):
    assert validate(deployed, raw(deployed) | {"version-id": ""}) == "accepted"


def queues_a_photo_anew_that_was_replaced(deployed):
    slot, _ = uploaded(deployed)
    assert not work(deployed, item(deployed, slot, eTag="of the one before"))
    assert "workId" in row(deployed, slot["jobId"])


def gives_a_message_back_at_once_on_its_last_receive(deployed):
    slot, version = uploaded(deployed)
    taken(deployed, "WorkQueue")
    body = item(deployed, slot, versionId=version)
    send(deployed, "WorkQueue", body)
    sqs, url = deployed.aws.client("sqs"), deployed.resource("WorkQueue")
    [message] = sqs.receive_message(QueueUrl=url, VisibilityTimeout=300)["Messages"]
    # Something that fails, and may be mended.
    with without(deployed, "WorkerRole", "s3:PutObject"):
        assert work(deployed, body, receipt=message["ReceiptHandle"], receives=5)
    is_back = any(slot["jobId"] in body for body in taken(deployed, "WorkQueue"))
    if not is_back:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert is_back


def is_woken_by_messages(deployed):
    slot, version = uploaded(deployed)
    taken(deployed, "WorkQueue")
    listen(deployed, True)
    try:
        send(deployed, "WorkQueue", item(deployed, slot, versionId=version))
        until(lambda: row(deployed, slot["jobId"])["status"] == "COMPLETED" and not unfinished(deployed, "WorkQueue"))
    finally:
        listen(deployed, False)


# job-status


def tells_where_derivatives_are(deployed):
    rewrite(deployed, deployed.done["jobId"], downloadUrlExpiresAt=LONG_AGO)
    url = deployed.call("GET", f"/jobs/{deployed.done['jobId']}")["downloadUrl"]
    assert deployed.aws.request("GET", url).status_code == 200


def lists_jobs_of_a_key(deployed):
    assert deployed.call("GET", "/jobs", params={"key": deployed.done["key"]})["jobs"]


def lists_jobs_of_a_status(deployed):
    assert deployed.call("GET", "/jobs?status=COMPLETED")["jobs"]


def lists_jobs_of_a_subject(deployed):
    # As behind an authorizer, which this stack has none of.
    authorizer = {"jwt": {"claims": {"sub": "somebody"}, "scopes": None}}
    http = {"method": "GET", "path": "/jobs", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "test"}
    event = {"version": "2.0", "routeKey": "GET /jobs", "rawPath": "/jobs", "rawQueryString": "", "headers": {}, "isBase64Encoded": False,
             "requestContext": {"authorizer": authorizer, "http": http, "stage": "$default", "requestId": "1", "time": "", "timeEpoch": 0}}  # fmt: skip
    assert deployed.invoke("JobStatusFunction", event)["statusCode"] == 200


SCENARIOS = {
    "RequestUploadRole": [offers_a_slot_that_takes_a_photo, offers_a_slot_again_to_who_asks_with_the_same_key],
    "DispatcherRole": [
        sweeps,
        queues_what_was_uploaded,
        queues_an_upload_whose_event_was_lost,
        ends_a_slot_that_was_not_used,
        has_an_application_told_of_a_slot_that_was_not_used,
        calls_an_application_again_later,
        lays_down_what_a_job_that_timed_out_is_redriven_by,
        removes_the_dead_letter_of_a_job_that_was_completed,
        looks_through_dead_letters_and_leaves_them,
        keeps_an_event_that_it_cannot_handle,
    ],
    "WorkerRole": [
        completes_a_job,
        completes_a_job_of_which_it_is_told_no_version,
        fails_a_job_whose_photo_is_gone,
        has_an_application_told_of_a_job_that_is_over,
        takes_what_is_under_raw,
        takes_what_is_under_raw_where_there_are_no_versions,
        queues_a_photo_anew_that_was_replaced,
        gives_a_message_back_at_once_on_its_last_receive,
        is_woken_by_messages,
    ],
    "JobStatusRole": [tells_where_derivatives_are, lists_jobs_of_a_key, lists_jobs_of_a_status, lists_jobs_of_a_subject],
}


@pytest.fixture(scope="module")
def quiet(deployed, cat):
    """The stack while nothing happens in it but what a scenario does: no event, no message and no clock wakes a function."""
    s3, events = deployed.aws.client("s3"), deployed.aws.client("events")
    clocks = [deployed.resource(clock) for clock in ("ReconcileClock", "SweepClock", "RawUploadsRule")]
    notification = s3.get_bucket_notification_configuration(Bucket=deployed.uploads)
    notification.pop("ResponseMetadata")
    s3.put_bucket_notification_configuration(Bucket=deployed.uploads, NotificationConfiguration={})
    listen(deployed, False)
    listen(deployed, False, "CallbackMapping")
    for clock in clocks:
        events.disable_rule(Name=clock)
    deployed.cat = cat
    deployed.done = completes_a_job(deployed)
    yield deployed
    taken(deployed, "WorkQueue")
    taken(deployed, "DeadLetterQueue")
    taken(deployed, "CallbackQueue")
    for clock in clocks:
        events.enable_rule(Name=clock)
    listen(deployed, True)
    listen(deployed, True, "CallbackMapping")
    s3.put_bucket_notification_configuration(Bucket=deployed.uploads, NotificationConfiguration=notification)


@pytest.mark.parametrize("scenario", [s for of_role in SCENARIOS.values() for s in of_role], ids=lambda scenario: scenario.__name__)
def test_with_all_permissions_it(quiet, scenario):
    scenario(quiet)


def noticed(deployed, role):
    """The first scenario that fails."""
    for scenario in SCENARIOS[role]:
        try:
            scenario(deployed)
        except AssertionError:
            return scenario
    return None


@pytest.mark.parametrize("permission", PERMISSIONS, ids=str)
def test_a_permission_is_needed(quiet, permission):
    role, sid, action, number, _ = permission
    with without(quiet, role, action, sid, number):
        scenario = noticed(quiet, role)
    if scenario is None:
        assert str(permission) in ASSUMED, f"nothing fails without {permission}: add a scenario to SCENARIOS, or to ASSUMED why there is none"
    else:
        assert str(permission) not in ASSUMED, f"{permission} need not be assumed: without it, {scenario.__name__} fails"
        # With it, it does not: nothing else was the matter.
        scenario(quiet)


def test_what_is_assumed_is_allowed():
    assert set(ASSUMED) <= {str(permission) for permission in PERMISSIONS}
