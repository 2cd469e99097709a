"""Deployments of the flows, and what a Prefect server must know of them."""
