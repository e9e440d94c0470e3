"""What the page about a network draws: how the operations of each stage are connected."""
