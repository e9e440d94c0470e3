"""Networks: the zoo, pretrained weights, stages and cuts."""
