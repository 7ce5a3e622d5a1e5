"""A3, A4: our client against a server that was written from GitHub's manual alone, not from our issuer.

A job gets a request URL, which has a query already, and a request token. It sends a GET with the audience added to
the query and the token as bearer, and gets a JSON object whose `value` is the token.
"""

import base64
import http.server
import json
import os
import subprocess
import tempfile
import threading
import time
import urllib.parse

AUDIENCE = "https://registry.example.com/?a=b&c=d"
REQUEST_TOKEN = "request-token-canary"
seen = []


def segment(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def token(audience):
    now = int(time.time())
    claims = {
        "iss": "https://token.actions.githubusercontent.com",
        "aud": audience,
        "sub": "repo:o/r:ref:refs/heads/main",
        "iat": now,
        "nbf": now - 5,
        "exp": now + 300,
    }
    return f"{segment({'alg': 'RS256', 'kid': 'k', 'typ': 'JWT'})}.{segment(claims)}.{'A' * 342}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        seen.append((self.path, dict(self.headers.items())))
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query, strict_parsing=True)
        scheme, _, secret = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or secret != REQUEST_TOKEN:
            return self.answer(401, {"message": "bad request token"})
        if query.get("api-version") != ["2.0"] or len(query.get("audience", [])) != 1:
            return self.answer(400, {"message": "bad query"})
        self.answer(200, {"count": 1, "value": token(query["audience"][0])})

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()

with tempfile.TemporaryDirectory() as home:
    done = subprocess.run(
        [os.environ["JETON"], "token", "--source", "github", "--audience", AUDIENCE],
        env={
            "HOME": home,
            "GITHUB_ACTIONS": "true",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"http://127.0.0.1:{server.server_port}/idtoken/1/2?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": REQUEST_TOKEN,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )

assert done.returncode == 0, (done.returncode, done.stderr)
assert len(seen) == 1, seen
got = done.stdout
assert got.endswith("\n") and got.count("\n") == 1, got
claims = got.split(".")[1]
assert json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["aud"] == AUDIENCE
assert REQUEST_TOKEN not in done.stderr, "the request token is shown"
