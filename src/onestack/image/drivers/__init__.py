"""Where the bytes of images are: one driver a kind of store, all under the contract of base.py."""
