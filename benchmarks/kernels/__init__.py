"""What kernels cost: in the shim, in the reader, in rows."""
