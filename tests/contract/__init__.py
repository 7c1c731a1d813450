"""A package, so that one engine serves all of its modules: fixtures of scope `package`."""
