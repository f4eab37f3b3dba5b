"""Every number that `scripts/scale` starts from: measured, deployed, assumed, published, priced.

What is measured stands first, so that new figures go in one place; `scripts/scale --write` then renews the page.
"""

# Processor time is milliseconds of one vCPU, on the x86-64 machine that Darkroom is developed on.
MEASURED = {
    # One photo of 12 megapixels, by recipe: everything that the worker and its studio do.
    "photo_cpu": {"default": 145, "fit 1600": 87},
    # Of that, what runs beside rendering: the classifier's inference and its input.
    "classify_cpu": 25,
    # The worker's cold start: the model is loaded and optimised, two studios are opened.
    "worker_start_cpu": 110,
    # The other functions' cold start.
    "start_cpu": 12,
    # Bytes of a job's row after each write, by DynamoDB's rules for sizes, of a job with one derivative and a file name of
    # 23 letters. The last one without what temporary credentials add to a URL: see `session_token` below.
    "row": {
        "created": 472,
        "arrived": 544,
        "queued": 586,
        "claimed": 676,
        "completed": 1460,
        "announced": 1453,
        "URLs kept": 2556,
    },
    # Bytes of the lines that each function logs for a job.
    "log": {"request-upload": [462], "dispatcher": [537], "worker": [753, 475], "job-status": []},
}

# How Darkroom is meant to be deployed, and constants of its code, which are named.
DEPLOYED = {
    # MiB. The worker takes less than 700 on two cores (`MEMORY_MIB` in functions/worker/src/image/cost.rs); the others, 20.
    "worker_memory": 1769,
    "memory": 256,
    "worker_timeout": 60,
    # Messages that one invocation of the worker gets, at most.
    "batch": 10,
    # Photos that one worker has under way: one more than it sees cores (functions/worker/src/capacity.rs).
    "slots": 3,
    # How often a move that no try could write is tried again: `MAX_CONFLICTS` in shared/src/aws/job_table.rs.
    "rounds": 10,
    "shards": 8,  # `SHARDS` in shared/src/aws/job_table.rs
    "receives": 5,  # `MAX_ATTEMPTS` in shared/src/job/mod.rs, and the queue's `maxReceiveCount`
    "visibility_timeout": 360,  # the queue's: six times the worker's timeout
    "requeue_after": 900,  # `REQUEUE_AFTER`
    "lease_grace": 10,  # `LEASE_GRACE`
    "announce_after": 60,  # `ANNOUNCE_AFTER`
    "upload_url_ttl": 300,  # `UPLOAD_URL_TTL_SECONDS`
    "first_retry": 5,  # `FIRST_RETRY` in functions/worker/src/process.rs; doubles
    "status_polls": (0.05, 1.25, 1.0),  # `FIRST_POLL`, its growth, `MAX_POLL` in functions/job-status/src/lib.rs
    "longest_wait": 20,  # `?wait=`
    "reconcile_every": 300,
    "reconcile_time": 45,  # the dispatcher's timeout less `MARGIN`
    "reconcile_at_once": 16,  # `CONCURRENCY` in functions/dispatcher/src/reconcile.rs
}

# Nobody publishes these exactly. Seconds, unless they say otherwise.
ASSUMED = {
    # "roughly 100-200 milliseconds" for small objects: Amazon S3 User Guide, "Performance design patterns".
    "s3": 0.1,
    "s3_bytes_per_second": 75e6,
    # "single-digit milliseconds": Amazon DynamoDB Developer Guide, "What is Amazon DynamoDB?"
    "dynamodb": 0.005,
    "sqs": 0.02,
    "sns": 0.02,
    # "typically delivered in seconds": Amazon S3 User Guide, "Amazon S3 Event Notifications".
    "s3_event": 0.5,
    # Milliseconds of one vCPU that an invocation of another function takes: JSON, TLS, signatures.
    "handler_cpu": 3,
    # A new execution environment, before the function's own start.
    "environment": 0.2,
    # A client's PUT, and its way to the API and back.
    "upload": 1.0,
    "round_trip": 0.1,
    # Bytes of a photo and of its derivative with the default recipe, and with `fit 1600`.
    "photo": 3_500_000,
    "derivative": {"default": 2_800_000, "fit 1600": 350_000},
    # Bytes that a role's temporary credentials add to a presigned URL, encoded.
    "session_token": 1200,
    # Bytes of the lines START, END and REPORT of an invocation.
    "platform_log": [67, 51, 190],
    # Environments are used again, so that few invocations of a steady month are cold starts.
    "cold_share": 0.01,
}

LIMITS = {
    # AWS Lambda Developer Guide, "Lambda quotas": concurrent executions of an account, which can be raised.
    "account": 1000,
    # "Lambda scaling behavior": 1,000 environments every 10 seconds for each function, refilled continuously.
    "scaling_burst": 1000,
    "scaling_per_second": 100,
    # "Configuring scaling behavior for SQS event source mappings": five batches, 300 more a minute; the most is 1,250 by
    # AWS's knowledge center, "Why isn't my Lambda function with an Amazon SQS event source optimally scaling?" (older
    # pages say 1,000).
    "pollers_first": 5,
    "pollers_per_minute": 300,
    "pollers_most": 1250,
    # "How Lambda handles errors and retries with asynchronous invocation": throttled events come again after 1 second to 5
    # minutes, failed ones after one minute and after two more.
    "async_throttled": (1, 300),
    "async_failed": (60, 120),
    # Amazon API Gateway Developer Guide, "Amazon API Gateway quotas": requests a second, and the bucket's size.
    "api_per_second": 10_000,
    "api_burst": 5000,
    # Amazon S3 User Guide, "Best practices design patterns: optimizing Amazon S3 performance": for each partitioned prefix.
    "s3_puts_per_second": 3500,
    # Amazon DynamoDB Developer Guide, "DynamoDB on-demand capacity mode": a new table, and each new index. Twice the peak
    # so far, within 30 minutes: a burst is over by then.
    "table_wru": 4000,
    # "Best practices for designing and using partition keys effectively": write units a second of one partition. A
    # hot partition is split, which helps little where entries come and go at ends that move (`dueAt`, `listedAt`).
    "partition_wru": 1000,
    # AWS SDKs and Tools Reference Guide, "Retry behavior": tries of the standard mode; pauses of up to 1 and 2 seconds.
    "sdk_tries": 3,
    # Amazon SQS Developer Guide, "Message quotas": messages in flight.
    "sqs_in_flight": 120_000,
    # AWS Lambda Developer Guide, "Configure Lambda function memory": MB that make one vCPU; most vCPUs.
    "mb_a_vcpu": 1769,
    "vcpus_most": 6,
}

# List prices of us-east-1 in US dollars as of November 2026, free tiers ignored.
PRICES = {
    "gb_second": {"x86-64": 0.0000166667, "arm64": 0.0000133334},  # AWS Lambda pricing
    "invocation": 0.20e-6,
    "wru": 0.625e-6,  # Amazon DynamoDB pricing, on-demand
    "rru": 0.125e-6,
    "dynamodb_gb_month": 0.25,
    "s3_put": 0.005e-3,  # Amazon S3 pricing, S3 Standard: PUT, COPY, POST, LIST
    "s3_get": 0.0004e-3,
    "s3_gb_month": ((51_200, 0.023), (460_800, 0.022), (float("inf"), 0.021)),
    "sqs": 0.40e-6,  # Amazon SQS pricing, standard queue
    "sns": 0.50e-6,  # Amazon SNS pricing, publishes; deliveries are the subscribers'
    "http_api": 1.00e-6,  # Amazon API Gateway pricing
    "log_gb": 0.50,  # Amazon CloudWatch pricing, ingestion
}

# What 10,000 photos cost in a pipeline of this kind in Python: US dollars for Lambda's compute, and in all.
PYTHON = {"compute": 0.50, "total": 0.77}
