"""One controller per availability zone: keeps a site as its configuration says."""
