"""From desired and observed to operations. Pure: the same planner serves every caller."""
