import sys

from onestack.server.main import main

sys.exit(main())
