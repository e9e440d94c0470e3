"""Cards of networks: facts, recipes and licences."""
