"""Search among a workload's tilings, by what they cost on a device."""
