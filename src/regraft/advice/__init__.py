"""What is measured before anything is trained, and what it says about how to go on."""
