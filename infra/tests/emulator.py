"""AWS on this machine: the emulator of scripts/requirements.txt, with TLS, and with policies in force.

Nobody gets anything without a permission: a function has its role's, a presigned URL its signer's.
"""

import functools
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3
import requests
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
ACCOUNT = "000000000000"


def certificate(folder):
    """A certificate for this machine, and the authority that signed it: no client takes one that signed itself."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    names = "DNS:localhost,DNS:*.localhost,DNS:*.execute-api.localhost,DNS:*.s3.localhost,IP:127.0.0.1"
    (folder / "names").write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=Emulator", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", *key, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
    openssl("x509", "-req", "-in", "server.csr", *signed, "-out", "server.pem")


class Emulator:
    def __init__(self, folder):
        self.folder = folder
        certificate(folder)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        # By number, and so a bucket is a part of the path: not every machine knows names below localhost.
        self.endpoint = f"https://127.0.0.1:{self.port}"
        self.authority = str(folder / "ca.pem")
        # What whoever deploys has in the environment, and the functions after them: who to trust.
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            # The AWS CLI.
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CA_BUNDLE": self.authority,
            "SSL_CERT_FILE": self.authority,
            "SAM_CLI_TELEMETRY": "0",
        }
        settings = {
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "localhost",
            # For the functions.
            "AWS_ENDPOINT_URL": self.endpoint,
            "TMPDIR": str(folder),
            "AUTH": "true",
            "USE_SSL": "1",
            "MINISTACK_SSL_CERT": str(folder / "server.pem"),
            "MINISTACK_SSL_KEY": str(folder / "server.key"),
        }
        self.log = folder / "log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [Path(sys.executable).with_name("ministack")], env=self.environment | settings, stdout=log, stderr=log, cwd=folder, start_new_session=True
            )
        for _ in range(200):
            try:
                requests.get(self.endpoint, timeout=1, verify=self.authority)
                return
            except requests.ConnectionError:
                time.sleep(0.1)
        raise AssertionError(f"the emulator did not start: {self.log.read_text()}")

    def stop(self):
        # With the functions that it runs. It keeps nothing, so there is nothing to say goodbye to.
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @functools.cache
    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name=REGION,
            verify=self.authority,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}),
        )

    def run(self, *command, **environment):
        """Runs a program as somebody would who deploys."""
        program = subprocess.run(
            [str(part) for part in command], env=self.environment | environment, cwd=ROOT, capture_output=True, text=True
        )
        assert program.returncode == 0, f"{command}:\n{program.stdout}\n{program.stderr}\n{self.log.read_text()[-5000:]}"
        return program.stdout

    def request(self, method, url, **options):
        return requests.request(method, url, verify=self.authority, timeout=60, **options)
