#!/bin/bash
# Slurm Prolog, run as root on each node before a job's first process there: makes the job's
# directory of journals on tmpfs and starts an agent for it. In slurm.conf:
# Prolog=/etc/slurm/otel-llm-prolog.sh
#
# It must never fail: a Prolog that fails drains the node. A job without the directory runs on,
# without journals.
set -u
[ -n "${SLURM_JOB_ID:-}" ] || exit 0
base="${SLURM_OTEL_JOURNAL_BASE:-/dev/shm/otel-llm}"
user="${SLURM_OTEL_AGENT_USER:-otel-llm}"
agent="${SLURM_OTEL_PROGRAM:-/opt/otel-llm/bin/otel-llm}"
job="$base/job-$SLURM_JOB_ID"

give_up() {
  logger -t otel-llm "prolog of job $SLURM_JOB_ID: $1"
  exit 0
}

# No link, and nobody else may write in it: root changes owners below, and /dev/shm is everybody's.
ours() {
  [ -n "$(find "$1" -maxdepth 0 -type d -uid "$(id -u)" ! -perm /022)" ]
}

# A job may pass through the base, and list nothing in it.
mkdir -p -m 0711 "$base" || give_up "no directory $base"
ours "$base" || give_up "$base is not root's alone; remove it, somebody else made it"
mkdir -m 0700 "$job" || give_up "$job is there already, or cannot be made"
# It belongs to the job's user; the agent's group may read.
chown "${SLURM_JOB_UID:-0}:$user" "$job" || give_up "no group $user"
chmod 2750 "$job" || give_up "$job keeps its mode"

# State of jobs that ended a week ago. Until then `otel-llm agent` with that state directory
# delivers what was left in it.
state="${SLURM_OTEL_STATE_BASE:-/var/lib/otel-llm}"
install -d -m 0711 -o "$(id -u)" "$state" || give_up "no directory $state"
ours "$state" || give_up "$state is not root's alone"
find "$state" -maxdepth 1 -name 'job-*' -mtime +7 -exec rm -rf --one-file-system -- {} +
install -d -m 0700 -o "$user" -g "$user" "$state/job-$SLURM_JOB_ID" || give_up "no state directory"

# A unit of its own, outside the job: Slurm's cgroup must not end it before it has delivered. Jobs
# may share a node, so the page's port is a free one; the agent names it in its log.
systemd-run --quiet --collect --unit="otel-llm-job-$SLURM_JOB_ID" \
  --uid="$user" --gid="$user" --property=Nice=5 --property=MemoryMax=1G --property=CPUQuota=100% \
  --property=TimeoutStopSec=30 --property=EnvironmentFile=-/etc/otel-llm/agent.env \
  --property=EnvironmentFile=-/etc/otel-llm/secrets.env \
  --setenv=OTEL_LLM_JOURNAL_DIR="$job" --setenv=OTEL_LLM_AGENT_PORT="${OTEL_LLM_AGENT_PORT:-0}" \
  --setenv=OTEL_LLM_STATE_DIR="$state/job-$SLURM_JOB_ID" --setenv=OTEL_LLM_STOP_DELIVERY_S=25 \
  "$agent" agent || give_up "the agent did not start"
exit 0
