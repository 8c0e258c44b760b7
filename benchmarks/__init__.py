"""What the package's own way of computing gains, against independent peers."""
