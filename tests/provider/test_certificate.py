"""The certificate that is made once: a real one for the names that were given, and its key a secret."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.provider.sink import Sink

from anytier.errors import Rejected
from anytier.provider.certificate import DAYS, CertificateInputs, CertificateOutputs, CertificateResource, made
from anytier.provider.fields import behaviour
from anytier.provider.resource import Context

resource = CertificateResource()
GIVEN = CertificateInputs(names=["web.shop.svc"])
LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


def context() -> Context:
    return Context("urn:pulumi:t::t::t::t", "t", Sink())


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(LABEL, min_size=1, max_size=4).map(".".join), min_size=1, max_size=3, unique=True))
def test_it_is_for_the_names_signs_itself_and_lasts(names: list[str]) -> None:
    pem, key = made(names)
    found = x509.load_pem_x509_certificate(pem.encode())
    found.verify_directly_issued_by(found)
    assert found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    ) == [*names]
    assert found.not_valid_after_utc - datetime.datetime.now(datetime.UTC) > datetime.timedelta(days=DAYS - 1)
    private = load_pem_private_key(key.encode(), None)
    assert private.public_key().public_numbers() == found.public_key().public_numbers()  # type: ignore[union-attr]


async def test_a_server_takes_it_and_whoever_is_given_it_trusts_the_server(tmp_path: Path) -> None:
    _, held = await resource.create(context(), GIVEN)
    for name, text in (("crt", held.certificate), ("key", held.private_key)):
        (tmp_path / name).write_text(text)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    client = ssl.create_default_context(cadata=held.certificate)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(there, back, server_hostname="web.shop.svc"),
        server.wrap_bio(back, there, server_side=True),
    ]
    left = list(ends)
    for _ in range(8):
        for end in list(left):
            try:
                end.do_handshake()
                left.remove(end)
            except ssl.SSLWantReadError:
                continue
    assert left == []


async def test_it_stays_what_it_is_and_another_one_is_another() -> None:
    id, held = await resource.create(context(), GIVEN)
    assert await resource.update(context(), id, GIVEN, held, GIVEN) == held
    assert await resource.read(context(), id, GIVEN, held) == (GIVEN, held)
    assert resource.planned(held, GIVEN) == {"certificate": held.certificate, "privateKey": held.private_key}
    assert resource.planned(None, GIVEN) == {}
    assert (await resource.create(context(), GIVEN))[1] != held


async def test_it_cannot_be_imported() -> None:
    with pytest.raises(Rejected, match="lives in the state only"):
        await resource.read(context(), "x", None, None)


def test_other_names_are_another_one_and_the_key_is_a_secret() -> None:
    assert behaviour(CertificateInputs, ("names",)).replaces
    assert behaviour(CertificateOutputs, ("privateKey",)).secret
    assert not behaviour(CertificateOutputs, ("certificate",)).secret
