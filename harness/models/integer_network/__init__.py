"""Networks that compute in integers from the image to the embedding: docs/int8.md."""
