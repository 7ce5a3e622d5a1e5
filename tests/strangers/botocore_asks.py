"""D23: botocore, unchanged, gets AWS credentials from each of our doors: container endpoint, web identity file, process."""

import os
import pathlib
import subprocess
import sys
import tempfile

JETON, ISSUER = os.environ["JETON"], os.environ["JETON_ISSUER"]
ROLE = "arn:aws:iam::123456789012:role/build"


def child(method):
    import botocore.session

    credentials = botocore.session.get_session().get_credentials()
    assert credentials.method == method, credentials.method
    frozen = credentials.get_frozen_credentials()
    assert frozen.access_key.startswith("ASIA") and frozen.secret_key.startswith("secret-"), method
    assert frozen.token.startswith("session-"), method
    # What ends is asked for again: botocore only does that when it was told an end.
    assert credentials.refresh_needed(refresh_in=10**6), method


def run(home, *words, **variables):
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ["PYTHONPATH"], "HOME": home}
    env |= {"JETON": JETON, "JETON_ISSUER": ISSUER, "AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "eu-west-1"}
    env |= {"AWS_ENDPOINT_URL_STS": ISSUER + "/aws/sts"} | variables
    subprocess.run(words, env=env, check=True, timeout=50)


def main():
    with tempfile.TemporaryDirectory() as home:
        config = pathlib.Path(home, ".config/jeton/config.toml")
        config.parent.mkdir(parents=True)
        config.write_text(
            f'[ambient]\norder = ["issuer:{ISSUER}"]\n'
            f'[profiles.deploy]\ngrant = "token-exchange"\npreset = "aws"\nfrom = "ambient"\nrole = "{ROLE}"\n'
        )
        me = [sys.executable, __file__]
        run(home, JETON, "exec", "deploy", "--facade", "aws", "--", *me, "container-role")
        file = ["-a", "sts.amazonaws.com", "--file", "AWS_WEB_IDENTITY_TOKEN_FILE"]
        role = {"AWS_ROLE_ARN": ROLE, "AWS_ROLE_SESSION_NAME": "me"}
        run(home, JETON, "exec", *file, "--", *me, "assume-role-with-web-identity", **role)
        run(home, JETON, "credential-helper", "install", "aws", "--profile", "deploy")
        run(home, *me, "custom-process", PATH=f"{pathlib.Path(JETON).parent}:{os.environ['PATH']}")


child(sys.argv[1]) if len(sys.argv) > 1 else main()
