"""Devices of this node: what they draw, how they fare, what befalls them."""
