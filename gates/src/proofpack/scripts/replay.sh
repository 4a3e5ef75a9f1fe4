#!/bin/sh
# Runs the gates of this extracted proofpack again on a clean checkout: sh replay.sh SOURCE
# Exit 0: reproduced. Exit 1: the pack is not intact, or SOURCE is not what it judged. Exit 2: cannot run.
# Other exits are those of: cargo xtask proofpack replay
# A script that came with the pack proves nothing until a tool you already trust has checked the pack.
set -eu
LC_ALL=C
export LC_ALL

refuse() {
    printf 'FAIL %s: %s\n' "$1" "$2" >&2
    exit 1
}

cannot() {
    printf 'cannot replay: %s\n' "$1" >&2
    exit 2
}

[ "$#" -eq 1 ] || cannot "usage: sh replay.sh SOURCE"
for tool in cargo dirname git sed sh; do
    command -v "$tool" >/dev/null 2>&1 || cannot "no $tool"
done
unset CDPATH
pack=$(cd "$(dirname "$0")" && pwd -P) || cannot "no pack folder"
source=$(cd "$1" && pwd -P) || cannot "no such folder"
sh "$pack/verify.sh" "$pack"

# These would make git look at another repository than SOURCE.
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_COMMON_DIR GIT_NAMESPACE

# The manifest is canonical JSON on one line, so these three fields stand next to each other, and no string can hold
# them: quotes inside a string are escaped.
judged=$(sed -n 's/.*[{,]"dirty":\([a-z]*\),"git_commit":"\([0-9a-f]*\)","git_tree":"\([0-9a-f]*\)","name":.*/\1 \2 \3/p' "$pack/MANIFEST.json")
case $judged in
    "false "*) ;;
    "true "*) refuse dirty "the pack judged a working tree with uncommitted changes" ;;
    *) refuse manifest "MANIFEST.json names no commit and tree" ;;
esac
commit=$(git -C "$source" rev-parse --verify HEAD) || cannot "SOURCE is no git checkout"
tree=$(git -C "$source" rev-parse --verify 'HEAD^{tree}') || cannot "SOURCE has no tree"
[ "$judged" = "false $commit $tree" ] || refuse subject "SOURCE is at another commit or tree than the pack judged"
changes=$(git -C "$source" status --porcelain) || cannot "git status failed"
[ -z "$changes" ] || refuse source "SOURCE has uncommitted changes"

cd "$source"
exec cargo xtask proofpack replay --tree "$pack" --source "$source"
