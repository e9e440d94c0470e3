"""Heads that are solved on features: a labelled data set, its rows, and what is fitted on them."""
