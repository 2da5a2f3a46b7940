"""One agent per node that may be a gateway: marks its own chassis, reports on its paths."""
