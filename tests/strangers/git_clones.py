"""D15: git, unchanged, clones over https with our credential helper, as `install` has configured it; other hosts get nothing."""

import base64
import functools
import http.server
import os
import pathlib
import ssl
import subprocess
import tempfile
import threading

JETON, ISSUER = os.environ["JETON"], os.environ["JETON_ISSUER"]
SEEN = []


class Forge(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        given = self.headers["Authorization"]
        SEEN.append(given)
        if given is None:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="forge"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *_):
        pass


def main():
    with tempfile.TemporaryDirectory() as home:
        folder = pathlib.Path(home)
        os.environ |= {"HOME": home, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "false"}
        os.environ["PATH"] = f"{pathlib.Path(JETON).parent}:{os.environ['PATH']}"
        run = functools.partial(subprocess.run, check=True, cwd=home, timeout=30, stdout=subprocess.DEVNULL)
        run(["git", "init", "--quiet", "--bare", "forge/thing.git"])
        run(["git", "init", "--quiet", "work"])
        author = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        run(["git", "-C", "work", *author, "commit", "--quiet", "--allow-empty", "-m", "first"])
        run(["git", "-C", "work", "push", "--quiet", f"{home}/forge/thing.git", "HEAD:refs/heads/main"])
        run(["git", "-C", "forge/thing.git", "symbolic-ref", "HEAD", "refs/heads/main"])
        run(["git", "-C", "forge/thing.git", "update-server-info"])
        certificate = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                       "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=localhost",
                       "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        run(certificate, stderr=subprocess.DEVNULL)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Forge, directory=f"{home}/forge"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host = f"localhost:{server.server_port}"
        config = folder / ".config/jeton/config.toml"
        config.parent.mkdir(parents=True)
        config.write_text(
            f'[ambient]\norder = ["issuer:{ISSUER}"]\n'
            f'[hosts."{host}"]\nprofile = "ambient"\nusername = "octo"\naudience = "https://{host}"\n'
        )
        run([JETON, "credential-helper", "install", "git", host])
        os.environ["GIT_SSL_CAINFO"] = str(folder / "cert.pem")
        run(["git", "clone", "--quiet", f"https://{host}/thing.git", "cloned"])
        assert SEEN[0] is None and SEEN[-1].startswith("Basic "), SEEN
        user, token = base64.b64decode(SEEN[-1].split(" ")[1]).decode().split(":", 1)
        assert user == "octo" and token.count(".") == 2, user
        # The same server by another name is another host.
        SEEN.clear()
        other = subprocess.run(["git", "ls-remote", f"https://127.0.0.1:{server.server_port}/thing.git"],
                               cwd=home, capture_output=True, timeout=30)
        assert other.returncode != 0 and SEEN and not any(SEEN), (other, SEEN)


main()
