"""A TLS front of a plain server, and a proxy that opens tunnels, each in a thread."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

__all__ = ["CA_FILE", "Proxy", "start_proxy", "start_tls_front"]

FOLDER = Path(__file__).parent / "tls"
#: The certificate of `localhost`, which signs itself.
CA_FILE = FOLDER / "localhost.pem"


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


class Proxy(_Server):
    """A proxy that knows CONNECT only; `targets` are the hosts that clients asked for."""

    user = ""
    """`name:password` that clients need."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _ProxyHandler)
        self.targets: list[str] = []
        self.seen = b""
        """Every byte of clients outside of tunnels."""

    @property
    def url(self) -> str:
        """The proxy's URL, with user and password."""
        return f"http://{self.user + '@' if self.user else ''}127.0.0.1:{self.server_address[1]}"


class _ProxyHandler(socketserver.StreamRequestHandler):
    server: Proxy

    def handle(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n") and (line := self.rfile.readline()):
            head += line
        self.server.seen += head
        method, target = head.split(b" ")[:2]
        user = b64encode(self.server.user.encode())
        if self.server.user and b"Basic " + user + b"\r\n" not in head:
            self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        if method != b"CONNECT":
            self.wfile.write(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
            return
        self.server.targets.append(target.decode())
        host, _, port = target.decode().rpartition(":")
        with socket.create_connection((host, int(port)), timeout=60) as upstream:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            _pipe_both(self.connection, upstream)


def _pipe_both(one: socket.socket, other: socket.socket) -> None:
    thread = threading.Thread(target=_pipe, args=(one, other), daemon=True)
    thread.start()
    _pipe(other, one)
    thread.join()


def _pipe(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def start_proxy(user: str = "") -> Iterator[Proxy]:
    """A proxy until the end of the block."""
    proxy = Proxy()
    proxy.user = user
    with _serving(proxy):
        yield proxy


@contextmanager
def start_tls_front(port: int) -> Iterator[str]:
    """`https://localhost:port` of a front that passes everything on to a port of this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CA_FILE, FOLDER / "localhost.key")

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                suppress(ssl.SSLError, ConnectionError),
                closing(context.wrap_socket(self.request, server_side=True)) as client,
                socket.create_connection(("127.0.0.1", port), timeout=60) as upstream,
            ):
                _pipe_both(client, upstream)

    with _Server(("127.0.0.1", 0), Handler) as front, _serving(front):
        yield f"https://localhost:{front.server_address[1]}"


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
