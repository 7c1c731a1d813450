#!/bin/bash
# Slurm TaskProlog, run as the user before each task: lines "export NAME=VALUE" on its output become
# the task's environment. Name it in slurm.conf: TaskProlog=/etc/slurm/otel-llm-task-prolog.sh
base="${SLURM_OTEL_JOURNAL_BASE:-/dev/shm/otel-llm}"
job="$base/job-${SLURM_JOB_ID:-none}"
if [ -d "$job" ] && [ -w "$job" ]; then
  echo "export OTEL_LLM_JOURNAL_DIR=$job"
  echo "export OTEL_LLM_JOURNAL_GROUP_READABLE=true"
fi
exit 0
