#!/bin/sh
# Triggers a campaign for one address, waits until the message is accounted for, and says what became of it.
#
#   wait-for-trigger.sh CAMPAIGN EMAIL [@CONTEXT.json | KEY=VALUE ...]
#
# Ends with the exit codes of `clarion` (clarion --help lists them). CLARION_SERVER says where the server is.
set -eu

if [ $# -lt 2 ]; then
    echo "usage: ${0##*/} CAMPAIGN EMAIL [@CONTEXT.json | KEY=VALUE ...]" >&2
    exit 2
fi
campaign=$1
email=$2
shift 2
for item in "$@"; do
    set -- "$@" --context "$item"
    shift
done

# Python reads the JSON, so that nothing needs to be installed beside clarion.
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

# Not in one pipe: its exit code would be that of `field`.
answer=$(clarion trigger "$campaign" --to "$email" "$@" --output json) || exit $?
trigger=$(printf '%s\n' "$answer" | field name)
echo "accepted $trigger"

code=0
clarion watch "$trigger" --output json >/dev/null || code=$?
clarion deliveries list "$trigger"
exit "$code"
