"""The template as CloudFormation gets it: expanded from SAM, and looked up by what things are. As a program it prints it."""

import json
import os
import re
from pathlib import Path

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

# The translator wants one, whichever it is.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "infra" / "template.yaml"
FUNCTIONS = {
    "request-upload": "RequestUploadFunction",
    "dispatcher": "DispatcherFunction",
    "worker": "WorkerFunction",
    "job-status": "JobStatusFunction",
}


class NoManagedPolicies:
    """Darkroom's roles take none, so there is nothing to look up."""

    def load(self):
        return {}


def expand():
    source = yaml_parse(TEMPLATE.read_text())
    for logical in FUNCTIONS.values():
        # The translator takes what has been uploaded only.
        source["Resources"][logical]["Properties"]["CodeUri"] = "s3://bucket/key"
    source["Resources"]["Workflow"]["Properties"]["DefinitionUri"] = "s3://bucket/key"
    return transform(source, {}, NoManagedPolicies())


class Template:
    """An expanded template. What a resource refers to is text here: `${Name}` or `${Name.Attribute}`."""

    def __init__(self, document):
        self.document = document
        self.resources = {name: flat(resource) for name, resource in document["Resources"].items()}

    def of(self, kind):
        """The resources of a kind, such as `S3::Bucket`."""
        return {name: r for name, r in self.resources.items() if r["Type"] == f"AWS::{kind}"}

    def properties(self, name):
        return self.resources[name].get("Properties", {})

    def default(self, parameter):
        return self.document["Parameters"][parameter]["Default"]

    def statements(self, kind):
        """Of policies of a kind: whose they are, and the statement."""
        for name in self.of(kind):
            for statement in listed(self.properties(name)["PolicyDocument"]["Statement"]):
                yield name, statement

    def suppressed(self):
        """Findings of checkov's that are not to be mended: whose, which, and why."""
        for name, resource in self.resources.items():
            for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
                yield name, skip["id"], skip["comment"]

    def role_statements(self):
        for name in self.of("IAM::Role"):
            for policy in self.properties(name).get("Policies", []):
                for statement in listed(policy["PolicyDocument"]["Statement"]):
                    yield name, statement


def listed(value):
    return value if isinstance(value, list) else [value]


def flat(value):
    """Intrinsic functions as text, and both sides of a condition that has any."""
    if isinstance(value, list):
        return [item for item in map(flat, value) if item != "${AWS::NoValue}"]
    if not isinstance(value, dict):
        return value
    match value:
        case {"Ref": name}:
            return f"${{{name}}}"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"${{{name}.{attribute}}}"
        case {"Fn::GetAtt": str(text)}:
            return f"${{{text}}}"
        case {"Fn::Sub": str(text) | [text, _]}:
            return text
        case {"Fn::Join": [between, parts]}:
            parts = flat(parts)
            return between.join(parts) if isinstance(parts, list) else parts
        case {"Fn::If": [_, yes, no]}:
            sides = [side for side in (flat(yes), flat(no)) if side != "${AWS::NoValue}"]
            return sides[0] if len(sides) == 1 else sides
    return {key: flat(inner) for key, inner in value.items()}


def source(path):
    return (ROOT / path).read_text()


def variables_of(function):
    """Names of the environment variables that a function reads, by whether it needs them: as its config.rs has it."""
    config = source(f"functions/{function}/src/config.rs").split("#[cfg(test)]")[0]
    required = set(re.findall(r'required\(\s*"([A-Z_]+)"', config))
    optional = set(re.findall(r'(?:optional|path_or|number_or|url_ttl_or)\(\s*"([A-Z_]+)"', config))
    # What `Vars` has for several functions.
    if "vars.buckets()" in config:
        required |= {"UPLOAD_BUCKET", "PROCESSED_BUCKET"}
    shared = {"max_upload_bytes": "MAX_UPLOAD_BYTES", "job_ttl": "JOB_TTL_DAYS", "allowed_origins": "ALLOWED_ORIGINS"}
    optional |= {name for helper, name in shared.items() if f"vars.{helper}()" in config}
    if "vars.access()" in config:
        optional |= {"API_KEY_SHA256", "JWT_SCOPE", "JWT_OPERATOR_SCOPE"}
    if "vars.callback_hosts()" in config:
        optional |= {"CALLBACK_HOSTS", "CALLBACK_PRIVATE"}
    return required, optional | {"RUST_LOG"}


def metrics():
    """Units of the metrics in log lines, by their names: as telemetry.rs has them."""
    table = source("shared/src/telemetry.rs").split("const METRICS")[1].split("];")[0]
    return dict(re.findall(r'\("(\w+)", "(\w+)"\)', table))


if __name__ == "__main__":
    print(json.dumps(expand(), indent=1))
