"""Facts to spans. Pure: the same fact always gives the same spans with the same ids."""
