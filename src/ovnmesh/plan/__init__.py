"""From desired and observed to operations. Pure: the same planner serves every caller.

`site` and `leave` are the passes, in order. `decide` and `deny` decide and write nothing;
`decisions` puts what they say together. `rows` writes, each table by one module. `ask` is what an
operator asks.
"""
