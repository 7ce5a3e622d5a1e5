"""D23: google-auth, unchanged, gets its tokens from our metadata server, executable source and token file."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

JETON, ISSUER = os.environ["JETON"], os.environ["JETON_ISSUER"]
AUDIENCE = "https://service.example.com"


def metadata():
    import google.auth.compute_engine
    import google.auth.transport.requests
    import jwt
    import requests

    request = google.auth.transport.requests.Request(session=requests.Session())
    identity = google.auth.compute_engine.IDTokenCredentials(request, AUDIENCE, use_metadata_identity_endpoint=True)
    identity.refresh(request)
    claims = jwt.decode(identity.token, options={"verify_signature": False})
    assert claims["aud"] == AUDIENCE and claims["iss"] == ISSUER, claims
    access = google.auth.compute_engine.Credentials()
    access.refresh(request)
    assert access.token.count(".") == 2 and access.expiry is not None


def subject(kind):
    """The subject token of an external account, as the library would send it to Google."""
    import google.auth

    credentials, _ = google.auth.load_credentials_from_file(kind)
    token = credentials.retrieve_subject_token(None)
    assert token.count(".") == 2, token


def run(home, *words, **variables):
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ["PYTHONPATH"], "HOME": home}
    env |= {"JETON": JETON, "JETON_ISSUER": ISSUER} | variables
    subprocess.run(words, env=env, check=True, timeout=50)


def main():
    with tempfile.TemporaryDirectory() as home:
        config = pathlib.Path(home, ".config/jeton/config.toml")
        config.parent.mkdir(parents=True)
        config.write_text(f'[ambient]\norder = ["issuer:{ISSUER}"]\n[profiles.p]\ngrant = "ambient"\naudience = "{AUDIENCE}"\n')
        me = [sys.executable, __file__]
        run(home, JETON, "exec", "p", "--facade", "gcp", "--", *me, "metadata")
        account = {
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/r",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": "https://sts.googleapis.com/v1/token",
        }
        executable = {"command": f"{JETON} credential-helper gcp p", "timeout_millis": 20000}
        sources = {"executable.json": {"executable": executable}, "file.json": {"file": f"{home}/token"}}
        for name, source in sources.items():
            pathlib.Path(home, name).write_text(json.dumps(account | {"credential_source": source}))
        allowed = {"GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES": "1"}
        run(home, *me, f"{home}/executable.json", **allowed)
        script = f'ln -s "$TOKEN" {home}/token && exec "$@"'
        run(home, JETON, "exec", "p", "--file", "TOKEN", "--", "sh", "-c", script, "sh", *me, f"{home}/file.json")


match sys.argv[1:]:
    case []:
        main()
    case ["metadata"]:
        metadata()
    case [file]:
        subject(file)
