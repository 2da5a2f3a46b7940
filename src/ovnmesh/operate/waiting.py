"""How everything in `operate` waits for somebody else to act, and tells what it is doing.

Knows no screen: progress is told to a callback.
"""

import time
from collections.abc import Callable

Step = Callable[[str], None]
"""Told what is being done, in a few words; may be told the same again."""

#: Seconds between two looks at a database.
LOOK_AGAIN_S = 0.1


def wait_until_done(
    pending: Callable[[], str], timeout_s: float, step: Step, interval_s: float = LOOK_AGAIN_S
) -> str:
    """Wait until nothing is pending any more, and tell what is.

    Args:
        pending: looks, and says what is still awaited; "" once nothing is.
        timeout_s: seconds to wait at most; the first look is made in any case.
        step: told what is awaited.
        interval_s: seconds between two looks.

    Returns:
        What is still pending when the time is over; "" if nothing is.
    """
    deadline = time.monotonic() + timeout_s
    while left := pending():
        if time.monotonic() >= deadline:
            return left
        step(f"waiting for {left}")
        time.sleep(interval_s)
    return ""
