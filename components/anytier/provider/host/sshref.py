"""How a machine is reached, in the form in which the engine keeps it. Which machine it is, its address and port say.

All the rest is only the way there: changed, it makes no other deployment.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from anytier import logins
from anytier.frozen import Frozen
from anytier.provider.fields import ignored, secret


class SshLogin(Frozen):
    """One hop. `user`, `keyFile`: default to those of the user's own SSH; `hostKey`: None is one not known yet."""

    address: Annotated[str, AfterValidator(logins.address)]
    port: int = Field(default=22, ge=1, le=65535)
    user: Annotated[Annotated[str, AfterValidator(logins.user)] | None, ignored] = None
    key_file: Annotated[str | None, ignored] = None
    host_key: Annotated[Annotated[str, AfterValidator(logins.public_key)] | None, ignored] = None

    def __str__(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{address}:{self.port}" if self.port != 22 else address


class SshRef(SshLogin):
    """A machine over SSH. `sudo`: what is done there is done as root, by password-less sudo. `privateKey`: the key
    itself, where it is in no file, such as that of a machine which we have made."""

    kind: Literal["ssh"] = "ssh"
    sudo: Annotated[bool, ignored] = False
    private_key: Annotated[str | None, ignored, secret] = None
    jump: Annotated[SshLogin | None, ignored] = None
    connect_timeout: Annotated[float, ignored] = Field(default=15, gt=0, le=600)

    @property
    def root(self) -> bool:
        return self.sudo or self.user == "root"

    def keyless(self) -> SshRef:
        """As it may be written on a machine."""
        return self.model_copy(update={"private_key": None})
