"""D23: azure-identity's workload identity, unchanged, takes the file that `jeton exec --file` keeps fresh to an authority
that speaks https, and gets Azure's own token for it."""

import json
import os
import subprocess
import sys
import tempfile

TENANT = "8f5e0000-0000-4000-8000-000000000001"
AUDIENCE = "api://AzureADTokenExchange"

if sys.argv[1:] == ["child"]:
    import azure.identity
    import jwt

    credential = azure.identity.WorkloadIdentityCredential(
        connection_verify=os.environ["AUTHORITY_CA"], disable_instance_discovery=True
    )
    token = credential.get_token("https://vault.example.com/.default")
    claims = jwt.decode(token.token, options={"verify_signature": False})
    assert claims["aud"] == "https://vault.example.com", claims
    with open(os.environ["AZURE_FEDERATED_TOKEN_FILE"]) as file:
        assertion = jwt.decode(file.read(), options={"verify_signature": False})
    assert assertion["aud"] == AUDIENCE, assertion
else:
    with tempfile.TemporaryDirectory() as folder:
        ca, url = os.path.join(folder, "ca.pem"), os.path.join(folder, "url")
        issuer = subprocess.Popen(
            [os.environ["JETON"], "issuer", "--tls", "ok", "--ca-out", ca, "--url-file", url],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            authority = issuer.stdout.readline().strip()
            assert authority.startswith("https://"), authority
            jeton = [os.environ["JETON"], "exec", "--source", "issuer:" + os.environ["JETON_ISSUER"], "-a", AUDIENCE]
            environment = os.environ | {
                "AUTHORITY_CA": ca,
                "AZURE_AUTHORITY_HOST": authority + "/azure/entra",
                "AZURE_TENANT_ID": TENANT,
                "AZURE_CLIENT_ID": "jeton",
            }
            subprocess.run(
                [*jeton, "--file", "AZURE_FEDERATED_TOKEN_FILE", "--", sys.executable, __file__, "child"],
                check=True,
                timeout=50,
                env=environment,
            )
        finally:
            issuer.kill()
            issuer.wait()
