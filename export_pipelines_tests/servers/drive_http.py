"""How an emulated Google Drive is reached: as an HTTPS proxy, and as what it leads to, in one."""

import json
import re
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import suppress
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from export_pipelines_tests.servers.drive_files import DriveError, Item
from export_pipelines_tests.servers.drive_service import Drive, Session

HOSTS = ("www.googleapis.com", "oauth2.googleapis.com", "iamcredentials.googleapis.com")
_GRANULE = 1 << 18
_PIECE = 1 << 16
_FILE = re.compile(r"/drive/v3/files(?:/([\w-]+))?")
_UPLOAD = re.compile(r"/(?:resumable/)?upload/drive/v3/files(?:/([\w-]+))?")


class DriveServer(ThreadingHTTPServer):
    """Listens on a free port of 127.0.0.1."""

    def __init__(self, drive: Drive, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.drive = drive
        self.daemon_threads = False
        self._context = context
        self._open: set[socket.socket] = set()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Be the proxy, then the server that was asked for."""
        self._open.add(request)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = request.recv(1)
            if not byte:
                return
            head += byte
        method, address = head.decode("latin-1").split()[:2]
        if method != "CONNECT" or address not in {f"{host}:443" for host in HOSTS}:
            self.drive.files.complaints.append(f"{method} {address}")
            request.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            return
        request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with self._context.wrap_socket(request, server_side=True) as encrypted:
            self._open.add(encrypted)
            super().finish_request(encrypted, client_address)
            self._open.discard(encrypted)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Note what is no broken connection."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self.drive.files.complaints.append(repr(error))

    def end(self) -> None:
        """Close all connections and wait for their threads."""
        self.shutdown()
        for one in list(self._open):
            # Not that of TLS, which another thread is reading.
            with suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: DriveServer

    def log_message(self, *args: Any) -> None:
        pass

    def _serve(self) -> None:
        drive = self.server.drive
        address = urlsplit(self.path)
        drive.requests.append(f"{self.command} {address.path}")
        body = self._pieces()
        try:
            with drive.lock:
                drive.meet(address.path)
            query = dict(parse_qsl(address.query, keep_blank_values=True))
            status, value, headers = self._route(address.path, query, body)
        except DriveError as error:
            status, headers = error.status, {}
            value = _failure(error, token=address.path == "/token")
        for _ in body:
            pass
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/json")
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

    def _pieces(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", 0))
        while left:
            piece = self.rfile.read(min(left, _PIECE))
            if not piece:
                raise ConnectionResetError
            left -= len(piece)
            yield piece

    def _route(self, path: str, query: dict[str, str], body: Iterator[bytes]) -> Any:
        drive = self.server.drive
        if path == "/token":
            form = dict(parse_qsl(b"".join(body).decode()))
            return 200, drive.token(form["assertion"]), {}
        if self.headers["Host"].startswith("iamcredentials"):
            raise DriveError(404, "notFound")
        if self.command in ("PUT", "POST") and "upload_id" in query:
            return self._continue(query["upload_id"], body)
        account = drive.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
        if account is None:
            raise DriveError(401, "authError", "Invalid Credentials")
        if upload := _UPLOAD.fullmatch(path):
            return self._upload(account, upload[1] or "", query, body)
        if plain := _FILE.fullmatch(path):
            content = b"".join(body)
            with drive.lock:
                return self._plain(account, plain[1] or "", query, content)
        raise drive.files.refuse(f"not emulated: {self.command} {path}")

    def _plain(self, account: str, file_id: str, query: dict[str, str], body: bytes) -> Any:
        files = self.server.drive.files
        if self.command == "GET" and not file_id:
            return 200, files.list(account, query), {}
        if self.command == "GET":
            files.check("get", query)
            item = files.find(account, file_id, "reader", query)
            if query.get("alt") == "media":
                return self._content(item)
            return 200, files.shown(item.values, query), {}
        if self.command == "DELETE":
            files.check("delete", query)
            files.items.pop(files.find(account, file_id, "organizer", query).id)
            return 204, b"", {}
        item, values = files.write(account, file_id, json.loads(body or b"{}"), query)
        files.commit(item, values)
        return 200, files.shown(item.values, query), {}

    def _content(self, item: Item) -> Any:
        if item.path is None:
            raise DriveError(403, "fileNotDownloadable", "Only files with binary content.")
        size = item.path.stat().st_size
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted is None:
            return 200, item.path.read_bytes(), {}
        start, end = int(wanted[1]), min(int(wanted[2] or size), size - 1)
        if start >= size:
            return 416, b"", {"Content-Range": f"bytes */{size}"}
        with item.path.open("rb") as source:
            source.seek(start)
            content = source.read(end - start + 1)
        return 206, content, {"Content-Range": f"bytes {start}-{end}/{size}"}

    def _upload(
        self, account: str, file_id: str, query: dict[str, str], body: Iterator[bytes]
    ) -> Any:
        content = b"".join(body)
        if query.get("uploadType") == "resumable":
            return self._begin(account, file_id, query, content)
        drive = self.server.drive
        metadata: Any = {}
        media_type = self.headers.get("Content-Type", "")
        if query.get("uploadType") == "multipart":
            metadata, media_type, content = self._parts(content)
        elif query.get("uploadType") != "media":
            raise drive.files.refuse(f"uploadType {query.get('uploadType')}")
        size = len(content)
        with drive.lock:
            _, session = drive.begin(
                account, file_id, metadata, query, size=size, media_type=media_type
            )
            session.path.write_bytes(content)
            session.received = size
            return 200, drive.finish(session), {}

    def _begin(self, account: str, file_id: str, query: dict[str, str], content: bytes) -> Any:
        drive = self.server.drive
        declared = self.headers.get("X-Upload-Content-Length")
        with drive.lock:
            upload_id, _ = drive.begin(
                account,
                file_id,
                json.loads(content or b"{}"),
                query,
                size=int(declared) if declared else None,
                media_type=self.headers.get("X-Upload-Content-Type", ""),
            )
        where = f"https://{HOSTS[0]}/upload/drive/v3/files?uploadType=resumable"
        return 200, b"", {"Location": f"{where}&upload_id={upload_id}"}

    def _parts(self, body: bytes) -> tuple[Any, str, bytes]:
        """Return metadata, media type and content of a multipart upload."""
        boundary = self.headers.get_param("boundary")
        parts = body.split(f"--{boundary}".encode())
        if len(parts) != 4 or self.headers.get_content_type() != "multipart/related":
            raise self.server.drive.files.refuse("a multipart upload has two parts")
        metadata = parts[1].partition(b"\r\n\r\n")[2]
        head, _, content = parts[2].partition(b"\r\n\r\n")
        media_type = message_from_bytes(head.lstrip()).get_content_type()
        return json.loads(metadata), media_type, content.removesuffix(b"\r\n")

    def _continue(self, upload_id: str, body: Iterator[bytes]) -> Any:
        drive = self.server.drive
        session = drive.sessions.get(upload_id)
        if session is None:
            raise DriveError(404, "notFound", "Upload session not found.")
        start, end, total = self._range(session)
        if start is not None and not session.done:
            self._receive(session, start, body)
            if session.received != end:
                raise drive.files.refuse(f"{end} was announced, {session.received} came")
        with drive.lock:
            if session.done or session.received == total:
                return 200, drive.finish(session), {}
        received = session.received
        return 308, b"", {"Range": f"bytes=0-{received - 1}"} if received else {}

    def _range(self, session: Session) -> tuple[int | None, int, int | None]:
        """Return first byte, end and total size of what a request brings; no first for a query."""
        refuse = self.server.drive.files.refuse
        text = self.headers.get("Content-Range")
        if text is None:
            size = int(self.headers["Content-Length"])
            return 0, size, size
        found = re.fullmatch(r"bytes (?:\*|(\d+)-(\d+))/(\*|\d+)", text)
        if found is None:
            raise refuse(f"Content-Range {text}")
        total = None if found[3] == "*" else int(found[3])
        if None not in (total, session.total) and total != session.total:
            raise refuse(f"{text}, but {session.total} bytes were announced")
        if found[1] is None:
            return None, 0, total
        start, end = int(found[1]), int(found[2]) + 1
        if end != total and (end - start) % _GRANULE:
            raise refuse(f"{text} is no multiple of 256 KiB")
        if start > session.received:
            raise refuse(f"{text} leaves a hole after {session.received}")
        return start, end, total

    def _receive(self, session: Session, start: int, body: Iterator[bytes]) -> None:
        with session.path.open("r+b") as target:
            target.seek(start)
            try:
                for piece in body:
                    target.write(piece)
            finally:
                end = target.tell()
                whole = end == start + int(self.headers["Content-Length"])
                # Google keeps whole granules of what comes in before a connection breaks.
                kept = end if whole else end - end % _GRANULE
                session.received = max(session.received, kept)


def _failure(error: DriveError, *, token: bool) -> Any:
    if token:
        return {"error": error.reason, "error_description": str(error)}
    details = [{"domain": "global", "reason": error.reason, "message": str(error)}]
    return {"error": {"code": error.status, "message": str(error), "errors": details}}
