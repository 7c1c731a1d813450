#!/bin/bash
# Slurm Epilog, run as root on each node after a job's last process there: lets the agent read the
# journals out and deliver, then removes them. In slurm.conf: Epilog=/etc/slurm/otel-llm-epilog.sh
#
# It must never fail: an Epilog that fails drains the node.
set -u
[ -n "${SLURM_JOB_ID:-}" ] || exit 0
base="${SLURM_OTEL_JOURNAL_BASE:-/dev/shm/otel-llm}"
job="$base/job-$SLURM_JOB_ID"
[ -d "$job" ] || exit 0

# The agent looks several times a second; all that the dead processes left is read in this time.
sleep "${SLURM_OTEL_EPILOG_WAIT_S:-2}"
# SIGTERM: it delivers what it holds, 30 s at most.
systemctl stop "otel-llm-job-$SLURM_JOB_ID.service" || logger -t otel-llm "epilog: no agent to stop"
rm -rf --one-file-system -- "$job" || logger -t otel-llm "epilog: $job is left behind"
# Its state stays for a week (the Prolog cleans up): facts that ClickHouse did not take in time.
exit 0
