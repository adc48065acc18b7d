"""What the agents ask and tell: the server's side of onestack.wire."""
