"""The loop that trains any tail: it knows no image, no plan and no class."""
