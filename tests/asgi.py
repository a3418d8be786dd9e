"""Requests to an ASGI application without a server."""

import asyncio
from typing import Any


def ask(app: Any, body: bytes, kind: str, path: str = "/invocations") -> tuple[int, bytes]:
    """The status and the body of an answer."""
    sent: list[dict[str, Any]] = []
    asked = [{"type": "http.request", "body": body[:5], "more_body": True}, {"type": "http.request", "body": body[5:]}]
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "query_string": b"",
        "headers": [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())],
    }

    async def receive() -> dict[str, Any]:
        return asked.pop(0) if asked else await asyncio.Event().wait()  # type: ignore[return-value]

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(asyncio.wait_for(app(scope, receive, send), 60))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])
