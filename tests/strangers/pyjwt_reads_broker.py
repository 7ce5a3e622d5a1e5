"""D7: PyJWT verifies what the broker signs, through its discovery document, and refuses what it must."""

import jwt
from broker_server import ISSUER, Broker, http

AUDIENCE = "https://registry.example.com"
broker = Broker()
policy = {"issuer": ISSUER, "subject": "builder", "audience": [AUDIENCE], "scope": ["read", "write"], "ttl": "10m"}
broker.made("PUT", "/trust_policies/build", body=policy)

status, answer, fields = broker.exchange(broker.token("builder"), audience=AUDIENCE, scope="read")
assert status == 200, answer
assert answer["token_type"] == "Bearer" and answer["expires_in"] == 600 and answer["scope"] == "read", answer
assert answer["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token", answer
assert fields["cache-control"] == "no-store", fields
token = answer["access_token"]

_, discovery, _ = http("GET", broker.root + "/.well-known/openid-configuration")
assert discovery["issuer"] == broker.root and discovery["token_endpoint"] == broker.base + "/token", discovery
key = jwt.PyJWKClient(discovery["jwks_uri"]).get_signing_key_from_jwt(token)
algorithms = discovery["id_token_signing_alg_values_supported"]
required = {"require": ["exp", "iat", "iss", "aud", "sub", "jti"]}
right = {"audience": AUDIENCE, "issuer": broker.root, "options": required}
claims = jwt.decode(token, key.key, algorithms=algorithms, **right)
assert (claims["sub"], claims["scope"], claims["exp"] - claims["iat"]) == ("builder", "read", 600), claims

for wrong in [{"audience": broker.root}, {"issuer": ISSUER}]:
    try:
        jwt.decode(token, key.key, algorithms=algorithms, **{**right, **wrong})
    except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
        continue
    raise AssertionError(f"accepted: {wrong}")

for fields, code in [
    ({"audience": "https://other.example.com"}, "invalid_target"),
    ({"audience": AUDIENCE, "scope": "admin"}, "invalid_scope"),
    ({"subject_token": "garbage"}, "invalid_request"),
    ({"subject_token": broker.token("stranger")}, "invalid_request"),
    ({"grant_type": "password"}, "unsupported_grant_type"),
]:
    status, answer, _ = broker.exchange(**{"subject_token": broker.token("builder"), **fields})
    assert (status, answer.get("error")) == (400, code), (fields, status, answer)
