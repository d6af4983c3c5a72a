"""Reading what wrk prints."""

from __future__ import annotations

import pytest

from recorderd.bench.pages import read_wrk, wrk

PRINTED = """\
Running 4s test @ http://127.0.0.1:8080/
  1 threads and 10 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   146.15ms   39.02ms 317.79ms   74.55%
    Req/Sec    68.44     22.54   130.00     65.00%
  Latency Distribution
     50%  950.00us
     75%  168.29ms
     90%  197.00ms
     99%    1.25s
  274 requests in 4.00s, 1.72MB read
  Non-2xx or 3xx responses: 12
Requests/sec:     68.44
Transfer/sec:    440.03KB
"""


def test_times_are_told_in_milliseconds() -> None:
    found = read_wrk(PRINTED)
    assert (found.requests, found.requests_per_second, found.refused) == (274, 68.44, 12)
    assert found.median_ms == pytest.approx(0.95)
    assert found.p99_ms == pytest.approx(1250)


def test_nothing_refused() -> None:
    assert read_wrk(PRINTED.replace("  Non-2xx or 3xx responses: 12\n", "")).refused == 0


def test_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="unable to connect"):
        read_wrk("unable to connect to 127.0.0.1:8080 Connection refused")


def test_only_this_machine_is_asked() -> None:
    assert wrk(8080, "/api", 10, 4)[-1] == "http://127.0.0.1:8080/api"
