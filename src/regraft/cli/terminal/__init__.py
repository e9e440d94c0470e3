"""What commands share: their parameters, and how progress and tables are printed."""
