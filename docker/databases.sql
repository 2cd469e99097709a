-- Run once, on an empty volume. Prefect and MLflow both keep a table of their migrations under one name,
-- so each has a database of its own.
CREATE DATABASE prefect;
CREATE DATABASE mlflow;
\connect prefect
CREATE EXTENSION IF NOT EXISTS pg_trgm;
