"""How pytest-xdist shares out the tests: by file, and all files that share a server to one worker."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

from tests.helpers.longest_first import group_of


class SharedServers(LoadFileScheduling):
    """`--dist loadfile`, but for files that share a server: the first worker to take one of them takes all."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
