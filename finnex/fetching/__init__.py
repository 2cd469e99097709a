"""Download public input tables: bars from Yahoo, macro series from FRED, filings from the SEC's EDGAR.

Every answer is kept as it came, so that tables can be made again without a network. The optional extra
`finnex[fetch]` brings the libraries; they are imported only when a source is asked.
"""
