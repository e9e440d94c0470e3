from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from regraft.training.loop import interruption
from regraft.training.loop.interruption import AbruptEnd, Interruption

INT, TERM = signal.SIGINT, signal.SIGTERM


@contextmanager
def step(
    waits: Interruption, *numbers: signal.Signals, agreed: tuple[float, float] = (0, 0)
) -> Iterator[None]:
    """A step in which signals arrive, and in which the processes agree on some."""
    with waits.held_back():
        for number in numbers:
            signal.raise_signal(number)
        waits.agree(list(agreed))
        yield


def went(waits: Interruption, *steps: tuple[tuple[signal.Signals, ...], tuple[float, float]]) -> int:
    """The number of steps that were completed when a signal was obeyed."""
    done = 0
    with waits.handled():
        for numbers, agreed in steps:
            try:
                with step(waits, *numbers, agreed=agreed):
                    done += 1
            except (KeyboardInterrupt, SystemExit) as error:
                error.add_note(str(done))
                raise
    return done


def test_a_second_signal_acts_in_the_middle_of_a_step_whose_state_is_not_kept() -> None:
    with pytest.raises(AbruptEnd) as caught:
        went(Interruption(), ((INT, INT), (0, 0)))
    assert caught.value.__notes__ == ["0"]


@pytest.mark.parametrize(("number", "raised"), [(INT, KeyboardInterrupt), (TERM, SystemExit)])
def test_of_several_processes_a_signal_waits_until_all_know_of_it(
    number: signal.Signals, raised: type[BaseException]
) -> None:
    agreed = (float(number == INT), float(number == TERM))
    with pytest.raises(raised) as caught:
        went(Interruption(is_shared=True), ((number,), (0, 0)), ((), (0, 0)), ((), agreed), ((), (0, 0)))
    assert caught.value.__notes__ == ["3"]
    assert getattr(caught.value, "code", 143) == 143


def test_a_signal_is_a_wish_that_the_processes_add_up() -> None:
    waits = Interruption(is_shared=True)
    with waits.handled(), ExitStack() as until:
        until.enter_context(pytest.raises(SystemExit))
        until.enter_context(step(waits, TERM, agreed=(0, 1)))
        assert waits.wishes == [0.0, 1.0]


def test_a_signal_to_another_process_is_obeyed_too() -> None:
    with pytest.raises(KeyboardInterrupt):
        went(Interruption(is_shared=True), ((), (2, 0)))


@pytest.mark.parametrize("is_before", [True, False])
def test_while_the_others_wait_a_signal_acts_at_once(is_before: bool) -> None:
    waits, seen = Interruption(is_shared=True), []

    def wait() -> None:
        with waits.handled():
            if is_before:
                signal.raise_signal(INT)
            with waits.while_others_wait(False):
                seen.append("others work")
            with waits.while_others_wait(True):
                signal.raise_signal(INT)
                seen.append("not obeyed")

    with pytest.raises(KeyboardInterrupt):
        wait()
    assert seen == ["others work"]


@pytest.mark.parametrize(("again_s", "is_abrupt"), [(5.0, False), (-1.0, True)])
def test_a_signal_that_a_launcher_repeats_is_the_same_one(
    monkeypatch: pytest.MonkeyPatch, again_s: float, is_abrupt: bool
) -> None:
    monkeypatch.setattr(interruption, "_AGAIN_S", again_s)
    with pytest.raises(KeyboardInterrupt) as caught:
        went(Interruption(is_shared=True), ((INT, INT), (0, 0)), ((), (1, 0)))
    assert isinstance(caught.value, AbruptEnd) == is_abrupt
    assert caught.value.__notes__ == ["0" if is_abrupt else "2"]


def test_a_signal_after_the_last_step_is_known_at_the_end() -> None:
    waits = Interruption(is_shared=True)
    assert went(waits, ((INT,), (0, 0))) == 1
    assert waits.missed == INT
