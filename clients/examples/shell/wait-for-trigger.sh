#!/bin/sh
# Triggers a campaign for one address, waits until the message is accounted for, and says what became of it.
#
#   wait-for-trigger.sh CAMPAIGN EMAIL [@CONTEXT.json | KEY=VALUE ...]
#
# Ends with the exit codes of `clarion` (clarion --help lists them). CLARION_SERVER says where the server is.
set -eu

campaign=${1:?usage: $0 CAMPAIGN EMAIL [KEY=VALUE ...]}
email=${2:?usage: $0 CAMPAIGN EMAIL [KEY=VALUE ...]}
shift 2
for item in "$@"; do
    set -- "$@" --context "$item"
    shift
done

# Python reads the JSON, so that nothing needs to be installed beside clarion.
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

trigger=$(clarion trigger "$campaign" --to "$email" "$@" --output json | field name)
echo "accepted $trigger"

code=0
clarion watch "$trigger" --output json >/dev/null || code=$?
clarion deliveries list "$trigger"
exit "$code"
