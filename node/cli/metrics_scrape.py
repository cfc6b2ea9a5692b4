"""Reading a bank's metrics as Prometheus does, and putting series in order."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

PATH = "/metrics"
TIMEOUT_S = 5.0


class ScrapeFailed(Exception):
    """A bank's metrics could not be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Series:
    """One number of a bank."""

    name: str
    labels: Mapping[str, str]
    value: float

    @property
    def title(self) -> str:
        """Return it as it stands in a query, for example `up{peer="dunmere"}`."""
        if not self.labels:
            return self.name
        labels = ",".join(f'{name}="{value}"' for name, value in sorted(self.labels.items()))
        return f"{self.name}{{{labels}}}"

    @property
    def is_bucket(self) -> bool:
        return "le" in self.labels

    def to_json_object(self) -> dict[str, object]:
        """Return name, labels and value."""
        return {"name": self.name, "labels": dict(self.labels), "value": self.value}


@dataclass(frozen=True, slots=True)
class Scrape:
    """What one bank answered."""

    series: tuple[Series, ...]
    size_bytes: int


def read(text: str) -> tuple[Series, ...]:
    """Return the series of a text in the format of Prometheus; raises `ScrapeFailed`."""
    try:
        return tuple(
            Series(sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        )
    except ValueError as error:
        raise ScrapeFailed(f"the answer is not in the format of metrics: {error}") from error


def scrape(address: str) -> Scrape:
    """Read the metrics that are served at `host:port`; raises `ScrapeFailed`."""
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT_S)
    try:
        connection.request("GET", PATH)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        why = str(error) or type(error).__name__
        raise ScrapeFailed(f"nothing answers at http://{address}{PATH} ({why})") from error
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise ScrapeFailed(f"http://{address}{PATH} answers {answer.status} {answer.reason}")
    return Scrape(read(body.decode("utf-8", errors="replace")), len(body))


async def scrape_all(addresses: Sequence[str | None]) -> list[Scrape | ScrapeFailed]:
    """Read many at the same time; a failure is its own answer."""

    async def ask(address: str | None) -> Scrape | ScrapeFailed:
        if address is None:
            return ScrapeFailed("its configuration has no `metrics_listen`")
        try:
            return await asyncio.to_thread(scrape, address)
        except ScrapeFailed as failure:
            return failure

    return list(await asyncio.gather(*map(ask, addresses)))
