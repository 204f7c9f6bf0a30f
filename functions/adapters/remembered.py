"""A catalogue whose meters and customers are remembered for a while, so that an event costs no read."""

import time
from collections.abc import Callable, Iterable

from adapters.catalog import Catalog, Damaged
from billing.customers import Account
from billing.plans import Plan, PlanVersion
from metering.meters import Meter


class Remembered:
    """What is unknown is looked up each time, so that a new meter or customer is known at once.

    Args:
        catalog: what is remembered of.
        life_seconds: for how long.
        monotonic: seconds.
        epoch: which hour the furthest event that is taken falls into; meters are not remembered from one to the next,
            so that no event of an hour is folded by what was known before any could come (law 4.9).
    """

    def __init__(
        self,
        catalog: Catalog,
        life_seconds: int = 30,
        monotonic: Callable[[], float] = time.monotonic,
        epoch: Callable[[], int] = lambda: 0,
    ) -> None:
        self.catalog = catalog
        self._life = life_seconds
        self._monotonic = monotonic
        self._epoch = epoch
        self._meters: tuple[float, int, dict[str, Meter]] = (0.0, 0, {})
        self._accounts: dict[str, tuple[float, Account]] = {}
        self._used: set[str] = set()
        self._plans: dict[tuple[str, int], Plan] = {}
        self._versions: dict[str, tuple[float, list[PlanVersion]]] = {}

    def meters(self, wanted: Iterable[str]) -> dict[str, Meter]:
        """All meters; read again when they are old or one of those wanted is missing."""
        until, known_in, meters = self._meters
        epoch = self._epoch()
        if epoch != known_in or self._monotonic() >= until or not meters.keys() >= set(wanted):
            meters = self.catalog.meters()
            self._meters = (self._monotonic() + self._life, epoch, meters)
        return meters

    def accounts(self, wanted: Iterable[str]) -> dict[str, Account | Damaged]:
        """The wanted customers that exist; one that cannot be read is looked up each time."""
        now = self._monotonic()
        names = set(wanted)
        missing = [name for name in names if self._accounts.get(name, (0.0, None))[0] <= now]
        read = self.catalog.accounts(missing) if missing else {}
        for name, account in read.items():
            if isinstance(account, Account):
                self._accounts[name] = (now + self._life, account)
        known = {name: self._accounts[name][1] for name in names if self._accounts.get(name, (0.0, None))[0] > now}
        return read | known

    def use_meters(self, keys: Iterable[str]) -> None:
        """Mark meters as used before their first event is stored; once per process and meter."""
        new = set(keys) - self._used
        if new:
            for key in new - self.catalog.used("meters"):
                self.catalog.use("meters", key)
            self._used |= new

    def plan(self, key: str, version: int) -> Plan:
        """A plan version; it never changes, so it is remembered for ever.

        Raises:
            NotFound: there is none.
        """
        if (key, version) not in self._plans:
            self._plans[key, version] = self.catalog.plan(key, version)[0]
        return self._plans[key, version]

    def plan_versions(self, key: str) -> list[PlanVersion]:
        """From when each version of a plan holds; a new one has more notice than this is remembered for."""
        until, versions = self._versions.get(key, (0.0, []))
        if self._monotonic() >= until:
            versions = self.catalog.plan_versions(key)
            self._versions[key] = (self._monotonic() + self._life, versions)
        return versions
