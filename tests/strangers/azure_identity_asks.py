"""D23: azure-identity, unchanged, gets its token from the App Service endpoint of `jeton exec --facade azure`."""

import os
import subprocess
import sys

if sys.argv[1:] == ["child"]:
    import azure.identity
    import jwt

    token = azure.identity.ManagedIdentityCredential().get_token("https://vault.example.com/.default")
    claims = jwt.decode(token.token, options={"verify_signature": False})
    assert claims["aud"] == "https://vault.example.com", claims
    assert token.expires_on == claims["exp"], (token.expires_on, claims)
else:
    jeton = [os.environ["JETON"], "exec", "--source", "issuer:" + os.environ["JETON_ISSUER"], "--facade", "azure", "--"]
    subprocess.run([*jeton, sys.executable, __file__, "child"], check=True, timeout=50)
