"""Times of the package's own way of computing, against independent peers."""
