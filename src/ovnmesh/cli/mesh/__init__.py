"""Commands about sites and their mesh: shown, changed, checked."""
