"""Darkroom as it is deployed: the template that ships, by the script that ships, with the functions' own binaries."""

import copy
import json
import sys
from contextlib import contextmanager

import pytest
from emulator import ROOT, Emulator
from expanded import listed

sys.path.append(str(ROOT / "infra" / "local" / "tests"))

from receiver import Receiver, as_secret  # noqa: E402

STACK = "darkroom"
WATERMARK = '© Jane "Doe"'
FUNCTIONS = ("RequestUploadFunction", "DispatcherFunction", "WorkerFunction", "JobStatusFunction")


class Deployed:
    """A stack, and what its users do with it."""

    def __init__(self, emulator, stack):
        self.aws, self.stack = emulator, stack
        [found] = emulator.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}
        self.uploads, self.processed = self.outputs["UploadBucketName"], self.outputs["ProcessedBucketName"]
        # The emulator's own address of an API: names below localhost are not resolved everywhere.
        api = self.outputs["ApiUrl"].removeprefix("https://").split(".")[0]
        self.api = f"{emulator.endpoint}/_aws/execute-api/{api}/$default"

    def resource(self, logical):
        found = self.aws.client("cloudformation").describe_stack_resource(StackName=self.stack, LogicalResourceId=logical)
        return found["StackResourceDetail"]["PhysicalResourceId"]

    def call(self, method, path, status=200, **options):
        answer = self.aws.request(method, self.api + path, **options)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}\n{self.logs()}"
        return answer.json()

    def upload(self, photo, **wishes):
        """Uploads as a browser does; answers the slot."""
        slot = self.call("POST", "/uploads", json=wishes)
        put = self.aws.request("PUT", slot["uploadUrl"], data=photo, headers=slot["headers"])
        assert put.status_code == 200, put.text
        return slot

    def ended(self, job_id):
        """The job, once it is over."""
        for _ in range(6):
            job = self.call("GET", f"/jobs/{job_id}?wait=20")
            if job["status"] in ("COMPLETED", "FAILED"):
                return job
        raise AssertionError(f"{job}\n{self.logs()}")

    def completed(self, job_id):
        job = self.ended(job_id)
        assert job["status"] == "COMPLETED", f"{job}\n{self.logs()}"
        return job

    def invoke(self, logical, event):
        answer = self.aws.client("lambda").invoke(FunctionName=self.resource(logical), Payload=json.dumps(event))
        payload = json.load(answer["Payload"])
        assert "FunctionError" not in answer, payload
        return payload

    def lines(self, function):
        """What a function said."""
        pages = self.aws.client("logs").get_paginator("filter_log_events")
        group = self.resource(function.replace("Function", "Logs"))
        return [event["message"].strip() for page in pages.paginate(logGroupName=group) for event in page["events"]]

    def logs(self):
        """The last that each function said."""
        return "\n".join(f"{function}: {line}" for function in FUNCTIONS for line in self.lines(function)[-20:])


@pytest.fixture(scope="session")
def emulator(tmp_path_factory):
    emulator = Emulator(tmp_path_factory.mktemp("emulator"))
    yield emulator
    emulator.stop()


@contextmanager
def without(deployed, role, action, sid=None, resource=None):
    """Takes an action away from a function's role, in all statements, or in one; and there of all resources, or of one, by its number."""
    iam, name = deployed.aws.client("iam"), deployed.resource(role)
    before = iam.get_role_policy(RoleName=name, PolicyName="work")["PolicyDocument"]
    after = copy.deepcopy(before) | {"Statement": []}
    for statement in copy.deepcopy(before["Statement"]):
        if sid in (None, statement["Sid"]):
            taken = [one for one in listed(statement["Action"]) if one.removesuffix("*") == action]
            statement["Action"] = [one for one in listed(statement["Action"]) if one not in taken]
            others = [one for number, one in enumerate(listed(statement["Resource"])) if resource not in (None, number)]
            if taken and others:
                after["Statement"].append(statement | {"Sid": f"{sid}Others", "Action": taken, "Resource": others})
        if statement["Action"]:
            after["Statement"].append(statement)
    assert after != before
    iam.put_role_policy(RoleName=name, PolicyName="work", PolicyDocument=json.dumps(after))
    try:
        yield
    finally:
        # Or what failed here would fail all that comes after.
        iam.put_role_policy(RoleName=name, PolicyName="work", PolicyDocument=json.dumps(before))


def rewrite(deployed, job_id, **attributes):
    """Writes into a job's row, as no function would."""
    values = {f":{name}": {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in attributes.items()}
    deployed.aws.client("dynamodb").update_item(
        TableName=deployed.outputs["JobTableName"],
        Key={"jobId": {"S": job_id}},
        UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in attributes),
        ExpressionAttributeNames={f"#{name}": name for name in attributes},
        ExpressionAttributeValues=values,
    )


LONG_AGO = "2026-01-01T00:00:00.000000Z"


def make_due(deployed, job_id):
    rewrite(deployed, job_id, dueAt=LONG_AGO)


def deploy(emulator, stack, **parameters):
    options = [option for name, value in parameters.items() for option in ("--parameter", f"{name}={value}")]
    emulator.run("scripts/deploy", "--endpoint-url", emulator.endpoint, "--stack-name", stack, *options)
    return Deployed(emulator, stack)


CALLBACK_KEY = b"the key that callbacks are signed with"


@pytest.fixture(scope="session")
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="session")
def deployed(emulator, receiver):
    callbacks = {"CallbackHosts": f"localhost:{receiver.port}", "CallbackPrivate": "true", "CallbackSecret": as_secret(CALLBACK_KEY)}
    deployed = deploy(emulator, STACK, WatermarkText=WATERMARK, **callbacks)
    deployed.receiver = receiver
    return deployed


@pytest.fixture(scope="session")
def cat():
    return (ROOT / "assets" / "samples" / "cat.jpg").read_bytes()
