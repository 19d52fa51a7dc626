# SPDX-License-Identifier: Apache-2.0
"""Accounts: caps hold whatever happens, nothing is lost, unknown stays unknown."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelcoder.budget import Account, Amount, Caps, Reservation, share

AMOUNTS = st.builds(
    Amount,
    attempts=st.integers(0, 3),
    tokens=st.integers(0, 500),
    usd=st.integers(0, 20).map(float),
    device_s=st.integers(0, 9).map(float),
)
CAPS = st.builds(
    Caps,
    tokens=st.none() | st.integers(0, 3000),
    usd=st.none() | st.integers(0, 100).map(float),
)


def within(account: Account) -> bool:
    limits = account.caps
    return all(
        cap is None or getattr(account.spent, name) <= cap
        for name, cap in (
            ("tokens", limits.tokens),
            ("usd", limits.usd),
        )
    )


@given(
    caps=st.tuples(CAPS, CAPS, CAPS),
    steps=st.lists(st.tuples(st.integers(0, 1), AMOUNTS, st.floats(0, 1), st.booleans())),
)
def test_caps_hold_in_every_scope_if_estimates_do(
    caps: tuple[Caps, Caps, Caps], steps: list[tuple[int, Amount, float, bool]]
) -> None:
    cell = Account("cell", caps[0])
    tasks = [Account("task", caps[1], cell), Account("task", caps[2], cell)]
    for which, estimate, part, refund in steps:
        held = tasks[which].reserve(estimate)
        if isinstance(held, str):
            assert "capped at" in held
            continue
        actual = Amount(
            estimate.attempts, int((estimate.tokens or 0) * part), (estimate.usd or 0.0) * part
        )
        if refund:
            tasks[which].refund(held)
        else:
            tasks[which].commit(held, actual)
        assert all(within(account) for account in (cell, *tasks))
    for name in ("attempts", "tokens"):
        assert getattr(cell.spent, name) == sum(getattr(one.spent, name) for one in tasks)


def reserved(account: Account, amount: Amount) -> Reservation:
    held = account.reserve(amount)
    assert isinstance(held, Reservation)
    return held


def test_a_reservation_blocks_until_it_is_settled() -> None:
    account = Account("task", Caps(tokens=100))
    held = reserved(account, Amount(tokens=80))
    assert account.reserve(Amount(tokens=30)) == "tokens of the task capped at 100"
    account.commit(held, Amount(tokens=20))
    second = reserved(account, Amount(tokens=80))
    account.refund(second)
    assert account.spent.tokens == 20
    with pytest.raises(ValueError, match="already settled"):
        account.commit(second, Amount())


def test_more_than_estimated_is_recorded_and_stops_the_next() -> None:
    account = Account("task", Caps(usd=1.0))
    account.commit(reserved(account, Amount(usd=0.5)), Amount(usd=1.5))
    assert account.spent.usd == 1.5
    assert "capped at 1" in str(account.reserve(Amount(usd=0.0)))


def test_an_unknown_price_makes_the_sum_unknown_and_the_cap_shut() -> None:
    free, capped = Account("task", Caps()), Account("task", Caps(usd=5.0))
    for account in (free, capped):
        account.commit(reserved(account, Amount(usd=None)), Amount(attempts=1, usd=None))
        assert account.spent.usd is None
    assert isinstance(free.reserve(Amount()), Reservation)
    assert capped.reserve(Amount()) == "usd of the task unknown under a cap of 5"


def test_the_parent_s_cap_is_named() -> None:
    cell = Account("cell", Caps(tokens=1))
    task = Account("task", Caps(), cell)
    reserved(task, Amount(tokens=1))
    assert task.reserve(Amount(tokens=1)) == "tokens of the cell capped at 1"


def test_what_was_recorded_is_held_whatever_the_cap() -> None:
    account = Account("task", Caps(tokens=10))
    held = account.reserve(Amount(tokens=50), anyway=True)
    assert isinstance(held, Reservation)
    account.commit(held, Amount(tokens=50))
    assert account.spent.tokens == 50


def test_shares_add_up_to_no_more_than_the_cell() -> None:
    part = share(Caps(tokens=1000, usd=1.0), 7)
    assert part == Caps(tokens=142, usd=1.0 / 7)
    assert share(Caps(), 7) == Caps()


def test_a_negative_amount_is_a_bug() -> None:
    with pytest.raises(ValueError, match="negative"):
        Amount(tokens=-1)


def test_threads_never_pass_a_cap() -> None:
    cell = Account("cell", Caps(tokens=100))

    def spend() -> None:
        task = Account("task", Caps(), cell)
        for _ in range(60):
            held = task.reserve(Amount(attempts=1, tokens=1))
            if isinstance(held, Reservation):
                task.commit(held, Amount(attempts=1, tokens=1))

    work = [threading.Thread(target=spend) for _ in range(4)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert cell.spent.attempts == 100
