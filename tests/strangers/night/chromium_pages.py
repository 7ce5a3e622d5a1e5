"""C14: pages in a headless Chromium reach the proxy from the origin that was allowed, and from nowhere else: not from
another origin, not by a form or a request without CORS, not by a name that was bound to loopback afterwards."""

import http.server
import os
import shutil
import subprocess
import threading

JETON, ISSUER = os.environ["JETON"], os.environ["JETON_ISSUER"]
SEEN = []
PAGE = """<!doctype html><body>waiting<script>
(async () => {
  const said = [];
  const ask = async (name, options) => {
    try {
      const answer = await fetch('%(proxy)s/' + name, options);
      said.push(name + '=' + answer.status + ':' + (await answer.text()));
    } catch (error) {
      said.push(name + '=refused');
    }
  };
  await ask('plain', {});
  await ask('preflighted', { method: 'PUT', headers: { 'X-Mine': '1' }, body: 'b' });
  await ask('credentials', { credentials: 'include' });
  await ask('blind', { mode: 'no-cors', method: 'POST', body: 'b' });
  document.body.textContent = 'said ' + said.join(' ');
})();
</script>"""


class Upstream(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        SEEN.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"mine")

    do_POST = do_PUT = do_GET

    def log_message(self, *_):
        pass


class Pages(http.server.BaseHTTPRequestHandler):
    proxy = ""

    def do_GET(self):
        body = (PAGE % {"proxy": self.proxy}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def shown(url):
    """The page as Chromium has it when its scripts have come to their end."""
    chromium = next(filter(None, map(shutil.which, ["chromium-headless-shell", "chromium", "google-chrome"])))
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom",
               "--host-resolver-rules=MAP evil.example 127.0.0.1", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=True).stdout


def main():
    upstream, pages = serve(Upstream), serve(Pages)
    words = [JETON, "proxy", "--upstream", f"http://127.0.0.1:{upstream}", "--source", f"issuer:{ISSUER}", "-a", "api",
             "--allow-origin", f"http://localhost:{pages}"]
    proxy = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        Pages.proxy = proxy.stdout.readline().strip()
        page = shown(f"http://localhost:{pages}/")
        wanted = "plain=200:mine preflighted=200:mine credentials=200:mine blind=0:"
        assert wanted in page, page
        assert SEEN == ["/plain", "/preflighted", "/credentials", "/blind"], SEEN
        SEEN.clear()
        page = shown(f"http://127.0.0.1:{pages}/")
        assert "plain=refused preflighted=refused credentials=refused" in page, page
        assert not SEEN, SEEN
        # The page's name leads to loopback now, to the proxy's own port: the browser asks, and the Host gives it away.
        page = shown(f"http://evil.example:{Pages.proxy.rsplit(':', 1)[1]}/secret")
        assert "mine" not in page and "host" in page, page
        assert not SEEN, SEEN
    finally:
        proxy.kill()


main()
