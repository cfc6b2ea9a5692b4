"""Workers end with whoever they work for, however that ended."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import psutil
import pytest

PARENT = """
import multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor

from node.runtime.worker_process import work_for

if __name__ == "__main__":
    pool = ProcessPoolExecutor(
        1,
        mp_context=multiprocessing.get_context("fork"),
        initializer=work_for,
        initargs=(os.getpid(),),
    )
    print(pool.submit(os.getpid).result(), flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("how", [psutil.Process.kill, psutil.Process.terminate])
def test_a_worker_ends_when_its_parent_is_killed(how: object) -> None:
    with subprocess.Popen(
        [sys.executable, "-P", "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        worker.send_signal(2)
        assert worker.is_running(), "interrupts are for the parent"
        how(psutil.Process(parent.pid))  # type: ignore[operator]
    with contextlib.suppress(psutil.NoSuchProcess):
        worker.wait(timeout=30)
    assert not worker.is_running()
