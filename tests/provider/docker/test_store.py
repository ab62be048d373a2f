"""What a workload remembers: numbers, hashes, what is kept. The daemon's part is tested with workloads."""

from __future__ import annotations

from anytier.provider.docker import store
from anytier.provider.docker.models import Deployed
from anytier.provider.docker.store import Document
from anytier.provider.docker.template import problems
from anytier.render.template import Container, File, Mount, Template

SECRETS = {"db": "s"}


def template(version: str) -> Template:
    return Template(containers=[Container(name="web", image="i", env={"V": version})])


def deployed(document: Document, number: int) -> Document:
    return document.model_copy(update={"deployed": Deployed(inputs={}, revision=number, replicas=1)})


def test_the_same_content_is_the_same_revision_and_other_content_is_not() -> None:
    kept, document = store.revised(Document(key="k"), template("1"), SECRETS, [])
    assert kept.revision.revision == 1 and document.revisions == {1: kept}
    assert store.revised(document, template("1"), SECRETS, []) == (kept, document)
    assert store.revised(document, template("2"), SECRETS, [])[0].revision.revision == 2
    assert store.revised(document, template("1"), {"db": "t"}, [])[0].revision.revision == 2
    assert store.revised(document, template("2"), SECRETS, [7])[0].revision.revision == 8, "a number in use is none"


def test_an_older_revisions_content_gets_a_number_that_says_when() -> None:
    document = Document(key="k")
    for version in ("1", "2"):
        _, document = store.revised(document, template(version), SECRETS, [])
    kept, _ = store.revised(deployed(document, 2), template("1"), SECRETS, [])
    assert kept.revision.revision == 3
    kept, _ = store.revised(deployed(document, 1), template("1"), SECRETS, [])
    assert kept.revision.revision == 1, "rolled back to it: it is what runs"


def test_hashes_do_not_tell_secrets_to_who_has_not_the_key() -> None:
    assert store.content_hash("a", template("1"), SECRETS) != store.content_hash("b", template("1"), SECRETS)


def test_the_newest_are_kept_and_the_current_one_always() -> None:
    document = Document(key="k")
    for version in ("1", "2", "3", "4"):
        _, document = store.revised(document, template(version), SECRETS, [])
    assert set(store.pruned(document, 1, 2).revisions) == {1, 4}
    assert set(store.pruned(document, 4, 3).revisions) == {2, 3, 4}
    assert set(store.pruned(document, 4, 1).revisions) == {4}


def test_a_document_that_was_cut_off_is_none() -> None:
    text = Document(key="k").model_dump_json(by_alias=True).encode()
    assert store._parsed(text) == Document(key="k") and store._parsed(text[:-5]) is None


def test_every_error_of_a_template_is_told_with_its_path() -> None:
    bad = Container(
        name="web",
        image="i",
        args=["--password=${secrets.db}"],
        files=[File(target="relative", content="x", mode="9", owner="root")],
        mounts=[Mount(target="/d", volume="none")],
    )
    assert [error.path for error in problems(Template(containers=[bad]), {})] == [
        "template.containers[0].args",
        "template.containers[0].files[0].target",
        "template.containers[0].files[0].owner",
        "template.containers[0].files[0].mode",
        "template.containers[0].mounts[0].volume",
    ]
    assert problems(Template(containers=[Container(name="a", image="i", role="init")]), {})[0].path == (
        "template.containers"
    )
    assert problems(Template(), {})[0].what == "is empty"
    assert problems(template("1"), {}) == []
