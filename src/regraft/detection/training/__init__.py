"""How detectors are trained: batches of maps, boxes that follow them, and the loop's objective."""
