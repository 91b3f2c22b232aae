# Sourced by peers.sh and uml.sh, after daemon.sh: Debian packages, unpacked into the cache. Nothing is installed on the
# system. They need the package lists of apt-get update, which root gets if they are missing or old.
# shellcheck shell=bash

candidate() { apt-cache show --no-all-versions "$1" 2>/dev/null | sed -n 's/^Version: //p' | head -n 1 || true; } # PACKAGE

# unpacked PACKAGE... prints the directory with these Debian packages and those they need that this system lacks. It
# appears by a rename.
unpacked() {
  local version target
  require apt-get apt
  version=$(candidate "$1")
  if [[ -z $version ]]; then
    update_lists
    version=$(candidate "$1")
  fi
  [[ -n $version ]] || die "apt knows no package $1; run apt-get update"
  target=$CACHE/$1-${version//[^A-Za-z0-9.+-]/_}
  [[ -d $target ]] || unpack "$target" "$@" || exit 1
  printf '%s\n' "$target"
}

update_lists() { ((EUID != 0)) || apt-get -q update >&2; }

# download PACKAGE... gets the packages into the working directory.
download() { printf '%s\n' "$@" | xargs apt-get -q download >../download.log 2>&1; }

unpack() ( # TARGET PACKAGE...
  local target=$1 partial=$CACHE/partial-$2 missing package packages
  shift
  mkdir -p "$CACHE"
  exec 9>"$CACHE/lock"
  flock 9
  [[ ! -d $target ]] || return 0
  note "fetching $1 from Debian (once) ..."
  rm -rf "$partial"
  mkdir -p "$partial/packages"
  cd "$partial/packages"
  missing=$(apt-get install --simulate --no-install-recommends "$@" | sed -n 's/^Inst \([^ ]*\).*/\1/p')
  mapfile -t packages < <(printf '%s\n' "$@" "$missing" | sort -u | grep .)
  download "${packages[@]}" || { update_lists && download "${packages[@]}"; } ||
    die "apt-get could not download $*:"$'\n'"$(tail -n 15 ../download.log)"
  for package in *.deb; do dpkg -x "$package" ..; done
  mv "$partial" "$target"
)
