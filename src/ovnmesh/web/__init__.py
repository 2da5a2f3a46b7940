"""What a process offers over HTTP: metrics."""
