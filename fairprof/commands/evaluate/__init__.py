"""How a registered model stands up to deployment: corrupted images, speed, and the report of an evaluation."""
