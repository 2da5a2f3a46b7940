"""Where the interconnection databases are, where nothing but a site's own record may say so.

Connects for that record only. Must not decide.
"""

from collections.abc import Callable, Iterable

from ovnmesh.access.sites import SiteAddress, named_interconnect
from ovnmesh.errors import OvsdbUnavailable
from ovnmesh.model.changes import Db
from ovnmesh.model.northbound import Northbound
from ovnmesh.model.reading import observe_northbound
from ovnmesh.model.remote import NOWHERE, Remote
from ovnmesh.ovsdb import schema
from ovnmesh.ovsdb.database import Database


def find_interconnect(sites: Iterable[SiteAddress]) -> tuple[Remote, Remote]:
    """Where the interconnection databases are; if nothing names them, as any site's record says."""
    sites = list(sites)
    named = named_interconnect(sites)
    for site in sites if not all(named) else ():
        try:
            recorded = read_interconnect_of(site)
        except OvsdbUnavailable:
            continue  # another site may know
        if all(recorded):
            return recorded
    return named


def read_interconnect_of(site: SiteAddress) -> tuple[Remote, Remote]:
    """Where a site's interconnection databases are, without connecting to them.

    Returns:
        Northbound and southbound, as the sites file names them or, connecting to the site's
        northbound database, as its record there does; `NOWHERE` if nothing does.

    Raises:
        OvsdbUnavailable: only the record can say, and cannot be read.
    """

    def northbound() -> Northbound:
        # The record alone: a whole northbound database can be large.
        nb = Database(site.nb, schema.View(Db.NB, {"NB_Global": ("external_ids",)}))
        try:
            nb.connect()
            return observe_northbound(nb.snapshot(), site.router)
        except OvsdbUnavailable as error:
            raise unreachable(site, error) from error
        finally:
            nb.close()

    return interconnect_of(site, northbound)


def interconnect_of(
    site: SiteAddress, northbound: Callable[[], Northbound]
) -> tuple[Remote, Remote]:
    """The same for somebody who can read the northbound database; it is read only if it must be."""
    if site.ic_nb and site.ic_sb:
        return site.ic_nb, site.ic_sb
    record = northbound().record
    return (record.ic_nb, record.ic_sb) if record is not None else (NOWHERE, NOWHERE)


def unreachable(site: SiteAddress, error: OvsdbUnavailable) -> OvsdbUnavailable:
    """The error with its site, and what to do about it."""
    return OvsdbUnavailable(
        f"site {site.name}: {error}; expected its OVN databases to answer; see that they run, and "
        "that nb and sb of the sites file, or OVN_NB_DB and OVN_SB_DB, are where they listen"
    )
