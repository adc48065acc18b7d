"""Compute: Nova's API on 8774, and the API that the hypervisors' agents speak to."""
