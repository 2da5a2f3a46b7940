"""Changes of configuration: edits of ovn-ic-config, Subnets, and the gateway commands."""

import time
from random import Random

from chaos_action import Action, Maker, nothing, tolerant
from chaos_bounds import Bound
from chaos_lab import ChaosLab

SUBNET = (
    "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {{name: chaos{n}}}\n"
    "spec: {{cidrBlock: 10.{n}.0.0/24}}\n"
)
BAD_INPUT = (
    {"gw_nodes": "{site}-gw,ghost"},
    {"auto_route": "nonsense"},
    {"az_name": ""},
    {"ic_db_host": "no address"},
    {"bfd_mult": "-1"},
)
STORM = 10


def edit(lab: ChaosLab, site: str, bound: Bound, **changes: str) -> Action:
    """A change that stays."""
    shown = ", ".join(f"{key.replace('_', '-')}={value}" for key, value in changes.items())
    nodes = changes.get("gw_nodes", "two,by,default").split(",")
    return Action(
        f"{site} {shown}", bound, lambda: lab.configure(site, **changes), gateways=len(nodes)
    )


def edit_and_back(lab: ChaosLab, site: str, bound: Bound, **changes: str) -> Action:
    """A change that is reverted."""
    before = {key: lab.config(site).get(key.replace("_", "-"), "false") for key in changes}
    action = edit(lab, site, bound, **changes)
    return Action(action.what, bound, action.do, lambda: lab.configure(site, **before))


def gw_nodes(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    site = dice.choice(lab.names)
    nodes = dice.sample(lab.nodes(site), dice.choice([1, 2, 2, 3]))
    return edit(lab, site, bound, gw_nodes=",".join(nodes))


def gateway_mode(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    site = dice.choice(lab.names)
    was = lab.config(site).get("gateway-mode")
    mode = "active-backup" if was == "active-active" else "active-active"
    return edit(lab, site, bound, gateway_mode=mode)


def preempt(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    return edit_and_back(lab, dice.choice(lab.names), bound, gateway_preempt="true")


def bfd_timers(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    site = dice.choice(lab.names)
    was = lab.config(site).get("bfd-min-rx", "100")
    timer = dice.choice([timer for timer in ("100", "150", "200") if timer != was])
    return edit(lab, site, bound, bfd_min_rx=timer, bfd_min_tx=timer)


def auto_route(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    return edit_and_back(lab, dice.choice(lab.names), bound, auto_route="false")


def rename(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    site = dice.choice(lab.names)
    return edit_and_back(lab, site, bound, az_name=f"{site}-{dice.randrange(100)}")


def leave_and_join(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    return edit_and_back(lab, dice.choice(lab.names), bound, enable_ic="false")


def subnet(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    site, text = dice.choice(lab.names), SUBNET.format(n=dice.randrange(100, 250))
    return Action(
        f"{site} Subnet {text.split()[-1][:-1]}",
        bound,
        lambda: lab.apply(site, text),
        lambda: lab.delete(site, text),
    )


def bad_input(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    site = dice.choice(lab.names)
    path, good = lab.folder(site) / "ovn-ic-config.yaml", lab.config(site)
    wrong = dice.choice([*BAD_INPUT, None, None])
    if wrong is None:
        text = dice.choice(["data: {{{{", "", "kind: ConfigMap\nmetadata: []\n"])
        return Action(
            f"{site} ovn-ic-config is {text!r}",
            bound,
            lambda: path.write_text(text),
            lambda: lab.write_config(site, good),
        )
    changes = {key: value.format(site=site) for key, value in wrong.items()}
    action = edit(lab, site, bound, **changes)
    # What is wrong has no effect: it says nothing about the number of gateways.
    return Action(action.what, bound, action.do, lambda: lab.write_config(site, good))


def command(lab: ChaosLab, *words: str) -> str:
    """Run ``ovnmesh``; a wish that cannot be fulfilled is refused in plain words."""
    done = lab.ovnmesh(*words, check=False)
    assert done.returncode in (0, 1, 2), done
    assert "Traceback" not in done.stderr, done.stderr
    return f"exit status {done.returncode}: {' '.join(done.stderr.split())}"


def gateway_command(lab: ChaosLab, bound: Bound, *words: str, undo: str = "") -> Action:
    undoing = (lambda: command(lab, "gateway", undo, *words[1:])) if undo else nothing
    return Action(
        f"ovnmesh gateway {' '.join(words)}",
        bound,
        lambda: command(lab, "gateway", *words),
        undoing,
        last=True,
    )


def transit_switch(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    name = f"ts{dice.randrange(5, 10)}"
    return Action(
        f"ovnmesh transit-switch add {name}",
        bound,
        lambda: command(lab, "transit-switch", "add", name, "--timeout", "10"),
        lambda: command(lab, "transit-switch", "remove", name, "--timeout", "30"),
        last=True,
    )


def drain(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    site = dice.choice(lab.names)
    node = lab.active_gateway(site, dice.choice(lab.switches()))
    return gateway_command(lab, bound, "drain", site, node, undo="undrain")


def prefer(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    site = dice.choice(lab.names)
    return gateway_command(lab, bound, "prefer", site, dice.choice(lab.gateways(site)))


def reset(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    return gateway_command(lab, bound, "reset", dice.choice(lab.names))


def storm(lab: ChaosLab, dice: Random, bound: Bound) -> Action:
    """Changes faster than they can be followed, and the controller killed among them."""
    site = dice.choice(lab.names)
    gw, n1, n2 = lab.nodes(site)
    choices = [
        {"gw_nodes": gw},
        {"gw_nodes": f"{gw},{n1}"},
        {"gw_nodes": f"{n2},{gw},{n1}"},
        {"auto_route": "false"},
        {"auto_route": "true"},
        {"az_name": f"{site}-east"},
        {"az_name": site},
        {"enable_ic": "false"},
        {"enable_ic": "true"},
        {"advertise_nodes": "true"},
        {"gateway_mode": "active-active"},
        *({key: value.format(site=site) for key, value in bad.items()} for bad in BAD_INPUT),
    ]
    drawn = [(dice.choice(choices), dice.random() * 0.2) for _ in range(STORM)]
    kills = {dice.randrange(STORM), dice.randrange(STORM)}
    before = lab.config(site)

    def blow() -> None:
        for number, (changes, pause_s) in enumerate(drawn):
            lab.configure(site, **changes)
            time.sleep(pause_s)
            if number in kills:
                tolerant(lambda: lab.runner.fault_kill(site, "controller"))()
                time.sleep(pause_s)
                lab.runner.fault_kill(site, "controller", heal=True)

    shown = ", ".join(f"{key}={value}" for changes, _ in drawn for key, value in changes.items())
    return Action(
        f"{site} storm of {shown}", bound, blow, lambda: lab.write_config(site, before), gateways=1
    )


CHANGES: dict[str, Maker] = {
    "gw-nodes": gw_nodes,
    "gateway-mode": gateway_mode,
    "gateway-preempt and back": preempt,
    "bfd timers": bfd_timers,
    "auto-route off and on": auto_route,
    "Subnet added and deleted": subnet,
    "az-name and back": rename,
    "bad input": bad_input,
    "gateway drain": drain,
    "gateway prefer": prefer,
    "gateway reset": reset,
    "transit switch added and removed": transit_switch,
    "leave and join": leave_and_join,
    "storm": storm,
}
