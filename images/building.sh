# images/building.sh: what the build scripts share; they source it. An image is built into a directory of its own beside
# OUT_DIR and moved there whole, so that nobody ever sees half an image; a stamp of all inputs says when there is nothing to do.
# shellcheck shell=bash

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
say() { echo "$program: $*" >&2; }
die() { say "$*"; exit 1; }

# begin_build NAME ARGUMENTS… -- INPUTS…: exits when OUT_DIR already holds what INPUTS (files) make; else sets $out, $stage, $work.
begin_build() {
  local name=$1 force="" arguments=()
  shift
  while [ "$1" != -- ]; do
    case $1 in
      --force) force=yes ;;
      -h|--help) usage; exit 0 ;;
      -*) usage >&2; exit 2 ;;
      *) arguments+=("$1") ;;
    esac
    shift
  done
  shift
  [ ${#arguments[@]} = 1 ] || { usage >&2; exit 2; }
  out=${arguments[0]}
  mkdir -p "$out" || die "make the directory \"$out\": see above"
  out=$(readlink -f "$out")
  stamp="$name $(cat "$@" | sha256sum | cut -d' ' -f1)"
  exec 9>"$out/.lock"
  flock 9  # two tests may want the same image at the same time
  if [ -z "$force" ] && [ "$(cat "$out/.stamp" 2>/dev/null)" = "$stamp" ]; then exit 0; fi
  stage=$(mktemp -d "$out/.stage.XXXXXX")
  work=$(mktemp -d "${TMPDIR:-/tmp}/godwit-image.XXXXXX")
  trap "rm -rf \"$stage\" \"$work\"" EXIT
  trap 'exit 130' INT TERM HUP
}

need() {  # need COMMAND PACKAGE
  command -v "$1" >/dev/null || die "\"$1\" is missing: apt-get install $2 (or tools/bootstrap image)"
}

digest() { sha256sum "$1" | cut -d' ' -f1; }

# write_manifest NAME DISK KERNEL INITRD CMDLINE: describes what is in $stage. Format: images/README.md.
write_manifest() {
  local size
  size=$(qemu-img info --output=json "$stage/$2" | sed -n 's/.*"virtual-size": \([0-9]*\).*/\1/p' | head -n 1)
  cat >"$stage/manifest.json" <<-END
	{
	  "name": "$1",
	  "disk": "$2",
	  "format": "qcow2",
	  "virtual_size_bytes": $size,
	  "sha256": "$(digest "$stage/$2")",
	  "kernel": "$3",
	  "kernel_sha256": "$(digest "$stage/$3")",
	  "initrd": "$4",
	  "initrd_sha256": "$(digest "$stage/$4")",
	  "cmdline": "$5"
	}
	END
}

publish() {
  rm -f "$out/.stamp"
  mv -f "$stage"/* "$out/"
  echo "$stamp" >"$out/.stamp"
  say "built $out ($(du -sh "$out" | cut -f1))"
}

# ordered_modules MODULES_DIR NAME…: prints the files of these modules and of all they depend on, each after what it needs.
ordered_modules() {
  local directory=$1 name
  shift
  for name; do
    # modules.dep names a module's needs from the last to load to the first.
    awk -v want="/$name.ko" -F: 'index($1, want) == length($1) - length(want) + 1 {
      n = split($2, needs, " "); for (i = n; i >= 1; i--) print needs[i]; print $1 }' "$directory/modules.dep"
  done | awk '!seen[$0]++'
}

# pack_initrd TREE FILE: uncompressed, because an emulated CPU takes longer to unpack it than the host to hand it over.
pack_initrd() {
  (cd "$1" && find . -print0 | LC_ALL=C sort -z |
    cpio --quiet --null --create --format=newc --owner=0:0 --reproducible) >"$2"
}
