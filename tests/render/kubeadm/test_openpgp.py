"""Whose key a file holds, against what gpg says of the same."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.render.kubeadm.openpgp import LARGEST, dearmor, fingerprints
from anytier.render.kubeadm.packages import FINGERPRINT

# By gpg 2.2, with `--quick-generate-key ... ed25519`; its fingerprint by `gpg --fingerprint`.
ARMOURED = b"""-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawx8aBYJKwYBBAHaRw8BAQdA2KAecz3AOSLP1oq3NJgNYQl4umkZPawmUre3
WjOSNQi0GXRlc3RzIDx0ZXN0c0BleGFtcGxlLm9yZz6IkAQTFggAOBYhBFdUcHh8
IHXWK8KUyOJfXrQdsylKBQJrDHxoAhsDBQsJCAcCBhUKCQgLAgQWAgMBAh4BAheA
AAoJEOJfXrQdsylKs88BALiZdZAzo25Q9Eqt5rGvHI5gDxAyJ7C5uyc0N+dJzUPH
AQD5/KKv2q3c+nlwXgxvbyGucQj4ruGqvlRkynJMPtjRDw==
=8lSu
-----END PGP PUBLIC KEY BLOCK-----
"""
OWN = "575470787C2075D62BC294C8E25F5EB41DB3294A"
# The public half of the project's key, as pkgs.k8s.io publishes it, without what is signed to it.
PROJECT = (
    "mQENBGMHoXcBCADukGOEQyleViOgtkMVa7hKifP6POCTh+98xNW4TfHK/nBJN2sm"
    "u4XaiUmtB9UuGt9jl8VxQg4hOMRf40coIwHsNwtSrc2R9v5Kgpvcv537QVIigVHH"
    "WMNvXeoZkkoDIUljvbCEDWaEhS9R5OMYKd4AaJ+f1c8OELhEcV2dAQLLyjtnEaF/"
    "qmREN+3Y9+5VcRZvQHeyBxCG+hdUGE740ixgnY2gSqZ/J4YeQntQ6pMUEhT6pbaE"
    "10q2HUierj/im0V+ZUdCh46Lk/Rdfa5ZKlqYOiA2iN1coDPIdyqKavcdfPqSraKF"
    "Lan2KLcZcgTxP+0+HfzKefvGEnZa11civbe9ABEBAAG0"
)


def test_a_key_is_told_by_its_fingerprint() -> None:
    assert fingerprints(dearmor(ARMOURED)) == [OWN]
    assert fingerprints(dearmor(dearmor(ARMOURED))) == [OWN]


def test_the_projects_key_has_the_fingerprint_that_is_known_here() -> None:
    key = base64.b64decode(PROJECT)[:272]  # to the end of its first packet
    assert fingerprints(dearmor(key)) == [FINGERPRINT]


def test_armour_has_comments_windows_lines_and_company() -> None:
    head = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
    commented = ARMOURED.replace(head, head + b"Version: GnuPG v2.0.15 (GNU/Linux)\nComment: a\n")
    assert dearmor(commented) == dearmor(ARMOURED)
    assert dearmor(ARMOURED.replace(b"\n", b"\r\n")) == dearmor(ARMOURED)
    assert fingerprints(dearmor(b"some words\n" + ARMOURED + ARMOURED)) == [OWN, OWN]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "no public key"),
        (b"<html><body>Sign in first</body></html>", "no public key"),
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n", "no public key"),
        (b"-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n", "no public key"),
        (ARMOURED.replace(b"PUBLIC", b"PRIVATE"), "private key"),
        (b"\x95\x00\x01\x04", "private key"),
        (dearmor(ARMOURED)[:-1], "cut short"),
        (b"\x99\x00", "cut short"),
        (b"\x00" * (LARGEST + 1), "at most"),
    ],
)
def test_what_is_no_public_key_is_refused(data: bytes, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        dearmor(data)


def test_a_key_of_another_kind_has_no_fingerprint_here() -> None:
    with pytest.raises(ValueError, match="version 3"):
        fingerprints(dearmor(b"\x99\x00\x01\x03"))


@given(st.binary(max_size=400))
def test_whatever_comes_is_a_key_or_refused_with_a_reason(data: bytes) -> None:
    for text in (data, b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" + base64.b64encode(data)):
        try:
            fingerprints(dearmor(text))
        except ValueError as error:
            assert str(error)


@given(st.integers(0, len(dearmor(ARMOURED)) - 1), st.integers(1, 255))
def test_no_other_key_passes_for_it(at: int, change: int) -> None:
    """Whatever byte is another one: it is no key, or the key itself is the same, or its fingerprint is not."""
    whole = dearmor(ARMOURED)
    data = bytearray(whole)
    data[at] ^= change
    try:
        found = fingerprints(dearmor(bytes(data)))
    except ValueError:
        return
    assert found != [OWN] or bytes(data[2:53]) == whole[2:53]
