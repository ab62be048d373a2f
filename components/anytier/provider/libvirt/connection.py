"""Connections to hypervisors: one for each URI, its blocking calls in threads, its errors as ours.

The only file that imports libvirt, and only once a connection is opened.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, TypeVar

from anytier.errors import AnytierError, Rejected, Unreachable
from anytier.frozen import Frozen
from anytier.hypervisors import uri as uris
from anytier.hypervisors.drivers import DRIVERS, Ability, refused
from anytier.hypervisors.uri import driver, identity, lacks, scheme
from anytier.provider.fields import ignored, normalise, secret
from anytier.provider.libvirt import errors

T = TypeVar("T")
PATIENCE = 120.0  # seconds for one call; what may take longer says so
_AT_ONCE = 8
_KEEPALIVE = (5, 6)  # an end that says nothing for 30 s is gone
_NAMES = uuid.UUID("5f0a1f3e-2f0e-5d0c-9d0e-0a9c1c6f4b11")


class Hypervisor(Frozen):
    """Where. `user` and `password` are for hypervisors that ask (esx, hyperv); ssh:// has keys and known hosts.

    `unverified`: the URI may lead there without a check of who the host is, or in the clear, so that whoever is in
    between can be the host.
    """

    uri: Annotated[str, normalise(identity)] = "qemu:///system"
    user: Annotated[str | None, ignored] = None
    password: Annotated[str | None, ignored, secret] = None
    unverified: Annotated[bool, ignored] = False


class There:
    """An open connection."""

    def __init__(self, host: Hypervisor) -> None:
        self.host = host
        self.driver = driver(host.uri) or DRIVERS["qemu"]
        self.abilities = self.driver.abilities
        self._raw: Any = None
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._opening = asyncio.Lock()
        self._locks: dict[str, asyncio.Lock] = {}

    async def open(self) -> None:
        """Connects, also again after the other end was lost, and asks what the driver has."""
        async with self._opening:
            if self._raw is not None and await self._alive():
                return
            path = f"libvirt {identity(self.host.uri)}"
            self._raw = await self._run(path, lambda: _open(self.host), PATIENCE, opening=True)
            missing = await self._run(path, lambda: _missing(self._raw), PATIENCE)
            self.abilities = self.driver.abilities - missing

    async def call(self, path: str, work: Callable[[Any], T], timeout: float = PATIENCE) -> T:
        """`work` with the raw connection, in a thread. `path` names the thing for errors."""
        if self._raw is None:
            await self.open()
        async with self._slots:
            return await self._run(path, lambda: work(self._raw), timeout)

    def lock(self, name: str) -> asyncio.Lock:
        """Libvirt refuses to do two things with one pool at a time."""
        return self._locks.setdefault(name, asyncio.Lock())

    def require(self, ability: Ability, path: str) -> None:
        """Before anything is made."""
        if ability not in self.abilities:
            what, do = lacks(self.host.uri, ability) or (f"it {refused(ability)[0]}", refused(ability)[1])
            raise Rejected(path, what, do)

    def close(self) -> None:
        raw, self._raw = self._raw, None
        if raw is not None:
            with suppress(Exception):
                raw.close()

    async def _alive(self) -> bool:
        raw = self._raw
        try:
            return bool(await in_thread(raw.isAlive, 10))
        except Exception:
            return False

    async def _run(self, path: str, work: Callable[[], T], timeout: float, opening: bool = False) -> T:
        libvirt = library()
        try:
            return await in_thread(work, timeout)
        except TimeoutError as error:
            self._raw = None  # not closed: that would wait for the call as well
            do = "is libvirtd alive there? `virsh -c URI version`"
            raise Unreachable(path, f"no answer within {timeout:g} s", do) from error
        except libvirt.libvirtError as error:
            found = errors.of(path, error, opening)
            if isinstance(found, Unreachable) and not opening:
                self.close()
            raise found from error


_PLACES: dict[Hypervisor, There] = {}


async def there(host: Hypervisor) -> There:
    """The connection for a URI; opened once, and again where it was lost."""
    found = _PLACES.setdefault(host, There(host))
    await found.open()
    return found


def close_all() -> None:
    for place in _PLACES.values():
        place.close()
    _PLACES.clear()


def library() -> Any:
    """The `libvirt` module, or how to get it."""
    try:
        import libvirt
    except ImportError as error:
        do = "install it: `apt-get install libvirt-dev gcc pkg-config python3-dev`, then `pip install anytier[libvirt]`"
        raise Rejected("libvirt", "this tier needs Python's libvirt, which is not here", do) from error
    return libvirt


async def in_thread(work: Callable[[], T], timeout: float) -> T:
    """The work's result. A call that never comes back keeps a thread, but neither the loop nor our exit."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def finish(act: Callable[[Any], None], value: Any) -> None:
        if not done.done():
            act(value)

    def run() -> None:
        try:
            act, value = done.set_result, work()
        except BaseException as error:
            act, value = done.set_exception, error  # type: ignore[assignment]
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(finish, act, value)

    threading.Thread(target=run, daemon=True, name="libvirt").start()
    return await asyncio.wait_for(done, timeout)


def uuid_for(urn: str, host: Hypervisor, name: str) -> str:
    """The UUID of what a resource makes, so that a run that was killed finds its own half-made thing again."""
    return str(uuid.uuid5(_NAMES, f"{urn}\n{identity(host.uri)}\n{name}"))


def located(id: str) -> tuple[Hypervisor, str]:
    """An import's id: `name`, or `uri|name` for another hypervisor than LIBVIRT_DEFAULT_URI's, or this machine's."""
    uri, _, name = id.rpartition("|")
    return Hypervisor(uri=uri or os.environ.get("LIBVIRT_DEFAULT_URI") or Hypervisor().uri), name


def wrong_host(host: Hypervisor, *needs: Ability) -> list[AnytierError]:
    """What is wrong with a hypervisor, or what its driver is known not to do."""
    wrong = uris.wrong(host.uri, host.unverified)
    if wrong is not None:
        return [Rejected("host.uri", *wrong)]
    missing = [found for need in needs if (found := lacks(host.uri, need)) is not None]
    return [Rejected("host.uri", *found) for found in missing[:1]]


def _open(host: Hypervisor) -> Any:
    wrong = uris.wrong(host.uri, host.unverified)  # of an import, or a doctor, nobody has asked that yet
    if wrong is not None:
        raise Rejected(f"libvirt {identity(host.uri)}", *wrong)
    libvirt = library()
    _events()
    given = {libvirt.VIR_CRED_AUTHNAME: host.user, libvirt.VIR_CRED_PASSPHRASE: host.password}
    given[libvirt.VIR_CRED_NOECHOPROMPT] = host.password

    def answer(asked: list[Any], _: Any) -> int:
        for item in asked:
            item[4] = given.get(item[0]) or ""
        return 0 if all(item[4] for item in asked) else -1

    raw = libvirt.openAuth(host.uri, [list(given), answer, None], 0)
    if scheme(host.uri)[1] or scheme(host.uri)[0] == "qemu":
        with suppress(libvirt.libvirtError):  # a driver without a wire has none
            raw.setKeepAlive(*_KEEPALIVE)
    return raw


def _missing(raw: Any) -> frozenset[Ability]:
    """What this very connection says that it has not."""
    asks: dict[Ability, Callable[[], Any]] = {"networks": raw.numOfNetworks, "pools": raw.numOfStoragePools}
    found: set[Ability] = set()
    for ability, ask in asks.items():
        try:
            ask()
        except library().libvirtError as error:
            if error.get_error_code() != errors.NO_SUPPORT:
                raise
            found.add(ability)
    return frozenset(found)


_LOOP: list[threading.Thread] = []


def _events() -> None:
    """Libvirt's own event loop, which keepalives and streams need; and its errors, which it prints by itself."""
    if _LOOP:
        return
    libvirt = library()
    libvirt.registerErrorHandler(lambda *_: None, None)
    libvirt.virEventRegisterDefaultImpl()

    def turn() -> None:
        while True:
            try:
                libvirt.virEventRunDefaultImpl()
            except libvirt.libvirtError:
                time.sleep(1)

    _LOOP.append(threading.Thread(target=turn, daemon=True, name="libvirt-events"))
    _LOOP[0].start()
