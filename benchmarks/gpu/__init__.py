"""The CUPTI shim and the device sampler on a real GPU; see README.md."""
