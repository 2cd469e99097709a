"""Prefect flows: one file a flow; servers, clusters, deployments and Prefect's API in rooms of their own."""
