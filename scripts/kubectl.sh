#!/usr/bin/env bash
# Makes sure that there is a kubectl of version 1.27 or newer: on PATH, else .venv/bin/kubectl. Called
# by setup.sh, for the tests of deploy/. Debian 12 has an older one, so there the package of Debian 13
# is fetched from the machine's own mirror and unpacked, not installed; apt verifies it. Must not
# touch the machine's sources or package lists. Exit status 1, with the reason: there is none.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$PWD/.venv/bin/kubectl
newer=trixie

usable() {
    local version
    version=$("$1" version --client 2>/dev/null | sed -n 's/^Client Version: v1\.\([0-9]*\).*/\1/p')
    [ "${version:-0}" -ge 27 ]
}
fail() {
    echo "ovnmesh: no kubectl >= 1.27, so the tests that need it are skipped: $1" >&2
    exit 1
}

if usable "$target" || usable kubectl; then exit 0; fi
command -v apt-get >/dev/null || fail "none on PATH, and no apt-get to fetch it with"
. /etc/os-release
case "${ID:-}/${VERSION_ID:-}" in
debian/12) ;;
debian/*)
    echo "ovnmesh: installing the Debian package kubectl"
    { apt-get update && apt-get install -y --no-install-recommends kubectl; } >/dev/null ||
        fail "apt-get install failed"
    exit 0 ;;
*) fail "none on PATH, and this is not Debian 12 or newer" ;;
esac

# apt knows its sources, in whatever notation they are written.
mirror=$(apt-get indextargets --no-release-info --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    awk -v own="${VERSION_CODENAME:-bookworm}" '
        $2 == "main" && ($1 == own || $1 == "stable" || $1 == "oldstable") { print $3; exit }')
[ -n "$mirror" ] || fail "apt has no source of ${VERSION_CODENAME:-bookworm} main"
echo "ovnmesh: fetching kubectl of Debian 13 ($newer) into ${target#"$PWD"/}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists/partial,cache/archives/partial,package}
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e "$keys" ] && options="[signed-by=$keys] " || options=
echo "deb $options$mirror $newer main" >"$work/sources.list"
touch "$work/status"
apt=(
    apt-get -qq
    -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null
    -o Dir::State::Lists="$work/lists" -o Dir::State::Status="$work/status"
    -o Dir::Cache="$work/cache" -o Acquire::Languages=none -o APT::Sandbox::User=root
)
"${apt[@]}" update >"$work/log" 2>&1 || fail "$(tail -n 3 "$work/log")"
(cd "$work/package" && "${apt[@]}" download kubectl) >"$work/log" 2>&1 || fail "$(tail -n 3 "$work/log")"
dpkg -x "$work"/package/kubectl_*.deb "$work/package"
mkdir -p "$(dirname "$target")"
install -m 755 "$work/package/usr/bin/kubectl" "$target.new"
mv "$target.new" "$target"
usable "$target" || { rm -f "$target"; fail "the package's kubectl does not run here"; }
