"""A3: the client of PyPI's own tools gets a token from our GitHub endpoint."""

import json
import os
import urllib.request

AUDIENCE = "https://registry.example.com"
issuer = os.environ["JETON_ISSUER"]
with urllib.request.urlopen(issuer + "/_environment/github?format=json", timeout=10) as answer:
    os.environ.update(json.load(answer))

import id  # noqa: E402  (reads the environment as it finds it)
import jwt  # noqa: E402

token = id.detect_credential(AUDIENCE)
claims = jwt.decode(token, options={"verify_signature": False})
assert claims["aud"] == AUDIENCE, claims
assert claims["iss"] == issuer, claims
