"""What several of the long tests stand on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.standins.cluster import RealCluster


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, pulumi_env: dict[str, str], kubernetes_plugin: None
) -> Iterator[RealCluster]:
    """A real one for the stood-in clouds to hand out."""
    from tests.standins.cluster import real_cluster

    with real_cluster(tmp_path_factory.mktemp("cluster"), pulumi_env) as made:
        yield made
