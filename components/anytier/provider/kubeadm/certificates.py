"""Certificates of a cluster: when they end, whose CA it is, and which a kubelet may have. Nothing remote."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from collections.abc import Collection, Iterable
from datetime import datetime

import yaml

PKI = "/etc/kubernetes/pki"
FILES = (
    *(f"{PKI}/{name}.crt" for name in ("apiserver", "apiserver-kubelet-client", "front-proxy-client")),
    *(f"{PKI}/{name}.crt" for name in ("apiserver-etcd-client", "etcd/server", "etcd/peer", "etcd/healthcheck-client")),
)
CONFS = tuple(f"/etc/kubernetes/{name}.conf" for name in ("admin", "controller-manager", "scheduler", "super-admin"))


def ends(data: bytes) -> datetime:
    """The end of a PEM certificate, or of the one that a kubeconfig holds."""
    from cryptography import x509

    if not data.lstrip().startswith(b"-----"):
        data = base64.b64decode(yaml.safe_load(data)["users"][0]["user"]["client-certificate-data"])
    return x509.load_pem_x509_certificate(data).not_valid_after_utc


def first_end(files: Iterable[bytes]) -> str:
    """Of all of them, as `2027-11-28T13:00:00Z`; empty for none."""
    found = [ends(data) for data in files]
    return min(found).strftime("%Y-%m-%dT%H:%M:%SZ") if found else ""


def names_of(data: bytes) -> set[str]:
    """Names and addresses that a certificate is good for."""
    from cryptography import x509

    return _alternatives(x509.load_pem_x509_certificate(data).extensions)


def ca_hash(pem: str) -> str:
    """kubeadm's: of the public key, as DER."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(der).hexdigest()}"


def refusal(request: bytes, name: str, addresses: Collection[str]) -> str | None:
    """Why a kubelet's request for a serving certificate is not granted; None for one that asks for what it is.

    `addresses` are those that the machine itself has: what the kubelet says of itself proves nothing.
    """
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        asked = x509.load_pem_x509_csr(request)
        subject = {item.oid: str(item.value) for item in asked.subject}
        wanted = _alternatives(asked.extensions)
    except (ValueError, x509.ExtensionNotFound) as error:
        return f"cannot be read ({error})"
    if not asked.is_signature_valid:
        return "is not signed by its key"
    if subject != {NameOID.COMMON_NAME: f"system:node:{name}", NameOID.ORGANIZATION_NAME: "system:nodes"}:
        return f"is for {', '.join(sorted(subject.values())) or 'nobody'}"
    others = sorted(wanted - {name} - {str(ipaddress.ip_address(item)) for item in addresses})
    if others or not wanted:
        return f"is for {', '.join(others) or 'no address'}, which the machine has not"
    return None


def _alternatives(extensions: object) -> set[str]:
    from cryptography import x509

    assert isinstance(extensions, x509.Extensions)
    found = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    known = {str(item) for item in found.get_values_for_type(x509.IPAddress)} | set(
        found.get_values_for_type(x509.DNSName)
    )
    if len(known) != len({str(item.value) for item in found}):
        raise ValueError("names other than DNS names and addresses")
    return known
