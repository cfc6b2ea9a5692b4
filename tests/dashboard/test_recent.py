"""Answers that are given again: one question for many viewers, and nothing kept for long."""

from __future__ import annotations

import asyncio

import pytest

from node.dashboard.recent import RecentAnswers


class Question:
    """Counts how often it is asked, and answers when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.at_work = 0
        self.most_at_work = 0
        self.may_answer = asyncio.Event()

    async def __call__(self) -> int:
        self.asked += 1
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        await self.may_answer.wait()
        self.at_work -= 1
        return self.asked


async def forgotten(recent: RecentAnswers) -> None:
    """Wait until nothing is kept any more."""
    for _ in range(1_000):
        if not len(recent):
            return
        await asyncio.sleep(0.001)
    raise AssertionError("an answer is kept")


async def test_many_who_ask_at_once_cost_one_question() -> None:
    recent, question = RecentAnswers(), Question()
    asking = [asyncio.create_task(recent.get("key", question)) for _ in range(20)]
    await asyncio.sleep(0)
    asking[0].cancel()
    question.may_answer.set()
    assert await asyncio.gather(*asking[1:]) == [1] * 19
    assert await recent.get("key", question) == 1
    assert await recent.get("another key", question) == 2


async def test_an_answer_is_forgotten() -> None:
    recent, question = RecentAnswers(kept_s=0.0), Question()
    question.may_answer.set()
    assert await recent.get("key", question) == 1
    await forgotten(recent)
    assert await recent.get("key", question) == 2


async def test_a_failure_is_everybodys_and_is_forgotten_too() -> None:
    recent = RecentAnswers(kept_s=0.0)

    async def fail() -> int:
        raise ValueError("no")

    results = await asyncio.gather(
        *(recent.get("key", fail) for _ in range(3)), return_exceptions=True
    )
    assert [str(result) for result in results] == ["no"] * 3
    await forgotten(recent)


async def test_so_many_questions_are_at_work_at_once() -> None:
    recent, question = RecentAnswers(at_once=3), Question()
    asking = [asyncio.create_task(recent.get(number, question)) for number in range(10)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert question.at_work == 3
    part = asyncio.create_task(recent.get_part("part", question))
    for _ in range(5):
        await asyncio.sleep(0)
    assert question.at_work == 4
    question.may_answer.set()
    await asyncio.gather(part, *asking)
    assert question.most_at_work == 4


async def test_what_is_asked_for_by_nobody_any_more_fails_in_silence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recent, begun = RecentAnswers(kept_s=0.0), asyncio.Event()

    async def fail() -> int:
        begun.set()
        await asyncio.sleep(0)
        raise ValueError("no")

    asking = asyncio.create_task(recent.get("key", fail))
    await begun.wait()
    asking.cancel()
    await forgotten(recent)
    assert asking.cancelled() and caplog.records == []
