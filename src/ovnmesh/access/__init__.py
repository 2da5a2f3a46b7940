"""How anybody reaches the databases of a site or of the mesh: names, sessions. No screen."""
