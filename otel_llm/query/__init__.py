"""Questions to the store, as functions. Each returns frozen structs and reads facts alone."""
