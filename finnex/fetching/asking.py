"""Ask a source politely: what is kept is not asked again, requests are spaced, busy servers are given time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from finnex.errors import FetchError
from finnex.fetching.archive import Answer, Archive, request_of
from finnex.fetching.sources import Source

if TYPE_CHECKING:
    from tenacity import RetryCallState

BUSY = frozenset({429, 500, 502, 503, 504})
ATTEMPTS, LONGEST_WAIT_SECONDS = 4, 60.0
UNREACHABLE_ATTEMPTS = 2
TIMEOUT_SECONDS = (10.0, 60.0)
"""To connect, and between two pieces of an answer."""
Sound = Callable[[Answer], bool]
"""Whether an answer is kept: errors, and the page of a site that is being repaired, are not."""
Send = Callable[[], tuple[Answer, float | None]]
"""Sends one request; returns its answer and the seconds that the server asks to wait, None where it asks nothing."""


class NotKept(FetchError):
    """An answer that is not in the archive was needed, and the source is not to be asked."""


class Unreachable(FetchError):
    """A source cannot be reached, or refuses: its further requests would fail too."""


class NoData(FetchError):
    """A source answered, and has nothing of what was asked: no failure where others are asked for the same name."""


class _Busy(Exception):
    def __init__(self, answer: Answer, seconds: float | None) -> None:
        super().__init__(answer.status)
        self.answer, self.seconds = answer, seconds


class Asker:
    """Asks one source, and keeps what it answers.

    Parameters
    ----------
    source
        Who is asked.
    archive
        Where answers are kept.
    offline
        Use kept answers alone.
    """

    def __init__(self, source: Source, archive: Archive, *, offline: bool) -> None:
        self.source, self.archive, self.offline = source, archive, offline
        self.asked = 0
        """Requests that were sent, repetitions included."""
        self._last = -float("inf")

    def kept(self, request: str) -> Answer | None:
        """Return the kept answer to a request."""
        return self.archive.find(self.source, request)

    def not_kept(self, request: str) -> NotKept:
        """Return the error of a request whose answer is not kept."""
        return NotKept(
            f"the answer of {self.source.title} to {request} is not kept. Run the same command once without --offline, "
            "or name the start, symbols and series of an earlier run."
        )

    def ask(self, request: str, send: Send, sound: Sound) -> Answer:
        """Return the answer to a request: the one that is kept, else the source's.

        Parameters
        ----------
        request
            Its written form: `request_of`.
        send
            Sends it.
        sound
            Whether an answer is kept.

        Returns
        -------
        Answer
            Of any status but those of `BUSY`.

        Raises
        ------
        NotKept
            It is not kept, and nothing may be asked.
        Unreachable
            There is no way to the source, or it is still busy after `ATTEMPTS`.
        """
        if (found := self.kept(request)) is not None:
            return found
        if self.offline:
            raise self.not_kept(request)
        answer = self._send(send)
        if sound(answer):
            self.archive.keep(self.source, request, answer)
        return answer

    def get(
        self, url: str, parameters: Mapping[str, str], sound: Sound, *, headers: Mapping[str, str], as_of: str = ""
    ) -> Answer:
        """Return the answer to a GET request.

        Parameters
        ----------
        url
            Address without parameters.
        parameters
            Its parameters; those of `SECRETS` are sent and not kept.
        sound
            Whether an answer is kept.
        headers
            Sent and not kept.
        as_of
            See `request_of`.

        Returns
        -------
        Answer
            See `ask`.
        """
        import requests  # noqa: PLC0415  of the extra

        def send() -> tuple[Answer, float | None]:
            got = requests.get(url, params=dict(parameters), headers=dict(headers), timeout=TIMEOUT_SECONDS)
            answer = Answer(got.status_code, got.headers.get("Content-Type", ""), got.content)
            return answer, seconds_asked(got.headers.get("Retry-After"))

        return self.ask(request_of(url, parameters, as_of=as_of), send, sound)

    def _send(self, send: Send) -> Answer:
        import tenacity  # noqa: PLC0415  of the extra

        backoff = tenacity.wait_exponential_jitter(initial=1, max=LONGEST_WAIT_SECONDS, jitter=1)

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome is not None else None
            if isinstance(error, _Busy) and error.seconds is not None:
                return error.seconds
            return float(backoff(state))

        def given_up(state: RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome is not None else None
            most = ATTEMPTS if isinstance(error, _Busy) else UNREACHABLE_ATTEMPTS
            too_long = isinstance(error, _Busy) and (error.seconds or 0.0) > LONGEST_WAIT_SECONDS
            return too_long or state.attempt_number >= most

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((_Busy, OSError)), wait=wait, stop=given_up, reraise=True
        )
        try:
            answer: Answer = retrying(self._send_one, send)
        except _Busy as busy:
            times = retrying.statistics["attempt_number"]
            asks = "" if busy.seconds is None else f", and asks to wait {busy.seconds:.0f} seconds"
            raise Unreachable(
                f"{self.source.title} is busy or refuses (HTTP {busy.answer.status}, asked {times} times){asks}. Run "
                "the same command later: what has been answered is kept and is not asked again."
            ) from None
        except OSError as error:  # requests' and curl_cffi's errors are; their texts hold addresses with keys in them
            raise Unreachable(
                f"{self.source.title} cannot be reached ({type(error).__name__}). Check the network, or the proxy in "
                f"HTTPS_PROXY, and run the same command again.{self._offline_too()}"
            ) from None
        return answer

    def _offline_too(self) -> str:
        kept = any(one.source == self.source.name for one in self.archive.entries())
        return " Answers of an earlier run are used with --offline." if kept else ""

    def _send_one(self, send: Send) -> Answer:
        time.sleep(max(0.0, self._last + self.source.seconds - time.monotonic()))
        self._last = time.monotonic()
        self.asked += 1
        answer, seconds = send()
        if answer.status in BUSY:
            raise _Busy(answer, seconds)
        return answer


def seconds_asked(header: Any) -> float | None:
    """Return the seconds of a header Retry-After; None where it is absent or a date."""
    try:
        return max(0.0, float(header))
    except (TypeError, ValueError):
        return None
