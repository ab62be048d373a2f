"""A registry over HTTP, by the OCI distribution specification: manifests and blobs, with the logins it asks for.

Standard library only; calls block, and `pull.py` makes them in threads. TLS always, except where the registry is this
machine itself. A login goes to the registry and to the token server that it names, and never along with a redirect.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from email.message import Message
from http.client import HTTPException, HTTPMessage
from typing import IO, Any

from anytier.errors import AnytierError, Denied, NotFound, Rejected, Unreachable
from anytier.provider.oci.manifest import ACCEPTED, LARGEST_DOCUMENT
from anytier.provider.oci.reference import HUB, Reference

_HUB_HOST = "registry-1.docker.io"
_SECONDS = 30.0  # without a byte
_CHUNK = 1 << 18
_PARAMETER = re.compile(r'([a-zA-Z]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))')


class Registry:
    """One repository. `login` as `credentials.login` finds it."""

    def __init__(self, reference: Reference, login: Mapping[str, str] | None) -> None:
        self.reference, self._login = reference, login
        self.host, self.name = address(reference)
        self._base = f"{'http' if is_local(self.host) else 'https'}://{self.host}/v2/{self.name}"
        self._authorization: str | None = None
        direct = [urllib.request.ProxyHandler({})] if is_local(self.host) else []  # a proxy has another localhost
        self._opener = urllib.request.build_opener(_Redirects(), *direct)
        self.cancelled = threading.Event()

    def digest(self, version: str) -> str | None:
        """The digest behind a tag, by HEAD; None where the registry does not tell it."""
        with self._asked("HEAD", f"manifests/{version}", {"Accept": ", ".join(ACCEPTED)}) as answer:
            found = answer.headers.get("Docker-Content-Digest") or ""
            return found if re.fullmatch(r"sha256:[0-9a-f]{64}", found) else None

    def manifest(self, version: str) -> bytes:
        """By tag or digest."""
        with self._asked("GET", f"manifests/{version}", {"Accept": ", ".join(ACCEPTED)}) as answer:
            data: bytes = answer.read(LARGEST_DOCUMENT + 1)
        if len(data) > LARGEST_DOCUMENT:
            raise Rejected(self._path, "has a description that is too large to be one", "build and push it anew")
        return data

    def blob(self, digest: str, take: Callable[[bytes], object]) -> None:
        """Hands over the content piece by piece. A caller that raises ends it."""
        with self._asked("GET", f"blobs/{digest}", {}) as answer:
            while data := answer.read(_CHUNK):
                if self.cancelled.is_set():
                    raise Unreachable(self._path, "the pull was ended", "run again")
                take(data)

    @property
    def _path(self) -> str:
        return f"image {self.reference}"

    @contextlib.contextmanager
    def _asked(self, method: str, path: str, headers: Mapping[str, str]) -> Iterator[Any]:
        with self._mapped():
            try:
                answer = self._send(method, f"{self._base}/{path}", headers)
            except urllib.error.HTTPError as error:
                if error.code != 401 or not self._log_in(error.headers):
                    raise
                answer = self._send(method, f"{self._base}/{path}", headers)
            with answer:
                yield answer

    def _send(self, method: str, url: str, headers: Mapping[str, str]) -> Any:
        request = urllib.request.Request(url, method=method, headers={"User-Agent": "anytier", **headers})
        if self._authorization:
            request.add_unredirected_header("Authorization", self._authorization)
        return self._opener.open(request, timeout=_SECONDS)

    def _log_in(self, headers: Message) -> bool:
        """What the registry asks for is tried once: a token of the server that it names, or the login itself."""
        before = self._authorization
        for said in headers.get_all("WWW-Authenticate") or []:
            scheme, _, rest = said.partition(" ")
            if scheme.lower() == "bearer":
                self._authorization = f"Bearer {self._token(parameters(rest))}"
            elif scheme.lower() == "basic" and self._login and "password" in self._login:
                self._authorization = _basic(self._login)
        return self._authorization not in (None, before)

    def _token(self, asked: Mapping[str, str]) -> str:
        realm = asked.get("realm", "")
        url = urllib.parse.urlsplit(realm)
        if url.scheme != "https" and not (url.scheme == "http" and is_local(url.netloc)):
            raise Rejected(self._path, "its registry wants the login without TLS", "use a registry with TLS")
        query = {"scope": asked.get("scope") or f"repository:{self.name}:pull"}
        query |= {"service": asked["service"]} if "service" in asked else {}
        if self._login and "identitytoken" in self._login:
            form = {**query, "grant_type": "refresh_token", "client_id": "anytier"}
            data = urllib.parse.urlencode({**form, "refresh_token": self._login["identitytoken"]}).encode()
            request = urllib.request.Request(realm, data=data, method="POST")
        else:
            joined = urllib.parse.urlencode(query)
            request = urllib.request.Request(f"{realm}{'&' if url.query else '?'}{joined}")
            if self._login:
                request.add_unredirected_header("Authorization", _basic(self._login))
        request.add_header("User-Agent", "anytier")
        with self._opener.open(request, timeout=_SECONDS) as answer:
            found = json.loads(answer.read(1 << 20))
        token = (found.get("token") or found.get("access_token")) if isinstance(found, dict) else None
        if not isinstance(token, str):
            raise Rejected(self._path, "its registry's token server gives no token", "look at the registry")
        return token

    @contextlib.contextmanager
    def _mapped(self) -> Iterator[None]:
        """The registry's answers as errors of ours, by their status; never by their text, and never with a login."""
        try:
            yield
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error.code) from None
        except urllib.error.URLError as error:
            raise Unreachable(self._path, f"its registry {self.host} does not answer: {_said(error.reason)}",
                              "look at the network and the name") from error  # fmt: skip
        except (OSError, HTTPException) as error:
            raise Unreachable(self._path, f"its registry {self.host} broke off: {_said(error)}",
                              "run again: what was pulled is kept") from error  # fmt: skip
        except ValueError as error:
            raise Rejected(self._path, f"its registry {self.host} talks no sense", "look at the registry") from error

    def _refused(self, status: int) -> AnytierError:
        known = "with the login of this machine" if self._login else "without a login"
        if status in (401, 403):
            return Denied(self._path, f"its registry does not give it out {known}", f"`docker login {self.host}`")
        if status == 404:
            do = f"mend the name, or push it; a private one may need `docker login {self.host}`"
            return NotFound(self._path, "its registry does not have it", do)
        if status == 429:
            return Rejected(self._path, "its registry wants fewer requests", "wait, or log in for a higher limit")
        if status >= 500:
            return Unreachable(self._path, f"its registry answers with status {status}", "run again later")
        return Rejected(self._path, f"its registry answers with status {status}", "look at the registry")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Blobs often lie elsewhere. From TLS to TLS only; urllib leaves unredirected headers, the login, behind."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        there = urllib.parse.urlsplit(newurl)
        if there.scheme != "https" and not (there.scheme == "http" and req.type == "http" and is_local(there.netloc)):
            raise urllib.error.URLError("it redirects to where there is no TLS")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def address(reference: Reference) -> tuple[str, str]:
    """(host[:port], repository as the registry itself names it)."""
    if reference.registry != HUB:
        return reference.registry, reference.repository.removeprefix(f"{reference.registry}/")
    name = reference.repository.removeprefix(f"{HUB}/")
    return _HUB_HOST, name if "/" in name else f"library/{name}"


def is_local(host: str) -> bool:
    """Whether a registry is this machine: then, as Docker does, TLS is not asked for."""
    name = urllib.parse.urlsplit(f"//{host}").hostname or ""
    return name == "localhost" or name == "::1" or re.fullmatch(r"127(\.\d{1,3}){3}", name) is not None


def parameters(text: str) -> dict[str, str]:
    """Those of a `WWW-Authenticate` challenge: `realm="...",service=...`."""
    found = {}
    for key, quoted, bare in _PARAMETER.findall(text):
        found[key.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted else bare
    return found


def _basic(login: Mapping[str, str]) -> str:
    pair = f"{login.get('username', '')}:{login.get('password', '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _said(reason: object) -> str:
    return (getattr(reason, "strerror", None) or str(reason) or type(reason).__name__).rstrip(".")
