"""Flow runs through Prefect's API: requests, starting, progress, settling."""
