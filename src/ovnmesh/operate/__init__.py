"""What a person wants done, without a screen. Called by `cli` and whoever else has one."""
