"""Makes records of a plan: jobs, rounds, worker processes, checkpoints and clusters."""
