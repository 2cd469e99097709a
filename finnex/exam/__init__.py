"""The exam of the audit: random markets that know nothing of their future, and named leaks planted in them.

`finnex.exam.random_market` makes a market, the modules `plants_*` plant one leak each, `finnex.exam.exam` audits every
plant and says which the audit caught, and for which no audit of the files given can know it.

`finnex.exam.planted_market` makes another market, for the networks: its label follows from patterns that are known, so
that the best attainable accuracy is.
"""
