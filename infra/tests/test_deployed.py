"""Whole jobs through the deployed stack: functions run with their roles' credentials, so a permission that is missing fails a test."""

import base64
import io
import json
import re
import time
from datetime import UTC, datetime

from conftest import CALLBACK_KEY, FUNCTIONS, LONG_AGO, WATERMARK, deploy, make_due, rewrite, without
from emulator import REGION
from expanded import metrics, source
from PIL import Image, ImageChops
from receiver import signature


def image(deployed, url):
    answer = deployed.aws.request("GET", url)
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content)), answer


def test_a_photo_is_uploaded_classified_and_watermarked(deployed, cat):
    slot = deployed.upload(cat, filename="my cat.jpg", size=len(cat))
    job = deployed.completed(slot["jobId"])
    assert "cat" in job["classification"]["predictedClass"]
    picture, answer = image(deployed, job["downloadUrl"])
    source = Image.open(io.BytesIO(cat))
    assert picture.size == source.size
    assert "my%20cat" in answer.headers["content-disposition"]
    # The watermark stands bottom right.
    box = ImageChops.difference(picture.convert("RGB"), source.convert("RGB")).point(lambda v: 255 * (v > 60)).getbbox()
    assert box and box[0] > source.width // 2 and box[1] > source.height // 2, box


def test_a_parameter_arrives_whole(deployed):
    worker = deployed.aws.client("lambda").get_function_configuration(FunctionName=deployed.resource("WorkerFunction"))
    assert worker["Environment"]["Variables"]["WATERMARK_TEXT"] == WATERMARK


def test_an_object_that_was_copied_has_a_job(deployed, cat):
    key = "uploads/2026/Ünï cöde+plus.jpg"
    deployed.aws.client("s3").put_object(Bucket=deployed.uploads, Key=key, Body=cat)
    for _ in range(100):
        jobs = deployed.call("GET", "/jobs", params={"key": key})["jobs"]
        if jobs:
            break
        time.sleep(0.2)
    [job] = jobs
    assert deployed.completed(job["jobId"])["source"]["key"] == key
    assert job["jobId"] in {job["jobId"] for job in deployed.call("GET", "/jobs?status=COMPLETED")["jobs"]}


def test_the_routes_of_the_older_client(deployed, cat):
    text = base64.b64encode(cat).decode()
    submitted = deployed.call("POST", "/image", json={"image": text})
    deployed.completed(submitted["job_id"])
    result = deployed.call("GET", "/results", params={"job_id": submitted["job_id"]})
    assert (result["status"], len(result["predictions"]["top_5_predictions"])) == ("completed", 5)
    at_once = deployed.call("POST", "/classify", json={"image": text})
    assert at_once == result["predictions"]


def test_a_bad_photo_fails_at_once(deployed):
    job = deployed.ended(deployed.upload(b"no photo at all")["jobId"])
    assert (job["status"], job["errorCode"], job["attempts"]) == ("FAILED", "UNSUPPORTED_FORMAT", 1)


def test_nobody_gets_in_without_a_signature(deployed, cat):
    slot = deployed.call("POST", "/uploads", json={})
    plain = slot["uploadUrl"].split("?")[0]
    assert deployed.aws.request("PUT", plain, data=cat).status_code == 403
    assert deployed.aws.request("GET", f"{deployed.aws.endpoint}/{deployed.uploads}").status_code == 403
    other = slot["headers"] | {"content-type": "text/html"}
    assert deployed.aws.request("PUT", slot["uploadUrl"], data=cat, headers=other).status_code == 403


def test_a_finished_job_is_announced(deployed, cat):
    sqs, sns, topic = deployed.aws.client("sqs"), deployed.aws.client("sns"), deployed.outputs["TopicArn"]
    url = sqs.create_queue(QueueName="subscriber")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [allowed]})})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    slot = deployed.upload(cat, metadata={"album": "7"})
    deployed.completed(slot["jobId"])
    for _ in range(10):
        for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=2, MaxNumberOfMessages=10).get("Messages", []):
            notice = json.loads(message["Body"])
            if notice["jobId"] == slot["jobId"]:
                assert (notice["status"], notice["metadata"]) == ("COMPLETED", {"album": "7"})
                return
    raise AssertionError(deployed.logs())


def test_an_application_is_called_when_its_job_is_over(deployed, receiver, cat):
    slot = deployed.upload(cat, callbackUrl=receiver.url("/photos"), metadata={"album": "8"})
    deployed.completed(slot["jobId"])
    for _ in range(100):
        calls = [call for call in receiver.calls if call[2]["webhook-id"] == f"{slot['jobId']}.COMPLETED"]
        if calls:
            break
        time.sleep(0.2)
    [(_, path, headers, body)] = calls
    assert path == "/photos" and json.loads(body)["metadata"] == {"album": "8"}
    assert headers["webhook-signature"] == signature(CALLBACK_KEY, headers, body)
    assert "/photos" not in deployed.logs()


def dead_letters(deployed):
    attributes = deployed.aws.client("sqs").get_queue_attributes(
        QueueUrl=deployed.outputs["DeadLetterQueueUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )
    return int(attributes["Attributes"]["ApproximateNumberOfMessages"])


def test_a_job_that_fails_five_times_is_a_dead_letter_and_a_redrive_starts_it_anew(deployed, cat):
    with without(deployed, "WorkerRole", "s3:PutObject"):
        slot = deployed.upload(cat)
        job = deployed.ended(slot["jobId"])
        assert (job["status"], job["errorCode"], job["attempts"]) == ("FAILED", "RETRIES_EXHAUSTED", 5)
        for _ in range(50):
            if dead_letters(deployed):
                break
            time.sleep(0.2)
        assert dead_letters(deployed) == 1
    moved = deployed.aws.run("scripts/redrive", deployed.outputs["QueueUrl"], "--endpoint-url", deployed.aws.endpoint)
    assert moved == "messages moved: 1\n"
    for _ in range(100):
        if deployed.call("GET", f"/jobs/{slot['jobId']}")["status"] == "COMPLETED":
            break
        time.sleep(0.2)
    assert deployed.completed(slot["jobId"])["attempts"] == 6
    assert dead_letters(deployed) == 0
    worker = counted_at_last(deployed, "WorkerFunction", slot["jobId"], "completed")
    assert [worker[name] for name in ("put_back", "failed", "completed")] == [[1] * 4, [1], [1]]


def test_an_event_that_failed_is_kept_and_reconcile_makes_up_for_it(deployed, cat):
    key = "uploads/quiet.jpg"
    sqs = deployed.aws.client("sqs")
    with without(deployed, "DispatcherRole", "sqs:SendMessage"):
        deployed.aws.client("s3").put_object(Bucket=deployed.uploads, Key=key, Body=cat)
        for _ in range(100):
            failures = sqs.receive_message(QueueUrl=deployed.resource("DispatcherFailureQueue")).get("Messages", [])
            if failures:
                break
            time.sleep(0.2)
    assert key in json.dumps(json.loads(failures[0]["Body"])), failures
    # The row is there, and due some minutes later.
    [job] = deployed.call("GET", "/jobs", params={"key": key})["jobs"]
    assert job["status"] == "PENDING"
    rewrite(deployed, job["jobId"], dueAt=LONG_AGO)
    assert deployed.invoke("DispatcherFunction", {"action": "reconcile"})["mended"] >= 1
    deployed.completed(job["jobId"])


def test_the_sweep_finds_nothing_where_all_have_jobs(deployed):
    assert deployed.invoke("DispatcherFunction", {"action": "sweep"}) == {"found": 0}


def test_a_photo_that_is_gone_fails_at_once(deployed, cat):
    # Its role may list: S3 would say 403 otherwise, and the worker would try again and again.
    slot = deployed.call("POST", "/uploads", json={})
    body = {"jobId": slot["jobId"], "s3Key": slot["key"], "bucket": deployed.uploads}
    deployed.aws.client("sqs").send_message(QueueUrl=deployed.outputs["QueueUrl"], MessageBody=json.dumps(body))
    job = deployed.ended(slot["jobId"])
    assert (job["errorCode"], job["attempts"]) == ("SOURCE_MISSING", 1)


def test_a_key_of_ones_own_is_made_as_documented_and_encrypts_all_that_is_kept(emulator, cat):
    # The emulator encrypts nothing, asks nobody whether they may use the key, and keeps that of queues and logs only: all else is
    # promises.
    [commands] = re.findall(r"```sh\n([^`]*aws kms create-key[^`]*)\n.*scripts/deploy", source("docs/deploy.md"))
    aws = f"export AWS_ENDPOINT_URL={emulator.endpoint} AWS_REGION={REGION}\n"
    key = emulator.run("bash", "-ec", f"cd {emulator.folder}\n{aws}{commands}\necho $KMS_KEY").split()[-1]
    deployed = deploy(emulator, "darkroom-with-a-key", KmsKeyArn=key)
    resource = deployed.resource
    for queue in ("WorkQueue", "DeadLetterQueue", "DispatcherFailureQueue", "CallbackQueue"):
        attributes = emulator.client("sqs").get_queue_attributes(QueueUrl=resource(queue), AttributeNames=["All"])["Attributes"]
        assert (attributes["KmsMasterKeyId"], attributes.get("SqsManagedSseEnabled", "false")) == (key, "false")
    for logs in [function.replace("Function", "Logs") for function in FUNCTIONS]:
        [group] = emulator.client("logs").describe_log_groups(logGroupNamePrefix=resource(logs))["logGroups"]
        assert group["kmsKeyId"] == key
    deployed.completed(deployed.upload(cat)["jobId"])


def counted(deployed, function, job_id):
    """The metrics in a function's lines about a job, as CloudWatch reads them, and their values."""
    found = {}
    for line in deployed.lines(function):
        line = json.loads(line) if line.startswith("{") else {}
        if "_aws" not in line or line.get("job.id") != job_id:
            continue
        assert line["message"] and abs(line["_aws"]["Timestamp"] / 1000 - time.time()) < 3600, line
        [directive] = line["_aws"]["CloudWatchMetrics"]
        named = directive.pop("Metrics")
        assert directive == {"Namespace": "Darkroom", "Dimensions": [["Table"]]}
        assert line["Table"] == deployed.outputs["JobTableName"]
        for metric in named:
            assert type(line[metric["Name"]]) is int, line
            assert metric["Unit"] == metrics()[metric["Name"]], line
            found.setdefault(metric["Name"], []).append(line[metric["Name"]])
    return found


def counted_at_last(deployed, function, job_id, metric):
    """The same, once it has that metric: a client may see the end of a job before its last line is written."""
    for _ in range(50):
        found = counted(deployed, function, job_id)
        if metric in found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"{found}\n{deployed.logs()}")


def test_the_lines_about_a_job_hold_its_metrics(deployed, cat):
    job_id = deployed.completed(deployed.upload(cat)["jobId"])["jobId"]
    worker = counted_at_last(deployed, "WorkerFunction", job_id, "completed")
    assert counted(deployed, "RequestUploadFunction", job_id) == {"offered": [1]}
    assert counted(deployed, "DispatcherFunction", job_id) == {"queued": [1]}
    assert worker.pop("completed") == [1]
    assert set(worker) == {"queue_ms", "fetch_ms", "compute_ms", "store_ms", "duration_ms"}
    times = {name: value for name, [value] in worker.items()}
    assert 0 <= times.pop("queue_ms") < 60_000
    whole = times.pop("duration_ms")
    assert whole - 3 <= sum(times.values()) <= whole + 3


def test_a_photo_that_is_none_is_counted_as_rejected(deployed):
    bad = deployed.ended(deployed.upload(b"no photo at all")["jobId"])["jobId"]
    assert counted_at_last(deployed, "WorkerFunction", bad, "rejected") == {"rejected": [1]}


def test_an_upload_that_never_came_is_nothing_to_mend(deployed):
    slot = deployed.call("POST", "/uploads", json={})
    deployed.invoke("DispatcherFunction", {"action": "reconcile"})
    rewrite(deployed, slot["jobId"], dueAt=LONG_AGO, uploadExpiresAt=LONG_AGO)
    assert deployed.invoke("DispatcherFunction", {"action": "reconcile"})["mended"] == 0
    assert deployed.ended(slot["jobId"])["errorCode"] == "UPLOAD_EXPIRED"
    assert counted_at_last(deployed, "DispatcherFunction", slot["jobId"], "expired") == {"expired": [1]}


def test_what_is_being_handled_is_nothing_to_mend(deployed):
    slot = deployed.call("POST", "/uploads", json={})
    deployed.invoke("DispatcherFunction", {"action": "reconcile"})
    # As its row stands from when the dispatcher has heard of an object until it has queued the job.
    rewrite(deployed, slot["jobId"], eTag="0", dueAt=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    assert deployed.invoke("DispatcherFunction", {"action": "reconcile"})["mended"] == 0
    # Queued it was all the same.
    assert deployed.ended(slot["jobId"])["errorCode"] == "SOURCE_MISSING"
