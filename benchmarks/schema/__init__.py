"""What codecs, keys, indexes, sketches and shapes of the store's tables cost; see `page.METHOD`."""
