"""What an operator asks of a site, as batches or as a forecast. Called by `operate`."""
