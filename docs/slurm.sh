#!/bin/bash
#SBATCH --job-name=deepcanon
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@600
#SBATCH --requeue
#SBATCH --open-mode=append

# A run that goes on until it is done: before its time is up, it saves, ends with the status 138, and is queued again.
# Change the recipe and its arguments here; the folder must be on a file system that all nodes share.
run=${RUN:-runs/slurm-$SLURM_JOB_ID}
if [ -e "$run/state" ]; then
    words=(resume "$run")
else
    words=(train gpt --data novel.txt --folder "$run")
fi

MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000))
export MASTER_ADDR MASTER_PORT

srun --kill-on-bad-exit=1 bash -c '
    export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID WORLD_SIZE=$SLURM_NTASKS
    exec deepcanon "$@"' deepcanon "${words[@]}"
status=$?

if [ "$status" -eq 138 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
