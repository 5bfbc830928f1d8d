"""One server process.

Each process has its own listening socket with SO_REUSEPORT and the kernel spreads connections over them, so no process
stands in front of the others: any of them may die or be replaced while the rest go on.
"""

import socket

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.application import create_app
from api.problems import MEDIA_TYPE, ProblemResponse, problem
from api.settings import ApiSettings
from vns.errors import InvalidRequest
from vns.settings import Settings

GRACE = 3  # seconds for requests under way after SIGTERM; with the closing of the services less than 5 in all
KEEP_ALIVE = 75  # seconds that an idle connection is kept
BACKLOG = 2048


class Protocol(HttpToolsProtocol):
    """uvicorn's own; but what is no HTTP, or has too long an address, is answered as a problem too."""

    def send_400_response(self, msg: str) -> None:
        body = ProblemResponse(problem(InvalidRequest.code, 400, msg)).body
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            f"content-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def listening_socket(host: str, port: int) -> socket.socket:
    """Raises OSError when the port is held by a program that does not share it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, port))
    listener.setblocking(False)
    return listener


def serve(core: Settings, settings: ApiSettings) -> None:
    """Serve until SIGTERM or SIGINT. Raises OSError when the port cannot be had."""
    listener = listening_socket(settings.http_host, settings.http_port)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(core, settings),
            loop="uvloop",
            http=Protocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=GRACE,
        )
    )
    server.run(sockets=[listener])
