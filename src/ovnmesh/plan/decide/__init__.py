"""What a site should be like next: pure decisions, which write nothing. Called by `plan.site`."""
