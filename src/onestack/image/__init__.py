"""Images: Glance's API, v2, over files in the state directory."""
