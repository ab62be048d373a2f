from __future__ import annotations

import pytest

from anytier.errors import NotFound
from anytier.provider.mounts import reaching, require
from anytier.render.template import Container, HostProcess, Mount, Template

DATA, STORE = Mount(target="/data", volume="data"), Mount(target="/data", volume="store")


@pytest.mark.parametrize(
    "template",
    [
        Template(containers=[Container(name="web", image="x"), Container(name="db", image="x", mounts=[DATA])]),
        Template(process=HostProcess(command=["x"], mounts=[DATA])),
    ],
    ids=["docker", "host"],
)
def test_what_is_deployed_finds_the_volumes_that_it_had(template: Template) -> None:
    before, now = {"data": "/old/data", "logs": "/old/logs"}, {"store": "/new/store"}
    assert reaching(template, now, before) == {"data": "/old/data", "store": "/new/store"}
    assert reaching(template, {"data": "/new/data"}, before) == {"data": "/new/data"}
    require(template, before, "web", 1)
    with pytest.raises(NotFound) as caught:
        require(template, now, "web", 1)
    said = "volumes.data: web r1 mounts it, and the app has no such volume any more"
    assert str(caught.value) == f"{said} -> declare it in the spec again, or choose another revision"
