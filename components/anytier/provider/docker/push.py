"""`anytier:docker:Push`: an image that a Docker daemon has, in a registry from which a cluster's machines pull it.

The daemon sends it; who logs in is said with each request. What is in the registry stays there when the resource goes,
since a revision that is kept may name it: it goes with its repository.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from anytier.errors import AnytierError, Denied, NotFound, Rejected, Unreachable
from anytier.frozen import Frozen
from anytier.provider.docker import errors
from anytier.provider.docker.client import Daemon, Endpoint, daemon
from anytier.provider.docker.patience import Pace
from anytier.provider.docker.tar import pack
from anytier.provider.fields import ignored, replaces, secret
from anytier.provider.oci import credentials
from anytier.provider.oci.reference import parse
from anytier.provider.resource import Context, Resource
from anytier.render.kubeadm.names import signal

_ID = re.compile(r"(?:sha256:)?([0-9a-f]{12,64})")
_TAG = 16  # digits of the image's id in a tag
_SECONDS = 30.0


class Login(Frozen):
    """`user`, and the command that prints a token as kubeconfigs' commands do (an ExecCredential)."""

    user: str = Field(min_length=1)
    command: list[str] = Field(min_length=1)


class PushInputs(Frozen):
    """`image` is an id on the daemon; `repository` is registry and name, without a tag. Where Docker's own tools are
    logged in to the registry, that counts, and `login` is not asked; nor where there is a `password` (`user:password`).
    `stopSignal` is put into the image that is pushed, since Kubernetes has no field for it.
    """

    endpoint: Annotated[Endpoint, ignored] = Endpoint()
    image: str
    repository: Annotated[str, replaces]
    login: Annotated[Login | None, ignored] = None
    password: Annotated[str | None, secret, ignored] = None
    stop_signal: Annotated[str, AfterValidator(signal)] | None = None


class PushOutputs(Frozen):
    """`ref` is what pods name, by digest. `tag` is what it is called besides, on the daemon and in the registry."""

    ref: str = ""
    tag: str = ""


class PushResource(Resource[PushInputs, PushOutputs]):
    inputs = PushInputs
    outputs = PushOutputs

    def check(self, inputs: PushInputs) -> list[AnytierError]:
        found: list[AnytierError] = []
        if not _ID.fullmatch(inputs.image):
            found.append(Rejected("image", f"{inputs.image[:80]!r} is no image's id", "give the `ref` of docker:Image"))
        try:
            wanted = parse(inputs.repository, "repository")
        except Rejected as error:
            return [*found, error]
        if wanted.tag or wanted.digest or "/" not in inputs.repository:
            what = f"{inputs.repository[:80]!r} is not a registry and a name"
            found.append(Rejected("repository", what, "such as europe-docker.pkg.dev/project/images/web"))
        return found

    def drifted(self, inputs: PushInputs, state: PushOutputs) -> list[str]:
        return [] if state.ref else ["image"]  # a push that failed

    async def create(self, ctx: Context, inputs: PushInputs) -> tuple[str, PushOutputs]:
        ctx.made(inputs.repository, PushOutputs(tag=name_of(inputs)))
        return inputs.repository, await pushed(ctx, inputs)

    async def read(
        self, ctx: Context, id: str, inputs: PushInputs | None, state: PushOutputs | None
    ) -> tuple[PushInputs, PushOutputs] | None:
        """A registry is not asked: what somebody removed there is missed by the machine that pulls it."""
        if inputs is None or state is None:
            raise Rejected(
                id, "an image in a registry is not imported", "let `pulumi up` push it: layers there are kept"
            )
        return inputs, state

    async def update(
        self, ctx: Context, id: str, old_inputs: PushInputs, state: PushOutputs, inputs: PushInputs
    ) -> PushOutputs:
        made = await pushed(ctx, inputs)
        if state.tag and state.tag != made.tag:
            await _untag(await daemon(inputs.endpoint), state.tag)
        return made

    async def delete(self, ctx: Context, id: str, inputs: PushInputs, state: PushOutputs) -> None:
        """Only the daemon's own name for it; a daemon that is gone has none."""
        if not state.tag:
            return
        try:
            await _untag(await daemon(inputs.endpoint), state.tag)
        except Unreachable as error:
            ctx.warn(f"{error.path} does not answer: its tag {state.tag} stays there")


async def pushed(ctx: Context, inputs: PushInputs) -> PushOutputs:
    """Once the registry has all of it, by the digest that the registry itself computed."""
    there = await daemon(inputs.endpoint)
    version = tag_of(inputs.image, inputs.stop_signal)
    about = f"image {inputs.repository}"
    headers = await _login(inputs)
    if inputs.stop_signal is None:
        await there.post(f"images/{inputs.image}/tag", None, about, repo=inputs.repository, tag=version)
    else:
        await _with_signal(there, inputs.image, inputs.stop_signal, name_of(inputs), about)
    ctx.status(f"pushing {inputs.repository}")
    digest, pace = "", Pace()
    query = there.stream(
        "POST", f"images/{inputs.repository}/push", None, about, explain=of_push, headers=headers, tag=version
    )
    async with query as messages:
        async for message in messages:
            digest = str((message.get("aux") or {}).get("Digest") or digest)
            if pace.due():
                ctx.status(f"pushing {inputs.repository}: {said_of(message)}")
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise Rejected(about, "was pushed, and the registry said no digest", "run again")
    return PushOutputs(ref=f"{inputs.repository}@{digest}", tag=name_of(inputs))


async def _login(inputs: PushInputs) -> dict[str, str]:
    """The headers of a push. Docker wants some even where nobody is logged in."""
    registry = parse(inputs.repository, "repository").registry
    found = await credentials.for_registry(registry)
    if not found and inputs.password is not None:
        user, _, password = inputs.password.partition(":")  # the password may hold colons
        found = credentials.header({"username": user, "password": password, "serveraddress": registry})
    elif not found and inputs.login is not None:
        token = await token_of(inputs.login, registry)
        found = credentials.header({"username": inputs.login.user, "password": token, "serveraddress": registry})
    return found or credentials.header({})


async def token_of(login: Login, registry: str) -> str:
    """What the command prints. Its own words are told where it fails, and never the token."""
    path, program = f"the login of {registry}", login.command[0]
    try:
        process = await asyncio.create_subprocess_exec(
            *login.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise NotFound(
            path, f"{program} cannot be run: {error.strerror}", f"install it, or `docker login {registry}`"
        ) from error
    try:
        async with asyncio.timeout(_SECONDS):
            out, err = await process.communicate()
    except TimeoutError as error:
        raise Unreachable(path, f"{program} does not answer", "run again") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        why = " ".join(err.decode(errors="replace").split())[-300:]
        raise Denied(path, f"{program} gives no token: {why}", f"log in, or `docker login {registry}`")
    try:
        return str(json.loads(out)["status"]["token"])
    except (ValueError, KeyError, TypeError):
        do = f"update it, or `docker login {registry}`"
        raise Rejected(path, f"{program} prints no token as kubectl would read it", do) from None


async def _with_signal(there: Daemon, image: str, signal: str, name: str, about: str) -> None:
    """The same image under a name, but for the signal: no layer is added."""
    text = f"FROM {image.removeprefix('sha256:')}\nSTOPSIGNAL {signal}\n"
    context = pack({"Dockerfile": (text.encode(), 0o644, 0, 0)})
    async with there.stream("POST", "build", context, about, t=name, rm=True, forcerm=True) as messages:
        async for _ in messages:
            pass


async def _untag(there: Daemon, tag: str) -> None:
    await there.delete(f"images/{tag}", noprune=True)


# pure


def tag_of(image: str, stop_signal: str | None = None) -> str:
    """Another content, another tag: none is ever moved."""
    own = image.removeprefix("sha256:")[:_TAG]
    return own if stop_signal is None else f"{own}-{stop_signal.lower().replace('+', '_')}"


def name_of(inputs: PushInputs) -> str:
    return f"{inputs.repository}:{tag_of(inputs.image, inputs.stop_signal)}"


def said_of(message: dict[str, Any]) -> str:
    detail = message.get("progressDetail") or {}
    if detail.get("total"):
        return f"{(detail.get('current') or 0) / 1e6:.0f} of {detail['total'] / 1e6:.0f} MB of a layer"
    return str(message.get("status") or "")[:80]


def of_push(path: str, status: int, message: str) -> AnytierError:
    """The error for a push that failed: as for a pull, but that another right and another thing are missing."""
    error = errors.of_registry(path, status, message)
    if isinstance(error, NotFound):
        return NotFound(path, f"its registry has no such repository ({message[:200]})", "make it, or mend its name")
    if isinstance(error, Denied):
        return Denied(path, error.what, "log in with an account that may write there")
    return error
