"""D15: docker's credential helper protocol, spoken by the docker command where there is one, and by hand everywhere."""

import base64
import http.server
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import tempfile
import threading

JETON, ISSUER = os.environ["JETON"], os.environ["JETON_ISSUER"]
SEEN = []


class Registry(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        given = self.headers["Authorization"]
        SEEN.append(given)
        status, kind, body = 401, "application/json", b"{}"
        if given and self.path == "/v2/":
            status = 200
        elif given:
            empty = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2,
                     "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}
            kind = "application/vnd.docker.distribution.manifest.v2+json"
            manifest = {"schemaVersion": 2, "mediaType": kind, "config": empty, "layers": []}
            status, body = 200, json.dumps(manifest).encode()
        if given and "/blobs/" in self.path:
            kind, body = "application/json", b"{}"
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="registry"')
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def log_message(self, *_):
        pass


def certified(folder):
    """docker asks registries over TLS first; with --insecure any certificate will do."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
               "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run(command, check=True, cwd=folder, capture_output=True, timeout=30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    with tempfile.TemporaryDirectory() as place:
        server.socket = certified(pathlib.Path(place)).wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{server.server_port}"
    with tempfile.TemporaryDirectory() as home:
        folder = pathlib.Path(home)
        config = folder / ".config/jeton/config.toml"
        config.parent.mkdir(parents=True)
        config.write_text(
            f'[ambient]\norder = ["issuer:{ISSUER}"]\n[hosts."{host}"]\nprofile = "ambient"\naudience = "registry"\n'
        )
        (folder / "bin").mkdir()
        (folder / "bin/docker-credential-jeton").symlink_to(JETON)
        env = {"HOME": home, "PATH": f"{home}/bin:{os.environ['PATH']}"}

        def helper(verb, words):
            command = ["docker-credential-jeton", verb]
            return subprocess.run(command, env=env, input=words, capture_output=True, text=True, timeout=30)

        got = json.loads(helper("get", host).stdout)
        assert got["ServerURL"] == host and got["Secret"].count(".") == 2, got
        assert json.loads(helper("list", "").stdout) == {f"https://{host}": got["Username"]}
        missing = helper("get", "other.example.com")
        assert (missing.returncode, missing.stdout) == (1, "credentials not found in native keychain\n"), missing
        assert all(helper(verb, "{}").returncode == 0 for verb in ["store", "erase"])
        if shutil.which("docker") is None:
            return
        subprocess.run([JETON, "credential-helper", "install", "docker", host], env=env, check=True, timeout=30)
        inspect = ["docker", "manifest", "inspect", "--insecure", f"{host}/thing:latest"]
        done = subprocess.run(inspect, env=env, capture_output=True, text=True, timeout=50)
        assert done.returncode == 0, done.stderr
        user, token = base64.b64decode(SEEN[-1].split(" ")[1]).decode().split(":", 1)
        assert user == got["Username"] and token.count(".") == 2, user


main()
