"""What a guest is told about itself: 169.254.169.254, port 8775 and the config drive, from which cloud-init works."""
