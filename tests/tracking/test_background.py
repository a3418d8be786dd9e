import threading

import pytest

from medfit.errors import StoreError, UserError
from medfit.tracking.background import BackgroundWriter


def test_writes_are_done_in_order_beside_the_caller():
    writer, written, goes_on = BackgroundWriter(), [], threading.Event()
    writer.put(goes_on.wait)
    for number in range(20):
        writer.put(lambda number=number: written.append(number))
    assert written == []
    goes_on.set()
    writer.drain()
    assert written == list(range(20))


def test_what_a_store_could_not_take_is_told_and_tried_again_in_its_place():
    writer, written, errors = BackgroundWriter(), [], [StoreError("the disk is full")]

    def fail_once():
        if errors:
            raise errors.pop()
        written.append("first")

    writer.put(fail_once)
    with pytest.raises(StoreError, match="the disk is full"):
        writer.drain()
    writer.put(lambda: written.append("second"))
    writer.drain()
    assert written == ["first", "second"]


def test_what_a_store_refuses_is_told_and_dropped():
    writer, written = BackgroundWriter(), []

    def refuse():
        raise UserError("refused")

    writer.put(refuse)
    with pytest.raises(UserError, match="refused"):
        writer.drain()
    writer.put(lambda: written.append("next"))
    writer.drain()
    assert written == ["next"]
