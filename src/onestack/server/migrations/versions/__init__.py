"""0001, 0002 …: never changed once released."""
