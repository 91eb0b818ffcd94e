"""From a plan to records: jobs, rounds, worker processes, checkpoints and clusters."""
