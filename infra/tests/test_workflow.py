"""The state machine, deployed: what comes under raw/ goes through its states, and comes out as by the queue."""

import io
import json
import time
from contextlib import contextmanager

from conftest import without
from PIL import Image


def put(deployed, key, photo, **options):
    deployed.aws.client("s3").put_object(Bucket=deployed.uploads, Key=key, Body=photo, **options)


def job_of(deployed, key):
    for _ in range(100):
        jobs = deployed.call("GET", "/jobs", params={"key": key})["jobs"]
        if jobs:
            return jobs[0]
        time.sleep(0.2)
    raise AssertionError(deployed.logs())


def execution_of(deployed, key):
    """The execution for an object, once it is over, and its history."""
    states, machine = deployed.aws.client("stepfunctions"), deployed.outputs["StateMachineArn"]
    for _ in range(150):
        for listed in states.list_executions(stateMachineArn=machine)["executions"]:
            found = states.describe_execution(executionArn=listed["executionArn"])
            if json.loads(found["input"])["detail"]["object"]["key"] == key and found["status"] != "RUNNING":
                return found, states.get_execution_history(executionArn=listed["executionArn"])["events"]
        time.sleep(0.2)
    raise AssertionError(f"{states.list_executions(stateMachineArn=machine)}\n{deployed.logs()}")


def entered(history):
    return [event["stateEnteredEventDetails"]["name"] for event in history if event["type"].endswith("StateEntered")]


def of(history, kind):
    """Details of a kind of event, such as `TaskFailed`."""
    return [event[f"{kind[0].lower()}{kind[1:]}EventDetails"] for event in history if event["type"] == kind]


def test_a_photo_comes_out_as_by_the_queue(deployed, cat):
    jobs = {}
    for road in ("uploads", "raw"):
        key = f"{road}/Ünï cöde+plus.jpg"
        put(deployed, key, cat, Metadata={"recipe": "gallery"})
        jobs[road] = deployed.completed(job_of(deployed, key)["jobId"])
    execution, history = execution_of(deployed, "raw/Ünï cöde+plus.jpg")
    assert execution["status"] == "SUCCEEDED"
    assert entered(history) == ["ValidateImage", "WhatIsIt", "MakeDerivatives", "OptimizeImage", "WasItMade", "NotifySuccess"]
    # The emulator does not say when it enters the states of branches.
    outputs = [json.loads(details["output"]) for details in of(history, "TaskSucceeded")]
    made = [[derivative["name"] for derivative in output["derivatives"]] for output in outputs if "derivatives" in output]
    assert sorted(made) == [["mono"], ["web", "thumb"]]
    same = [[(d["name"], d["width"], d["height"], d["sha256"], d["contentType"]) for d in job["derivatives"]] for job in jobs.values()]
    assert [name for name, *_ in same[0]] == ["full", "web", "mono", "thumb"]
    assert same[0] == same[1]
    for field in ("classification", "placeholder", "filename", "attempts"):
        assert jobs["raw"][field] == jobs["uploads"][field], field
    assert jobs["raw"]["source"] == jobs["uploads"]["source"] | {"key": "raw/Ünï cöde+plus.jpg"}
    result = deployed.call("GET", "/results", params={"job_id": jobs["raw"]["jobId"]})
    assert result["status"] == "completed"


def test_an_event_that_comes_twice_finds_nothing_to_do(deployed, cat):
    put(deployed, "raw/twice.jpg", cat)
    deployed.completed(job_of(deployed, "raw/twice.jpg")["jobId"])
    execution, _ = execution_of(deployed, "raw/twice.jpg")
    states = deployed.aws.client("stepfunctions")
    again = states.start_execution(stateMachineArn=deployed.outputs["StateMachineArn"], input=execution["input"])["executionArn"]
    for _ in range(50):
        found = states.describe_execution(executionArn=again)
        if found["status"] != "RUNNING":
            break
        time.sleep(0.2)
    assert json.loads(found["output"])["validated"] == {"verdict": "nothing"}
    assert len(deployed.call("GET", "/jobs", params={"key": "raw/twice.jpg"})["jobs"]) == 1


def test_a_corrupt_photo_goes_through_notify_error(deployed, cat):
    put(deployed, "raw/cut.jpg", cat[: len(cat) // 2])
    job = deployed.ended(job_of(deployed, "raw/cut.jpg")["jobId"])
    assert (job["status"], job["errorCode"], job["attempts"]) == ("FAILED", "CORRUPT_IMAGE", 1)
    execution, history = execution_of(deployed, "raw/cut.jpg")
    assert (execution["status"], entered(history)) == ("SUCCEEDED", ["ValidateImage", "WhatIsIt", "Refuse", "NotifyError"])
    assert json.loads(execution["output"]) == {"status": "FAILED"}


def test_what_may_pass_is_tried_again_and_then_goes_on_by_the_queue(deployed, cat):
    with without(deployed, "WorkerRole", "s3:PutObject"):
        put(deployed, "raw/unlucky.jpg", cat)
        execution, history = execution_of(deployed, "raw/unlucky.jpg")
    assert entered(history)[-2:] == ["OptimizeImage", "NotifyError"]
    assert json.loads(execution["output"]) == {"status": "QUEUED"}
    assert [details["error"] for details in of(history, "TaskFailed")] == ["Transient"] * 3
    job = deployed.completed(job_of(deployed, "raw/unlucky.jpg")["jobId"])
    assert job["attempts"] > 1


def test_where_no_stage_can_do_anything_the_dispatcher_queues_the_photo(deployed, cat):
    with without(deployed, "WorkerRole", "dynamodb:GetItem"), without(deployed, "WorkerRole", "dynamodb:PutItem"):
        put(deployed, "raw/stranded.jpg", cat)
        execution, history = execution_of(deployed, "raw/stranded.jpg")
    assert entered(history) == ["ValidateImage", "NotifyError", "GoOnByQueue"]
    assert (execution["status"], [details["error"] for details in of(history, "TaskFailed")]) == ("SUCCEEDED", ["Transient"] * 6)
    assert deployed.completed(job_of(deployed, "raw/stranded.jpg")["jobId"])["derivatives"]


@contextmanager
def no_executions(deployed):
    """While what comes under raw/ starts none."""
    events, rule = deployed.aws.client("events"), deployed.resource("RawUploadsRule")
    events.disable_rule(Name=rule)
    try:
        yield
    finally:
        events.enable_rule(Name=rule)


class Execution:
    """An execution whose stages are invoked from here."""

    def __init__(self, deployed, key, photo):
        with no_executions(deployed):
            put(deployed, key, photo)
        version = deployed.aws.client("s3").head_object(Bucket=deployed.uploads, Key=key)
        found = {"key": key, "size": len(photo), "etag": version["ETag"].strip('"'), "version-id": version["VersionId"]}
        self.detail = {"bucket": {"name": deployed.uploads}, "object": found}
        self.deployed, self.id = deployed, f"by-hand:{key}"

    def enter(self, stage, **more):
        event = {"stage": stage, "execution": self.id, "detail": self.detail, **more}
        answer = self.deployed.aws.client("lambda").invoke(FunctionName=self.deployed.resource("WorkerFunction"), Payload=json.dumps(event))
        assert "FunctionError" not in answer, answer["Payload"].read()
        return json.loads(answer["Payload"].read())


def test_a_recipe_that_changes_meanwhile_changes_nothing(deployed, cat):
    execution = Execution(deployed, "raw/meanwhile.jpg", cat)
    photo = execution.enter("ValidateImage")["photo"]
    assert [spec["name"] for spec in photo["recipe"]] == ["watermarked"]
    # As if that had been the recipe when the photo came.
    photo["recipe"] = [{"name": "small", "resize": {"width": 64}}, {"name": "grey", "filters": ["grayscale"]}, {"name": "web", "format": "webp"}]
    made = [execution.enter(stage, photo=photo) for stage in ("ResizeImage", "ApplyFilters")]
    assert [[derivative["name"] for derivative in each["derivatives"]] for each in made] == [["small"], ["grey"]]
    for _ in ("ended by it", "asked again, since the answer was lost"):
        assert execution.enter("OptimizeImage", photo=photo, made=made) == {"verdict": "completed"}
    assert execution.enter("NotifySuccess") == {"status": "COMPLETED"}
    job = job_of(deployed, "raw/meanwhile.jpg")
    assert [derivative["name"] for derivative in deployed.completed(job["jobId"])["derivatives"]] == ["small", "grey", "web"]


def test_a_derivative_that_cannot_be_is_an_answer_and_no_error(deployed):
    # A WebP has 16,383 columns at most.
    canvas = io.BytesIO()
    Image.new("RGB", (20_000, 1), "red").save(canvas, "PNG")
    execution = Execution(deployed, "raw/panorama.png", canvas.getvalue())
    photo = execution.enter("ValidateImage")["photo"] | {"recipe": [{"name": "web", "format": "webp"}, {"name": "grey", "filters": ["grayscale"], "format": "webp"}]}
    made = [execution.enter(stage, photo=photo) for stage in ("ResizeImage", "ApplyFilters")]
    answer = execution.enter("OptimizeImage", photo=photo, made=made)
    assert (made[0], answer) == ({"derivatives": []}, {"verdict": "refused", "error": made[1]["refused"]})
    assert execution.enter("NotifyError", error=answer["error"]) == {"status": "FAILED"}
    job = job_of(deployed, "raw/panorama.png")
    assert (job["status"], job["errorCode"]) == ("FAILED", answer["error"]["Error"])


def test_what_stages_made_may_not_be_too_much_together(deployed, cat):
    execution = Execution(deployed, "raw/much.jpg", cat)
    photo = execution.enter("ValidateImage")["photo"] | {"recipe": [{"name": "small", "resize": {"width": 64}}, {"name": "web"}]}
    made = execution.enter("ResizeImage", photo=photo)
    made["derivatives"][0]["bytes"] = 64 << 20
    answer = execution.enter("OptimizeImage", photo=photo, made=[made])
    assert (answer["verdict"], answer["error"]["Error"]) == ("refused", "IMAGE_TOO_LARGE")
    # Nobody would come back for the job.
    assert execution.enter("NotifyError", error=answer["error"]) == {"status": "FAILED"}


def test_a_stage_of_something_that_is_no_upload_makes_no_job(deployed, cat):
    for key in ("raw/folder/", "elsewhere/cat.jpg", "uploads/cat.jpg"):
        execution = Execution(deployed, "raw/some.jpg", cat)
        execution.detail["object"]["key"] = key
        for stage, more in {"ValidateImage": {}, "NotifyError": {"error": {"Error": "Lambda.Unknown"}}, "NotifySuccess": {}}.items():
            assert execution.enter(stage, **more) == {"verdict": "nothing"}, (key, stage)
        assert deployed.call("GET", "/jobs", params={"key": key})["jobs"] == []
