"""Each module turns one kind of data set into a `Listing`."""
