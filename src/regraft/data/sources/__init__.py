"""Images and labels as folders and tables hold them; nothing is decoded here."""
