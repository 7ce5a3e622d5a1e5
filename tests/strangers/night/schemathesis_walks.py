"""D25: schemathesis walks through every operation of the broker's OpenAPI document, with what fits and what does not:
never a 5xx, and every answer is one that the document has."""

import os
import pathlib
import subprocess
import sys
import tempfile

from broker_server import Broker

# How many requests of each kind an operation gets, the first of them always the same.
EXAMPLES = os.environ.get("EXAMPLES", "40")
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ignored_auth",
]

# A credential that somebody else makes, of a client that nobody knows: the document says 502 and 503 there.
UPSTREAM = """
[[operations]]
include-operation-id = ["fetchToken", "fetchProjectToken", "fetchSessionCredential"]
[operations.checks.not_a_server_error]
expected-statuses = ["2xx", "4xx", "502", "503"]
"""

# Nothing that it makes up is asked of anybody.
os.environ["HTTPS_PROXY"] = "http://127.0.0.1:9"
config = pathlib.Path(tempfile.mkdtemp()) / "schemathesis.toml"
config.write_text(UPSTREAM)
broker = Broker()
walk = subprocess.run(
    [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "--config-file",
        config,
        "run",
        broker.root + "/openapi.json",
        "--checks=" + ",".join(CHECKS),
        "--max-examples=" + EXAMPLES,
        "--seed=8420",
        "--no-color",
        "--continue-on-failure",
        "--suppress-health-check=all",
        "--header=Authorization: Bearer " + broker.token("admin"),
        *sys.argv[1:],
    ]
)
sys.exit(walk.returncode)
