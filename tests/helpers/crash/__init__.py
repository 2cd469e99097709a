"""Crash harness: real builds are killed before the n-th change of a file below the store, for all n.

`shim.c` is loaded into every process of a build and counts; `control` is the memory through which it is steered.
`scenarios` are what may be interrupted, `states` says what readers must find and what the result must equal, `sweep`
goes through the crash points of a scenario in forked children. `random_kills` and `power_cut` are random in time.
"""
