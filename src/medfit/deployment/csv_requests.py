"""Rows that a request brings as CSV, read as a file is: MLflow's own reading takes a level ``None`` for missing."""

import json

from medfit.data.readers.files import cells_of
from medfit.deployment.short_answers import UNREADABLE, App, Message, Receive, Send, answer
from medfit.errors import UserError, renamed

JSON = b"application/json"


def as_written(app: App) -> App:
    """Returns an ASGI application that hands on CSV as JSON with each cell in words, for the model to read.

    Args:
        app: MLflow's.
    """

    async def handed_on(scope: Message, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        if not headers.get(b"content-type", b"").lower().startswith(b"text/csv"):
            await app(scope, receive, send)
            return
        try:
            body = _as_json(await _whole(receive))
        except UserError as error:
            await answer(400, str(error), send)
            return
        headers |= {b"content-type": JSON, b"content-length": str(len(body)).encode()}
        await app({**scope, "headers": list(headers.items())}, _first(body, receive), send)

    return handed_on


def _as_json(body: bytes) -> bytes:
    """Returns the rows as MLflow takes them.

    Raises:
        UserError: they are no CSV.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(UNREADABLE) from None
    with renamed("dataset.path: ", "predict.data: "):
        names, rows = cells_of(text, "the request")
    return json.dumps({"dataframe_split": {"columns": names, "data": rows}}).encode()


async def _whole(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _first(body: bytes, receive: Receive) -> Receive:
    """Returns what gives a whole body first, and then what else the client does."""
    messages: list[Message] = [{"type": "http.request", "body": body}]

    async def received() -> Message:
        return messages.pop() if messages else await receive()

    return received
