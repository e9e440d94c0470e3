from __future__ import annotations

import gc

import pytest

from regraft.machine.collection import collection_paused


def test_a_pause_ends_with_an_error_and_inner_pauses_do_not_end_outer_ones() -> None:
    with collection_paused():
        with collection_paused():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(KeyError), collection_paused():
        raise KeyError
    assert gc.isenabled()


def test_it_stays_off_where_it_was_off() -> None:
    gc.disable()
    try:
        with collection_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
