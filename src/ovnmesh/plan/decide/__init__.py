"""What a site should be like next: decisions, which write nothing. Called by `plan.decisions`."""
