"""A small real engine, a gateway and a workload, to see every layer without a GPU."""
