"""One agent per node that may be a gateway: marks and unmarks its own chassis."""
