"""The deployed stack with an authorizer: tokens of an issuer of its own, checked as the emulator's API Gateway does.

The emulator answers preflights by itself and checks neither domains nor certificates; these are promises about the template.
"""

import base64
import json
import ssl
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.exceptions import ClientError
from conftest import STACK
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

CLIENT, USE, ALL = "app", "photos/use", "photos/all"
ROUTES = [("POST", "/uploads"), ("POST", "/uploads/batch"), ("POST", "/image"), ("POST", "/classify"), ("GET", "/jobs"), ("GET", "/results"),
          ("GET", f"/jobs/{uuid.uuid4()}")]  # fmt: skip


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Says at an address of its own which key its tokens are signed with, as OpenID Connect has it."""

    def __init__(self, emulator):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        numbers = self.key.public_key().public_numbers()
        number = lambda n: base64url(n.to_bytes((n.bit_length() + 7) // 8, "big"))
        keys = {"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1", "n": number(numbers.n), "e": number(numbers.e)}]}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler):
                pages = {"/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}, "/keys": keys}
                handler.send_response(200 if handler.path in pages else 404)
                handler.end_headers()
                handler.wfile.write(json.dumps(pages.get(handler.path)).encode())

            def log_message(handler, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(emulator.folder / "server.pem", emulator.folder / "server.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def token(self, subject, key=None, **claims):
        """An access token as Cognito makes them, without `aud`. A claim that is None is left out."""
        now = int(time.time())
        claims = {"iss": self.url, "sub": subject, "client_id": CLIENT, "iat": now - 5, "exp": now + 600, "token_use": "access"} | claims
        claims = {name: value for name, value in claims.items() if value is not None}
        parts = [{"alg": "RS256", "kid": "1", "typ": "JWT"}, claims]
        signed = ".".join(base64url(json.dumps(part).encode()) for part in parts)
        signature = (key or self.key).sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return {"authorization": f"Bearer {signed}.{base64url(signature)}"}


def update(deployed, **parameters):
    """Changes parameters of the stack, and nothing else."""
    cloudformation = deployed.aws.client("cloudformation")
    [stack] = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    kept = [{"ParameterKey": p["ParameterKey"], "UsePreviousValue": True} for p in stack["Parameters"] if p["ParameterKey"] not in parameters]
    given = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
    capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    cloudformation.update_stack(StackName=STACK, UsePreviousTemplate=True, Parameters=kept + given, Capabilities=capabilities)
    cloudformation.get_waiter("stack_update_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 120})


@pytest.fixture(scope="module")
def issuer(emulator, deployed):
    issuer = Issuer(emulator)
    update(deployed, JwtIssuer=issuer.url, JwtAudiences=f"another,{CLIENT}", JwtScope=USE, JwtOperatorScope=ALL)
    yield issuer
    update(deployed, JwtIssuer="", JwtAudiences="", JwtScope="", JwtOperatorScope="")
    deployed.call("GET", "/jobs")
    issuer.server.shutdown()


def rows(deployed):
    return deployed.aws.client("dynamodb").scan(TableName=deployed.outputs["JobTableName"], Select="COUNT")["Count"]


def test_no_token_but_an_access_token_for_this_api_opens_any_route(deployed, issuer):
    now, before = int(time.time()), rows(deployed)
    strangers = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    refused = {
        "none": ({}, 401),
        "no token": ({"authorization": "Bearer x"}, 401),
        "somebody else's signature": (issuer.token("ann", strangers, scope=USE), 401),
        "expired": (issuer.token("ann", scope=USE, exp=now - 1), 401),
        "another issuer's": (issuer.token("ann", scope=USE, iss="https://issuer.example"), 401),
        "for another client": (issuer.token("ann", scope=USE, client_id="page"), 401),
        "an ID token": (issuer.token("ann", client_id=None, aud=CLIENT, token_use="id", email="ann@example.com"), 403),
        "another scope": (issuer.token("ann", scope="openid photos"), 403),
        "nobody's": (issuer.token(None, scope=USE), 401),
    }
    for method, path in ROUTES:
        for what, (headers, status) in refused.items():
            answer = deployed.aws.request(method, deployed.api + path, headers=headers, json={})
            assert answer.status_code == status, f"{method} {path}, {what}: {answer.status_code} {answer.text}\n{deployed.logs()}"
    assert rows(deployed) == before


def test_everybody_sees_their_own_jobs_and_an_operator_all(deployed, issuer, cat):
    ann, bob, ole = issuer.token("ann", scope=f"openid {USE}"), issuer.token("bob", scope=USE), issuer.token("ole", scope=ALL)
    slot = deployed.call("POST", "/uploads", headers=ann, json={"filename": "cat.jpg"})
    assert deployed.aws.request("PUT", slot["uploadUrl"], data=cat, headers=slot["headers"]).status_code == 200
    job = {"status": "PENDING"}
    for _ in range(6):
        if job["status"] in ("PENDING", "PROCESSING"):
            job = deployed.call("GET", f"/jobs/{slot['jobId']}?wait=20", headers=ann)
    assert job["status"] == "COMPLETED", f"{job}\n{deployed.logs()}"

    assert deployed.call("GET", f"/jobs/{slot['jobId']}?wait=20", 404, headers=bob)["code"] == "JOB_NOT_FOUND"
    assert deployed.call("GET", f"/jobs/{slot['jobId']}", headers=ole) == job
    listed = lambda who, **query: [job["jobId"] for job in deployed.call("GET", "/jobs", headers=who, params={"limit": "100", **query})["jobs"]]
    for query in ({}, {"status": "COMPLETED"}, {"key": slot["key"]}):
        assert listed(ann, **query) == [slot["jobId"]]
        assert listed(bob, **query) == []
        assert slot["jobId"] in listed(ole, **query)
    direct = deployed.aws.client("s3").put_object(Bucket=deployed.uploads, Key="uploads/nobodys.jpg", Body=cat)
    assert direct["ETag"]
    for _ in range(100):
        if found := listed(ole, key="uploads/nobodys.jpg"):
            break
        time.sleep(0.2)
    assert len(found) == 1 and listed(ann, key="uploads/nobodys.jpg") == []
    assert deployed.call("GET", f"/jobs/{found[0]}", 404, headers=ann)["code"] == "JOB_NOT_FOUND"

    image = {"image": base64.b64encode(cat).decode()}
    submitted = deployed.call("POST", "/image", headers=bob, json=image)["job_id"]
    assert deployed.call("GET", "/results", 404, headers=ann, params={"job_id": submitted})["code"] == "JOB_NOT_FOUND"
    assert listed(bob) == [submitted]
    assert "cat" in deployed.call("POST", "/classify", headers=bob, json=image)["predicted_class"]
    batch = [job["jobId"] for job in deployed.call("POST", "/uploads/batch", headers=bob, json={"files": [{}, {}]})["jobs"]]
    assert set(listed(bob)) == {submitted, *batch}

    item = deployed.aws.client("dynamodb").get_item(TableName=deployed.outputs["JobTableName"], Key={"jobId": {"S": slot["jobId"]}})["Item"]
    assert item["owner"] == {"S": "ann"}


def test_a_request_past_the_authorizer_is_refused_by_the_function(deployed, issuer):
    event = {
        "version": "2.0", "routeKey": "$default", "rawPath": "/jobs", "rawQueryString": "", "headers": {"authorization": "Bearer x"},
        "requestContext": {
            "accountId": "1", "apiId": "a", "domainName": "api.example", "domainPrefix": "api", "requestId": "r", "routeKey": "$default",
            "http": {"method": "GET", "path": "/jobs", "protocol": "HTTP/1.1", "sourceIp": "1.2.3.4", "userAgent": "t"},
            "stage": "$default", "time": "21/Nov/2026:09:00:00 +0000", "timeEpoch": 1_795_251_600_000,
        },
        "isBase64Encoded": False,
    }  # fmt: skip
    answer = deployed.invoke("JobStatusFunction", event)
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (401, "UNAUTHENTICATED")
    event["requestContext"]["http"] |= {"method": "OPTIONS"}
    assert deployed.invoke("JobStatusFunction", event)["statusCode"] == 204


def test_parameters_that_protect_nothing_change_nothing(deployed, issuer):
    for wrong, said in (
        ({"JwtScope": ""}, "JwtIssuer needs JwtScope"),
        ({"JwtIssuer": ""}, "need JwtIssuer"),
        ({"JwtOperatorScope": USE}, "everybody would be an operator"),
        ({"DomainName": "photos.example"}, "DomainName needs CertificateArn"),
        ({"DefaultEndpoint": "Disabled"}, "Without DomainName"),
    ):
        with pytest.raises(ClientError, match=said):
            update(deployed, **wrong)


def test_the_api_takes_a_name_of_its_own(deployed):
    certificate = deployed.aws.client("acm").request_certificate(DomainName="photos.example", ValidationMethod="DNS")["CertificateArn"]
    update(deployed, DomainName="photos.example", CertificateArn=certificate, DefaultEndpoint="Disabled")
    try:
        [stack] = deployed.aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        apis, api = deployed.aws.client("apigatewayv2"), deployed.resource("Api")
        domain = apis.get_domain_name(DomainName="photos.example")
        [configuration] = domain["DomainNameConfigurations"]
        assert (configuration["SecurityPolicy"], configuration["EndpointType"]) == ("TLS_1_2", "REGIONAL")
        assert outputs["ApiUrl"] == "https://photos.example"
        assert outputs["ApiDomainTarget"] == configuration["ApiGatewayDomainName"]
        assert outputs["ApiDomainHostedZoneId"] == configuration["HostedZoneId"]
        [mapping] = apis.get_api_mappings(DomainName="photos.example")["Items"]
        assert (mapping["ApiId"], mapping["Stage"], mapping.get("ApiMappingKey", "")) == (api, "$default", "")
        assert apis.get_api(ApiId=api)["DisableExecuteApiEndpoint"] is True
    finally:
        update(deployed, DomainName="", CertificateArn="", DefaultEndpoint="Enabled")
    assert apis.get_api(ApiId=api)["DisableExecuteApiEndpoint"] is False
