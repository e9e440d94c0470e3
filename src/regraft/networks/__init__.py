"""Networks: the zoo, weights, stages and cuts."""
