"""D23: the Python client of Kubernetes, unchanged, sends our tokens: from the exec plugin, and from a projected file."""

import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

JETON, ISSUER = os.environ["JETON"], os.environ["JETON_ISSUER"]
SEEN = []


class Cluster(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        SEEN.append(self.headers["Authorization"])
        body = json.dumps({"major": "1", "minor": "35", "gitVersion": "v1.35.0", "gitCommit": "x", "gitTreeState": "clean",
                           "buildDate": "x", "goVersion": "x", "compiler": "x", "platform": "x"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def ask(configuration):
    import jwt
    from kubernetes import client

    assert client.VersionApi(client.ApiClient(configuration)).get_code().major == "1"
    scheme, token = SEEN[-1].split(" ")
    claims = jwt.decode(token, options={"verify_signature": False})
    assert scheme.lower() == "bearer" and claims["aud"] == "https://kubernetes.default.svc", claims


def by_file():
    """As a pod reads its projected token."""
    from kubernetes import client
    from kubernetes.config.incluster_config import InClusterConfigLoader

    certificate = pathlib.Path(os.environ["HOME"], "ca.crt")
    certificate.write_text("not used: the test's cluster speaks clear text\n")
    os.environ |= {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
    configuration = client.Configuration()
    loader = InClusterConfigLoader(token_filename=os.environ["TOKEN"], cert_filename=str(certificate))
    loader.load_and_set(configuration)
    loader.host, loader.ssl_ca_cert = start(), None
    configuration.host, configuration.ssl_ca_cert = loader.host, None
    ask(configuration)


def start():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cluster)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def by_plugin(home):
    from kubernetes import client, config

    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": JETON, "interactiveMode": "Never",
              "args": ["credential-helper", "kubectl", "cluster"], "provideClusterInfo": True}
    document = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": start()}}],
        "users": [{"name": "u", "user": {"exec": plugin}}],
    }
    file = pathlib.Path(home, "kubeconfig")
    file.write_text(json.dumps(document))
    configuration = client.Configuration()
    config.load_kube_config(str(file), client_configuration=configuration)
    ask(configuration)


def main():
    with tempfile.TemporaryDirectory() as home:
        config = pathlib.Path(home, ".config/jeton/config.toml")
        config.parent.mkdir(parents=True)
        config.write_text(
            f'[ambient]\norder = ["issuer:{ISSUER}"]\n'
            '[profiles.cluster]\ngrant = "ambient"\naudience = "https://kubernetes.default.svc"\n'
        )
        os.environ |= {"HOME": home}
        by_plugin(home)
        file = [JETON, "exec", "cluster", "--file", "TOKEN", "--", sys.executable, __file__, "file"]
        subprocess.run(file, check=True, timeout=50)


by_file() if sys.argv[1:] == ["file"] else main()
