"""The template keeps its promises, and each promise would notice if it did not: it is held to templates with one mistake."""

import copy
import json
import re
import subprocess

import promises
import pytest
from expanded import Template, expand, metrics, source
from promises import PROMISES, watched


@pytest.fixture(scope="module")
def template():
    return Template(expand())


@pytest.mark.parametrize("check", PROMISES, ids=lambda check: check.__name__)
def test_the_template_keeps_a_promise(template, check):
    check(template)


def at(document, path):
    """What a path leads to, by what holds it and its name there. A path begins with a resource, unless it names a section."""
    *steps, last = path.split("/")
    place = document if steps and steps[0] in ("Parameters", "Outputs", "Rules", "Conditions", "States") else document["Resources"]
    for step in steps:
        place = place[int(step) if isinstance(place, list) else step]
    return place, int(last) if isinstance(place, list) else last


# Mistakes: what is at a path is changed, taken away, or gets company.
def put(path, value):
    def mistake(document):
        place, last = at(document, path)
        assert (place.get(last) if isinstance(place, dict) else place[last]) != value
        place[last] = value

    return mistake


def drop(path):
    def mistake(document):
        place, last = at(document, path)
        del place[last]

    return mistake


def add(path, value):
    def mistake(document):
        place, last = at(document, path)
        place[last].append(value)

    return mistake


def rewrite(path, old, new):
    def mistake(document):
        place, last = at(document, path)
        assert old in place[last]
        place[last] = place[last].replace(old, new)

    return mistake


UPLOADS, PROCESSED = "UploadBucket/Properties", "ProcessedBucket/Properties"
TLS = "PolicyDocument/Statement/0"
WORK = "Properties/Policies/1/PolicyDocument/Statement"
DISTRIBUTED = "a_distribution_that_is_named_may_read_derivatives_and_nobody_else"
CALLED = "applications_are_called_where_hosts_are_named"
DISTRIBUTION = "ProcessedBucketPolicy/Properties/PolicyDocument/Statement/1/Fn::If/1"
KEY = "Properties/Policies/3/Fn::If/1/PolicyDocument/Statement/0"
FINDS, STALLED = "ReconcileFindsWorkAlarm/Properties", "UploadsWithoutCompletionsAlarm/Properties"
BODY = "Dashboard/Properties/DashboardBody/Fn::Sub/0"
SOMEBODYS = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::somebody-elses/*"}

MISTAKES = [
    ("buckets_are_private_and_kept", put(f"{UPLOADS}/PublicAccessBlockConfiguration/BlockPublicPolicy", False)),
    ("buckets_are_private_and_kept", drop(f"{PROCESSED}/PublicAccessBlockConfiguration/RestrictPublicBuckets")),
    ("buckets_are_private_and_kept", put(f"{UPLOADS}/OwnershipControls/Rules/0/ObjectOwnership", "ObjectWriter")),
    ("buckets_are_private_and_kept", put(f"{PROCESSED}/VersioningConfiguration/Status", "Suspended")),
    ("buckets_are_private_and_kept", put(f"{UPLOADS}/BucketEncryption/ServerSideEncryptionConfiguration", [])),
    ("buckets_are_private_and_kept", drop("UploadBucket/DeletionPolicy")),
    ("what_was_left_or_replaced_is_deleted", drop(f"{UPLOADS}/LifecycleConfiguration/Rules/0/AbortIncompleteMultipartUpload")),
    ("what_was_left_or_replaced_is_deleted", put(f"{UPLOADS}/LifecycleConfiguration/Rules/0/Status", "Disabled")),
    ("what_was_left_or_replaced_is_deleted", put(f"{UPLOADS}/LifecycleConfiguration/Rules/0/NoncurrentVersionExpiration/NoncurrentDays", 1)),
    ("nothing_goes_without_tls", put(f"UploadBucketPolicy/Properties/{TLS}/Effect", "Allow")),
    ("nothing_goes_without_tls", put(f"ProcessedBucketPolicy/Properties/{TLS}/Action", "s3:GetObject")),
    ("nothing_goes_without_tls", drop(f"UploadBucketPolicy/Properties/{TLS}/Resource/1")),
    ("nothing_goes_without_tls", put("ProcessedBucketPolicy/Properties/Bucket", {"Ref": "UploadBucket"})),
    ("nothing_goes_without_tls", drop(f"QueuePolicy/Properties/{TLS}/Resource/2")),
    ("nothing_goes_without_tls", drop("QueuePolicy/Properties/Queues/0")),
    ("nothing_goes_without_tls", put(f"NotificationTopicPolicy/Properties/{TLS}/Condition", {"Bool": {"aws:SecureTransport": "true"}})),
    (DISTRIBUTED, put(f"{DISTRIBUTION}/Principal", "*")),
    (DISTRIBUTED, put(f"{DISTRIBUTION}/Action", "s3:*")),
    (DISTRIBUTED, put(f"{DISTRIBUTION}/Resource", {"Fn::Sub": "${ProcessedBucket.Arn}/*"})),
    (DISTRIBUTED, drop(f"{DISTRIBUTION}/Condition")),
    (DISTRIBUTED, put("Conditions/DerivativesAreDistributed", {"Fn::Equals": [{"Ref": "DistributionArn"}, ""]})),
    (DISTRIBUTED, put("Parameters/DistributionArn/Default", "arn:aws:cloudfront::111122223333:distribution/E1")),
    ("an_old_upload_url_is_refused", put("UploadBucketPolicy/Properties/PolicyDocument/Statement/1/Action", "s3:GetObject")),
    ("an_old_upload_url_is_refused", put("UploadBucketPolicy/Properties/PolicyDocument/Statement/1/Condition/NumericGreaterThan/s3:signatureAge", 604_800_000)),
    ("an_old_upload_url_is_refused", put("RequestUploadFunction/Properties/Environment/Variables/UPLOAD_URL_TTL_SECONDS", 600)),
    ("uploads_wake_the_dispatcher_and_nothing_else_does", put(f"{UPLOADS}/NotificationConfiguration/LambdaConfigurations/0/Event", "s3:ObjectCreated:Put")),
    ("uploads_wake_the_dispatcher_and_nothing_else_does", drop(f"{UPLOADS}/NotificationConfiguration/LambdaConfigurations/0/Filter/S3Key/Rules/0")),
    ("uploads_wake_the_dispatcher_and_nothing_else_does", put(f"{PROCESSED}/NotificationConfiguration", {"LambdaConfigurations": []})),
    ("uploads_wake_the_dispatcher_and_nothing_else_does", put("UploadBucket/DependsOn", [])),
    ("uploads_wake_the_dispatcher_and_nothing_else_does", put("UploadsMayInvokeDispatcher/Properties/FunctionName", {"Fn::GetAtt": ["WorkerFunction", "Arn"]})),
    ("only_this_account_invokes_functions", drop("UploadsMayInvokeDispatcher/Properties/SourceAccount")),
    ("only_this_account_invokes_functions", put("ApiMayInvokeWorker/Properties/SourceArn", "arn:aws:execute-api:*")),
    ("only_this_account_invokes_functions", put("ApiMayInvokeWorker/Properties/Principal", "*")),
    ("only_this_account_invokes_functions", put("ReconcileClockMayInvokeDispatcher/Properties/SourceAccount", {"Ref": "AWS::AccountId"})),
    ("only_this_account_invokes_functions", put("ApiMayInvokeWorker/Properties/SourceArn", {"Fn::Sub": "arn:${AWS::Partition}:execute-api:*:*:${Api}/*"})),
    ("only_this_account_invokes_functions", put("ApiMayInvokeJobStatus/Properties/Action", "lambda:*")),
    ("only_this_account_invokes_functions", drop("SweepClockMayInvokeDispatcher")),
    ("messages_outlast_invocations", put("WorkQueue/Properties/VisibilityTimeout", 300)),
    ("messages_outlast_invocations", put("WorkerFunction/Properties/Timeout", 120)),
    ("messages_outlast_invocations", put("WorkQueue/Properties/RedrivePolicy/maxReceiveCount", 3)),
    ("messages_outlast_invocations", put("DeadLetterQueue/Properties/MessageRetentionPeriod", 604_800)),
    ("messages_outlast_invocations", put("DeadLetterQueue/Properties/RedriveAllowPolicy/redrivePermission", "allowAll")),
    ("messages_outlast_invocations", put("DeadLetterQueue/Properties/RedriveAllowPolicy/sourceQueueArns", ["arn:aws:sqs:us-east-1:1:another"])),
    ("messages_outlast_invocations", put("WorkQueue/Properties/SqsManagedSseEnabled", False)),
    ("mappings_name_what_failed", drop("WorkMapping/Properties/FunctionResponseTypes")),
    ("mappings_name_what_failed", put("WorkMapping/Properties/EventSourceArn", {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]})),
    ("mappings_name_what_failed", drop("WorkMapping/Properties/ScalingConfig/MaximumConcurrency")),
    ("mappings_name_what_failed", put("Parameters/WorkerBatchSize/Default", 1)),
    ("mappings_name_what_failed", drop("CallbackMapping/Properties/FunctionResponseTypes")),
    (CALLED, drop("CallbackMapping/Properties/ScalingConfig")),
    (CALLED, put("CallbackMapping/Properties/Enabled", True)),
    (CALLED, put("CallbackMapping/Properties/FunctionName", {"Ref": "WorkerFunction"})),
    (CALLED, put("Conditions/ApplicationsAreCalled", {"Fn::Equals": [{"Ref": "CallbackHosts"}, ""]})),
    (CALLED, put("CallbackQueue/Properties/VisibilityTimeout", 60)),
    (CALLED, put("CallbackQueue/Properties/MessageRetentionPeriod", 345_600)),
    (CALLED, put("Parameters/CallbackRetrySeconds/Default", 3600)),
    (CALLED, put("Parameters/CallbackPrivate/Default", "true")),
    (CALLED, put("Parameters/CallbackHosts/Default", "*.example.com")),
    (CALLED, drop("Parameters/CallbackSecret/NoEcho")),
    (CALLED, put("Parameters/CallbackSecret/AllowedPattern", ".*")),
    (CALLED, drop("DispatcherFunction/Properties/Environment/Variables/CALLBACK_PRIVATE")),
    (CALLED, put("WorkerFunction/Properties/Environment/Variables/CALLBACK_QUEUE_URL", {"Ref": "WorkQueue"})),
    (CALLED, put("WorkerFunction/Properties/Environment/Variables/CALLBACK_SECRET", {"Ref": "CallbackSecret"})),
    (CALLED, drop("Rules/CallbacksAreSigned")),
    ("events_that_fail_are_kept", put("DispatcherInvocations/Properties/MaximumRetryAttempts", 0)),
    ("events_that_fail_are_kept", put("DispatcherInvocations/Properties/DestinationConfig/OnFailure/Destination", {"Fn::GetAtt": ["WorkQueue", "Arn"]})),
    ("the_clocks_ask_for_what_the_dispatcher_knows", put("ReconcileClock/Properties/ScheduleExpression", "rate(1 hour)")),
    ("the_clocks_ask_for_what_the_dispatcher_knows", put("SweepClock/Properties/Targets/0/Input", '{"action":"clean"}')),
    ("the_clocks_ask_for_what_the_dispatcher_knows", put("SweepClock/Properties/State", "DISABLED")),
    ("the_clocks_ask_for_what_the_dispatcher_knows", drop("SweepClock")),
    ("the_clocks_ask_for_what_the_dispatcher_knows", put("ReconcileClockMayInvokeDispatcher/Properties/SourceArn", {"Fn::GetAtt": ["SweepClock", "Arn"]})),
    ("the_table_is_the_one_that_the_code_knows", put("JobTable/Properties/GlobalSecondaryIndexes/2/KeySchema/1/AttributeName", "createdAt")),
    ("the_table_is_the_one_that_the_code_knows", put("JobTable/Properties/GlobalSecondaryIndexes/3/KeySchema/1/AttributeName", "createdAt")),
    ("the_table_is_the_one_that_the_code_knows", put("JobTable/Properties/GlobalSecondaryIndexes/0/Projection/ProjectionType", "KEYS_ONLY")),
    ("the_table_is_the_one_that_the_code_knows", put("JobTable/Properties/TimeToLiveSpecification/AttributeName", "ttl")),
    ("the_table_is_the_one_that_the_code_knows", put("JobTable/Properties/PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled", False)),
    ("the_table_is_the_one_that_the_code_knows", put("JobTable/Properties/BillingMode", "PROVISIONED")),
    ("the_table_is_the_one_that_the_code_knows", put("JobTable/DeletionPolicy", "Retain")),
    ("each_function_has_a_role_of_its_own", put("JobStatusFunction/Properties/Role", {"Fn::GetAtt": ["WorkerRole", "Arn"]})),
    ("each_function_has_a_role_of_its_own", put("WorkerRole/Properties/AssumeRolePolicyDocument/Statement/0/Principal", {"AWS": "*"})),
    ("each_function_has_a_role_of_its_own", put("WorkerRole/Properties/ManagedPolicyArns", ["arn:aws:iam::aws:policy/AmazonS3FullAccess"])),
    ("no_role_may_do_anything_or_to_anything", put(f"WorkerRole/{WORK}/0/Action", "s3:*")),
    ("no_role_may_do_anything_or_to_anything", put(f"WorkerRole/{WORK}/0/Resource", "*")),
    ("no_role_may_do_anything_or_to_anything", put(f"DispatcherRole/{WORK}/4/Resource", {"Fn::Sub": "${JobTable.Arn}/index/*"})),
    ("no_role_may_do_anything_or_to_anything", put(f"RequestUploadRole/{WORK}/0/Resource", {"Fn::Sub": "arn:${AWS::Partition}:s3:::${AWS::StackName}-uploads/*"})),
    ("no_role_may_do_anything_or_to_anything", add(f"JobStatusRole/{WORK}", SOMEBODYS)),
    ("each_function_has_the_variables_that_it_reads", drop("WorkerFunction/Properties/Environment/Variables/SQS_QUEUE_URL")),
    ("each_function_has_the_variables_that_it_reads", drop("JobStatusFunction/Properties/Environment/Variables/ALLOWED_ORIGINS")),
    ("each_function_has_the_variables_that_it_reads", put("WorkerFunction/Properties/Environment/Variables/WATERMARK", "x")),
    ("each_function_has_the_variables_that_it_reads", put("WorkerFunction/Properties/Environment/Variables/PROCESSED_BUCKET", {"Ref": "UploadBucket"})),
    ("defaults_are_those_of_the_code", put("Parameters/UploadUrlTtlSeconds/Default", 3600)),
    ("defaults_are_those_of_the_code", put("Parameters/MaxPixels/Default", 1_000_000)),
    ("functions_have_time_and_memory", put("JobStatusFunction/Properties/Timeout", 10)),
    ("functions_have_time_and_memory", put("WorkerFunction/Properties/MemorySize", 512)),
    ("functions_have_time_and_memory", drop("WorkerFunction/Properties/RecursiveLoop")),
    ("functions_have_time_and_memory", put("WorkerFunction/Properties/Runtime", "provided.al2")),
    ("functions_have_time_and_memory", put("DispatcherFunction/Properties/Architectures", ["arm64"])),
    ("logs_are_json_and_end", put("WorkerFunction/Properties/LoggingConfig/LogFormat", "Text")),
    ("logs_are_json_and_end", drop("WorkerFunction/Properties/LoggingConfig/ApplicationLogLevel")),
    ("logs_are_json_and_end", drop("WorkerLogs/Properties/RetentionInDays")),
    ("logs_are_json_and_end", put("WorkerFunction/Properties/LoggingConfig/LogGroup", {"Ref": "DispatcherLogs"})),
    ("logs_are_json_and_end", put("WorkerRole/Properties/Policies/0/PolicyDocument/Statement/0/Resource", {"Fn::GetAtt": ["ApiLogs", "Arn"]})),
    ("access_logs_tell_no_query", put("ApiStage/Properties/AccessLogSettings/Format", '{"requestId":"$context.integration.requestId","status":"$context.status","path":"$context.path"}')),
    ("access_logs_tell_no_query", put("ApiStage/Properties/AccessLogSettings/Format", '{"requestId":"$context.requestId","status":"$context.status"}')),
    ("routes_are_those_of_the_code", drop("ResultsRoute")),
    ("routes_are_those_of_the_code", put("JobRoute/Properties/RouteKey", "GET /jobs/{id}")),
    ("routes_are_those_of_the_code", put("ClassifyRoute/Properties/Target", {"Fn::Sub": "integrations/${JobStatusIntegration}"})),
    ("routes_are_those_of_the_code", put("WorkerIntegration/Properties/PayloadFormatVersion", "1.0")),
    ("routes_are_those_of_the_code", put("WorkerIntegration/Properties/IntegrationUri", {"Fn::GetAtt": ["DispatcherFunction", "Arn"]})),
    ("parameters_come_whole_or_not_at_all", drop("Rules/CallersHaveAccessTokens/Assertions/0")),
    ("parameters_come_whole_or_not_at_all", drop("Rules/CallersHaveAccessTokens/Assertions/1")),
    ("parameters_come_whole_or_not_at_all", drop("Rules/CallersHaveAccessTokens/Assertions/2")),
    ("parameters_come_whole_or_not_at_all", drop("Rules/TokensHaveAnIssuer")),
    ("parameters_come_whole_or_not_at_all", drop("Rules/TokensHaveAnIssuer/Assertions/0/Assert/Fn::And/1")),
    ("parameters_come_whole_or_not_at_all", drop("Rules/TokensHaveAnIssuer/RuleCondition")),
    ("parameters_come_whole_or_not_at_all", drop("Rules/DomainHasACertificate")),
    ("parameters_come_whole_or_not_at_all", drop("Rules/CertificateHasADomain/Assertions/0")),
    ("parameters_come_whole_or_not_at_all", drop("Rules/CertificateHasADomain/Assertions/1")),
    ("callers_are_known_on_every_route_where_an_issuer_is_named", put("UploadsRoute/Properties/AuthorizationType", "NONE")),
    ("callers_are_known_on_every_route_where_an_issuer_is_named", put("ResultsRoute/Properties/AuthorizationType/Fn::If/0", "OperatorsAreKnown")),
    ("callers_are_known_on_every_route_where_an_issuer_is_named", drop("JobRoute/Properties/AuthorizationScopes")),
    ("callers_are_known_on_every_route_where_an_issuer_is_named", add("JobRoute/Properties/AuthorizationScopes/Fn::If/1", "openid")),
    ("callers_are_known_on_every_route_where_an_issuer_is_named", drop("ClassifyRoute/Properties/AuthorizerId")),
    ("callers_are_known_on_every_route_where_an_issuer_is_named", put("DefaultRoute/Properties/AuthorizationType", "JWT")),
    ("callers_are_known_on_every_route_where_an_issuer_is_named", put("ApiAuthorizer/Properties/JwtConfiguration/Audience", [])),
    ("callers_are_known_on_every_route_where_an_issuer_is_named", put("ApiAuthorizer/Properties/IdentitySource", ["$request.querystring.token"])),
    ("callers_are_known_on_every_route_where_an_issuer_is_named", drop("ApiAuthorizer/Condition")),
    ("callers_are_known_on_every_route_where_an_issuer_is_named", put("Conditions/CallersAreKnown/Fn::Not/0/Fn::Equals/0", {"Ref": "JwtScope"})),
    ("callers_are_known_on_every_route_where_an_issuer_is_named", drop("JobStatusFunction/Properties/Environment/Variables/JWT_SCOPE")),
    ("callers_are_known_on_every_route_where_an_issuer_is_named", put("WorkerFunction/Properties/Environment/Variables/JWT_OPERATOR_SCOPE", {"Ref": "JwtScope"})),
    ("callers_are_known_on_every_route_where_an_issuer_is_named", drop("WorkerFunction/Properties/Environment/Variables/API_KEY_SHA256")),
    ("an_api_key_itself_stands_nowhere", put("Parameters/ApiKeySha256/AllowedPattern", "^[0-9A-Za-z,]*$")),
    ("a_domain_of_ones_own_has_tls_and_may_be_the_only_one", put("ApiDomain/Properties/DomainNameConfigurations/0/SecurityPolicy", "TLS_1_0")),
    ("a_domain_of_ones_own_has_tls_and_may_be_the_only_one", put("ApiDomain/Properties/DomainNameConfigurations/0/EndpointType", "EDGE")),
    ("a_domain_of_ones_own_has_tls_and_may_be_the_only_one", drop("ApiDomainMapping")),
    ("a_domain_of_ones_own_has_tls_and_may_be_the_only_one", put("ApiDomainMapping/Properties/ApiMappingKey", "v1")),
    ("a_domain_of_ones_own_has_tls_and_may_be_the_only_one", put("Api/Properties/DisableExecuteApiEndpoint", False)),
    ("a_domain_of_ones_own_has_tls_and_may_be_the_only_one", put("Outputs/ApiUrl/Value", {"Fn::GetAtt": ["Api", "ApiEndpoint"]})),
    ("a_domain_of_ones_own_has_tls_and_may_be_the_only_one", drop("Outputs/ApiDomainTarget/Condition")),
    ("the_api_is_throttled", drop("ApiStage/Properties/DefaultRouteSettings/ThrottlingBurstLimit")),
    ("the_api_is_throttled", put("Parameters/ApiRateLimit/Default", 100_000)),
    ("notices_are_encrypted", drop("NotificationTopic/Properties/KmsMasterKeyId")),
    ("no_role_may_do_anything_or_to_anything", put("WorkerRole/Properties/Policies/2/Fn::If/1/PolicyDocument/Statement/0/Action", ["xray:*"])),
    ("what_goes_wrong_raises_an_alarm", drop("DeadLettersAlarm")),
    ("what_goes_wrong_raises_an_alarm", drop("ReconcileClockAlarm")),
    ("what_goes_wrong_raises_an_alarm", put("DeadLettersAlarm/Properties/AlarmActions", [])),
    ("what_goes_wrong_raises_an_alarm", put("DeadLettersAlarm/Properties/Threshold", 10)),
    ("what_goes_wrong_raises_an_alarm", put("DeadLettersAlarm/Properties/Dimensions/0/Value", {"Fn::GetAtt": ["WorkQueue", "QueueName"]})),
    ("what_goes_wrong_raises_an_alarm", put("WorkerDurationAlarm/Properties/Threshold", 60_000)),
    ("what_goes_wrong_raises_an_alarm", put("ApiErrorsAlarm/Properties/ComparisonOperator", "LessThanThreshold")),
    ("what_goes_wrong_raises_an_alarm", put("AlarmTopicPolicy/Properties/PolicyDocument/Statement/1/Condition", {})),
    ("each_alarm_has_an_entry_in_the_runbook", drop("QueueAgeAlarm")),
    ("mail_goes_to_who_asked_for_it", put("AlarmMail/Properties/TopicArn", {"Ref": "NotificationTopic"})),
    ("mail_goes_to_who_asked_for_it", drop("NotificationMail")),
    ("outputs_have_the_names_that_users_script_by", drop("Outputs/TopicArn")),
    ("what_comes_under_raw_starts_the_state_machine", drop(f"{UPLOADS}/NotificationConfiguration/EventBridgeConfiguration")),
    ("what_comes_under_raw_starts_the_state_machine", put("RawUploadsRule/Properties/EventPattern/detail/object/key/0/prefix", "uploads/")),
    ("what_comes_under_raw_starts_the_state_machine", put("RawUploadsRule/Properties/EventPattern/detail-type", ["Object Deleted"])),
    ("what_comes_under_raw_starts_the_state_machine", drop("RawUploadsRule/Properties/EventPattern/detail/bucket")),
    ("what_comes_under_raw_starts_the_state_machine", put("RawUploadsRule/Properties/Targets/0/InputPath", "$.detail")),
    ("what_comes_under_raw_starts_the_state_machine", drop("RawUploadsRule/Properties/Targets/0/DeadLetterConfig")),
    ("what_comes_under_raw_starts_the_state_machine", put("RawUploadsRule/Properties/State", "DISABLED")),
    ("what_comes_under_raw_starts_the_state_machine", drop("QueuePolicy/Properties/PolicyDocument/Statement/1/Condition")),
    ("what_comes_under_raw_starts_the_state_machine", put("RawUploadsRole/Properties/Policies/0/PolicyDocument/Statement/0/Action", "states:StopExecution")),
    ("what_comes_under_raw_starts_the_state_machine", put(f"WorkflowRole/{WORK}/0/Resource", {"Fn::GetAtt": ["DispatcherFunction", "Arn"]})),
    ("what_comes_under_raw_starts_the_state_machine", drop(f"WorkflowRole/{WORK}/1")),
    ("what_comes_under_raw_starts_the_state_machine", drop("WorkflowRole/Properties/AssumeRolePolicyDocument/Statement/0/Condition")),
    ("the_state_machine_is_the_one_that_the_worker_knows", put("Workflow/Properties/StateMachineType", "STANDARD")),
    ("the_state_machine_is_the_one_that_the_worker_knows", put("Workflow/Properties/LoggingConfiguration/IncludeExecutionData", True)),
    ("the_state_machine_is_the_one_that_the_worker_knows", put("Workflow/Properties/DefinitionSubstitutions/Worker", {"Fn::GetAtt": ["JobStatusFunction", "Arn"]})),
    ("the_state_machine_is_the_one_that_the_worker_knows", put("Workflow/Properties/DefinitionSubstitutions/Dispatcher", {"Fn::GetAtt": ["WorkerFunction", "Arn"]})),
    ("the_state_machine_is_the_one_that_the_worker_knows", drop("Workflow/Properties/DefinitionSubstitutions/Partition")),
    ("the_state_machine_is_the_one_that_the_worker_knows", put("WorkerFunction/Properties/Timeout", 50)),
    ("what_goes_wrong_raises_an_alarm", drop("WorkflowTimeoutsAlarm")),
    ("logs_are_json_and_end", drop("WorkflowLogs/Properties/RetentionInDays")),
    ("no_role_may_do_anything_or_to_anything", add("WorkflowRole/Properties/Policies/0/PolicyDocument/Statement/0/Action", "logs:DeleteLogGroup")),
    ("each_function_has_a_role_of_its_own", put("SpareRole", {"Type": "AWS::IAM::Role", "Properties": {}})),
    ("what_is_kept_is_encrypted_with_the_key_that_is_given", drop(f"{UPLOADS}/BucketEncryption/ServerSideEncryptionConfiguration/0/Fn::If/1/BucketKeyEnabled")),
    ("what_is_kept_is_encrypted_with_the_key_that_is_given", put(f"{PROCESSED}/BucketEncryption/ServerSideEncryptionConfiguration/0", {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}})),
    ("what_is_kept_is_encrypted_with_the_key_that_is_given", drop("JobTable/Properties/SSESpecification/KMSMasterKeyId")),
    ("what_is_kept_is_encrypted_with_the_key_that_is_given", put("WorkQueue/Properties/SqsManagedSseEnabled", True)),
    ("what_is_kept_is_encrypted_with_the_key_that_is_given", drop("DispatcherFailureQueue/Properties/KmsMasterKeyId")),
    ("what_is_kept_is_encrypted_with_the_key_that_is_given", put("NotificationTopic/Properties/KmsMasterKeyId", "alias/aws/sns")),
    ("what_is_kept_is_encrypted_with_the_key_that_is_given", put("AlarmTopic/Properties/KmsMasterKeyId", {"Ref": "KmsKeyArn"})),
    ("what_is_kept_is_encrypted_with_the_key_that_is_given", drop("ApiLogs/Properties/KmsKeyId")),
    ("what_is_kept_is_encrypted_with_the_key_that_is_given", drop("WorkerFunction/Properties/KmsKeyArn")),
    ("what_is_kept_is_encrypted_with_the_key_that_is_given", put("Parameters/KmsKeyArn/Default", "alias/aws/s3")),
    ("roles_use_the_key_for_what_they_do_and_by_the_services_only", put(f"JobStatusRole/{KEY}/Action", ["kms:Decrypt", "kms:GenerateDataKey"])),
    ("roles_use_the_key_for_what_they_do_and_by_the_services_only", put(f"WorkerRole/{KEY}/Action", "kms:Decrypt")),
    ("roles_use_the_key_for_what_they_do_and_by_the_services_only", put(f"WorkerRole/{KEY}/Resource", "*")),
    ("roles_use_the_key_for_what_they_do_and_by_the_services_only", drop(f"RequestUploadRole/{KEY}/Condition")),
    ("roles_use_the_key_for_what_they_do_and_by_the_services_only", drop(f"DispatcherRole/{KEY}/Condition/StringEquals/kms:ViaService/4")),
    ("roles_use_the_key_for_what_they_do_and_by_the_services_only", drop("WorkerRole/Properties/Policies/3/Fn::If/1/PolicyDocument/Statement/1")),
    ("roles_use_the_key_for_what_they_do_and_by_the_services_only", drop("WorkerRole/Properties/Policies/3/Fn::If/1/PolicyDocument/Statement/1/Condition/StringEquals")),
    ("roles_use_the_key_for_what_they_do_and_by_the_services_only", drop("DispatcherRole/Properties/Policies/3")),
    ("roles_use_the_key_for_what_they_do_and_by_the_services_only", put("WorkerRole/Properties/Policies/3/Fn::If/0", "IsTraced")),
    ("what_a_linter_is_told_to_pass_over_has_a_reason", put("AlarmTopic/Metadata/checkov/skip/0/comment", "Not needed.")),
    ("what_a_linter_is_told_to_pass_over_has_a_reason", drop("WorkerFunction/Metadata/checkov/skip/1/comment")),
    ("outputs_have_the_names_that_users_script_by", drop("Outputs/DashboardUrl")),
    ("what_goes_wrong_raises_an_alarm", drop("ReconcileFindsWorkAlarm")),
    ("what_goes_wrong_raises_an_alarm", put("DeadLettersAlarm/Condition", "ExpressionsAreKnown")),
    ("what_goes_wrong_raises_an_alarm", put("Parameters/ExpressionAlarms/Default", "No")),
    ("what_goes_wrong_raises_an_alarm", put("Conditions/ExpressionsAreKnown/Fn::Equals/1", "No")),
    ("what_goes_wrong_raises_an_alarm", put(f"{STALLED}/AlarmActions", [])),
    ("each_alarm_has_an_entry_in_the_runbook", drop("ReconcileFindsWorkAlarm")),
    ("what_reconcile_finds_raises_an_alarm", put(f"{FINDS}/Metrics/0/Expression", "mended + ended")),
    ("what_reconcile_finds_raises_an_alarm", put(f"{FINDS}/Metrics/1/MetricStat/Stat", "Average")),
    ("what_reconcile_finds_raises_an_alarm", put(f"{FINDS}/Metrics/1/ReturnData", True)),
    ("what_reconcile_finds_raises_an_alarm", put(f"{FINDS}/TreatMissingData", "breaching")),
    ("what_reconcile_finds_raises_an_alarm", put(f"{FINDS}/Threshold", 2)),
    ("uploads_that_nothing_comes_of_raise_an_alarm", put(f"{STALLED}/Metrics/0/Expression", "queued + completed + failed == queued")),
    ("uploads_that_nothing_comes_of_raise_an_alarm", put(f"{STALLED}/Metrics/0/Expression", "completed + rejected + failed == 0")),
    ("uploads_that_nothing_comes_of_raise_an_alarm", put(f"{STALLED}/Metrics/0/Expression", "queued > 0")),
    ("uploads_that_nothing_comes_of_raise_an_alarm", put(f"{STALLED}/Metrics/4/MetricStat/Metric/MetricName", "expired")),
    ("uploads_that_nothing_comes_of_raise_an_alarm", put(f"{STALLED}/EvaluationPeriods", 1)),
    ("uploads_that_nothing_comes_of_raise_an_alarm", put(f"{STALLED}/TreatMissingData", "breaching")),
    ("our_metrics_are_those_of_the_code", put(f"{FINDS}/Metrics/1/MetricStat/Metric/MetricName", "repaired")),
    ("our_metrics_are_those_of_the_code", put(f"{FINDS}/Metrics/1/MetricStat/Metric/Dimensions/0/Name", "FunctionName")),
    ("our_metrics_are_those_of_the_code", put(f"{STALLED}/Metrics/1/MetricStat/Metric/Dimensions/0/Value", {"Ref": "WorkQueue"})),
    ("our_metrics_are_those_of_the_code", rewrite(BODY, '"put_back"', '"retried"')),
    ("our_metrics_are_those_of_the_code", rewrite(BODY, '[".", "failed", ".", ".", { "label": "failed (ours)", "color": "#d62728" }],', "")),
    ("our_metrics_are_those_of_the_code", rewrite(BODY, '"mended", "Table", "${JobTable}"', '"mended", "Table", "${WorkQueue}"')),
    ("our_metrics_are_those_of_the_code", rewrite(BODY, '"stat": "p99",', '"stat": "Sum",')),
    ("the_dashboard_shows_this_stack", drop("Dashboard")),
    ("the_dashboard_shows_this_stack", put("Dashboard/Properties/DashboardName", {"Ref": "AWS::StackName"})),
    ("the_dashboard_shows_this_stack", rewrite(BODY, '"${WorkerFunction}", { "label": "worker, errors" }', '"worker", { "label": "worker, errors" }')),
    ("the_dashboard_shows_this_stack", rewrite(BODY, '"${WorkerFunction}", { "label": "worker, errors" }', '"${JobStatusFunction}", { "label": "worker, errors" }')),
    ("the_dashboard_shows_this_stack", rewrite(BODY, "${DeadLetterQueue.QueueName}", "${WorkQueue.QueueName}")),
    ("the_dashboard_shows_this_stack", rewrite(BODY, "${DeadLetterQueue.QueueName}", "${DeadLetterQueue}")),
    ("the_dashboard_shows_this_stack", rewrite(BODY, '"ApproximateAgeOfOldestMessage"', '"SentMessageSize"')),
    ("the_dashboard_shows_this_stack", rewrite(BODY, '"region": "${AWS::Region}"', '"region": "us-east-1"')),
    ("the_dashboard_shows_this_stack", rewrite(BODY, '"x": 8, "y": 9', '"x": 7, "y": 9')),
    ("the_dashboard_is_among_those_that_aws_gives_away", rewrite(BODY, '"4xx", ".", ".", ".", "."]', '"4xx", ".", ".", ".", "."], [".", "DataProcessed", ".", ".", ".", "."]')),
    ("the_dashboards_text_leads_to_what_to_do", rewrite(BODY, "docs/operate.md", "the manual")),
    ("the_dashboards_text_leads_to_what_to_do", rewrite(BODY, "${WorkerLogs}", "${WorkerFunction}")),
    ("prices_are_those_of_the_page", rewrite(BODY, "* 0.0000002", "* 0.0000003")),
    ("prices_are_those_of_the_page", rewrite(BODY, "by_status + by_due", "by_status")),
    ("prices_are_those_of_the_page", rewrite(BODY, "requests * 0.000001", "request * 0.000001")),
    ("prices_are_those_of_the_page", rewrite(BODY, "worker_ms / 1000 * ${WorkerMemory} / 1024 * ${GbSecond}", "worker_ms / 1000 * ${WorkerMemory} / 1024 * 0.00001")),
    ("prices_are_those_of_the_page", rewrite(BODY, '"period": 3600', '"period": 300')),
    ("prices_are_those_of_the_page", put("Dashboard/Properties/DashboardBody/Fn::Sub/1/GbSecond/Fn::If/1", "0.0000166667")),
    ("prices_are_those_of_the_page", put("RequestUploadFunction/Properties/MemorySize", 512)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "mistake"), MISTAKES, ids=[f"{n}-{name}" for n, (name, _) in enumerate(MISTAKES)])
def test_a_promise_notices_a_mistake(template, name, mistake):
    [check] = [check for check in PROMISES if check.__name__ == name]
    document = copy.deepcopy(template.document)
    mistake(document)
    with pytest.raises((AssertionError, KeyError, ValueError, StopIteration)):
        check(Template(document))


# Those of the state machine's definition, a file of its own that the template names.
WORKFLOW_MISTAKES = [
    put("States/ValidateImage/Resource", "${Dispatcher}"),
    put("States/ValidateImage/Parameters/stage", "OptimizeImage"),
    put("States/ValidateImage/Retry/0/ErrorEquals/0", "States.ALL"),
    drop("States/ValidateImage/Retry"),
    drop("States/ValidateImage/Catch"),
    add("States/MakeDerivatives/Branches/0/States/ResizeImage/Retry/0/ErrorEquals", "CORRUPT_IMAGE"),
    put("States/MakeDerivatives/Branches/1/States/ApplyFilters/Retry/0/MaxAttempts", 20),
    put("States/MakeDerivatives/Branches/1/States/ApplyFilters/Parameters/stage", "ResizeImage"),
    put("States/MakeDerivatives/Catch/0/ErrorEquals", ["Transient"]),
    put("States/OptimizeImage/Catch/0/Next", "NothingToDo"),
    put("States/NotifyError/Catch/0/Next", "NothingToDo"),
    put("States/WhatIsIt/Choices/1/Next", "MakeDerivatives"),
    drop("States/WasItMade/Choices/1"),
    drop("States/NotifySuccess"),
    drop("States/GoOnByQueue"),
    put("States/GoOnByQueue/Parameters/InvocationType", "RequestResponse"),
    put("States/GoOnByQueue/Parameters/FunctionName", "${Worker}"),
    put("States/GoOnByQueue/Retry/0/MaxAttempts", 2),
    lambda definition: definition.update(TimeoutSeconds=600),
]


@pytest.mark.parametrize("mistake", WORKFLOW_MISTAKES, ids=range(len(WORKFLOW_MISTAKES)))
def test_a_promise_notices_a_mistake_in_the_state_machine(template, mistake, monkeypatch):
    file = "infra/workflow.asl.json"
    definition = json.loads(source(file))
    mistake(definition)
    monkeypatch.setattr(promises, "source", lambda path: json.dumps(definition) if path == file else source(path))
    with pytest.raises((AssertionError, KeyError, ValueError)):
        promises.the_state_machine_is_the_one_that_the_worker_knows(template)


def test_nothing_is_suppressed_that_a_linter_does_not_find(template, tmp_path):
    document = copy.deepcopy(template.document)
    for resource in document["Resources"].values():
        resource.get("Metadata", {}).pop("checkov", None)
    (tmp_path / "template.json").write_text(json.dumps(document))
    options = ["--framework", "cloudformation", "--skip-download", "--output", "json"]
    checkov = subprocess.run(["checkov", "--file", "template.json", *options], cwd=tmp_path, capture_output=True, text=True)
    failed = json.loads(checkov.stdout)["results"]["failed_checks"]
    found = {(check["resource"].split(".")[-1], check["check_id"]) for check in failed}
    assert found == {(name, check) for name, check, _ in template.suppressed()}


def test_every_promise_is_held_to_a_mistake():
    assert {check.__name__ for check in PROMISES} == {name for name, _ in MISTAKES}


def test_the_runbook_explains_every_metric():
    rows = source("docs/operate.md").split("| name | unit | meaning |")[1].split("\n\n")[0]
    found = {}
    for names, unit in re.findall(r"^\| (`[^|]*`) \| (\w+) \|", rows, re.MULTILINE):
        found |= dict.fromkeys(re.findall(r"`(\w+)`", names), unit)
    assert found == metrics()


def test_the_page_says_how_many_alarms_are_to_be_paid_for(template):
    alarms = template.of("CloudWatch::Alarm")
    watches = sum(len(list(watched(template.properties(name)))) for name in alarms)
    assert f"({len(alarms)} of them watch {watches} metrics," in source("docs/deploy.md")
