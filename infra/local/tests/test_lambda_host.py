"""The functions' own binaries under a Lambda runtime host: one photo's way, each function invoked with its real event.

The host is an emulator of AWS that runs `provided.al2023` bootstraps as processes; see requirements.txt.
"""

import io
import json
import os
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import boto3
import pytest
import requests
from conftest import BINARY, ROOT, sample

NAMES = ("request-upload", "dispatcher", "worker", "job-status")
FILES = {"worker": ["models/efficientnet-lite0", "assets/recipes"]}


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("aws")
    environment = {**os.environ, "GATEWAY_PORT": str(port), "TMPDIR": str(folder), "BIND_HOST": "127.0.0.1"}
    host = Path(sys.executable).with_name("ministack")
    with open(folder / "log", "w") as log:
        process = subprocess.Popen([host], env=environment, stdout=log, stderr=log, cwd=folder)
    endpoint = f"http://127.0.0.1:{port}"
    for _ in range(200):
        try:
            requests.get(endpoint, timeout=1)
            break
        except requests.ConnectionError:
            time.sleep(0.1)

    def client(service):
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        return boto3.client(service, endpoint_url=endpoint, **keys)

    client.endpoint = endpoint
    yield client
    process.terminate()
    process.wait(timeout=20)


def create_resources(aws):
    """What the functions need; answers their environment."""
    for bucket in ("uploads", "processed"):
        aws("s3").create_bucket(Bucket=bucket)
    attribute = lambda name: {"AttributeName": name, "AttributeType": "S"}
    index = lambda name, hash, sort, projection="ALL": {
        "IndexName": name,
        "KeySchema": [{"AttributeName": hash, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": projection},
    }
    names = ["jobId", "s3Key", "createdAt", "statusShard", "listedAt", "ownerShard", "dueShard", "dueAt"]
    aws("dynamodb").create_table(
        TableName="jobs",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[attribute(name) for name in names],
        KeySchema=[{"AttributeName": "jobId", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            index("byKey", "s3Key", "createdAt"),
            index("byStatus", "statusShard", "listedAt"),
            index("byOwner", "ownerShard", "listedAt"),
            index("byDue", "dueShard", "dueAt", "KEYS_ONLY"),
        ],
    )
    return {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "UPLOAD_BUCKET": "uploads",
        "PROCESSED_BUCKET": "processed",
        "DYNAMODB_TABLE": "jobs",
        "SQS_QUEUE_URL": aws("sqs").create_queue(QueueName="work")["QueueUrl"],
        "NOTIFY_TOPIC_ARN": aws("sns").create_topic(Name="done")["TopicArn"],
    }


def create_function(aws, name, environment):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as package:
        info = zipfile.ZipInfo("bootstrap")
        info.external_attr = 0o755 << 16
        package.writestr(info, BINARY.with_name(name).read_bytes())
        for folder in FILES.get(name, []):
            for file in (ROOT / folder).iterdir():
                package.write(file, file.relative_to(ROOT))
    aws("lambda").create_function(
        FunctionName=name,
        Runtime="provided.al2023",
        Handler="bootstrap",
        Role="arn:aws:iam::000000000000:role/test",
        Code={"ZipFile": buffer.getvalue()},
        Environment={"Variables": environment},
        Timeout=60,
        MemorySize=1769,
    )


def http_event(method, path, body=None):
    route = f"{method} {path}"
    return {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": "api.example"},
        "requestContext": {
            "accountId": "1", "apiId": "a", "domainName": "api.example", "domainPrefix": "api",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "1.2.3.4", "userAgent": "t"},
            "requestId": "r", "routeKey": route, "stage": "$default",
            "time": "21/Nov/2026:09:00:00 +0000", "timeEpoch": 1_795_251_600_000,
        },
        "body": json.dumps(body) if body is not None else None,
        "isBase64Encoded": False,
    }  # fmt: skip


def created(key, size, e_tag):
    """S3's record of a new object."""
    return {
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
        "eventTime": "2026-11-21T09:00:00.000Z", "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "A"}, "requestParameters": {"sourceIPAddress": "1.2.3.4"},
        "responseElements": {"x-amz-request-id": "C", "x-amz-id-2": "F"},
        "s3": {
            "s3SchemaVersion": "1.0", "configurationId": "c",
            "bucket": {"name": "uploads", "ownerIdentity": {"principalId": "A"}, "arn": "arn:aws:s3:::uploads"},
            "object": {"key": key, "size": size, "eTag": e_tag.strip('"'), "sequencer": "0055AED6DCD90281E5"},
        },
    }  # fmt: skip


def receive(sqs, url):
    """The next message, as Lambda hands it to a function."""
    [message] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5, AttributeNames=["All"])["Messages"]
    return {
        "messageId": message["MessageId"], "receiptHandle": message["ReceiptHandle"], "body": message["Body"],
        "attributes": message["Attributes"], "messageAttributes": {}, "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:work",
        "awsRegion": "us-east-1",
    }  # fmt: skip


def invoke(aws, name, event):
    answer = aws("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    payload = json.load(answer["Payload"])
    assert "FunctionError" not in answer, payload
    return payload


def test_each_function_answers_a_real_event_under_a_lambda_host(aws):
    environment = create_resources(aws)
    for name in NAMES:
        create_function(aws, name, environment)

    answer = invoke(aws, "request-upload", http_event("POST", "/uploads", {"filename": "cat.jpg"}))
    assert answer["statusCode"] == 200, answer
    slot = json.loads(answer["body"])
    stored = aws("s3").put_object(Bucket="uploads", Key=slot["key"], Body=sample("cat.jpg"))

    record = created(slot["key"], len(sample("cat.jpg")), stored["ETag"])
    assert invoke(aws, "dispatcher", {"Records": [record]}) == {"queued": 1}

    work = receive(aws("sqs"), environment["SQS_QUEUE_URL"])
    poison = {**work, "messageId": "poison", "body": "not JSON"}
    assert invoke(aws, "worker", {"Records": [work, poison]}) == {"batchItemFailures": [{"itemIdentifier": "poison"}]}

    # Only the API itself says that a body is base64, so where it is not the function errs, and goes on with the next.
    for name, path in (("request-upload", "/uploads"), ("worker", "/classify")):
        broken = {**http_event("POST", path), "body": "%%%", "isBase64Encoded": True}
        answer = aws("lambda").invoke(FunctionName=name, Payload=json.dumps(broken))
        assert "FunctionError" in answer, json.load(answer["Payload"])
        wrong = invoke(aws, name, http_event("POST", path, ["cat.jpg"]))
        assert (wrong["statusCode"], json.loads(wrong["body"])["code"]) == (400, "INVALID_REQUEST")
    assert aws("dynamodb").scan(TableName="jobs", Select="COUNT")["Count"] == 1

    answer = invoke(aws, "job-status", http_event("GET", f"/jobs/{slot['jobId']}"))
    job = json.loads(answer["body"])
    assert job["status"] == "COMPLETED", job
    assert "cat" in job["classification"]["predictedClass"]
    assert requests.get(job["downloadUrl"]).content[:3] == b"\xff\xd8\xff"
