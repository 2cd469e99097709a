"""yfinance's HTTP session, which takes its answers from the archive and asks Yahoo for the others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from curl_cffi import requests as curl

from finnex.fetching.archive import Answer, request_of
from finnex.fetching.asking import TIMEOUT_SECONDS, Asker, seconds_asked

DATA = "/v8/finance/chart/"
"""Addresses of bars; yfinance's other requests are for cookies, which are neither kept nor needed for kept answers."""
COOKIES = "fc.yahoo.com"
"""Host of the page that sets cookies; yfinance asks it before each request where it keeps none in a database."""
NO_CRUMB = "none"
"""Answers requests for a crumb while kept answers are used; yfinance remembers it, and it is never sent."""


class ArchivedSession(curl.Session[curl.Response]):  # type: ignore[misc]
    """A session that yfinance accepts.

    Parameters
    ----------
    asker
        Who keeps, finds and asks.
    """

    def __init__(self, asker: Asker) -> None:
        super().__init__(impersonate="chrome")
        self.asker = asker
        self._replaying = False
        self._cookie_page: curl.Response | None = None

    @contextmanager
    def replaying(self) -> Iterator[None]:
        """Use kept answers alone: `NotKept` where one is missing. Requests for cookies get a placeholder."""
        self._replaying = True
        try:
            yield
        finally:
            self._replaying = False

    def request(self, method: Any, url: str, params: Any = None, **options: Any) -> curl.Response:
        """Return the answer to a request, from the archive or from Yahoo.

        Parameters
        ----------
        method, url, params, **options
            As curl_cffi takes them; a placeholder of a crumb is not sent, and the timeout is FinNeX's.

        Returns
        -------
        curl_cffi.requests.Response
            The answer.

        Raises
        ------
        NotKept
            It is not kept, and Yahoo is not asked.
        Unreachable
            Yahoo cannot be asked.
        """
        options["timeout"] = TIMEOUT_SECONDS[1]
        params = {name: value for name, value in (params or {}).items() if (name, value) != ("crumb", NO_CRUMB)}
        is_data = method == "GET" and urlsplit(url).path.startswith(DATA)
        request = request_of(url, params)
        if self._replaying:
            found = self.asker.kept(request) if is_data else Answer(200, "text/plain", NO_CRUMB.encode())
            if found is None:
                raise self.asker.not_kept(request)
            return _response(found, url)
        if not is_data:  # yfinance itself goes without a cookie where it can
            if urlsplit(url).hostname == COOKIES and self._cookie_page is not None and len(self.cookies):
                return self._cookie_page
            self.asker.asked += 1
            page: curl.Response = super().request(method, url, params=params, **options)
            if urlsplit(url).hostname == COOKIES:
                self._cookie_page = page
            return page
        got: list[curl.Response] = []

        def send() -> tuple[Answer, float | None]:
            response = super(ArchivedSession, self).request(method, url, params=params, **options)
            got.append(response)
            answer = Answer(response.status_code, response.headers.get("Content-Type") or "", response.content)
            return answer, seconds_asked(response.headers.get("Retry-After"))

        answer = self.asker.ask(request, send, _sound)
        return got[-1] if got else _response(answer, url)


def _sound(answer: Answer) -> bool:
    """Return whether an answer is a chart, with bars or without."""
    try:
        return answer.status == 200 and bool(json.loads(answer.body)["chart"]["result"])
    except (ValueError, KeyError, TypeError):
        return False


def _response(answer: Answer, url: str) -> curl.Response:
    made = curl.Response()
    made.url, made.content, made.status_code = url, answer.body, answer.status
    made.ok = answer.status < 400
    made.headers["Content-Type"] = answer.content_type
    return made
