"""A Neutron API in a thread: collections in memory, with the filters and the few actions we use.

Lists select by repeated query parameters (any of them), as Neutron does, and honour `fields`. Every
request is recorded. The same provider contract runs against a real Neutron in the lab; what that
does differently is to be mended here.
"""

import json
import threading
import time
import uuid
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import yaml

SINGULAR = {
    "networks": "network",
    "subnets": "subnet",
    "routers": "router",
    "ports": "port",
    "floatingips": "floatingip",
    "security-groups": "security_group",
    "security-group-rules": "security_group_rule",
}
DEFAULTS = {
    "networks": {"router:external": False, "tags": []},
    "subnets": {"name": "", "tags": []},
    "routers": {
        "admin_state_up": True,
        "external_gateway_info": None,
        "routes": [],
        "tags": [],
        "name": "",
    },
    "ports": {
        "device_id": "",
        "device_owner": "",
        "security_groups": [],
        "port_security_enabled": True,
        "fixed_ips": [],
    },
    "floatingips": {},
    "security-groups": {"name": "", "description": "", "stateful": True},
    "security-group-rules": {
        "description": "",
        "protocol": None,
        "remote_ip_prefix": None,
        "remote_group_id": None,
        "port_range_min": None,
        "port_range_max": None,
    },
}


class Refusal(Exception):
    def __init__(self, status, message=""):
        super().__init__(message)
        self.status = status


class FakeNeutron:
    """Starts at once; `take_away` closes its port, `bring_back` opens the same one."""

    def __init__(self):
        self.objects = {collection: {} for collection in SINGULAR}
        self.calls = []
        #: HTTP status that every request gets, 0 to serve.
        self.refuse = 0
        #: Seconds before every answer.
        self.delay_s = 0.0
        #: Answer that is no JSON.
        self.garbage = False
        #: Ids that the user may not see.
        self.hidden = set()
        self._server = None
        self._port = 0
        self.bring_back()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._port}"

    def clouds_yaml(self, path, name="mycloud"):
        entry = {"auth_type": "none", "auth": {"endpoint": self.url}}
        path.write_text(yaml.safe_dump({"clouds": {name: entry}}))
        return path

    def bring_back(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), _handler(self))
        self._server.daemon_threads = True
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def take_away(self):
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    close = take_away

    def lists(self):
        """Paths of the lists asked for so far."""
        return [path for verb, path in self.calls if verb == "GET" and path != "/"]

    def add(self, collection, **values):
        made = {"id": str(uuid.uuid4()), **DEFAULTS[collection], **values}
        self.objects[collection][made["id"]] = made
        return made

    def attach(self, router, subnet):
        """The port of a router on a subnet."""
        return self.add(
            "ports",
            device_id=router,
            device_owner="network:router_interface",
            network_id=self.objects["subnets"][subnet]["network_id"],
            fixed_ips=[{"subnet_id": subnet, "ip_address": "unused"}],
        )

    def serve(self, verb, url, body):
        parts = urlsplit(url)
        self.calls.append((verb, parts.path))
        time.sleep(self.delay_s)
        if self.refuse:
            raise Refusal(self.refuse)
        words = parts.path.strip("/").split("/")
        if words == [""]:
            links = [{"rel": "self", "href": f"{self.url}/v2.0/"}]
            return {"versions": [{"id": "v2.0", "status": "CURRENT", "links": links}]}
        if words[1:2] == ["extensions"]:
            return {"extensions": []}
        collection, *rest = words[1:]
        if verb == "GET" and not rest:
            name = collection.replace("-", "_")
            return {name: list(self._select(collection, parse_qs(parts.query)))}
        if verb == "POST" and not rest:
            return {SINGULAR[collection]: self._create(collection, body[SINGULAR[collection]])}
        found = self.objects[collection].get(rest[0])
        if found is None:
            raise Refusal(404, f"{collection} {rest[0]} could not be found")
        return self._act(verb, collection, found, rest[1:], body)

    def _select(self, collection, query):
        fields = query.pop("fields", None)
        for each in list(self.objects[collection].values()):
            if each["id"] in self.hidden:
                continue
            if all(_holds(each.get(key), wanted) for key, wanted in query.items()):
                yield {k: v for k, v in each.items() if fields is None or k in fields}

    def _create(self, collection, values):
        if collection == "security-group-rules":
            for each in self.objects[collection].values():
                if all(each.get(k) == v for k, v in values.items() if k != "description"):
                    raise Refusal(409, "Security group rule already exists")
        return self.add(collection, **values)

    def _act(self, verb, collection, found, action, body):
        if verb == "DELETE":
            if collection == "routers" and self._ports_of(found["id"]):
                raise Refusal(409, "Router still has ports")
            del self.objects[collection][found["id"]]
            return None
        if action == ["tags"]:
            found["tags"] = body["tags"]
            return {"tags": body["tags"]}
        if action == ["add_router_interface"]:
            return {"port_id": self.attach(found["id"], body["subnet_id"])["id"]}
        if action == ["remove_router_interface"]:
            for port in self._ports_of(found["id"]):
                if body["subnet_id"] in (ip["subnet_id"] for ip in port["fixed_ips"]):
                    del self.objects["ports"][port["id"]]
            return {}
        if verb == "PUT":
            found.update(body[SINGULAR[collection]])
        return {SINGULAR[collection]: found}

    def _ports_of(self, router):
        return [p for p in list(self.objects["ports"].values()) if p["device_id"] == router]


def _holds(value, wanted):
    if isinstance(value, bool):
        return str(value).lower() in (each.lower() for each in wanted)
    if isinstance(value, list):
        return any(each in value for each in wanted)
    return str(value) in wanted


def _handler(neutron):
    class Handler(BaseHTTPRequestHandler):
        def _serve(self):
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            try:
                found, status = neutron.serve(self.command, self.path, body), 200
            except Refusal as refusal:
                error = {"NeutronError": {"message": str(refusal), "type": "X", "detail": ""}}
                found, status = error, refusal.status
            if found is None:
                status = 204
            elif self.command == "POST" and status == 200:
                status = 201
            data = b"" if found is None else json.dumps(found).encode()
            if neutron.garbage:
                data = b"<html>Bad gateway</html>"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with suppress(BrokenPipeError):  # who has asked has given up
                self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _serve

        def log_message(self, *args):
            pass

    return Handler
