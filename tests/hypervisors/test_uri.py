from __future__ import annotations

import pytest

from anytier.hypervisors import uri as uris

# As libvirt reads them: keys in any case, `;` for `&`, escapes in keys, too
UNCHECKED = (
    "esx://host/?no_verify=1",
    "esx://host/?No_Verify=1",
    "esx://host/?auto_answer=1;no_verify=1",
    "esx://host/?%6eo_verify=1",
    "qemu+tls://host/system?no_verify=1",
    "qemu+tls://host/system?NO_VERIFY=2",
    "qemu+libssh2://host/system?known_hosts_verify=ignore",
    "qemu+libssh://host/system?Known_Hosts_Verify=AUTO",
    "qemu+ssh://host/system?no_verify=1",
)
PLAIN = (
    "qemu+tcp://host/system",
    "QEMU+TCP://host/system",
    "vbox+tcp://host/session",
    "esx://root@host/?transport=http",
    "vpx://host/a/b?Transport=http",
    "hyperv://Administrator@host/?transport=http",
)


@pytest.mark.parametrize(
    "uri",
    [
        "qemu:///system", "qemu+ssh://root@host/system", "qemu+ssh://root@[::1]:22/system", "qemu+tls://host/system",
        "esx://host/", "hyperv://host/", "vbox:///session", "vmwarews:///session", "test:///default",
        "qemu+unix:///system?socket=/run/x", "qemu+ssh://host/system?no_verify=0",
        "qemu+libssh://host/system?known_hosts_verify=normal", "esx://host/?transport=https&auto_answer=1",
    ],
)  # fmt: skip
def test_uris_that_are_fine(uri: str) -> None:
    assert uris.wrong(uri) is None


@pytest.mark.parametrize(
    ("uri", "what"),
    [
        ("", "names no hypervisor"),
        ("qemu", "names no hypervisor"),
        ("http://host/", "names no hypervisor"),
        ("qemu+ssh:///system", "names no host"),
        ("qemu+ssh://host:99999/system", "is no URI"),
        ("qemu+ssh://[::/system", "is no URI"),
        ("esx://root:hunter2@host/", "holds a password"),
        *((uri, "turns the check") for uri in UNCHECKED),
        *((uri, "is not encrypted") for uri in PLAIN),
    ],
)
def test_uris_that_are_refused(uri: str, what: str) -> None:
    found = uris.wrong(uri)
    assert found is not None and what in found[0] and found[1]
    assert "hunter2" not in " ".join(found)


@pytest.mark.parametrize("uri", [*UNCHECKED, *PLAIN])
def test_a_way_that_is_not_verified_only_if_that_is_said(uri: str) -> None:
    found = uris.wrong(uri)
    assert found is not None and "unverified: true" in found[1]
    assert uris.wrong(uri, unverified=True) is None


def test_the_way_to_a_place_is_no_part_of_it() -> None:
    here = uris.identity("qemu+ssh://root@Host/system?keyfile=/a")
    assert here == uris.identity("qemu+tls://host/system?pkipath=/b")
    assert here != uris.identity("qemu+ssh://root@other/system")
    assert uris.identity("qemu:///system") == uris.identity("qemu+unix:///system?socket=/x")


def test_what_a_driver_cannot_do_is_said_with_the_way_that_works() -> None:
    for uri, ability in (("esx://h/", "upload"), ("vmwarews:///session", "volumes"), ("hyperv://h/", "networks")):
        found = uris.lacks(uri, ability)  # type: ignore[arg-type]
        assert found is not None and all(found)
    assert uris.lacks("qemu:///system", "upload") is None
    assert uris.lacks("unknown:///", "upload") is None
