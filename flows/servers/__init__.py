"""The local stack: Prefect's and MLflow's servers behind one gate, and who may reach them."""
