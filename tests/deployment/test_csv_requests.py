import json

import pytest

from asgi import ask
from medfit.deployment.csv_requests import as_written


async def echo(scope, receive, send):
    """Answers with what it was sent, and what it was told of it."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message.get("more_body", False)
    headers = dict(scope["headers"])
    assert int(headers[b"content-length"]) == len(body)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": headers[b"content-type"] + b" " + body})


def asked(body, kind="text/csv"):
    status, told = ask(as_written(echo), body, kind)
    assert status == 200
    name, _, content = told.decode().partition(" ")
    return name, json.loads(content)["dataframe_split"]


@pytest.mark.parametrize(
    ("body", "columns", "rows"),
    [
        (b"a,b\n01,None\n,NA\n", ["a", "b"], [["01", "None"], ["", "NA"]]),
        (b'\xef\xbb\xbfa; b\r\n1,5;"x;\ny"\r\n\r\n', ["a", "b"], [["1,5", "x;\ny"]]),
        ("größe\n1\n".encode(), ["größe"], [["1"]]),
        (b"a,b\n", ["a", "b"], []),
    ],
)
def test_cells_are_handed_on_as_they_are_written(body, columns, rows):
    assert asked(body, "text/csv; charset=utf-8") == ("application/json", {"columns": columns, "data": rows})


def test_other_requests_are_handed_on_whole():
    assert ask(as_written(echo), b'{"inputs": 1}', "application/json") == (200, b'application/json {"inputs": 1}')


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"a,b\n1\n", "predict.data: 'the request', row 2: 2 columns were expected, 1 came (the last row"),
        (b"a,b,a\n1,2,4711\n", "predict.data: 'the request' has one name for its columns 1 and 3; no header?"),
        (b"4711,1,4711\n1,2,3\n", "predict.data: 'the request' has no header: its first row holds numbers"),
        (b'a,b\n1,"4711\n', "predict.data: 'the request' is cut off or has a stray quote"),
        (b"", "predict.data: 'the request' holds no rows"),
        (b"a\0b\n4711,1\n", "predict.data: 'the request' is binary"),
        (b"\xff4711", "the request can't be read: send rows as CSV"),
    ],
)
def test_what_is_no_csv_is_refused_with_a_line_that_holds_no_cell(body, told):
    status, answer = ask(as_written(echo), body, "text/csv")
    line = json.loads(answer)["message"]
    assert status == 400 and line.startswith(told) and "4711" not in line and "\n" not in line
