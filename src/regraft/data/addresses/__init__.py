"""Images that a table names by web addresses: which addresses are asked, and how."""
