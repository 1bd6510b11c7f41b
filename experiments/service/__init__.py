"""A trained model over HTTP: requests, batches, limits, measurements, a page."""
