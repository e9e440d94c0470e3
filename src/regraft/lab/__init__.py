"""The lab: teaching experiments, one file each."""
