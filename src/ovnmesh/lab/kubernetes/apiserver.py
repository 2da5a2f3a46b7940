"""Runs a lab site's Kubernetes API server: etcd, kube-apiserver, and the way to it from outside.

Called by `boot`, `daemons` and `objects`. Knows programs, flags, files and when they are ready;
what is in the API is `kubernetes`' business. All three run in the namespace of the site's control
node, and are found there like every daemon of a lab. The server's address is a loopback one of its
own: inside the namespace it is the server's, outside it is `forward`'s, so one kubeconfig serves
both.
"""

import http.client
import os
import secrets
import shutil
import ssl
import subprocess
from functools import partial
from pathlib import Path

import yaml

from ovnmesh.errors import LabError
from ovnmesh.host.process import run, spawn, wait_until_serving
from ovnmesh.lab.network import loopback
from ovnmesh.lab.values.topology import API_PORT, Site

ASSETS_VARIABLE = "KUBEBUILDER_ASSETS"
"""Names the folder of etcd and kube-apiserver (the convention of controller-runtime's envtest)."""
DAEMONS = ("etcd", "kube-apiserver", loopback.DAEMON)

_PROGRAMS = ("etcd", "kube-apiserver")
_ETCD = "http://127.0.0.1:2379"
_ETCD_PEERS = "http://127.0.0.1:2380"
_READY_TIMEOUT_S = 90.0
"""Long: on a small machine, several servers start at once."""
_TRY_TIMEOUT_S = 5.0


def check_programs() -> None:
    """Check that etcd, kube-apiserver and openssl are there.

    Raises:
        LabError: names what is missing, and where to get it.
    """
    for name in _PROGRAMS:
        _program(name)
    if shutil.which("openssl") is None:
        raise LabError("not installed: openssl; on Debian: apt-get install openssl")


def _program(name: str) -> str:
    folder = os.environ.get(ASSETS_VARIABLE, "")
    found = shutil.which(name, path=os.pathsep.join([folder, os.environ.get("PATH", "")]))
    if found is None:
        raise LabError(
            f"{name}: found neither in the folder that {ASSETS_VARIABLE} names "
            f"({folder or 'it is not set'}) nor in PATH; get kube-apiserver and etcd with "
            f"'setup-envtest use -p path' and set {ASSETS_VARIABLE} to the folder it prints "
            "(etcd is also in Debian's package etcd-server)"
        )
    return found


def write_files(site: Site) -> None:
    """Write what a new site's server reads: its administrator's token, its signing key.

    Raises:
        ProcessError: openssl failed.
    """
    site.api_directory.mkdir(parents=True)
    token = secrets.token_hex(16)
    # system:masters may do everything (Kubernetes, default cluster role bindings).
    _write_secret(_tokens(site), f'{token},admin,admin,"system:masters"\n')
    run(["openssl", "genrsa", "-out", str(_signing_key(site)), "2048"])
    write_kubeconfig(site, site.kubeconfig, "admin", token)


def write_kubeconfig(site: Site, path: Path, user: str, token: str) -> None:
    """Write a kubeconfig for a user of a site's API, readable by root only.

    Args:
        site: the site; it names the context.
        path: the file.
        user: name of the user, for people.
        token: bearer token.
    """
    name = f"{user}@{site.name}"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": site.name,
                "cluster": {
                    "server": site.api_server,
                    "certificate-authority": str(_certificate(site)),
                },
            }
        ],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": site.name, "context": {"cluster": site.name, "user": name}}],
        "current-context": site.name,
    }
    _write_secret(path, yaml.safe_dump(document, sort_keys=False))


def start(site: Site) -> "subprocess.Popen[bytes]":
    """Start a new site's etcd, kube-apiserver and forwarder, without waiting for any of them.

    Returns:
        The kube-apiserver, for `wait_ready`.

    Raises:
        LabError: the address on the machine's side is taken.
        ProcessError: something cannot be started.
    """
    start_forward(site)
    start_etcd(site)
    return start_kube_apiserver(site)


def start_etcd(site: Site) -> "subprocess.Popen[bytes]":
    """Start a site's etcd; its data lasts as long as the lab."""
    return _spawn(
        site,
        "etcd",
        [
            f"--data-dir={site.api_directory / 'etcd'}",
            *(f"--listen-client-urls={_ETCD}", f"--advertise-client-urls={_ETCD}"),
            *(f"--listen-peer-urls={_ETCD_PEERS}", f"--initial-advertise-peer-urls={_ETCD_PEERS}"),
            f"--initial-cluster=default={_ETCD_PEERS}",
            # A lab does not outlive its machine; a killed process loses nothing by it.
            "--unsafe-no-fsync=true",
        ],
    )


def start_kube_apiserver(site: Site) -> "subprocess.Popen[bytes]":
    """Start a site's kube-apiserver; the flags are understood by versions 1.20 to 1.36.

    It answers after some seconds, see `wait_ready`.
    """
    key = _signing_key(site)
    return _spawn(
        site,
        "kube-apiserver",
        [
            f"--etcd-servers={_ETCD}",
            *(f"--bind-address={site.api_address}", f"--secure-port={API_PORT}"),
            # Loopback addresses cannot be advertised; nobody asks for the endpoint.
            f"--advertise-address={site.control_address.ip}",
            "--endpoint-reconciler-type=none",
            f"--cert-dir={_certificate(site).parent}",
            f"--token-auth-file={_tokens(site)}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            *(f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}"),
            # Nobody makes the accounts that it wants every Pod to have (envtest does the same).
            "--disable-admission-plugins=ServiceAccount",
            "--service-cluster-ip-range=10.96.0.0/16",
        ],
    )


def start_forward(site: Site) -> None:
    """Let the machine reach a site's API server, at the same address as in the control node.

    Raises:
        LabError: the address is taken.
    """
    assert site.api_address is not None, site.name
    loopback.start_forward(site, site.api_address, (API_PORT,), site.api_directory / "forward.log")


def wait_ready(site: Site, child: "subprocess.Popen[bytes] | None" = None) -> None:
    """Wait until a site's API server is ready to serve.

    Args:
        site: the site.
        child: its process, if it is ours: the wait ends when it does.

    Raises:
        ProcessError: it does not become ready; the end of its log is in the message.
    """
    name = f"site {site.name}: kube-apiserver at {site.api_server}"
    log = site.api_directory / "kube-apiserver.log"
    wait_until_serving(name, partial(_is_ready, site), log, child, _READY_TIMEOUT_S)


def _is_ready(site: Site) -> bool:
    token = _tokens(site).read_text().partition(",")[0]
    try:
        # Not before it has written its certificate, as it does at its first start.
        context = ssl.create_default_context(cafile=_certificate(site))
        connection = http.client.HTTPSConnection(
            str(site.api_address), API_PORT, context=context, timeout=_TRY_TIMEOUT_S
        )
        try:
            connection.request("GET", "/readyz", headers={"Authorization": f"Bearer {token}"})
            return connection.getresponse().status == http.client.OK
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):
        return False


def _spawn(site: Site, name: str, words: list[str]) -> "subprocess.Popen[bytes]":
    return spawn(
        [_program(name), *words],
        log=site.api_directory / f"{name}.log",
        netns=site.control_netns,
        pidfile=site.api_directory / f"{name}.pid",
    )


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _tokens(site: Site) -> Path:
    return site.api_directory / "tokens.csv"


def _signing_key(site: Site) -> Path:
    return site.api_directory / "service-account.key"


def _certificate(site: Site) -> Path:
    """The server's certificate, followed by that of the authority it made for itself."""
    return site.api_directory / "certs" / "apiserver.crt"
