"""Where the objects of a lab's Kubernetes sites are: manifests, or a real API server."""
