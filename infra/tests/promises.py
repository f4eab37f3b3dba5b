"""What the template has to keep, each promise a function that raises if it is broken. `test_template.py` holds the template to
them, and each of them to broken templates."""

import json
import operator
import re

from expanded import FUNCTIONS, listed, metrics, source, variables_of

PROMISES = []


def promise(check):
    PROMISES.append(check)
    return check


ROLES = {function: logical.replace("Function", "Role") for function, logical in FUNCTIONS.items()}
# Names something of this stack.
OURS = re.compile(r"\$\{AWS::StackName\}|\$\{[A-Za-z]+(\.Arn)?\}")


def lambda_functions(template):
    return {function: template.properties(logical) for function, logical in FUNCTIONS.items()}


@promise
def buckets_are_private_and_kept(template):
    assert len(template.of("S3::Bucket")) == 2
    for name, bucket in template.of("S3::Bucket").items():
        properties = bucket["Properties"]
        block = properties["PublicAccessBlockConfiguration"]
        assert block == dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True), name
        assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}], name
        assert properties["VersioningConfiguration"]["Status"] == "Enabled", name
        assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"], name
        assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain"), name


@promise
def what_was_left_or_replaced_is_deleted(template):
    for name in template.of("S3::Bucket"):
        rules = template.properties(name)["LifecycleConfiguration"]["Rules"]
        [always] = [rule for rule in rules if "AbortIncompleteMultipartUpload" in rule]
        assert always["Status"] == "Enabled" and "Prefix" not in always, name
        assert always["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] <= 7, name
        # Versions must outlive the queue: the worker reads the one that its message names.
        queue = template.properties("WorkQueue")
        assert always["NoncurrentVersionExpiration"]["NoncurrentDays"] * 86_400 >= queue["MessageRetentionPeriod"], name


@promise
def nothing_goes_without_tls(template):
    def refuses(statement, action):
        return (
            statement["Effect"] == "Deny"
            and statement["Principal"] == "*"
            and action in listed(statement["Action"])
            and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        )

    def refused(kind, action):
        statements = [s for _, s in template.statements(kind) if refuses(s, action)]
        return {resource for statement in statements for resource in listed(statement["Resource"])}

    buckets = {f"${{{name}.Arn}}{rest}" for name in template.of("S3::Bucket") for rest in ("", "/*")}
    assert refused("S3::BucketPolicy", "s3:*") == buckets
    assert refused("SQS::QueuePolicy", "sqs:*") == {f"${{{name}.Arn}}" for name in template.of("SQS::Queue")}
    assert refused("SNS::TopicPolicy", "sns:Publish") == {f"${{{name}}}" for name in template.of("SNS::Topic")}
    for kind, owner in (("S3::BucketPolicy", "Bucket"), ("SQS::QueuePolicy", "Queues"), ("SNS::TopicPolicy", "Topics")):
        for name in template.of(kind):
            owners = listed(template.properties(name)[owner])
            for statement in template.properties(name)["PolicyDocument"]["Statement"]:
                named = {re.match(r"\$\{(\w+)", resource)[1] for resource in listed(statement["Resource"])}
                assert named <= {owner.strip("${}") for owner in owners}, name


@promise
def a_distribution_that_is_named_may_read_derivatives_and_nobody_else(template):
    allowed = [(name, s) for name, s in template.statements("S3::BucketPolicy") if s["Effect"] != "Deny"]
    [(policy, statement)] = allowed
    assert (policy, statement["Principal"], statement["Action"]) == ("ProcessedBucketPolicy", {"Service": "cloudfront.amazonaws.com"}, "s3:GetObject")
    [folder] = re.findall(r'fn derivative_key.*?format!\("(\w+/)', source("shared/src/key.rs"), re.DOTALL)
    assert statement["Resource"] == f"${{ProcessedBucket.Arn}}/{folder}*"
    assert statement["Condition"] == {"StringEquals": {"aws:SourceArn": "${DistributionArn}"}}
    document = template.document
    assert document["Conditions"]["DerivativesAreDistributed"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "DistributionArn"}, ""]}]}
    statements = document["Resources"]["ProcessedBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert [s["Fn::If"][::2] for s in statements if "Fn::If" in s] == [["DerivativesAreDistributed", {"Ref": "AWS::NoValue"}]]
    assert template.default("DistributionArn") == ""


@promise
def an_old_upload_url_is_refused(template):
    [statement] = [s for name, s in template.statements("S3::BucketPolicy") if s["Sid"] == "YoungUrlsOnly"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:PutObject")
    assert statement["Resource"] == "${UploadBucket.Arn}/*"
    assert statement["Condition"] == {"NumericGreaterThan": {"s3:signatureAge": "${UploadUrlTtlSeconds}000"}}
    variables = template.properties("RequestUploadFunction")["Environment"]["Variables"]
    assert variables["UPLOAD_URL_TTL_SECONDS"] == "${UploadUrlTtlSeconds}"


@promise
def uploads_wake_the_dispatcher_and_nothing_else_does(template):
    [notification] = template.properties("UploadBucket")["NotificationConfiguration"]["LambdaConfigurations"]
    assert notification["Event"] == "s3:ObjectCreated:*"
    assert notification["Function"] == "${DispatcherFunction.Arn}"
    assert notification["Filter"]["S3Key"]["Rules"] == [{"Name": "prefix", "Value": "uploads/"}]
    assert "NotificationConfiguration" not in template.properties("ProcessedBucket")
    # S3 tries out whether it may notify when the bucket is made.
    assert "UploadsMayInvokeDispatcher" in listed(template.resources["UploadBucket"]["DependsOn"])
    permission = template.properties("UploadsMayInvokeDispatcher")
    assert permission["FunctionName"] == "${DispatcherFunction.Arn}"
    assert permission["SourceArn"] == "arn:${AWS::Partition}:s3:::" + template.properties("UploadBucket")["BucketName"]


@promise
def only_this_account_invokes_functions(template):
    principals = {"s3.amazonaws.com", "events.amazonaws.com", "apigateway.amazonaws.com"}
    assert len(template.of("Lambda::Permission")) == 6
    for name in template.of("Lambda::Permission"):
        permission = template.properties(name)
        assert permission["Action"] == "lambda:InvokeFunction", name
        assert permission["Principal"] in principals, name
        source_arn = permission["SourceArn"]
        assert OURS.search(source_arn.replace("${AWS::Partition}", "")), name
        # A bucket's ARN names no account. EventBridge never invokes where the condition asks for one besides the ARN's.
        if permission["Principal"] == "s3.amazonaws.com":
            assert permission["SourceAccount"] == "${AWS::AccountId}", name
        else:
            assert "${AWS::AccountId}" in source_arn or source_arn.endswith("Clock.Arn}"), name
            assert "SourceAccount" not in permission, name
    for name in template.of("Lambda::Url"):
        raise AssertionError(name)


@promise
def messages_outlast_invocations(template):
    queue, dead = template.properties("WorkQueue"), template.properties("DeadLetterQueue")
    worker = template.properties("WorkerFunction")
    assert queue["VisibilityTimeout"] >= 6 * worker["Timeout"]
    [attempts] = re.findall(r"MAX_ATTEMPTS: u32 = (\d+)", source("shared/src/job/life.rs") + source("shared/src/job/mod.rs"))
    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": "${DeadLetterQueue.Arn}", "maxReceiveCount": int(attempts)}
    assert dead["MessageRetentionPeriod"] > queue["MessageRetentionPeriod"]
    allow = dead["RedriveAllowPolicy"]
    assert allow["redrivePermission"] == "byQueue"
    assert [arn.rsplit(":", 1)[1] for arn in allow["sourceQueueArns"]] == [queue["QueueName"].rsplit(":", 1)[-1]]
    for name in template.of("SQS::Queue"):
        assert template.properties(name)["SqsManagedSseEnabled"] is True, name


@promise
def mappings_name_what_failed(template):
    assert set(template.of("Lambda::EventSourceMapping")) == {"WorkMapping", "CallbackMapping"}
    for name in template.of("Lambda::EventSourceMapping"):
        assert template.properties(name)["FunctionResponseTypes"] == ["ReportBatchItemFailures"], name
    mapping = template.properties("WorkMapping")
    assert (mapping["EventSourceArn"], mapping["FunctionName"]) == ("${WorkQueue.Arn}", "${WorkerFunction}")
    assert mapping["BatchSize"] == "${WorkerBatchSize}"
    assert mapping["ScalingConfig"]["MaximumConcurrency"] == "${WorkerMaximumConcurrency}"
    assert template.default("WorkerBatchSize") == 10


@promise
def applications_are_called_where_hosts_are_named(template):
    document, mapping = template.document, template.properties("CallbackMapping")
    assert (mapping["EventSourceArn"], mapping["FunctionName"]) == ("${CallbackQueue.Arn}", "${DispatcherFunction}")
    assert mapping["ScalingConfig"]["MaximumConcurrency"] <= 10
    assert document["Resources"]["CallbackMapping"]["Properties"]["Enabled"] == {"Fn::If": ["ApplicationsAreCalled", True, False]}
    assert document["Conditions"]["ApplicationsAreCalled"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "CallbackHosts"}, ""]}]}
    queue, retry = template.properties("CallbackQueue"), document["Parameters"]["CallbackRetrySeconds"]
    assert queue["VisibilityTimeout"] >= 6 * template.properties("DispatcherFunction")["Timeout"]
    [default, days] = re.findall(r'"CALLBACK_RETRY_SECONDS", (\w+), 0, (\d+) \* DAY', source("functions/dispatcher/src/config.rs"))[0]
    assert (default, retry["Default"], retry["MaxValue"]) == ("DAY", 86_400, 86_400 * int(days))
    assert queue["MessageRetentionPeriod"] > retry["MaxValue"]
    # Nobody is called, and nothing within a network, unless somebody says so.
    assert (template.default("CallbackHosts"), template.default("CallbackPrivate")) == ("", "false")
    assert document["Parameters"]["CallbackSecret"]["NoEcho"] is True
    secrets = re.compile(document["Parameters"]["CallbackSecret"]["AllowedPattern"])
    assert secrets.search("") and secrets.search("whsec_aA0+/=") and secrets.search("whsec_aA==,whsec_bB==")
    assert not secrets.search("hunter2") and not secrets.search("whsec_a,hunter2")
    told = {"CALLBACK_HOSTS": "${CallbackHosts}", "CALLBACK_PRIVATE": "${CallbackPrivate}"}
    secret = {"CALLBACK_SECRET": "${CallbackSecret}", "CALLBACK_RETRY_SECONDS": "${CallbackRetrySeconds}"}
    queued = {"CALLBACK_QUEUE_URL": "${CallbackQueue}"}
    for function, expected in {"request-upload": told, "dispatcher": told | secret | queued, "worker": queued, "job-status": {}}.items():
        variables = template.properties(FUNCTIONS[function])["Environment"]["Variables"]
        assert {name: value for name, value in variables.items() if name.startswith("CALLBACK_")} == expected, function
    assert refused(template, CallbackHosts="hooks.example.com")
    assert not refused(template, CallbackHosts="hooks.example.com", CallbackSecret="whsec_x")


@promise
def events_that_fail_are_kept(template):
    [config] = template.of("Lambda::EventInvokeConfig").values()
    config = config["Properties"]
    assert config["FunctionName"] == "${DispatcherFunction}"
    assert config["MaximumRetryAttempts"] == 2
    assert config["DestinationConfig"]["OnFailure"]["Destination"] == "${DispatcherFailureQueue.Arn}"


@promise
def the_clocks_ask_for_what_the_dispatcher_knows(template):
    known = re.search(r"enum Action \{([^}]*)\}", source("functions/dispatcher/src/event.rs"))[1]
    clocks = {}
    for name in template.of("Events::Rule"):
        rule = template.properties(name)
        if "ScheduleExpression" not in rule:
            continue
        [target] = rule["Targets"]
        assert target["Arn"] == "${DispatcherFunction.Arn}", name
        assert rule.get("State", "ENABLED") == "ENABLED", name
        clocks[json.loads(target["Input"])["action"]] = rule["ScheduleExpression"]
        allowed = [p["Properties"]["SourceArn"] for p in template.of("Lambda::Permission").values()]
        assert f"${{{name}.Arn}}" in allowed, name
    assert set(clocks) == {action.lower() for action in re.findall(r"\w+", known)}
    assert clocks == {"reconcile": "rate(5 minutes)", "sweep": "rate(1 day)"}


@promise
def what_comes_under_raw_starts_the_state_machine(template):
    assert template.properties("UploadBucket")["NotificationConfiguration"]["EventBridgeConfiguration"] == {"EventBridgeEnabled": True}
    rule = template.properties("RawUploadsRule")
    assert rule.get("State", "ENABLED") == "ENABLED"
    [prefix] = re.findall(r'RAW_PREFIX: &str = "([^"]+)"', source("shared/src/key.rs"))
    assert rule["EventPattern"] == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [template.properties("UploadBucket")["BucketName"]]}, "object": {"key": [{"prefix": prefix}]}},
    }
    [target] = rule["Targets"]
    assert (target["Arn"], target["RoleArn"]) == ("${Workflow}", "${RawUploadsRole.Arn}")
    # The event goes whole, since the worker reads it.
    assert not {"Input", "InputPath", "InputTransformer"} & set(target)
    assert target["DeadLetterConfig"]["Arn"] == "${DispatcherFailureQueue.Arn}"
    [keeper] = [s for _, s in template.statements("SQS::QueuePolicy") if s["Sid"] == "KeepEvents"]
    assert (keeper["Principal"], keeper["Action"]) == ({"Service": "events.amazonaws.com"}, "sqs:SendMessage")
    assert keeper["Resource"] == "${DispatcherFailureQueue.Arn}"
    assert keeper["Condition"] == {"ArnEquals": {"aws:SourceArn": "${RawUploadsRule.Arn}"}}
    for role, service, action, *resources in (
        ("RawUploadsRole", "events", "states:StartExecution", "${Workflow}"),
        ("WorkflowRole", "states", "lambda:InvokeFunction", "${WorkerFunction.Arn}", "${DispatcherFunction.Arn}"),
    ):
        [trust] = template.properties(role)["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": f"{service}.amazonaws.com"}, role
        assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "${AWS::AccountId}"}}, role
        work = [(s["Action"], s["Resource"]) for name, s in template.role_statements() if name == role and "Sid" in s]
        assert work == [(action, resource) for resource in resources], role


@promise
def the_state_machine_is_the_one_that_the_worker_knows(template):
    machine = template.properties("Workflow")
    assert (machine["StateMachineType"], machine["RoleArn"]) == ("EXPRESS", "${WorkflowRole.Arn}")
    assert machine["DefinitionSubstitutions"] == {
        "Worker": "${WorkerFunction.Arn}",
        "Dispatcher": "${DispatcherFunction.Arn}",
        "Partition": "${AWS::Partition}",
    }
    # Of what it is given, names of files are a part.
    assert (machine["LoggingConfiguration"]["Level"], machine["LoggingConfiguration"]["IncludeExecutionData"]) == ("ALL", False)
    definition, code = json.loads(source("infra/workflow.asl.json")), source("functions/worker/src/workflow.rs")
    assert set(re.findall(r"\$\{(\w+)\}", json.dumps(definition))) == set(machine["DefinitionSubstitutions"])
    [minutes] = re.findall(r"EXECUTION: Duration = Duration::from_mins\((\d+)\)", code)
    # The longest of an Express workflow, too.
    assert definition["TimeoutSeconds"] == 60 * int(minutes) <= 300
    [minutes] = re.findall(r"LAST_STAGE: Duration = Duration::from_mins\((\d+)\)", code)
    assert template.properties("WorkerFunction")["Timeout"] == 60 * int(minutes)
    [transient] = re.findall(r'TRANSIENT: &str = "(\w+)"', code)
    stages = re.findall(r"^    (\w+)", code.split("enum Stage {")[1].split("\n}")[0], re.MULTILINE)
    tasks = dict(states_of(definition, "Task"))
    # Should the worker be beyond reach, the dispatcher is left a note, as S3 would leave it one.
    way_out = tasks.pop("GoOnByQueue")
    assert way_out["Resource"] == "arn:${Partition}:states:::lambda:invoke"
    assert way_out["Parameters"] == {
        "FunctionName": "${Dispatcher}",
        "InvocationType": "Event",
        "Payload": {"detail-type": "Object Created", "detail.$": "$.detail"},
    }
    # Nobody would take it from there, so it has more patience than the rest.
    [retry] = way_out["Retry"]
    assert (retry["ErrorEquals"], retry["MaxAttempts"], retry["BackoffRate"]) == (["States.ALL"], 5, 2)
    assert sorted(tasks) == sorted(stages)
    for name, task in tasks.items():
        assert (task["Resource"], task["Parameters"]["stage"]) == ("${Worker}", name), name
        [retry] = task["Retry"]
        assert retry["ErrorEquals"][0] == transient and all(error.startswith("Lambda.") for error in retry["ErrorEquals"][1:]), name
        assert (retry["IntervalSeconds"], retry["MaxAttempts"], retry["BackoffRate"]) == (3, 2, 1.5), name
    # What makes or ends something goes to NotifyError if it fails. What announces may fail, since reconcile announces.
    for name, remedy in {"ValidateImage": "NotifyError", "MakeDerivatives": "NotifyError", "OptimizeImage": "NotifyError", "NotifyError": "GoOnByQueue"}.items():
        [catch] = definition["States"][name]["Catch"]
        assert (catch["ErrorEquals"], catch["Next"]) == (["States.ALL"], remedy), name
    ways = {name: {choice["StringEquals"]: choice["Next"] for choice in state["Choices"]} for name, state in states_of(definition, "Choice")}
    assert ways == {
        "WhatIsIt": {"accepted": "MakeDerivatives", "refused": "Refuse"},
        "WasItMade": {"completed": "NotifySuccess", "refused": "Refuse"},
    }


def states_of(definition, kind):
    for name, state in definition["States"].items():
        if state["Type"] == kind:
            yield name, state
        for branch in state.get("Branches", []):
            yield from states_of(branch, kind)


@promise
def the_table_is_the_one_that_the_code_knows(template):
    table = template.resources["JobTable"]
    code = source("infra/local/src/dynamodb.rs")
    properties = table["Properties"]
    keys = lambda schema: tuple(key["AttributeName"] for key in schema)
    indexes = {(i["IndexName"], *keys(i["KeySchema"])): i["Projection"]["ProjectionType"] for i in properties["GlobalSecondaryIndexes"]}
    names = re.findall(r'const BY_\w+: \(&str, &str, &str\) = \("(\w+)", "(\w+)", "(\w+)"\)', code)
    assert set(indexes) == set(names)
    assert {index[0]: kind for index, kind in indexes.items()} == {"byKey": "ALL", "byStatus": "ALL", "byOwner": "ALL", "byDue": "KEYS_ONLY"}
    assert keys(properties["KeySchema"]) == ("jobId",)
    [expires] = re.findall(r'attribute_name\("(\w+)"\)', code.split("TimeToLiveSpecification::builder")[1][:80])
    assert properties["TimeToLiveSpecification"] == {"AttributeName": expires, "Enabled": True}
    assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["SSESpecification"]["SSEEnabled"] is True
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


@promise
def each_function_has_a_role_of_its_own(template):
    assert set(template.of("IAM::Role")) == {*ROLES.values(), "WorkflowRole", "RawUploadsRole"}
    for function, properties in lambda_functions(template).items():
        assert properties["Role"] == f"${{{ROLES[function]}.Arn}}", function
        role = template.properties(ROLES[function])
        [trust] = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust == {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}, function
        assert "ManagedPolicyArns" not in role, function


# What AWS takes with no other resource than `*`: traces; and deliveries of logs, which an Express state machine makes.
NO_RESOURCES = [
    ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
    ["logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery", "logs:ListLogDeliveries",
     "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups"],
]  # fmt: skip


@promise
def no_role_may_do_anything_or_to_anything(template):
    for role, statement in template.role_statements():
        assert statement["Effect"] == "Allow", role
        assert not {"NotAction", "NotResource"} & set(statement), role
        for action in listed(statement["Action"]):
            assert "*" not in action, (role, action)
        if listed(statement["Action"]) in NO_RESOURCES:
            continue
        for resource in listed(statement["Resource"]):
            assert resource != "*" and OURS.search(resource.replace("${AWS::Partition}", "")), (role, resource)
            assert "*" not in resource or re.search(r":s3:::[^*]+/(uploads|raw|processed|results)/\*$", resource), (role, resource)


@promise
def each_function_has_the_variables_that_it_reads(template):
    for function, properties in lambda_functions(template).items():
        variables = properties["Environment"]["Variables"]
        required, optional = variables_of(function)
        assert required <= set(variables), (function, required - set(variables))
        # The function would not see it, and who sets it would wonder.
        assert set(variables) <= required | optional, (function, set(variables) - required - optional)
        # These stand in the package, where the code looks for them.
        assert optional - set(variables) <= {"MODEL_DIR", "DEFAULT_RECIPE"}, (function, optional - set(variables))
        expected = {"UPLOAD_BUCKET": template.properties("UploadBucket")["BucketName"],
                    "PROCESSED_BUCKET": template.properties("ProcessedBucket")["BucketName"],
                    "DYNAMODB_TABLE": "${JobTable}", "SQS_QUEUE_URL": "${WorkQueue}", "NOTIFY_TOPIC_ARN": "${NotificationTopic}"}  # fmt: skip
        for name in expected.keys() & variables.keys():
            assert variables[name] == expected[name], (function, name)


@promise
def defaults_are_those_of_the_code(template):
    code = source("shared/src/config.rs") + "".join(source(f"functions/{function}/src/config.rs") for function in FUNCTIONS)
    # `url_ttl_or("UPLOAD_URL_TTL_SECONDS", 300)` and the like.
    found = dict(re.findall(r'_or\("([A-Z_]+)", ([\d_]+)', code))
    for parameter, variable in (
        ("UploadUrlTtlSeconds", "UPLOAD_URL_TTL_SECONDS"),
        ("DownloadUrlTtlSeconds", "DOWNLOAD_URL_TTL_SECONDS"),
        ("MaxPixels", "MAX_PIXELS"),
        ("JobTtlDays", "JOB_TTL_DAYS"),
    ):
        assert template.default(parameter) == int(found[variable]), parameter
    assert template.default("MaxUploadBytes") == 25 * 1024 * 1024
    assert template.default("WatermarkText") == "© Darkroom"


@promise
def functions_have_time_and_memory(template):
    for function, properties in lambda_functions(template).items():
        assert properties["Runtime"] == "provided.al2023" and properties["Handler"] == "bootstrap", function
        assert properties["Architectures"] == ["${Architecture}"], function
        # An HTTP API waits for half a minute; `?wait=` takes 20 s of it.
        assert properties["Timeout"] == (60 if function in ("worker", "dispatcher") else 30), function
    # It queues large photos anew by itself.
    assert template.properties("WorkerFunction")["RecursiveLoop"] == "Allow"
    assert template.properties("WorkerFunction")["MemorySize"] == "${WorkerMemory}"
    assert template.default("WorkerMemory") == 1769
    assert template.document["Parameters"]["WorkerMemory"]["MinValue"] >= 1024


@promise
def logs_are_json_and_end(template):
    groups = set()
    for function, properties in lambda_functions(template).items():
        logging = properties["LoggingConfig"]
        # The level is RUST_LOG's business.
        assert (logging["LogFormat"], logging["ApplicationLogLevel"]) == ("JSON", "TRACE"), function
        groups.add(logging["LogGroup"].strip("${}"))
    assert len(groups) == len(FUNCTIONS)
    groups.add(template.properties("ApiStage")["AccessLogSettings"]["DestinationArn"].strip("${}").removesuffix(".Arn"))
    [destination] = template.properties("Workflow")["LoggingConfiguration"]["Destinations"]
    groups.add(destination["CloudWatchLogsLogGroup"]["LogGroupArn"].strip("${}").removesuffix(".Arn"))
    assert set(template.of("Logs::LogGroup")) == groups
    for name in groups:
        assert template.properties(name)["RetentionInDays"] == "${LogRetentionDays}", name
    for function, role in ROLES.items():
        [statement] = [s for name, s in template.role_statements() if name == role and "logs:PutLogEvents" in listed(s["Action"])]
        logs = template.properties(FUNCTIONS[function])["LoggingConfig"]["LogGroup"].strip("${}")
        assert statement["Resource"] == f"${{{logs}.Arn}}", function


@promise
def access_logs_tell_no_query(template):
    entry = json.loads(template.properties("ApiStage")["AccessLogSettings"]["Format"])
    # The id that the functions log, and clients are told.
    assert entry["requestId"] == "$context.integration.requestId"
    assert "$context.status" in entry.values()
    assert not [value for value in entry.values() if "path" in value.lower() or "query" in value.lower()]


@promise
def routes_are_those_of_the_code(template):
    routes = source("infra/local/src/gateway/route.rs").split("const ROUTES")[1].split("];")[0]
    expected = {
        f"{method} {path}": f"{function}Integration"
        for method, path, function in re.findall(r'\(Method::(\w+), "([^"]+)", Function::(\w+)\)', routes)
    }
    assert len(expected) == 7
    expected["$default"] = "JobStatusIntegration"
    found = {}
    for route in template.of("ApiGatewayV2::Route").values():
        properties = route["Properties"]
        assert properties["ApiId"] == "${Api}"
        found[properties["RouteKey"]] = re.fullmatch(r"integrations/\$\{(\w+)\}", properties["Target"])[1]
    assert found == expected
    allowed = {p["Properties"]["FunctionName"] for p in template.of("Lambda::Permission").values()
               if p["Properties"]["Principal"] == "apigateway.amazonaws.com"}  # fmt: skip
    for name in set(expected.values()):
        integration = template.properties(name)
        assert integration["IntegrationUri"] == f"${{{name.replace('Integration', 'Function')}.Arn}}", name
        assert (integration["IntegrationType"], integration["PayloadFormatVersion"]) == ("AWS_PROXY", "2.0"), name
        assert integration["IntegrationUri"] in allowed, name


@promise
def the_api_is_throttled(template):
    settings = template.properties("ApiStage")["DefaultRouteSettings"]
    assert settings["ThrottlingRateLimit"] == "${ApiRateLimit}"
    assert settings["ThrottlingBurstLimit"] == "${ApiBurstLimit}"
    assert 0 < template.default("ApiRateLimit") <= 10_000 and 0 < template.default("ApiBurstLimit") <= 5_000


def refused(template, **given):
    """What the template's rules say of these parameters, the others at their defaults."""
    parameters = {name: parameter.get("Default", "") for name, parameter in template.document["Parameters"].items()} | given

    def value(node):
        match node:
            case {"Ref": name}:
                return parameters[name]
            case {"Fn::Equals": [one, other]}:
                return value(one) == value(other)
            case {"Fn::Not": [one]}:
                return not value(one)
            case {"Fn::And": several}:
                return all(map(value, several))
            case str():
                return node
        raise ValueError(f"no function of a rule: {node}")

    rules = [rule for rule in template.document["Rules"].values() if value(rule.get("RuleCondition", {"Fn::And": []}))]
    return [assertion["AssertDescription"] for rule in rules for assertion in rule["Assertions"] if not value(assertion["Assert"])]


KNOWN = {"JwtIssuer": "https://issuer.example", "JwtAudiences": "app", "JwtScope": "photos/use", "JwtOperatorScope": "photos/all"}
NAMED = {"DomainName": "photos.example", "CertificateArn": "arn:aws:acm:us-east-1:1:certificate/1"}


@promise
def parameters_come_whole_or_not_at_all(template):
    open_to_all, no_operators = {}, {**KNOWN, "JwtOperatorScope": ""}
    for good in (open_to_all, KNOWN, no_operators, NAMED, {**NAMED, "DefaultEndpoint": "Disabled"}, {**KNOWN, **NAMED}):
        assert not refused(template, **good), good
    # An authorizer without a scope takes an ID token for an access token; a scope without an authorizer protects nothing.
    for missing in ("JwtIssuer", "JwtAudiences", "JwtScope"):
        assert refused(template, **{**KNOWN, missing: ""}), missing
    for alone in KNOWN.keys() - {"JwtIssuer"}:
        assert refused(template, **{alone: KNOWN[alone]}), alone
    assert refused(template, **{**KNOWN, "JwtOperatorScope": KNOWN["JwtScope"]})
    for missing in NAMED:
        assert refused(template, **{**NAMED, missing: ""}), missing
    assert refused(template, DefaultEndpoint="Disabled")


@promise
def callers_are_known_on_every_route_where_an_issuer_is_named(template):
    document = template.document
    assert document["Conditions"]["CallersAreKnown"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "JwtIssuer"}, ""]}]}
    assert document["Conditions"]["OperatorsAreKnown"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "JwtOperatorScope"}, ""]}]}
    [(name, authorizer)] = template.of("ApiGatewayV2::Authorizer").items()
    assert authorizer["Condition"] == "CallersAreKnown"
    properties = authorizer["Properties"]
    assert (properties["ApiId"], properties["AuthorizerType"]) == ("${Api}", "JWT")
    assert properties["IdentitySource"] == ["$request.header.Authorization"]
    assert document["Resources"][name]["Properties"]["JwtConfiguration"] == {
        "Issuer": {"Ref": "JwtIssuer"},
        "Audience": {"Fn::Split": [",", {"Ref": "JwtAudiences"}]},
    }
    nothing = {"Ref": "AWS::NoValue"}
    scopes = [{"Ref": "JwtScope"}, {"Fn::If": ["OperatorsAreKnown", {"Ref": "JwtOperatorScope"}, nothing]}]
    for route in template.of("ApiGatewayV2::Route"):
        properties = document["Resources"][route]["Properties"]
        if properties["RouteKey"] == "$default":
            # Preflights have no token; its function refuses what should have had one.
            assert properties["AuthorizationType"] == "NONE"
            continue
        assert properties["AuthorizationType"] == {"Fn::If": ["CallersAreKnown", "JWT", "NONE"]}, route
        assert properties["AuthorizerId"] == {"Fn::If": ["CallersAreKnown", {"Ref": name}, nothing]}, route
        assert properties["AuthorizationScopes"] == {"Fn::If": ["CallersAreKnown", scopes, nothing]}, route
    expected = {"JWT_SCOPE": "${JwtScope}", "JWT_OPERATOR_SCOPE": "${JwtOperatorScope}", "API_KEY_SHA256": "${ApiKeySha256}"}
    for integration in template.of("ApiGatewayV2::Integration").values():
        function = integration["Properties"]["IntegrationUri"].strip("${}").removesuffix(".Arn")
        variables = template.properties(function)["Environment"]["Variables"]
        assert {name: variables.get(name) for name in expected} == expected, function


@promise
def an_api_key_itself_stands_nowhere(template):
    pattern = re.compile(template.document["Parameters"]["ApiKeySha256"]["AllowedPattern"])
    for good in ("", "0aB9" * 16, ",".join(["0aB9" * 16] * 2)):
        assert pattern.search(good), good
    for bad in ("secret", "0aB9" * 15, "0aB9" * 17, "0aB9" * 16 + ",", "0aB9" * 16 + ",secret"):
        assert not pattern.search(bad), bad


@promise
def a_domain_of_ones_own_has_tls_and_may_be_the_only_one(template):
    document = template.document
    assert document["Conditions"]["HasDomain"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "DomainName"}, ""]}]}
    assert document["Conditions"]["HasNoDefaultEndpoint"] == {"Fn::Equals": [{"Ref": "DefaultEndpoint"}, "Disabled"]}
    [(name, domain)] = template.of("ApiGatewayV2::DomainName").items()
    [mapping] = template.of("ApiGatewayV2::ApiMapping").values()
    assert domain["Condition"] == mapping["Condition"] == "HasDomain"
    assert domain["Properties"] == {
        "DomainName": "${DomainName}",
        "DomainNameConfigurations": [{"CertificateArn": "${CertificateArn}", "EndpointType": "REGIONAL", "SecurityPolicy": "TLS_1_2"}],
    }
    assert mapping["Properties"] == {"ApiId": "${Api}", "DomainName": f"${{{name}}}", "Stage": "${ApiStage}"}
    disabled = document["Resources"]["Api"]["Properties"]["DisableExecuteApiEndpoint"]
    assert disabled == {"Fn::If": ["HasNoDefaultEndpoint", True, False]}
    url = {"Fn::If": ["HasDomain", {"Fn::Sub": "https://${DomainName}"}, {"Fn::GetAtt": ["Api", "ApiEndpoint"]}]}
    assert document["Outputs"]["ApiUrl"]["Value"] == url
    for output, attribute in (("ApiDomainTarget", "RegionalDomainName"), ("ApiDomainHostedZoneId", "RegionalHostedZoneId")):
        assert document["Outputs"][output]["Value"] == {"Fn::GetAtt": [name, attribute]}
        assert document["Outputs"][output]["Condition"] == "HasDomain"


@promise
def notices_are_encrypted(template):
    assert template.properties("NotificationTopic")["KmsMasterKeyId"]


# What goes wrong, and the metrics that show it, by whose they are.
ALARMS = {
    "AWS/SQS": {
        ("ApproximateNumberOfMessagesVisible", "${DeadLetterQueue.QueueName}"),
        ("ApproximateNumberOfMessagesVisible", "${DispatcherFailureQueue.QueueName}"),
        ("ApproximateAgeOfOldestMessage", "${WorkQueue.QueueName}"),
    },
    "AWS/Lambda": {(metric, f"${{{logical}}}") for metric in ("Errors", "Throttles", "Duration") for logical in FUNCTIONS.values()},
    "AWS/Events": {("FailedInvocations", f"${{{rule}}}") for rule in ("ReconcileClock", "SweepClock", "RawUploadsRule")},
    "AWS/States": {("ExecutionsFailed", "${Workflow}"), ("ExecutionsTimedOut", "${Workflow}")},
    "AWS/ApiGateway": {("5xx", "${Api}"), ("Latency", "${Api}")},
    "Darkroom": {(metric, "${JobTable}") for metric in ("mended", "ended", "found", "queued", "completed", "rejected", "failed")},
}


def watched(alarm):
    """The metrics that an alarm watches: by itself, or in an expression."""
    for query in alarm.get("Metrics", []):
        if "MetricStat" in query:
            yield query["MetricStat"]["Metric"]
    if "MetricName" in alarm:
        yield alarm


@promise
def what_goes_wrong_raises_an_alarm(template):
    found = {namespace: set() for namespace in ALARMS}
    for name in template.of("CloudWatch::Alarm"):
        alarm = template.properties(name)
        for metric in watched(alarm):
            found[metric["Namespace"]].add((metric["MetricName"], metric["Dimensions"][0]["Value"]))
        assert alarm["AlarmActions"] == ["${AlarmTopic}"], name
        assert alarm.get("ActionsEnabled", True) is True, name
        assert alarm["ComparisonOperator"].startswith("GreaterThan"), name
        if alarm.get("MetricName") == "ApproximateNumberOfMessagesVisible":
            # One message is one photo that nobody works on any more.
            assert (alarm["Threshold"], alarm["Period"] * alarm["EvaluationPeriods"]) == (1, 60), name
        if alarm.get("MetricName") == "Duration":
            timeout = template.properties(alarm["Dimensions"][0]["Value"].strip("${}"))["Timeout"]
            assert 750 * timeout <= alarm["Threshold"] < 1000 * timeout, name
        # Of those that emulators know, none can be switched off.
        assert template.resources[name].get("Condition") == ("ExpressionsAreKnown" if "Metrics" in alarm else None), name
    assert found == ALARMS
    assert template.document["Conditions"]["ExpressionsAreKnown"] == {"Fn::Equals": [{"Ref": "ExpressionAlarms"}, "Yes"]}
    assert template.default("ExpressionAlarms") == "Yes"
    [sender] = [s for name, s in template.statements("SNS::TopicPolicy") if s["Sid"] == "Alarms"]
    assert (sender["Principal"], sender["Action"]) == ({"Service": "cloudwatch.amazonaws.com"}, "sns:Publish")
    assert sender["Resource"] == "${AlarmTopic}"
    assert sender["Condition"] == {"StringEquals": {"aws:SourceAccount": "${AWS::AccountId}"}}


def sums(alarm):
    """An alarm's expression, and the metrics in it by their ids. All are sums over five minutes."""
    [expression] = [query["Expression"] for query in alarm["Metrics"] if "Expression" in query]
    queries = [query for query in alarm["Metrics"] if "MetricStat" in query]
    assert all(query["ReturnData"] is False for query in queries)
    assert all((query["MetricStat"]["Stat"], query["MetricStat"]["Period"]) == ("Sum", 300) for query in queries)
    return expression, {query["Id"]: query["MetricStat"]["Metric"]["MetricName"] for query in queries}


class Sample:
    """A value as CloudWatch reckons with it: of two metrics the one that has none counts as 0, unless the other has none either."""

    def __init__(self, value):
        self.value = value

    def reckoned(self, other, operation):
        mine, theirs = self.value, other.value if isinstance(other, Sample) else other
        if mine is None and (theirs is None or not isinstance(other, Sample)):
            return Sample(None)
        return Sample(int(operation(mine or 0, theirs or 0)))

    def __add__(self, other):
        return self.reckoned(other, operator.add)

    def __eq__(self, other):
        return self.reckoned(other, operator.eq)

    def __gt__(self, other):
        return self.reckoned(other, operator.gt)


def judged(alarm, **counts):
    """Whether an alarm's expression is over its threshold for these counts; the other metrics have no value."""
    expression, names = sums(alarm)
    value = eval(expression, {name: Sample(counts.get(metric)) for name, metric in names.items()}).value
    return value is not None and value >= alarm["Threshold"]


@promise
def what_reconcile_finds_raises_an_alarm(template):
    alarm = template.properties("ReconcileFindsWorkAlarm")
    assert all(judged(alarm, **{metric: 1}) for metric in ("mended", "ended", "found")) and not judged(alarm, found=0)
    assert alarm["EvaluationPeriods"] == 1
    # It says nothing of what it did not find.
    assert alarm["TreatMissingData"] == "notBreaching"


@promise
def uploads_that_nothing_comes_of_raise_an_alarm(template):
    alarm = template.properties("UploadsWithoutCompletionsAlarm")
    assert judged(alarm, queued=1) and judged(alarm, queued=700)
    assert not any(judged(alarm, queued=7, **{end: 1}) for end in ("completed", "rejected", "failed"))
    assert not judged(alarm, completed=1) and not judged(alarm)
    # A quarter of an hour, and nobody has to upload.
    assert alarm["EvaluationPeriods"] * 300 == 900 and "DatapointsToAlarm" not in alarm
    assert alarm["TreatMissingData"] == "notBreaching"
    # FILL would stand in for lines that are still under way.
    assert "FILL" not in sums(alarm)[0]


@promise
def each_alarm_has_an_entry_in_the_runbook(template):
    entries = re.findall(r"^### (\w+Alarm)$", source("docs/operate.md"), re.MULTILINE)
    assert sorted(entries) == sorted(template.of("CloudWatch::Alarm"))


@promise
def mail_goes_to_who_asked_for_it(template):
    asked = {name: (s["Condition"], s["Properties"]["TopicArn"], s["Properties"]["Endpoint"]) for name, s in template.of("SNS::Subscription").items()}
    assert asked == {
        "NotificationMail": ("SomebodyIsNotified", "${NotificationTopic}", "${NotifyEmail}"),
        "AlarmMail": ("SomebodyIsAlarmed", "${AlarmTopic}", "${AlarmEmail}"),
    }


@promise
def outputs_have_the_names_that_users_script_by(template):
    expected = {"ApiUrl", "UploadBucketName", "ProcessedBucketName", "JobTableName", "QueueUrl", "DeadLetterQueueUrl", "TopicArn",
                "StateMachineArn", "DashboardUrl"}  # fmt: skip
    assert expected <= set(template.document["Outputs"])


def with_the_key(otherwise=None):
    """What uses the key of `KmsKeyArn` if there is one."""
    return {"Fn::If": ["KeyIsGiven", {"Ref": "KmsKeyArn"}, otherwise or {"Ref": "AWS::NoValue"}]}


@promise
def what_is_kept_is_encrypted_with_the_key_that_is_given(template):
    document = template.document
    assert document["Conditions"]["KeyIsGiven"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "KmsKeyArn"}, ""]}]}
    assert template.default("KmsKeyArn") == ""

    def properties(kind):
        return {name: document["Resources"][name]["Properties"] for name in template.of(kind)}.items()

    for name, bucket in properties("S3::Bucket"):
        [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        ours = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": {"Ref": "KmsKeyArn"}}
        # Without a key of the bucket's, each photo would be a call to KMS, which has a limit.
        given = {"ServerSideEncryptionByDefault": ours, "BucketKeyEnabled": True}
        assert rule == {"Fn::If": ["KeyIsGiven", given, {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}, name
    for name, table in properties("DynamoDB::Table"):
        assert table["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": with_the_key()}, name
    for name, queue in properties("SQS::Queue"):
        assert queue["KmsMasterKeyId"] == with_the_key(), name
        # SQS takes one of the two.
        assert queue["SqsManagedSseEnabled"] == {"Fn::If": ["KeyIsGiven", {"Ref": "AWS::NoValue"}, True]}, name
    for name, topic in properties("SNS::Topic"):
        # An alarm has to come through whatever became of the key.
        expected = None if name == "AlarmTopic" else with_the_key("alias/aws/sns")
        assert topic.get("KmsMasterKeyId") == expected, name
    for name, group in properties("Logs::LogGroup"):
        assert group["KmsKeyId"] == with_the_key(), name
    for name, function in properties("Lambda::Function"):
        assert function["KmsKeyArn"] == with_the_key(), name


# What a function asks of a service makes the service ask KMS for this, in the function's name.
KMS_ACTIONS = {
    "dynamodb:GetItem": {"kms:Decrypt"},
    "s3:GetObject": {"kms:Decrypt"},
    "s3:PutObject": {"kms:GenerateDataKey"},
    "sqs:ReceiveMessage": {"kms:Decrypt"},
    "sqs:SendMessage": {"kms:Decrypt", "kms:GenerateDataKey"},
    "sns:Publish": {"kms:Decrypt", "kms:GenerateDataKey"},
}


@promise
def roles_use_the_key_for_what_they_do_and_by_the_services_only(template):
    for name in ROLES.values():
        role = template.resources[name]
        policies = template.document["Resources"][name]["Properties"]["Policies"]
        [optional] = [policy for policy in policies if "KeyIsGiven" in policy.get("Fn::If", [])]
        assert optional["Fn::If"][2] == {"Ref": "AWS::NoValue"}, name
        [policy] = [policy for policy in role["Properties"]["Policies"] if policy["PolicyName"] == "key"]
        statement, for_logs = policy["PolicyDocument"]["Statement"]
        work = [policy for policy in role["Properties"]["Policies"] if policy["PolicyName"] == "work"]
        allowed = {action for s in work[0]["PolicyDocument"]["Statement"] for action in listed(s["Action"])}
        used = allowed & KMS_ACTIONS.keys()
        assert set(listed(statement["Action"])) == set().union(*(KMS_ACTIONS[action] for action in used)), name
        assert statement["Resource"] == "${KmsKeyArn}", name
        # Lambda's own are the environment variables.
        services = {action.split(":")[0] for action in used} | {"lambda"}
        via = sorted(f"{service}.${{AWS::Region}}.amazonaws.com" for service in services)
        assert statement["Condition"] == {"StringEquals": {"kms:ViaService": via}}, name
        # What AWS allows in its own policy for who writes logs, CloudWatchLogsAPIKeyAccess.
        assert for_logs["Action"] == ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"], name
        assert for_logs["Resource"] == "${KmsKeyArn}", name
        assert for_logs["Condition"] == {"StringEquals": {"kms:ViaService": "logs.${AWS::Region}.amazonaws.com"}}, name


@promise
def what_a_linter_is_told_to_pass_over_has_a_reason(template):
    found = list(template.suppressed())
    assert len({(name, check) for name, check, _ in found}) == len(found)
    for name, check, reason in found:
        assert re.fullmatch(r"CKV2?_AWS_\d+", check), (name, check)
        assert len(reason.split()) >= 10 and reason.endswith("."), (name, reason)


# Whose each dimension is, by what it names.
OF_THIS_STACK = {
    "Table": {"${JobTable}"},
    "TableName": {"${JobTable}"},
    "GlobalSecondaryIndexName": {"byKey", "byStatus", "byDue"},
    "QueueName": {"${WorkQueue.QueueName}", "${DeadLetterQueue.QueueName}", "${DispatcherFailureQueue.QueueName}"},
    "FunctionName": {f"${{{logical}}}" for logical in FUNCTIONS.values()},
    "StateMachineArn": {"${Workflow}"},
    "ApiId": {"${Api}"},
    "Stage": {"$default"},
}


def widgets(template):
    return json.loads(template.properties("Dashboard")["DashboardBody"])["widgets"]


def graphs(template):
    """Of each graph: its properties, its metrics (namespace, name, dimensions, options), and its expressions."""
    for widget in widgets(template):
        drawn, expressions, above = [], [], []
        for entry in widget["properties"].get("metrics", []):
            options = entry[-1] if isinstance(entry[-1], dict) else {}
            names = [name for name in entry if isinstance(name, str)]
            if not names:
                expressions.append(options)
                continue
            above = names = [above[place] if name == "." else name for place, name in enumerate(names)]
            drawn.append((names[0], names[1], dict(zip(names[2::2], names[3::2], strict=True)), options))
        yield widget["properties"], drawn, expressions


def on_the_dashboard(template):
    return [metric for _, drawn, _ in graphs(template) for metric in drawn]


@promise
def our_metrics_are_those_of_the_code(template):
    """On the dashboard all of them, and no others anywhere: of one that nobody logs, CloudWatch shows an empty graph."""
    ours = [(name, dimensions) for namespace, name, dimensions, _ in on_the_dashboard(template) if namespace == "Darkroom"]
    assert {name for name, _ in ours} == set(metrics())
    for alarm in template.of("CloudWatch::Alarm"):
        for metric in watched(template.properties(alarm)):
            if metric["Namespace"] == "Darkroom":
                ours.append((metric["MetricName"], {d["Name"]: d["Value"] for d in metric["Dimensions"]}))
    code = source("shared/src/telemetry.rs")
    [(namespace, dimension)] = re.findall(r'NAMESPACE: &str = "(\w+)";.*?DIMENSION: &str = "(\w+)";', code, re.DOTALL)
    assert namespace == "Darkroom"
    for name, dimensions in ours:
        assert name in metrics() and dimensions == {dimension: "${JobTable}"}, name
    # Times are not added up, nor counts taken the middle of.
    for properties, drawn, _ in graphs(template):
        for namespace, name, _, _ in drawn:
            if namespace == "Darkroom":
                assert (properties["stat"] == "Sum") == (metrics()[name] == "Count"), (properties["title"], name)


@promise
def the_dashboard_shows_this_stack(template):
    assert template.properties("Dashboard")["DashboardName"] == "${AWS::StackName}-${AWS::Region}"
    shown = on_the_dashboard(template)
    for namespace, name, dimensions, _ in shown:
        for dimension, value in dimensions.items():
            assert value in OF_THIS_STACK[dimension], (namespace, name, dimensions)
    for properties, _, _ in graphs(template):
        assert "markdown" in properties or properties["region"] == "${AWS::Region}", properties
    # A callback that waits is between two calls, and so not among the messages that can be seen.
    for queue in template.of("SQS::Queue").keys() - {"CallbackQueue"}:
        assert {"QueueName": f"${{{queue}.QueueName}}"} in [dimensions for _, _, dimensions, _ in shown], queue
    for function in FUNCTIONS.values():
        names = {name for namespace, name, dimensions, _ in shown if dimensions == {"FunctionName": f"${{{function}}}"}}
        assert {"Errors", "Throttles", "ConcurrentExecutions"} <= names, function
    assert {"4xx", "5xx", "Latency"} <= {name for namespace, name, _, _ in shown if namespace == "AWS/ApiGateway"}
    # Everything that raises an alarm can be looked at, but for the clocks.
    raised = {(metric["Namespace"], metric["MetricName"]) for name in template.of("CloudWatch::Alarm") for metric in watched(template.properties(name))}
    assert raised - {(namespace, name) for namespace, name, _, _ in shown} == {("AWS/Events", "FailedInvocations")}
    # Widgets lie side by side, not on one another.
    places = {(x, y) for w in widgets(template) for x in range(w["x"], w["x"] + w["width"]) for y in range(w["y"], w["y"] + w["height"])}
    assert len(places) == sum(w["width"] * w["height"] for w in widgets(template)) and max(x for x, _ in places) < 24


@promise
def the_dashboard_is_among_those_that_aws_gives_away(template):
    different = {(namespace, name, *dimensions.items()) for namespace, name, dimensions, _ in on_the_dashboard(template)}
    assert len(different) <= 50


@promise
def the_dashboards_text_leads_to_what_to_do(template):
    [text] = [properties["markdown"] for properties, _, _ in graphs(template) if "markdown" in properties]
    assert "docs/operate.md" in text
    for group in template.of("Logs::LogGroup"):
        # As the console has a slash in its addresses.
        name = template.properties(group).get("LogGroupName", f"${{{group}}}").replace("/", "$252F")
        assert f"/log-group/{name})" in text, group


@promise
def prices_are_those_of_the_page(template):
    known = {}
    exec(source("scripts/scaling/parameters.py"), known)
    prices = known["PRICES"]
    expected = {
        "Lambda, requests": prices["invocation"],
        "DynamoDB, writes": prices["wru"],
        "S3, PUT": prices["s3_put"],
        "SQS": prices["sqs"],
        "HTTP API": prices["http_api"],
    }
    [(properties, drawn, expressions)] = [graph for graph in graphs(template) if graph[2]]
    assert (properties["period"], properties["stat"]) == (3600, "Sum")
    ids = {options["id"] for _, _, _, options in drawn}
    for cost in expressions:
        *_, price = cost["expression"].split(" * ")
        # ${…} are values that CloudFormation puts there, all that begins otherwise is one of these metrics.
        used = set(re.findall(r"[a-z_]+", re.sub(r"\$\{\w+\}", "1", cost["expression"])))
        assert used <= ids, cost
        ids -= used
        if cost["label"].startswith("Lambda, ") and cost["label"] != "Lambda, requests":
            assert price == "${GbSecond}", cost
        else:
            assert float(price) == expected.pop(cost["label"]), cost
    assert not expected and not ids
    [_, names] = template.document["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    condition, arm, intel = names["GbSecond"]["Fn::If"]
    assert template.document["Conditions"][condition] == {"Fn::Equals": [{"Ref": "Architecture"}, "arm64"]}
    assert {"arm64": float(arm), "x86-64": float(intel)} == prices["gb_second"]
    others = [template.properties(logical)["MemorySize"] for logical in FUNCTIONS.values() if logical != "WorkerFunction"]
    assert others == [256] * 3 and " * 256 / 1024 * " in expressions[1]["expression"]
