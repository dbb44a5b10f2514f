"""The search for the hyperparameters that all designs share."""
