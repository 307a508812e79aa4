#!/bin/sh
# Says how the workers are, once, for a watchdog or a cron job.
#
#   watch-workers.sh [SECONDS]        how old the oldest due work of a lane may be; 60 unless given
#
# Exit codes: 0, all is well; 1, no worker is alive, a lane's work is too old, or a batch is stuck; those of `clarion`
# where it can't be asked (clarion --help lists them). CLARION_SERVER says where the server is. A paused lane is meant to
# wait: it is named and not counted.
set -eu

patience=${1:-60}
case $patience in
*[!0-9]* | '')
    echo "usage: ${0##*/} [SECONDS]" >&2
    exit 2
    ;;
esac

# Not in one pipe: its exit code would be that of Python.
workers=$(clarion workers --output json) || exit $?
lanes=$(clarion workers lanes --output json) || exit $?
stuck=$(clarion workers batches --stuck --output json) || exit $?

# Python reads the JSON, so that nothing needs to be installed beside clarion.
printf '[%s, %s, %s]' "$workers" "$lanes" "$stuck" | python3 -c '
import json
import sys

patience = int(sys.argv[1])
workers, lanes, stuck = json.load(sys.stdin)
alive = [each for each in workers if each["state"] != "STATE_SILENT"]
rate = sum(each["rate_per_s"] for each in alive)
print(f"{len(alive)} workers alive, {len(workers) - len(alive)} silent, {rate:.1f} deliveries a second")
wrong = [] if alive else ["no worker is alive"]
for lane in lanes:
    name, due, held = lane["name"].removeprefix("lanes/"), lane["batches_due"], lane["batches_in_hand"]
    age, paused = lane["oldest_due_age_s"], lane["paused"]
    note = ", paused" if paused else ""
    print(f"{name}: {due} batches due, {held} in hand, the oldest for {age:.1f} s{note}")
    if age > patience and not paused:
        wrong.append(f"{name}: work is due since {age:.1f} s, more than {patience}")
if stuck:
    wrong.append(f"{len(stuck)} batches are stuck: clarion workers batches --stuck")
print("\n".join(wrong or ["all is well"]))
sys.exit(1 if wrong else 0)
' "$patience"
