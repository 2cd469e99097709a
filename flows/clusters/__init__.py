"""Dask clusters that flows draw on: of this machine, of a job queue, of Kubernetes."""
