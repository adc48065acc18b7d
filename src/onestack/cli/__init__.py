"""The command line: `onestack up`, `down`, `status`, `doctor`, `logs`, `openrc`, `boot`, `version`."""
