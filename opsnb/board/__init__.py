"""The live board of the deployment window: what is known so far, for a terminal, a notebook, and whoever looks on from elsewhere."""
