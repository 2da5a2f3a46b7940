"""A running lab with OpenStack sites: their site files, their Neutron, who is connected."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import yaml

from meshlab import MeshLab, eventually
from ovnmesh.lab.openstack import objects

#: A place in each site of the lab that the tests of clouds share.
ALL = ("az1/pod1", "az2/pod0", "os1/vm-0", "os2/vm-1")


class OpenStackLab(MeshLab):
    """`MeshLab` whose other sites are OpenStack's."""

    def __init__(self, runner: Any) -> None:
        super().__init__(runner)
        self.clouds = [site.name for site in runner.lab.sites if site.openstack is not None]
        self._connections = {each: objects.connect(runner.lab.site(each)) for each in self.clouds}
        self._open: dict[str, Sequence[str]] = {}

    def api(self, site: str) -> Any:
        """Openstacksdk's network proxy of a site's Neutron."""
        return self._connections[site].network

    def close(self) -> None:
        """Disconnect from the clouds."""
        for connection in self._connections.values():
            connection.close()

    def router(self, site: str, name: str = "router0") -> Any:
        """A router as Neutron has it now."""
        return self.api(site).find_router(name, ignore_missing=False)

    def routes(self, site: str) -> str:
        """The routes of a site's router, of an OpenStack's first one."""
        known = site in self.clouds
        name = f"neutron-{self.router(site).id}" if known else "ovn-cluster"
        return self.nbctl(site, "lr-route-list", name)

    def learned_routes(self, site: str) -> list[str]:
        return [line.split()[0] for line in self.routes(site).splitlines() if "learned" in line]

    def change_site_file(self, site: str, **changes: object) -> None:
        """Change keys of a site file; underscores stand for hyphens, None removes."""
        path = self.runner.lab.site(site).require_openstack().site_file
        document = yaml.safe_load(path.read_text())
        for key, value in changes.items():
            document[key.replace("_", "-")] = value
        document = {key: value for key, value in document.items() if value is not None}
        new = path.with_name(".new")
        new.write_text(yaml.safe_dump(document))
        new.rename(path)

    @contextmanager
    def changed_site_file(self, site: str, **changes: object) -> Iterator[None]:
        """`change_site_file` for a while."""
        path = self.runner.lab.site(site).require_openstack().site_file
        before = path.read_text()
        self.change_site_file(site, **changes)
        try:
            yield
        finally:
            path.write_text(before)

    def open_to_the_mesh(self, site: str) -> None:
        """Let everything of the mesh reach a site's VMs."""
        others = [other for other in self.runner.lab.sites if other.name != site]
        cidrs = [cidr for other in others for cidr in other.ovn_default.cidrs]
        self._open[site] = self.allow(site, cidrs)

    @contextmanager
    def closed(self, site: str) -> Iterator[None]:
        """A site's VMs as they are by default: nothing of the mesh reaches them."""
        rules = self._open.pop(site, ())
        for rule in rules:
            self.api(site).delete_security_group_rule(rule)
        yield
        if rules:
            self.open_to_the_mesh(site)

    def allow(self, site: str, networks: Sequence[Any]) -> Sequence[str]:
        """Let some networks reach a site's VMs; ids of the rules that do."""
        return objects.allow_ingress(self._connections[site], networks)

    def in_order(self, site: str) -> bool:
        return bool(self.status(site) == {"state": "joined", "findings": []})

    def wait_in_order(self, *sites: str, timeout_s: float = 30.0) -> None:
        """Until sites are joined without a finding."""
        sites = sites or tuple(self.clouds)
        eventually(
            lambda: all(self.in_order(site) for site in sites),
            timeout_s,
            lambda: f"in order: {[self.status(site) for site in sites]}",
        )

    def reaches(self, source: str, target: str, timeout_s: float = 15.0) -> None:
        """Until one place reaches another."""
        eventually(lambda: self.ping(source, target, 2).lost == 0, timeout_s, f"{source}>{target}")


def until(condition: Callable[[], object], timeout_s: float = 30.0) -> None:
    """Wait for what the cloud's API and the controller do."""
    eventually(condition, timeout_s, condition)
