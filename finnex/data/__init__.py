"""Tables to one point-in-time panel: what was known of a company at each session's close."""
