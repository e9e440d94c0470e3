"""The mathematics of heads: convex problems, closed forms, and the space that rows span."""
