import json

import pytest

from asgi import ask
from medfit.deployment.served import MARK
from medfit.deployment.short_answers import UNREADABLE, short_answers


def answering(status, body, error=None, parts=1):
    """An application that answers this, or fails afterwards."""

    async def app(scope, receive, send):
        if status:
            await send({"type": "http.response.start", "status": status, "headers": []})
            for number in range(parts):
                await send({"type": "http.response.body", "body": body, "more_body": number < parts - 1})
        if error:
            raise error

    return short_answers(app)


def test_good_answers_pass():
    assert ask(answering(200, b"4711", parts=2), b"", "") == (200, b"47114711")


@pytest.mark.parametrize(
    ("status", "told", "line"),
    [
        (400, json.dumps({"message": f"4711 {MARK}age is missing{MARK} 4711"}), "age is missing"),
        (400, json.dumps({"message": "Failed to predict 4711"}), UNREADABLE),
        (415, "4711", UNREADABLE),
        (404, "[4711]", UNREADABLE),
    ],
)
def test_a_refusal_is_the_models_own_line_or_how_to_ask(status, told, line):
    code, body = ask(answering(status, told.encode()), b"", "")
    assert (code, json.loads(body)["message"]) == (status, line)


@pytest.mark.parametrize("status", [None, 500])
def test_a_request_at_which_mlflow_fails_is_a_mistake_of_the_request(status, capsys):
    code, body = ask(answering(status, b"Traceback 4711", ValueError("4711")), b"", "")
    assert (code, json.loads(body)["message"]) == (400, UNREADABLE)
    told = capsys.readouterr()
    assert told.out == "Warning: a request could not be read (ValueError).\n" and told.err == ""


def test_an_answer_that_has_begun_is_not_given_twice(capsys):
    assert ask(answering(200, b"x", ValueError("4711")), b"", "") == (200, b"x")
    assert "4711" not in capsys.readouterr().out
