"""What Prometheus would see: the metrics at an address, read over HTTP and parsed by the client library."""

from __future__ import annotations

import asyncio
import urllib.request
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

TIMEOUT_S = 10  # Prometheus' own default


@dataclass(frozen=True, slots=True)
class Scraped:
    """Samples by name and labels; types and help by the family's name."""

    samples: dict[tuple[str, frozenset[tuple[str, str]]], float]
    types: dict[str, str]
    helps: dict[str, str]

    def value(self, name: str, **labels: str) -> float | None:
        """A sample, None where there is none."""
        return self.samples.get((name, frozenset(labels.items())))

    def by(self, name: str, label: str) -> dict[str, float]:
        """All samples of a name by one of their labels."""
        return {dict(labels)[label]: value for (found, labels), value in self.samples.items() if found == name}


async def fetch(address: str, path: str = "/metrics", method: str = "GET", **headers: str) -> tuple[str, str]:
    """The body of an answer, and its content type; HTTPError for another status than 200."""

    def ask() -> tuple[str, str]:
        request = urllib.request.Request(f"http://{address}{path}", method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return answer.read().decode(), answer.headers["Content-Type"]

    return await asyncio.to_thread(ask)


async def scrape(address: str) -> Scraped:
    """Everything that is exposed."""
    families = list(text_string_to_metric_families((await fetch(address))[0]))
    return Scraped(
        samples={(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples},
        types={family.name: family.type for family in families},
        helps={family.name: family.documentation for family in families},
    )
