"""The state machine, deployed: what comes under raw/ goes through its states, and comes out as by the queue."""

import json
import time

from conftest import without


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
    assert entered(history) == ["ValidateImage", "WhatIsIt", "MakeDerivatives", "OptimizeImage", "NotifySuccess"]
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
