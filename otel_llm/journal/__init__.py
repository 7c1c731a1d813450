"""The journal: facts in a ring of shared memory, one writer, any number of readers."""
