"""B14, B15: sigstore-python verifies what we sign, and refuses it for anybody else."""

import json
import os
import subprocess
import tempfile
import urllib.request
from pathlib import Path

from sigstore.errors import VerificationError
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier, policy

HERE = Path(__file__).parent
ISSUER = os.environ["JETON_ISSUER"]
SUBJECT = "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1"


def mint():
    claims = json.dumps({"aud": "sigstore", "sub": SUBJECT}).encode()
    request = urllib.request.Request(f"{ISSUER}/token", claims, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return answer.read().decode().strip()


def jeton(folder, *arguments):
    subprocess.run(
        [os.environ["JETON"], *arguments],
        cwd=folder,
        env={"HOME": str(folder), "SIGSTORE_ID_TOKEN": mint()},
        stdin=subprocess.DEVNULL,
        check=True,
        timeout=30,
    )


def refused(check):
    try:
        check()
    except VerificationError:
        return
    raise AssertionError("it was not refused")


services = subprocess.Popen(["node", HERE / "sigstore_services.js"], stdout=subprocess.PIPE, text=True)
try:
    instance = json.loads(services.stdout.readline())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "root.json").write_text(json.dumps(instance["trustedRoot"]))
        (folder / "artifact").write_bytes(b"hello\n")
        (folder / "predicate.json").write_text('{"verdict":"good"}')
        url = instance["url"]
        where = ["--fulcio-url", url, "--rekor-url", url, "--trusted-root", "root.json"]
        stamped = ["--timestamp-server-url", f"{url}/api/v1/timestamp"]
        said = ["--type", "https://example.com/review/v1", "--predicate", "predicate.json"]
        jeton(folder, "sign", "artifact", "--bundle", "blob.json", *where)
        jeton(folder, "sign", "artifact", "--bundle", "stamped.json", *where, *stamped)
        jeton(folder, "attest", "artifact", "--bundle", "said.json", *where, *said)
        (folder / "config.json").write_text(json.dumps(instance["signingConfig"]))
        second = ["--signing-config", "config.json", "--trusted-root", "root.json"]
        jeton(folder, "sign", "artifact", "--bundle", "v2.json", *second)
        jeton(folder, "attest", "artifact", "--bundle", "said-v2.json", *second, *said)

        verifier = Verifier(trusted_root=TrustedRoot.from_file(folder / "root.json"))
        ours = policy.Identity(identity=SUBJECT, issuer=ISSUER)
        other = policy.Identity(identity="somebody else", issuer=ISSUER)
        for file in ["blob.json", "stamped.json", "v2.json"]:
            bundle = Bundle.from_json((folder / file).read_text())
            verifier.verify_artifact(b"hello\n", bundle, ours)
            refused(lambda: verifier.verify_artifact(b"hello\n", bundle, other))
            refused(lambda: verifier.verify_artifact(b"hallo\n", bundle, ours))
        for file in ["said.json", "said-v2.json"]:
            bundle = Bundle.from_json((folder / file).read_text())
            kind, payload = verifier.verify_dsse(bundle, ours)
            assert kind == "application/vnd.in-toto+json", kind
            statement = json.loads(payload)
            assert statement["predicate"] == {"verdict": "good"}, statement
            assert statement["subject"][0]["name"] == "artifact", statement
            refused(lambda: verifier.verify_dsse(bundle, other))
finally:
    services.kill()
    services.wait()
