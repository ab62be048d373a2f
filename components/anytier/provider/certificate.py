"""`anytier:index:Certificate`: a certificate that signs itself, and its key, made once and kept in the stack's state.

For a server that will not start without one. Who is to trust it has to be given it.
"""

from __future__ import annotations

import datetime
import secrets
from typing import Annotated

from pydantic import Field

from anytier.errors import AnytierError, Rejected
from anytier.frozen import Frozen
from anytier.provider.fields import replaces, secret
from anytier.provider.resource import Context
from anytier.provider.stateonly import StateOnly

DAYS = 3650
_HOUR = datetime.timedelta(hours=1)  # clocks differ


class CertificateInputs(Frozen):
    """`names`: DNS names of the server; other names are another certificate."""

    names: Annotated[list[Annotated[str, Field(min_length=1, max_length=253)]], replaces] = Field(min_length=1)


class CertificateOutputs(Frozen):
    """Both are PEM; the key is of P-256, as PKCS#8."""

    certificate: str
    private_key: Annotated[str, secret]


class CertificateResource(StateOnly[CertificateInputs, CertificateOutputs]):
    inputs = CertificateInputs
    outputs = CertificateOutputs

    async def create(self, ctx: Context, inputs: CertificateInputs) -> tuple[str, CertificateOutputs]:
        certificate, key = made(inputs.names)
        return secrets.token_hex(8), CertificateOutputs(certificate=certificate, private_key=key)

    def unknown(self, id: str) -> AnytierError:
        what = "a certificate of a stack's own lives in the state only, and cannot be imported"
        return Rejected(id, what, "let a new one be made")


def made(names: list[str]) -> tuple[str, str]:
    """(certificate, key) for a server of these DNS names, good for DAYS from now."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import ExtendedKeyUsageOID

    key = ec.generate_private_key(ec.SECP256R1())
    nobody = x509.Name([])  # a name of a host may be too long for a subject
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(nobody)
        .issuer_name(nobody)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _HOUR)
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), private.decode()
