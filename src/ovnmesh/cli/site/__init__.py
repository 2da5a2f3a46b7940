"""Commands about sites and the mesh they are in."""
