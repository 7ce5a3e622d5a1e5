"""D7: PyJWT verifies what our issuer signs, and refuses what it must."""

import json
import os
import urllib.request

import jwt

ISSUER = os.environ["JETON_ISSUER"]
AUDIENCE = "https://registry.example.com"


def fetch(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


discovery = json.loads(fetch(ISSUER + "/.well-known/openid-configuration"))
assert discovery["issuer"] == ISSUER, discovery["issuer"]
keys = jwt.PyJWKClient(discovery["jwks_uri"])

token = fetch(ISSUER + "/token", {"aud": AUDIENCE, "sub": "repo:octo-org/octo-repo:ref:refs/heads/main"}).strip()
key = keys.get_signing_key_from_jwt(token)
algorithms = discovery["id_token_signing_alg_values_supported"]
claims = jwt.decode(
    token,
    key.key,
    algorithms=algorithms,
    audience=AUDIENCE,
    issuer=ISSUER,
    options={"require": ["exp", "iat", "iss", "aud", "sub"]},
)
assert claims["sub"] == "repo:octo-org/octo-repo:ref:refs/heads/main", claims

for wrong in [{"audience": "https://other.example.com", "issuer": ISSUER}, {"audience": AUDIENCE, "issuer": ISSUER + "/"}]:
    try:
        jwt.decode(token, key.key, algorithms=algorithms, **wrong)
    except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
        continue
    raise AssertionError(f"accepted: {wrong}")
