"""A host for the functions' own binaries, which speaks Lambda's Runtime API, and what they need to run by it."""

import json
import os
import subprocess
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Event, Thread

ROOT = Path(__file__).resolve().parents[1]

# Of the embedded stack.
KEYS = {"AWS_ACCESS_KEY_ID": "darkroom", "AWS_SECRET_ACCESS_KEY": "darkroom-secret", "AWS_REGION": "us-east-1"}
# The worker's, where it is not started in the folder of its package.
SETTINGS = {
    "MODEL_DIR": str(ROOT / "models" / "efficientnet-lite0"),
    "DEFAULT_RECIPE": str(ROOT / "assets" / "recipes" / "default.json"),
}


class Host:
    """What Lambda is to a function: hands it one event after another, and takes its answers. `took` is the time from its start to its
    first poll, in seconds.
    """

    def __init__(self, binary, environment, folder):
        self.events, self.answers, self.polled = Queue(), Queue(), Event()
        host = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if not host.polled.is_set():
                    host.took = time.monotonic() - host.started
                    host.polled.set()
                body = json.dumps(host.events.get()).encode()
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", "1")
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:f")
                self.send_header("Lambda-Runtime-Deadline-Ms", str(int((time.time() + 60) * 1000)))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()
                host.answers.put((self.path.rpartition("/")[2], json.loads(body)))

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        Thread(target=self.server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{self.server.server_port}"
        names = {"AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769"}
        environment = os.environ | names | environment | {"AWS_LAMBDA_RUNTIME_API": address}
        self.started = time.monotonic()
        self.process = subprocess.Popen([binary], env=environment, cwd=folder, stdout=subprocess.DEVNULL)

    def invoke(self, event):
        self.events.put(event)
        kind, answer = self.answers.get(timeout=60)
        assert kind == "response", answer
        return answer


@contextmanager
def hosted(binary, environment, folder=ROOT):
    """A function that has been started, in a folder, and may not have polled yet."""
    host = Host(binary, environment, folder)
    try:
        yield host
    finally:
        host.process.kill()
        host.process.wait()
        host.server.shutdown()
        host.server.server_close()
