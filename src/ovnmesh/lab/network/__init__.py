"""A lab's namespaces and what connects them."""
