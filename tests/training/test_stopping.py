import os
import signal
import threading

import pytest

from medfit.training.stopping import Signals


class Training:
    def __init__(self, active=True):
        self.active, self.stopping = active, False


@pytest.fixture
def handlers():
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def listening(training):
    signals = Signals(training)
    signals.listen()
    return signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_the_first_signal_waits_and_the_second_one_does_not(handlers, number):
    signals = listening(training := Training())
    os.kill(os.getpid(), number)
    assert training.stopping
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)
    signals.leave()


def test_a_signal_means_what_it_meant_where_there_is_nothing_to_write(handlers):
    heard = []
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    listening(training := Training(active=False))
    os.kill(os.getpid(), signal.SIGTERM)
    assert heard == [signal.SIGTERM] and not training.stopping


def test_what_is_ignored_stays_so(handlers):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listening(Training())
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_signals_mean_afterwards_what_they_meant_before(handlers):
    before = signal.getsignal(signal.SIGTERM)
    signals = listening(Training())
    assert signal.getsignal(signal.SIGTERM) is not before
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as Lightning does at the end of an interrupted training
    signals.leave()
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_training_in_another_thread_hears_nothing(handlers):
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=lambda: listening(Training()))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before
