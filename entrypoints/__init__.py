"""The entry points of MLproject.

OpenMP's threads sleep while they wait for each other. Their default is to spin, which costs a training step a
factor of ten and more as soon as any other process uses the same cores. This has to be said before torch is
imported, and a user's own choice stands.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
