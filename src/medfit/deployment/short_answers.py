"""MLflow's scoring server, whose refusals are a line: by itself it answers with the rows that it was sent."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from medfit.deployment.served import MARK
from medfit.terminal.console import say

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
UNREADABLE = (
    "the request can't be read: send rows as CSV with the columns' names (Content-Type: text/csv), or as JSON "
    '(application/json) in {"dataframe_records": [...]} or {"dataframe_split": {"columns": [...], "data": [...]}}'
)


def short_answers(app: App) -> App:
    """Returns an ASGI application that answers as another, but for errors: these have a status and a line.

    Args:
        app: MLflow's.
    """

    async def answered(scope: Message, receive: Receive, send: Send) -> None:
        held: list[Message] = []
        begun = False

        async def hold(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start" and message["status"] >= 400:
                held.append(message)
            elif not held:
                begun = True
                await send(message)
            elif message["type"] == "http.response.body":
                held.append(message)
                if not message.get("more_body"):
                    await _refuse(held, send)

        try:
            await app(scope, receive, hold)
        except Exception as error:  # what MLflow did not foresee in a request; its traceback would hold the rows
            say(f"Warning: a request could not be read ({type(error).__name__}).")
            if not held and not begun:
                await answer(400, UNREADABLE, send)

    return answered


async def _refuse(held: list[Message], send: Send) -> None:
    told = b"".join(message.get("body", b"") for message in held[1:]).decode()
    with suppress(ValueError, AttributeError):
        told = str(json.loads(told).get("message"))
    line = told.split(MARK)[1] if told.count(MARK) == 2 else UNREADABLE
    status = held[0]["status"]
    await answer(400 if status == 500 else status, line, send)  # MLflow fails at what it can't read


async def answer(status: int, line: str, send: Send) -> None:
    """Sends a refusal: a status and a line that tells what the request lacks."""
    body = json.dumps({"error_code": "BAD_REQUEST", "message": line}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
