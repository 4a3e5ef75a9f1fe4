#!/bin/sh
# Checks an extracted proofpack offline and writes nothing: sh verify.sh [FOLDER]
# Exit 0: intact. Exit 1: a check failed. Exit 2: cannot check.
# A script that came with the pack proves nothing until a tool you already trust has checked the pack.
set -eu
LC_ALL=C
export LC_ALL
list=SHA256SUMS.txt

fail() {
    printf 'FAIL %s: %s\n' "$1" "$2" >&2
    exit 1
}

cannot() {
    printf 'cannot check: %s\n' "$1" >&2
    exit 2
}

for tool in awk cut dirname find sed sh sort tail tr wc xargs; do
    command -v "$tool" >/dev/null 2>&1 || cannot "no $tool"
done
folder=${1:-$(dirname "$0")}
if command -v sha256sum >/dev/null 2>&1; then
    set -- sha256sum
elif command -v shasum >/dev/null 2>&1; then
    set -- shasum -a 256
elif command -v openssl >/dev/null 2>&1; then
    set -- openssl dgst -sha256 -r
else
    cannot "none of sha256sum, shasum and openssl"
fi
unset CDPATH
cd "$folder" || cannot "no such folder"

# The hash list is a file of a sensible size. Grammar comes before hashing: sha256sum -c only warns about bad lines.
if [ ! -f "$list" ] || [ -L "$list" ]; then
    fail list "SHA256SUMS.txt is missing, empty or over 8 MiB"
fi
[ -r "$list" ] || cannot "SHA256SUMS.txt is not readable"
bytes=$(wc -c <"$list")
if [ "$bytes" -eq 0 ] || [ "$bytes" -gt 8388608 ]; then
    fail list "SHA256SUMS.txt is missing, empty or over 8 MiB"
fi
odd=$(tr -d '\012\040-\176' <"$list" | wc -c)
if [ "$odd" -ne 0 ] || [ -n "$(tail -c 1 "$list")" ]; then
    fail bytes "SHA256SUMS.txt holds other bytes than LF and printable ASCII, or no final LF"
fi

# Every line first, then the order of all lines, then names that some file system would take for one.
fault=$(awk '
    function fault(check) {
        if (!(check in first)) first[check] = "SHA256SUMS.txt line " NR
    }
    BEGIN {
        split("CON PRN AUX NUL", word, " ")
        for (i = 1; i <= 4; i++) device[word[i]] = 1
        for (i = 0; i <= 9; i++) { device["COM" i] = 1; device["LPT" i] = 1 }
        sealed["SHA256SUMS.txt"] = sealed["SHA256SUMS.txt.sig"] = sealed["attestation.intoto.jsonl"] = 1
        first["evidence"] = "SHA256SUMS.txt names no file under evidence/"
    }
    {
        path = substr($0, 67)
        good = length(path) >= 1 && length(path) <= 240 && !(path in sealed)
        good = good && substr($0, 1, 64) !~ "[^0-9a-f]" && substr($0, 65, 2) == "  "
        good = good && path !~ "[^A-Za-z0-9._+@=,/-]" && path !~ "(^|/)[.-]" && path !~ "[.](/|$)"
        parts = split(path, part, "/")
        good = good && parts <= 16
        for (i = 1; i <= parts; i++) {
            stem = part[i]
            sub("[.].*", "", stem)
            good = good && part[i] != "" && length(part[i]) <= 100 && !(toupper(stem) in device)
        }
        if (!good) fault("grammar")
        if (NR > 1 && !((last "") < (path ""))) fault("order")
        last = path
        name = tolower(path)
        clash = (name in file) || (name in above)
        for (i = 1; i < parts; i++) {
            above_it = i == 1 ? tolower(part[1]) : above_it "/" tolower(part[i])
            if (above_it in file) clash = 1
            above[above_it] = 1
        }
        if (clash) fault("clash")
        file[name] = 1
        if (substr(path, 1, 9) == "evidence/") delete first["evidence"]
    }
    END {
        count = split("grammar order clash evidence", check, " ")
        for (i = 1; i <= count; i++) if (check[i] in first) { print check[i] " " first[check[i]]; exit }
    }
' "$list")
[ -z "$fault" ] || fail "${fault%% *}" "${fault#* }"

# Names are shown with every byte outside the name grammar as a question mark, so that no name reaches the terminal raw.
find . >/dev/null || cannot "a folder is not readable"
shown() {
    find . "$@" -exec sh -c 'printf %s "${1#./}" | tr -c "A-Za-z0-9._+@=,/-" "?"; echo' sh {} \; | sort | sed -n 1p
}
special=$(shown ! -type f ! -type d)
[ -z "$special" ] || fail special "$special"
name=$(shown ! -name . -name '*[!A-Za-z0-9._+@=,-]*')
[ -z "$name" ] || fail name "$name"

present=$(find . -type f | sed 's,^\./,,' | sort)
missing=$(printf '%s\n' "$present" | awk -v list="$list" '
    { present[$0] = 1 }
    END {
        while ((getline line < list) > 0) if (!(substr(line, 67) in present)) { print substr(line, 67); exit }
    }
')
[ -z "$missing" ] || fail missing "$missing"
extra=$(printf '%s\n' "$present" | awk -v list="$list" '
    BEGIN {
        while ((getline line < list) > 0) listed[substr(line, 67)] = 1
        listed["SHA256SUMS.txt"] = listed["SHA256SUMS.txt.sig"] = listed["attestation.intoto.jsonl"] = 1
    }
    !($0 in listed) && !done { print; done = 1 }
')
[ -z "$extra" ] || fail extra "$extra"

unreadable=$(cut -c 67- "$list" | while IFS= read -r path; do [ -r "$path" ] || printf '%s\n' "$path"; done | sed -n 1p)
[ -z "$unreadable" ] || cannot "not readable: $unreadable"
changed=$(cut -c 67- "$list" | xargs "$@" | sed 's/^\(.\{64\}\) [ *]/\1  /' | awk -v list="$list" '
    BEGIN { while ((getline line < list) > 0) want[++lines] = line }
    NR <= lines && ($0 "") != (want[NR] "") && !bad { bad = NR }
    END {
        if (!bad && NR != lines) bad = NR < lines ? NR + 1 : lines
        if (bad) print substr(want[bad], 67)
    }
')
[ -z "$changed" ] || fail hash "$changed"

files=$(awk 'END { print NR }' "$list")
root=$("$@" "$list" | cut -c 1-64)
printf 'OK %s files, root %s\n' "$files" "$root"
