# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Sourced by the image scripts: the cache, atomic publication of results, and Debian's packages.
#
# The cache (VULCAN_CACHE, default /var/cache/vulcan) is outside the build directory:
#   NAME-KEY.squashfs, vmlinux-KIND-KEY, modules-KIND-KEY.cpio   results, KEY = hash of their inputs
#   apt/    an apt state of its own: sources, lists, and keys already computed
#   debs/   downloaded packages, shared by the images
#   work/   builds in progress; the next build removes what a killed one left there
#   locks/  one per result, so that concurrent builds wait for each other
set -euo pipefail
export LC_ALL=C
umask 022

prog=${0##*/}
# shellcheck disable=SC2034  # used by the scripts that source this one
images_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${VULCAN_CACHE:-/var/cache/vulcan}
suite=bookworm
keep_blobs=3         # files of each result that stay in the cache
lists_fresh_min=1440 # a build fetches package lists that are older (in minutes)

die() {
        echo "$prog: $*" >&2
        exit 1
}

# Prints a step of a long build, preceded by the seconds since the script started.
stage() {
        printf '[%3d s] %s\n' "$SECONDS" "$*"
}

# Prints a hash of stdin, short enough for a file name.
key_of() {
        sha256sum | cut -c1-16
}

# Makes sure that the cache exists, is writable and has at least MB megabytes free.
need_cache() {
        local mb=$1 free
        [ "$(id -u)" = 0 ] || die "building images needs root. Run: sudo make images"
        mkdir -p "$cache"/{apt,debs,work,locks} || die "cannot create $cache (set VULCAN_CACHE to another directory)"
        free=$(df -Pm "$cache" | awk 'NR == 2 { print $4 }')
        [ "$free" -ge "$mb" ] || die "$cache has $free MB free, $mb MB are needed (set VULCAN_CACHE to another directory)"
}

# Holds the lock NAME until this script and its children have ended, and sets $work to a directory of
# its own.
lock_and_work() {
        local name=$1
        exec 9>"$cache/locks/$name"
        flock -n 9 || {
                stage "$name: waiting for another build of it"
                flock 9
        }
        work=$cache/work/$name
        child=
        trap clean_work EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM HUP
        rm -rf --one-file-system "$work"
        mkdir "$work"
}

clean_work() {
        [ -z "$child" ] || kill -KILL "$child" 2>/dev/null || true
        wait 2>/dev/null || true
        rm -rf --one-file-system "$work"
}

# Runs a command whose mounts and processes must not outlive this script: in mount and process
# namespaces of its own, which the kernel destroys with the command or the script, however they end.
# If namespaces are not available (in a chroot, or a container without the right), the command runs
# without them and has to clean up by itself.
isolated() {
        local rc=0
        local -a apart=(unshare --mount --pid --fork --kill-child --mount-proc)
        "${apart[@]}" true 2>/dev/null || apart=()
        setpriv --pdeathsig KILL "${apart[@]}" "$@" &
        child=$!
        wait "$child" || rc=$?
        child=
        return $rc
}

# Moves a finished file from $work to its final name in the cache, atomically.
publish() {
        local from=$1 to=$cache/$2
        chmod 644 "$from"
        sync "$from"
        mv -f "$from" "$to"
}

# Ends a build after a tool failed: prints the lines of its log ($work/log) that match PATTERN, then
# WHAT failed. Reports a full disk first, because no tool does so clearly.
fail() {
        local what=$1 pattern=$2 free
        free=$(df -Pm "$work" | awk 'NR == 2 { print $4 }')
        [ "$free" -ge 50 ] || die "$what: no space left in $cache ($free MB)"
        grep -E "$pattern" "$work/log" | head -5 >&2 || true
        cp "$work/log" "$cache/failed.log" 2>/dev/null || true
        die "$what (details: $cache/failed.log)"
}

# Removes all but the latest results of a kind; images/build makes a result that it uses the latest.
# $1 is the name before the key, $2 a pattern for the name after it.
prune() {
        local old
        find "$cache" -maxdepth 1 -type f -regextype posix-extended -regex ".*/$1-[0-9a-f]{16}$2" \
                -printf '%T@ %p\n' | sort -rn | tail -n +$((keep_blobs + 1)) | cut -d' ' -f2- |
                while read -r old; do rm -f "$old"; done
}

# --- Debian's packages -------------------------------------------------------------------------
#
# The host's apt may use another suite, third-party sources or pins. So there is a separate apt state
# that knows only Debian bookworm: from the mirror that the host has configured for it, or from
# VULCAN_MIRROR. The host's packages are never changed.

apt_dir=$cache/apt

private_apt() {
        local tool=$1
        shift
        APT_CONFIG=$apt_dir/apt.conf "$tool" "$@"
}

# Prints the host's sources that look like Debian bookworm, as lines for sources.list. Their signatures,
# checked when they are fetched, decide whether they really are Debian's.
host_sources() {
        local keyring=/usr/share/keyrings/debian-archive-keyring.gpg found
        found=$(apt-get update --print-uris 2>/dev/null |
                sed -nE "s#^'([^']+)/dists/($suite|$suite-updates|$suite-security)/InRelease'.*#deb [signed-by=$keyring] \\1 \\2 main#p" | sort -u)
        if [ -n "${VULCAN_MIRROR:-}" ]; then
                found="deb [signed-by=$keyring] $VULCAN_MIRROR $suite main
deb [signed-by=$keyring] $VULCAN_MIRROR $suite-updates main"
        fi
        grep -q " $suite main$" <<<"$found" ||
                die "apt has no source of Debian $suite: set VULCAN_MIRROR to the URL of a mirror"
        echo "$found"
}

# Fetches the package lists. On failure the existing ones stay unchanged.
apt_refresh() {
        stage "package lists of Debian $suite"
        mkdir -p "$apt_dir"/{lists/partial,cache/archives/partial,keys}
        : >"$apt_dir/status"
        {
                # The host's proxies and timeouts apply; its hooks and pins do not.
                apt-config dump | grep -E '^Acquire::(http|https|Check|Force)' || true
                echo 'Acquire::Languages "none";'
                echo 'Acquire::Retries "2";'
        } >"$apt_dir/net.conf"
        {
                cat "$apt_dir/net.conf" - <<CONF
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::sourcelist "$apt_dir/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State "$apt_dir";
Dir::State::status "$apt_dir/status";
Dir::Cache "$apt_dir/cache";
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Debug::NoLocking "true";
CONF
        } >"$apt_dir/apt.conf"
        host_sources >"$apt_dir/sources.list"
        private_apt apt-get -q update >"$apt_dir/update.log" 2>&1 || true
        ls "$apt_dir"/lists/*_dists_"${suite}"_InRelease >/dev/null 2>&1 || {
                grep -E '^(E|W|Err)' "$apt_dir/update.log" | head -3 >&2 || true
                return 1
        }
        # The lists are signed by Debian. A source that is not (some third parties name their suite
        # like Debian's) has no list and is dropped.
        local deb keyring uri name main
        while read -r deb keyring uri name main; do
                [ ! -e "$apt_dir/lists/$(sed -E 's#^[a-z]+://##; s#_#%5f#g; s#/#_#g' <<<"$uri")_dists_${name}_InRelease" ] ||
                        echo "$deb $keyring $uri $name $main"
        done <"$apt_dir/sources.list" >"$apt_dir/sources.new"
        mv "$apt_dir/sources.new" "$apt_dir/sources.list"
        cat "$apt_dir"/lists/*_InRelease | key_of >"$apt_dir/id.new"
        cmp -s "$apt_dir/id.new" "$apt_dir/id" || rm -f "$apt_dir"/keys/*
        mv "$apt_dir/id.new" "$apt_dir/id"
}

# Makes sure that there are package lists. $1 = fresh: not older than a day, if the network allows.
apt_lists() {
        [ ! -e "$apt_dir/id" ] || [ "${1:-}" = fresh ] || return 0
        [ -z "$(find "$apt_dir/id" -mmin "-$lists_fresh_min" 2>/dev/null)" ] || return 0
        need_cache 200
        exec 8>"$cache/locks/apt"
        flock 8
        if [ -z "$(find "$apt_dir/id" -mmin "-$lists_fresh_min" 2>/dev/null)" ]; then
                apt_refresh || {
                        [ -e "$apt_dir/id" ] || die "cannot fetch Debian's package lists: is there a network? (details: $apt_dir/update.log)"
                        echo "$prog: no new package lists; continuing with those of $(date -r "$apt_dir/id" +%F)" >&2
                }
        fi
        exec 8>&-
}

# Prints the version of PACKAGE that would be installed.
version_of() {
        private_apt apt-cache show --no-all-versions "$1" 2>/dev/null | sed -n 's/^Version: //p' | head -1
}

# Downloads PACKAGE in that version into debs/ and prints the file's path.
download_deb() {
        local package=$1 version file dir
        version=$(version_of "$package")
        [ -n "$version" ] || die "Debian $suite has no package $package"
        file=$cache/debs/${package}_${version//:/%3a}_
        if ! compgen -G "$file*.deb" >/dev/null; then
                dir=$work/download
                mkdir -p "$dir"
                (cd "$dir" && private_apt apt-get -q download "$package" >"$work/download.log" 2>&1) || {
                        tail -3 "$work/download.log" >&2
                        die "cannot download $package $version: is there a network?"
                }
                mv "$dir"/*.deb "$cache/debs/"
        fi
        compgen -G "$file*.deb" | head -1
}
