"""A broker of one's own, for the scripts beside this one: its folder, its process, and what callers need."""

import atexit
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ISSUER = os.environ["JETON_ISSUER"]
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT = "urn:ietf:params:oauth:token-type:jwt"


def http(method, url, token=None, body=None, form=None, headers=None):
    """Status, parsed body and header fields of one request."""
    headers = dict(headers or {})
    data = None
    if token:
        headers["Authorization"] = "Bearer " + token
    if body is not None:
        data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
    if form is not None:
        data, headers["Content-Type"] = urllib.parse.urlencode(form).encode(), "application/x-www-form-urlencoded"
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        answer = urllib.request.urlopen(request, timeout=10)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        text = answer.read().decode()
        fields = {name.lower(): value for name, value in answer.headers.items()}
    kind = fields.get("content-type", "")
    return answer.status, json.loads(text) if kind.startswith("application/json") else text, fields


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Broker:
    """`jeton broker serve` in a folder that goes with it; `admin` may do everything."""

    def __init__(self, base_path="/v1"):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.root = f"http://127.0.0.1:{free_port()}"
        self.base = self.root + base_path
        jeton = [os.environ["JETON"], "broker"]
        subprocess.run([*jeton, "init", "--dir", self.folder], check=True, stdout=subprocess.DEVNULL)
        config = self.folder / "broker.toml"
        config.write_text(
            f"""
listen = "{self.root.removeprefix('http://')}"
public_url = "{self.root}"
base_path = "{base_path}"
[[issuers]]
issuer = "{ISSUER}"
audiences = ["{self.root}"]
[[admins]]
issuer = "{ISSUER}"
subject = "admin"
"""
        )
        self.process = subprocess.Popen([*jeton, "serve", "--config", config])
        atexit.register(self.stop)
        for _ in range(500):
            try:
                if http("GET", self.root + "/readyz")[0] == 200:
                    break
            except OSError:
                pass
            time.sleep(0.02)
        self.admin = self.token("admin")

    def token(self, subject, **claims):
        """A token of the issuer for this broker."""
        body = {"sub": subject, "aud": self.root, **claims}
        status, token, _ = http("POST", ISSUER + "/token", body=body)
        assert status == 200, (status, token)
        return token.strip()

    def call(self, method, path, token=None, **more):
        """A request below the base path, the admin's unless said otherwise."""
        return http(method, self.base + path, token or self.admin, **more)

    def made(self, method, path, token=None, **more):
        """The same, which has to succeed."""
        status, body, _ = self.call(method, path, token, **more)
        assert status in (200, 201, 204), (method, path, status, body)
        return body

    def exchange(self, subject_token, **fields):
        """A token exchange."""
        form = {"grant_type": EXCHANGE, "subject_token": subject_token, "subject_token_type": JWT, **fields}
        return http("POST", self.base + "/token", form=form)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=15)
        shutil.rmtree(self.folder, ignore_errors=True)
